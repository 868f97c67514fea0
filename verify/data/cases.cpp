// The tiers: for each (storage type, layout, mode) one walk through recipes and shapes, so that
// none is missed; then sizes that are dear.
#include "verify/data/cases.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "verify/data/affine_part.hpp"
#include "verify/data/exact.hpp"
#include "verify/data/extremes.hpp"
#include "verify/data/given.hpp"
#include "verify/data/patterns.hpp"
#include "verify/data/random.hpp"
#include "verify/data/ranges.hpp"
#include "verify/data/recipes.hpp"
#include "verify/data/tensor_file.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::data {
namespace {

constexpr std::array<problem::Word, 4> tiers{{
    {"quick",
     "At most 200 cases of at most 4096 elements, those of the smoke tier that are worth most: for "
     "kernels that are slow to call."},
    {"smoke", "A few cases of every type, layout, activation, mode and data recipe: minutes."},
    {"full", "More of each, and larger tensors: the nightly job."},
    {"exhaustive", "Four times the full tier, and every bit pattern of f32: hours."},
}};

/// Bytes of memory that an element takes, sampled cases included (verify/judge/sample.hpp): its
/// numbers in double, and the images of its buffers before, in and behind a call.
constexpr double bytes_of_element = 120;

// Sizes that are multiples of nothing, tails of every length behind 16-byte accesses, and the
// smallest of everything.
constexpr Shape smoke_shapes[] = {
    {2, 3, 5},     // tails everywhere
    {4, 8, 64},    // multiples of everything
    {1, 1, 1},     // one element (training takes two images)
    {7, 1, 33},    // one channel
    {5, 65, 3},    // one channel more than a multiple of 32
    {3, 17, 1},    // no spatial extent
    {0, 4, 8},     // empty; see empty_shapes
    {1, 5, 257},   // one image, one sample more than a block
    {2, 33, 31},   // one less than a warp
    {16, 3, 49},   // 7x7 pixels
    {2, 2, 4099},  // several blocks a channel
    {64, 6, 1},    // many images of one pixel
    {1, 130, 2},   // two samples a channel: the unbiased variance is twice the biased one
    {3, 4, 1},     // three samples: one and a half times
    {9, 12, 16},   // 4x4 pixels
    {2, 64, 49},   // channels that are a multiple of every vector
    {1, 512, 4},   // many of them
    {2, 3, 784},   // 28x28 pixels: a multiple of every vector, and more than a block
    {130, 3, 4},   // more images than a warp's worth of warps
};
// The smaller of them, for activations without an inverse.
constexpr Shape curve_shapes[] = {
    {2, 3, 5},   {4, 8, 64}, {1, 1, 1},   {7, 1, 33},  {5, 65, 3},  {3, 17, 1},  {1, 5, 257},
    {2, 33, 31}, {64, 6, 1}, {16, 3, 49}, {1, 130, 2}, {9, 12, 16}, {1, 512, 4}, {130, 3, 4},
};
constexpr Shape empty_shapes[] = {{0, 4, 8}, {3, 0, 5}, {2, 6, 0}};

constexpr Shape full_shapes[] = {
    {32, 16, 196},  // 14x14 pixels
    {8, 64, 49},    // 7x7
    {2, 1, 50021},  // one long channel: deep sums
    {128, 24, 9},   // 3x3
    {1, 256, 77},   // many channels
    {24, 7, 63},    // one less than a multiple of everything
    {24, 9, 65},    // one more
    {512, 12, 1},   // a matrix
    {2, 1027, 3},   // more channels than threads
    {6, 2, 12544},  // 112x112 pixels
};

// What goes wrong only from some size on (a grid that is cut off, an index of 16 bits): few cases,
// for each takes as long as a hundred others. One a layout; smoke: beyond 2^16 samples a channel
// and 2^18 elements; full: beyond 2^20 elements, for each type.
constexpr Shape large_smoke_shapes[] = {{2, 4, 32801}, {3, 700, 125}};
constexpr Shape huge_shape{2, 16384, 65600};  // beyond 2^31 elements: an index of 32 bits
constexpr Shape large_full_shapes[] = {{2, 4, 140001}, {9, 1030, 121}, {70001, 17, 1}};

// Sizes for which kernels often have another path, each as small as it can be: rows of more than 40
// x 1024 samples, a multiple of every vector, and the same with a vector across channels; a power
// of two of samples; vectors across more channels than a block has threads, with more samples than
// a warp has lanes.
constexpr Shape long_row{1, 1, 41008}, long_pixels{1, 4, 41001}, power_of_two{4, 1, 4096},
    wide{3, 264, 13};
constexpr Shape many_images{300, 2, 4}, many_channels{2, 1100, 2}, odd_rows{1, 8, 1027};

constexpr double epses[] = {1e-5, 1e-3, 1e-5, 0.1}, momenta[] = {0.1, 0.01, 1, 0.5, 0};

template <class Table>
constexpr auto turn(const Table& table, std::uint64_t index) {
  return table[index % std::size(table)];
}

/// What varies between the cases of one (type, layout, activation, mode, scale), all drawn from the
/// case's seed.
void vary(abn_problem& problem, const std::string& data, std::uint64_t seed) {
  // "problem": apart from the stream that the data come from
  const Stream draw(seed ^ 0x70726f626c656dU);
  problem.param_dtype = problem.dtype == ABN_F64 && draw.below(3, 0) != 0 ? ABN_F64 : ABN_F32;
  const problem::Format& parameter = problem::format_of(problem.param_dtype);
  problem::draw_varied(problem, problem.activation, draw.bits(1));
  // eps = 0 divides by the variance itself, so only where the data have one.
  const bool without_eps = (data == "standard" || data == "mixed_gamma") &&
                           problem.n * problem.s > 4 && draw.below(4, 2) == 0;
  problem.eps = without_eps ? 0 : problem::round_to(parameter, turn(epses, draw.bits(3)));
  problem.momentum = problem::round_to(parameter, turn(momenta, draw.bits(4)));
}

Shape legal(Shape shape, int mode) {
  if (mode == ABN_TRAINING && shape.n * shape.s == 1) shape.n = 2;
  return shape;
}

// Activations of the first walk; those that were added later follow in walks of their own, so that
// the cases of the others stay what they were. Sizes and paths are those of the first. Activations
// without an inverse make up the third: most kernels are in place and do none of them, and those
// that do have met the types, layouts and modes with the others.
constexpr int walked_first = 3;

struct Walk {
  std::uint64_t per_combination;  ///< cases for one (type, layout, activation, mode, scale)
  bool large;                     ///< full_shapes too
};

/// Large shapes in training on standard data, from another place of the tables for each round.
void append_large(std::vector<Case>& cases, bool all_types, std::uint64_t seed,
                  std::uint64_t round) {
  constexpr std::uint64_t apart = 1000;  // from the streams of `append`
  const Stream seeds = Stream(seed).fork(apart + round);
  std::uint64_t step = round;
  const auto add = [&](const Shape& shape, int dtype, int layout) {
    const int activation = static_cast<int>(step % walked_first);
    cases.push_back(drawn_case(shape, dtype, layout, activation, "standard", seeds.fork(step)));
    cases.back().problem.scale = step % 2 == 0 ? ABN_SCALE_SIGNED : ABN_SCALE_ABS_EPS;
    ++step;
  };
  if (!all_types) {
    // Which of the types comes with which layout is the seed's.
    const auto first = static_cast<int>(seeds.below(4, apart));
    for (int k = 0; k < 2; ++k) add(large_smoke_shapes[k], (first + k) % 4, k);
    add(large_smoke_shapes[0], (first + 2) % 4, ABN_NHWC);
    cases.back().problem.mode = ABN_FROZEN;  // other kernels than those of training
    return;
  }
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts) add(turn(large_full_shapes, step), dtype, layout);
}

/// The sizes of other paths. Which narrow type comes with which layout is the seed's; f64, whose
/// exact values cost ten times as much, has the long ones in larger tiers only.
void append_paths(std::vector<Case>& cases, bool all_types, std::uint64_t seed,
                  std::uint64_t round) {
  constexpr std::uint64_t apart = 2000;  // from the streams of the others
  const Stream seeds = Stream(seed).fork(apart + round);
  constexpr int narrow_types = 3;
  const auto first = static_cast<int>(seeds.below(narrow_types, apart));
  std::uint64_t step = 0;
  const auto add = [&](const Shape& shape, int dtype, int layout, int mode, const char* recipe) {
    const auto activation =
        static_cast<int>((step + static_cast<std::uint64_t>(first)) % walked_first);
    cases.push_back(drawn_case(shape, dtype, layout, activation, recipe, seeds.fork(step)));
    cases.back().problem.mode = mode;
    cases.back().problem.scale = step % 2 == 0 ? ABN_SCALE_SIGNED : ABN_SCALE_ABS_EPS;
    ++step;
  };
  const auto add_long = [&](int dtype, int layout, int mode) {
    add(layout == ABN_NHWC ? long_pixels : long_row, dtype, layout, mode, "standard");
  };
  if (all_types) {
    for (const int dtype : problem::storage_types)
      for (const int mode : {ABN_INFERENCE, ABN_FROZEN})
        add_long(dtype, ABN_NCHW, mode), add_long(dtype, ABN_NHWC, mode);
  } else {
    for (int k = 0; k < narrow_types; ++k)
      add_long((first + k) % narrow_types, k == 0 ? ABN_NHWC : ABN_NCHW, ABN_INFERENCE);
    add_long((first + 1) % narrow_types, ABN_NCHW, ABN_FROZEN);
  }
  // Among so many samples one is lost in the roundings of a deep sum, unless it is as large as the
  // last of these.
  for (const int dtype : problem::storage_types)
    add(power_of_two, dtype, (first + dtype) % 2, ABN_TRAINING, "spikes");
  for (const int dtype : problem::storage_types)
    add(wide, dtype, ABN_NHWC, ABN_TRAINING, "standard");
  // More images and more channels than a block has threads, and rows of vectors whose last ones are
  // no whole bundle.
  for (const int dtype : problem::storage_types) {
    add(many_images, dtype, (first + dtype + 1) % 2, ABN_TRAINING, "standard");
    for (const int layout : problem::layouts)
      add(many_channels, dtype, layout, ABN_TRAINING, "standard");
    if (all_types || dtype != ABN_F64)  // as above
      for (const int mode : {ABN_TRAINING, ABN_FROZEN})
        add(odd_rows, dtype, ABN_NHWC, mode, "spikes");
  }
}

Case walked_case(const char* data, const Shape& shape, int dtype, int layout, int mode,
                 int activation, int scale, std::uint64_t seed) {
  Case one;
  one.data = data;
  one.problem.struct_size = sizeof one.problem;
  one.problem.n = shape.n, one.problem.c = shape.c, one.problem.s = shape.s;
  one.problem.dtype = dtype, one.problem.layout = layout, one.problem.mode = mode;
  one.problem.activation = activation, one.problem.scale = scale;
  one.seed = seed;
  vary(one.problem, one.data, one.seed);
  return one;
}

/// Cases of the activations from `first` to `last` - 1; `round` tells apart the repetitions of a
/// tier's walk.
void append(std::vector<Case>& cases, const Walk& walk, std::uint64_t seed, std::uint64_t round,
            int first, int last) {
  std::vector<Shape> shapes(std::begin(smoke_shapes), std::end(smoke_shapes));
  if (walk.large) shapes.insert(shapes.end(), std::begin(full_shapes), std::end(full_shapes));
  const auto names = recipes().first(walked_recipes);
  const Stream seeds = Stream(seed).fork(round);
  const std::uint64_t start = seeds.bits(0);
  std::uint64_t visited = 0, empty = start;
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts)
      for (const int mode : problem::modes) {
        // Each group of activations and conventions continues the walk of the one before, shifted
        // by one so that recipes meet other activations and shapes; a group is longer than either
        // table, so every recipe and every shape comes at least once.
        const std::uint64_t group =
            (static_cast<std::uint64_t>(dtype) * 2 + static_cast<std::uint64_t>(layout)) * 3 +
            static_cast<std::uint64_t>(mode);
        std::uint64_t step = 0;
        for (std::uint64_t k = 0; k < walk.per_combination; ++k)
          for (const int scale : problem::scales)
            for (int activation = first; activation < last; ++activation, ++step) {
              const std::uint64_t lap = step / names.size();
              Shape shape = shapes[(step + 5 * group + (start >> 32)) % shapes.size()];
              if (shape.n * shape.c * shape.s == 0) shape = turn(empty_shapes, empty++);
              cases.push_back(walked_case(names[(step + lap + group + start) % names.size()].name,
                                          legal(shape, mode), dtype, layout, mode, activation,
                                          scale, seeds.below(readable_seeds, ++visited)));
            }
      }
}

/// Cases of the activations without an inverse: every recipe once for each (type, layout, mode),
/// with the next of them each time.
void append_curves(std::vector<Case>& cases, std::uint64_t laps, std::uint64_t seed,
                   std::uint64_t round) {
  constexpr std::uint64_t apart = 4000;  // from the streams of the others
  constexpr std::uint64_t curves = problem::activation_count - problem::invertible_count;
  const auto names = recipes().first(curve_recipes);
  const Stream seeds = Stream(seed).fork(apart + round);
  const std::uint64_t start = seeds.bits(0);
  std::uint64_t step = 0;
  for (std::uint64_t lap = 0; lap < laps; ++lap)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts)
        for (const int mode : problem::modes)
          for (std::size_t k = 0; k < names.size(); ++k, ++step) {
            const Shape shape = turn(curve_shapes, step + (start >> 32));
            const auto activation =
                problem::invertible_count +
                static_cast<int>((step + step / (names.size() * curves) + start) % curves);
            cases.push_back(walked_case(names[k].name, legal(shape, mode), dtype, layout, mode,
                                        activation, static_cast<int>((step / 2 + lap) % 2),
                                        seeds.below(readable_seeds, 1 + step)));
          }
}

}  // namespace

double available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string word;
  double kilobytes = 0;
  while (file >> word)
    if (word == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
  return 0;
}

bool is_streamed(const Case& one) {
  return one.given == nullptr && is_recipe(one.data) &&
         problem::element_count(one.problem) > most_in_doubles;
}

problem::Inputs inputs_of(const Case& one) {
  if (one.given) return *one.given;
  if (is_pattern_data(one.data)) return pattern_inputs(one.problem, one.data);
  if (is_exact_data(one.data)) return exact_inputs(exact_plan(one.problem, one.seed));
  const PartialData partial = partial_data(one.data);
  problem::Inputs inputs =
      without_part(make_inputs(one.problem, partial.recipe, one.seed), partial);
  if (one.problem.out_type == 0) return inputs;
  // dz has the type of z: the recipe's for tensors of that type.
  abn_problem outer = one.problem;
  outer.dtype = problem::out_type_of(outer), outer.out_type = 0;
  outer.param_dtype = problem::wide_type_of(outer.dtype);
  inputs.dz = make_inputs(outer, partial.recipe, one.seed).dz;
  return inputs;
}

Tier tier_from_name(std::string_view name) {
  std::vector<std::string> names;
  for (const problem::Word& tier : tiers) {
    if (name == tier.name) return static_cast<Tier>(names.size());
    names.emplace_back(tier.name);
  }
  throw problem::UsageError(fmt::format("\"{}\" is not a tier; did you mean {}? (they are {})",
                                        name, problem::nearest(name, names),
                                        fmt::join(names, ", ")));
}

const char* tier_name(Tier tier) { return tiers[static_cast<std::size_t>(tier)].name; }
std::span<const problem::Word> tier_words() { return tiers; }

std::vector<Case> cases_of(Tier tier, std::uint64_t seed) {
  constexpr Walk smoke{8, false}, full{16, true};
  constexpr std::uint64_t exhaustive_rounds = 4;
  std::vector<Case> cases;
  const auto add = [&](const Walk& walk, std::uint64_t round) {
    constexpr std::uint64_t apart = 3000;  // from the streams of the first walk
    append(cases, walk, seed, round, 0, walked_first);
    append_large(cases, walk.large, seed, round);
    append_paths(cases, walk.large, seed, round);
    append(cases, walk, seed, apart + round, walked_first, problem::invertible_count);
    append_curves(cases, walk.large ? 3 : 1, seed, round);
    append_ranges(cases, seed, round);
    append_extremes(cases, seed, round);
  };
  if (tier <= Tier::smoke) add(smoke, 0);
  const std::uint64_t rounds = tier == Tier::full         ? 1
                               : tier == Tier::exhaustive ? exhaustive_rounds
                                                          : 0;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    add(full, round);
    constexpr std::uint64_t apart = 4000;  // from the streams of the others
    cases.push_back(drawn_case(huge_shape, ABN_BF16, ABN_NCHW, ABN_LEAKY_RELU, "standard",
                               Stream(seed).fork(apart + round)));
    cases.back().needs_gpu = true;
  }
  return cases;
}

Case replay(std::string_view problem, std::string_view data, std::uint64_t seed) {
  Case one;
  one.seed = seed;
  if (data.empty()) data = "standard";
  one.data = data;
  const std::string_view recipe = partial_data(data).recipe;
  std::error_code no_path;  // a word that is too long for one, say
  const bool is_file = !is_recipe(recipe) && !data.starts_with(given_prefix) &&
                       !is_pattern_data(data) && !is_exact_data(data) &&
                       (data.find('/') != data.npos || data.find(".safetensors") != data.npos ||
                        std::filesystem::exists(data, no_path));
  if (is_file) {
    one.given = std::make_shared<const problem::Inputs>(read_tensor_file(one.data).inputs);
    one.problem = one.given->problem;
    if (!problem.empty() &&
        problem::to_string(problem::parse_problem(problem)) != problem::to_string(one.problem))
      throw problem::UsageError(fmt::format(
          "--problem is {} but {} holds {}; leave --problem out, for the file brings its own",
          problem::to_string(problem::parse_problem(problem)), data,
          problem::to_string(one.problem)));
    return one;
  }
  const bool is_given = data.starts_with(given_prefix), is_patterns = is_pattern_data(data),
             is_exact = is_exact_data(data);
  if (problem.empty() && is_given)
    throw problem::UsageError(
        "--data given: needs to know its problem; give it too, for example --problem "
        "n1c1s2,f32,leaky_relu");
  if (problem.empty())
    throw problem::UsageError(
        fmt::format("The recipe {} makes data for a problem; give one, for example "
                    "--problem n2c64s12,bf16,leaky_relu",
                    data));
  one.problem = problem::parse_problem(problem);
  // says what is wrong
  if (!is_given && !is_patterns && !is_exact && !is_recipe(recipe))
    make_inputs(abn_problem{}, recipe, seed);
  constexpr double gigabyte = 1e9;
  // What is streamed has no inputs but the kernel's own tensors, in place at best.
  double bytes = bytes_of_element;
  if (is_streamed(one)) bytes = problem::format_of(one.problem.dtype).bytes;
  const double needed = bytes * static_cast<double>(problem::element_count(one.problem)),
               available = available_memory();
  if (needed > gigabyte && needed > available)
    throw problem::UsageError(
        fmt::format("{} has {} elements, which take {:.0f} GB of memory, and {:.1f} GB are free; "
                    "make it smaller, or take a machine with more",
                    problem::to_string(one.problem), problem::element_count(one.problem),
                    needed / gigabyte, available / gigabyte));
  if (is_patterns) first_pattern(one.problem, data);  // says what is wrong
  if (is_exact) exact_plan(one.problem, seed);        // likewise
  if (is_given) one.given = std::make_shared<const problem::Inputs>(parse_given(data, one.problem));
  return one;
}

bool matches(const std::string& pattern, const std::string& id) {
  return fnmatch(pattern.c_str(), id.c_str(), FNM_EXTMATCH) == 0;
}

bool may_match(const std::string& pattern, std::string_view variant) {
  const std::string_view first = std::string_view(pattern).substr(0, pattern.find('/'));
  return first.find_first_of("*?[@!+(\\") != first.npos || first == variant;
}

void require_match(const std::string& pattern, std::span<const std::string> ids) {
  if (std::any_of(ids.begin(), ids.end(),
                  [&](const std::string& id) { return matches(pattern, id); }))
    return;
  const std::vector<std::string> known(ids.begin(), ids.end());
  // NAME/* stands for a variant
  const std::string name = pattern.substr(0, pattern.find('/'));
  if (pattern == name + "/*" && name.find_first_of("*?[") == std::string::npos) {
    std::vector<std::string> variants;
    variants.reserve(known.size());
    for (const std::string& id : known) variants.push_back(id.substr(0, id.find('/')));
    throw problem::UsageError(
        fmt::format("There is no variant \"{}\"; did you mean {}? abn-verify list --names has all, "
                    "and --plugin "
                    "adds yours",
                    name, problem::nearest(name, variants)));
  }
  throw problem::UsageError(
      fmt::format("\"{}\" matches no check; the nearest is {} (abn-verify list --ids has all)",
                  pattern, problem::nearest(pattern, known)));
}

}  // namespace abn::verify::data
