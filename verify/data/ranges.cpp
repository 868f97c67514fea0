// The tables of ranges, and a greedy cover of their pairs.
#include "verify/data/ranges.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "verify/data/extremes.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::data {
namespace {

using I = std::int64_t;

constexpr I one[] = {1}, images[] = {2, 4, 5}, tens[] = {16, 33}, more[] = {96, 130},
            hundreds[] = {257, 300, 512};
constexpr I few[] = {1, 3, 5}, eights[] = {8, 16, 24}, warps[] = {32, 33, 64, 48},
            odd[] = {97, 100, 104, 160, 192}, whole[] = {128, 256}, thousand[] = {1152, 1160, 1280},
            thousands[] = {2048, 2056};
constexpr I small[] = {3, 7, 16}, squares[] = {49, 64, 196, 225}, rows[] = {1025, 1225, 2048},
            planes[] = {3136};

template <I first, I last>
bool between(I value) {
  return value >= first && value <= last;
}

constexpr std::array range_table{
    Range{Size::n, "one image", between<1, 1>, one},
    Range{Size::n, "2 to 8 images", between<2, 8>, images},
    Range{Size::n, "9 to 64 images", between<9, 64>, tens},
    Range{Size::n, "65 to 255 images", between<65, 255>, more},
    Range{Size::n, "256 images and more", between<256, 65535>, hundreds},
    Range{Size::c, "1 to 7 channels", between<1, 7>, few},
    Range{Size::c, "8 to 31 channels", between<8, 31>, eights},
    Range{Size::c, "32 to 95 channels", between<32, 95>, warps},
    Range{Size::c, "96 to 1151 channels, no multiple of 128",
          [](I c) { return c >= 96 && c < 1152 && c % 128 != 0; }, odd},
    Range{Size::c, "96 to 1151 channels, a multiple of 128",
          [](I c) { return c >= 96 && c < 1152 && c % 128 == 0; }, whole},
    Range{Size::c, "1152 to 2047 channels", between<1152, 2047>, thousand},
    Range{Size::c, "2048 channels and more", between<2048, 65535>, thousands},
    Range{Size::s, "one pixel", between<1, 1>, one},
    Range{Size::s, "2 to 48 pixels", between<2, 48>, small},
    Range{Size::s, "49 to 1023 pixels", between<49, 1023>, squares},
    Range{Size::s, "1024 to 3135 pixels", between<1024, 3135>, rows},
    Range{Size::s, "3136 pixels and more", between<3136, 65535>, planes},
};

constexpr I m_of_16_bits = 65'535, many_samples = 131'072, many_elements = I{1} << 18;

// Next to 1 and 2 the others are as small as they can be. A row of 65,537 samples in two images is
// also a sum of more than 131,072.
constexpr std::array large_table{
    LargeSize{"N above 65,535",
              {65537, 1, 1},
              [](const abn_problem& p) { return p.n > m_of_16_bits && p.c * p.s <= 2; },
              true,
              true,
              true},
    LargeSize{"C above 65,535",
              {1, 65537, 1},
              [](const abn_problem& p) { return p.c > m_of_16_bits && p.n * p.s <= 2; },
              false,
              true,
              true},
    LargeSize{"S above 65,535, in inference and frozen",
              {1, 1, 65537},
              [](const abn_problem& p) { return p.s > m_of_16_bits && p.n * p.c <= 2; },
              true,
              false,
              true},
    LargeSize{"S above 65,535 and sums of more than 131,072 samples",
              {2, 1, 65537},
              [](const abn_problem& p) {
                return p.s > m_of_16_bits && p.n * p.s > many_samples && p.c == 1;
              },
              true,
              true,
              false},
    LargeSize{
        "N*S above 65,535, neither alone",
        {257, 1, 256},
        [](const abn_problem& p) { return p.n * p.s > m_of_16_bits && p.n < 512 && p.s < 512; },
        true,
        true,
        true},
    LargeSize{
        "N*C above 65,535, neither alone",
        {257, 256, 1},
        [](const abn_problem& p) { return p.n * p.c > m_of_16_bits && p.n < 512 && p.c < 512; },
        false,
        true,
        true},
    LargeSize{
        "C*S above 65,535, neither alone",
        {1, 257, 256},
        [](const abn_problem& p) { return p.c * p.s > m_of_16_bits && p.c < 512 && p.s < 512; },
        false,
        true,
        true},
    LargeSize{"three channels of 1024 pixels and more",
              {2, 3, 1025},
              [](const abn_problem& p) { return p.c == 3 && p.s >= 1024; },
              false,
              true,
              true},
    LargeSize{"more than 2^18 elements in inference and frozen",
              {2, 33, 3999},
              [](const abn_problem& p) { return problem::element_count(p) > many_elements; },
              false,
              false,
              true},
};

// Layers of ResNet-50 and DeepLabV3 for one or two images.
constexpr Shape layers[] = {{2, 512, 49},   {2, 256, 196},  {2, 128, 784},  {2, 2048, 49},
                            {2, 1024, 196}, {2, 512, 784},  {2, 64, 3136},  {2, 256, 3136},
                            {2, 64, 12544}, {1, 48, 16641}, {1, 256, 4225}, {1, 2048, 1089}};
constexpr I most_of_smoke_layer = 1 << 19, most_of_emulated_layer = 1 << 17;

constexpr std::uint64_t apart = 4000;  // from the streams of the other walks

I least(const Range& range) { return *std::min_element(range.tried.begin(), range.tried.end()); }

std::span<const Range> of(Size size) {
  const auto begin = std::find_if(range_table.begin(), range_table.end(),
                                  [&](const Range& range) { return range.of == size; });
  const auto end =
      std::find_if(begin, range_table.end(), [&](const Range& range) { return range.of != size; });
  return {begin, end};
}

/// One of a range's numbers, the drawn one where it leaves room for the others.
I number(const Range& range, I room, const Stream& draw, std::uint64_t index) {
  const I drawn = range.tried[draw.below(range.tried.size(), index)];
  return drawn <= room ? drawn : least(range);
}

/// The pairs of ranges that a type and layout still has to meet, as indices of n, c and s; -1
/// stands for the third.
using Triple = std::array<int, 3>;

struct Cover {
  std::set<Triple> open;

  Cover() {
    const auto sizes = {Size::n, Size::c, Size::s};
    for (const Size a : sizes)
      for (const Size b : sizes)
        if (a < b)
          for (std::size_t i = 0; i < of(a).size(); ++i)
            for (std::size_t k = 0; k < of(b).size(); ++k)
              if (meet(of(a)[i], of(b)[k])) {
                Triple pair{-1, -1, -1};
                pair[static_cast<std::size_t>(a)] = static_cast<int>(i);
                pair[static_cast<std::size_t>(b)] = static_cast<int>(k);
                open.insert(pair);
              }
  }

  static std::array<Triple, 3> pairs_of(const Triple& t) {
    return {Triple{t[0], t[1], -1}, Triple{t[0], -1, t[2]}, Triple{-1, t[1], t[2]}};
  }
  int gain(const Triple& t) const {
    int found = 0;
    for (const Triple& pair : pairs_of(t)) found += open.count(pair) > 0 ? 1 : 0;
    return found;
  }

  /// The next three ranges: the first open pair with the third that closes most, the smallest of
  /// equals.
  Triple next() {
    const Triple pair = *open.begin();
    const auto missing =
        static_cast<std::size_t>(std::find(pair.begin(), pair.end(), -1) - pair.begin());
    Triple best{};
    int most = -1;
    I fewest = 0;
    for (std::size_t k = 0; k < of(static_cast<Size>(missing)).size(); ++k) {
      Triple tried = pair;
      tried[missing] = static_cast<int>(k);
      I elements = 1;
      for (std::size_t d = 0; d < 3; ++d)
        elements *= least(of(static_cast<Size>(d))[static_cast<std::size_t>(tried[d])]);
      if (elements > most_of_pair && k > 0) continue;
      const int found = gain(tried);
      if (found > most || (found == most && elements < fewest))
        most = found, fewest = elements, best = tried;
    }
    for (const Triple& closed : pairs_of(best)) open.erase(closed);
    return best;
  }
};

Shape shape_of(const Triple& t, const Stream& draw) {
  const auto range = [&](Size size) -> const Range& {
    return of(size)[static_cast<std::size_t>(t[static_cast<std::size_t>(size)])];
  };
  const Range &n = range(Size::n), &c = range(Size::c), &s = range(Size::s);
  Shape shape{least(n), least(c), least(s)};
  constexpr I usual = 1 << 14;  // elements, where the ranges do not need more
  shape.c = number(c, usual / (shape.n * shape.s), draw, 10);
  shape.s = number(s, usual / (shape.n * shape.c), draw, 11);
  shape.n = number(n, usual / (shape.s * shape.c), draw, 12);
  return shape;
}

constexpr int modes_in_turn[] = {ABN_TRAINING, ABN_FROZEN, ABN_TRAINING, ABN_INFERENCE};
// No channel with gamma = 0, which has nothing to show in dx.
constexpr const char* data_in_turn[] = {"standard", "spikes"};

class Walk {
 public:
  Walk(std::vector<Case>& cases, const Stream& seeds) : cases_(cases), seeds_(seeds) {}

  void add(Shape shape, int dtype, int layout, int mode) {
    if (mode == ABN_TRAINING && shape.n * shape.s == 1) shape.n = 2;
    // An exponential in fifty digits is dearer than all else of a case.
    const int activations = dtype == ABN_F64 ? 2 : 3;
    const auto activation = static_cast<int>((step_ / 2) % static_cast<std::uint64_t>(activations));
    const bool varied = shape.n * shape.s > 4;
    cases_.push_back(drawn_case(shape, dtype, layout, activation,
                                data_in_turn[varied ? step_ / 3 % std::size(data_in_turn) : 0],
                                seeds_.fork(step_)));
    Case& added = cases_.back();
    added.problem.mode = mode;
    added.problem.scale = step_ % 3 == 1 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
    added.sampled = true;
    ++step_;
  }
  Case& last() { return cases_.back(); }
  Stream draw() const { return seeds_.fork(1'000'000 + step_); }

 private:
  std::vector<Case>& cases_;
  Stream seeds_;
  std::uint64_t step_ = 0;
};

}  // namespace

std::span<const Range> ranges() { return range_table; }
std::span<const LargeSize> large_sizes() { return large_table; }

bool meet(const Range& a, const Range& b) {
  return a.of != b.of && least(a) * least(b) <= most_of_pair;
}

void append_ranges(std::vector<Case>& cases, std::uint64_t seed, std::uint64_t round) {
  const Stream seeds = Stream(seed).fork(apart + round);
  Walk walk(cases, seeds);
  std::uint64_t turn = seeds.bits(0);
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts)
      for (Cover cover; !cover.open.empty(); ++turn) {
        const Shape shape = shape_of(cover.next(), walk.draw());
        int mode = modes_in_turn[turn % std::size(modes_in_turn)];
        if (shape.n * shape.s == 1) {  // no training step; of so many channels another one is
          walk.add({1, shape.c, 3}, dtype, layout, ABN_TRAINING);
          if (mode == ABN_TRAINING) mode = ABN_FROZEN;
        }
        walk.add(shape, dtype, layout, mode);
      }
  // Kernels of this project, which the emulator runs for minutes on all of these, have one type in
  // each layout whose turn it is.
  std::uint64_t whose = seeds.bits(1);
  for (const LargeSize& large : large_table)
    for (const int mode : problem::modes) {
      if (!(mode == ABN_TRAINING ? large.training : large.others)) continue;
      ++whose;
      for (const int dtype : problem::storage_types)
        for (const int layout : problem::layouts) {
          if (dtype == ABN_F64 && large.narrow_only) continue;
          walk.add(large.shape, dtype, layout, mode);
          const auto types = static_cast<std::uint64_t>(large.narrow_only ? 3 : 4);
          const bool has_turn = (whose + static_cast<std::uint64_t>(layout)) % types ==
                                static_cast<std::uint64_t>(dtype);
          // A block of threads for each of so many channels takes the emulator many seconds.
          const bool is_dear = large.shape.c > m_of_16_bits && mode != ABN_INFERENCE;
          walk.last().not_emulated =
              round == 0 && (!has_turn || (is_dear && (mode == ABN_FROZEN || layout != ABN_NCHW)));
        }
    }
  // One sample more than a power of two, where a tree or a grid takes another level.
  const auto add_power = [&, first = turn](int power) {
    constexpr int last_emulated = 17;
    const auto which = first + static_cast<std::uint64_t>(power);
    walk.add({1, 1, (I{1} << power) + 1}, static_cast<int>(which % 3),
             static_cast<int>(which / 3 % 2), ABN_TRAINING);
    walk.last().not_emulated = round == 0 && power > last_emulated;
  };
  for (const int power : {13, 14, 15, 16, 17, 20}) add_power(power);
  for (const Shape& layer : layers)
    for (const int layout : problem::layouts) {
      const I elements = layer.n * layer.c * layer.s;
      if (round == 0 && elements > most_of_smoke_layer) continue;
      ++turn;
      walk.add(layer, static_cast<int>(turn % 3), layout,
               modes_in_turn[turn / 3 % std::size(modes_in_turn)]);
      walk.last().not_emulated = round == 0 && elements > most_of_emulated_layer;
    }
  for (const int power : {11, 12, 18, 19}) add_power(power);
}

std::string ranges_text() {
  std::string text = fmt::format(
      "Any two ranges of two sizes meet in every storage type and layout, the modes taking turns,\n"
      "as far as the least numbers of both make at most {} elements:\n",
      most_of_pair);
  for (const Range& range : range_table)
    text += fmt::format("  {:<44} {}\n", range.what, fmt::join(range.tried, " "));
  text +=
      "What is large alone or as a product, in every type and layout. This project's own kernels\n"
      "meet it on the emulator in one type for each mode and layout, and in all in the full "
      "tier:\n";
  for (const LargeSize& large : large_table) {
    const char* const modes = large.training && large.others ? ""
                              : large.training               ? ", training"
                                                             : ", inference and frozen";
    text += fmt::format("  {:<58} n{}c{}s{}{}{}\n", large.what, large.shape.n, large.shape.c,
                        large.shape.s, modes, large.narrow_only ? "; f64 by exact data" : "");
  }
  text +=
      "One sample more than each power of two from 2^11 to 2^20 (on the emulator those from 2^18 "
      "on\n"
      "in the full tier only), in training, the types taking turns.\n"
      "Layers of networks in both layouts, types and modes taking turns; in the smoke tier those "
      "of\n"
      "up to 2^19 elements, and of up to 2^17 on the emulator:\n ";
  for (const Shape& layer : layers) text += fmt::format(" n{}c{}s{}", layer.n, layer.c, layer.s);
  text +=
      "\nBeyond 2^31 elements: one case in the full tier of a GPU, n2c16384s65600 in bf16; a host "
      "runs\n"
      "it by --problem, in 9 GB where the kernel works in place.\n";
  return text + extremes_text();
}

}  // namespace abn::verify::data
