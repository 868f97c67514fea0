// The channels, batch by batch, and the comparison of what kernels make of them with their bounds.
#include "verify/study/bounds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "verify/compare/compare.hpp"
#include "verify/data/random.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/simulate.hpp"

namespace abn::verify::study {
namespace {

struct TypePair {
  int dtype, accumulate;
};
constexpr TypePair type_pairs[] = {{ABN_F16, ABN_F32},  {ABN_BF16, ABN_F32}, {ABN_F32, ABN_F32},
                                   {ABN_F64, ABN_F64},  {ABN_F32, ABN_F64},  {ABN_F16, ABN_F16},
                                   {ABN_BF16, ABN_BF16}};

enum class Shape : std::uint8_t {
  normal,  ///< independent, nearly normal
  spikes,  ///< one in 17 a thousand times larger
  sorted,  ///< rising from the first sample to the last, so that running means drift
  /// a large sample in each lane, then ones just below half of its last place: every addition
  /// rounds the same way
  swamped,
  two,  ///< two values, so that roundings repeat
};

constexpr double epses[] = {1e-5, 1e-3, 1e-1};
// few channels a batch are many batches, each with liberties of its own
constexpr std::int64_t batch_elements = 2048;

template <class Table>
constexpr auto turn(const Table& table, std::uint64_t index) {
  return table[index % std::size(table)];
}

bool is_narrow(int dtype) { return dtype == ABN_F16 || dtype == ABN_BF16; }
/// 50 digits take a hundred times as long as double, so the channels that need them are short.
bool is_slow(const KernelClass& declared) {
  return declared.dtype == ABN_F64 || declared.accumulate == ABN_F64;
}

/// m: mostly 32 to 63, sometimes fewer, and each octave up to 4096 in its turn.
std::int64_t samples_of(const KernelClass& declared, const data::Stream& draw) {
  const auto from = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(draw.below(static_cast<std::uint64_t>(high - low), 1));
  };
  const std::uint64_t kind = draw.below(64, 0);
  if (is_slow(declared)) return kind == 0 ? from(33, 129) : kind < 8 ? from(9, 33) : from(2, 9);
  if (kind < 5) return from(2, 32);
  if (kind < 52) return from(32, 64);
  const std::int64_t octave = from(6, 13);
  return octave == 12 ? 4096
                      : (std::int64_t{1} << octave) +
                            static_cast<std::int64_t>(draw.below(std::uint64_t{1} << octave, 2));
}

struct Batch {
  problem::Inputs inputs;
  Liberties free;
};

/// Exponents of 2 between which the sizes of a batch's numbers lie, so that nothing that is judged
/// leaves f16.
struct Ranges {
  double x_low = -8, x_high = 8, gamma_low = -14, gamma_high = 5, dz_low = -20, dz_high = 4,
         beta_high = 14, beta_over_gamma = 14;
};
Ranges ranges_of(const KernelClass& declared) {
  Ranges ranges;
  if (declared.dtype == ABN_F16 || declared.out_type == ABN_F16)
    ranges.x_low = -4, ranges.x_high = 4, ranges.dz_low = -12, ranges.dz_high = -5,
    ranges.beta_high = 10;
  // 1/g does not overflow
  if (declared.accumulate == ABN_F16)
    ranges.x_high = 1, ranges.gamma_low = -15, ranges.gamma_high = 1;
  return ranges;
}

void fill_channel(problem::Inputs& inputs, const KernelClass& declared, const data::Stream& draw,
                  std::size_t c) {
  const problem::Format &storage = problem::format_of(inputs.problem.dtype),
                        &out = problem::format_of(problem::out_type_of(inputs.problem)),
                        &parameter = problem::format_of(inputs.problem.param_dtype);
  const auto m = static_cast<std::size_t>(problem::sample_count(inputs.problem));
  const Ranges ranges = ranges_of(declared);
  const data::Stream plan = draw.fork(0), x_draw = draw.fork(1), dz_draw = draw.fork(2);
  constexpr Shape shapes[] = {Shape::normal, Shape::normal, Shape::normal,
                              Shape::normal, Shape::normal, Shape::spikes,
                              Shape::sorted, Shape::two,    Shape::swamped};
  const Shape shape = turn(shapes, plan.bits(0));
  constexpr double log2_of_1e6 = 19.93;
  const double kappa = plan.power_of_two(-1, log2_of_1e6, 1),
               size = plan.power_of_two(ranges.x_low, ranges.x_high, 2);
  const double sigma = size / std::max(kappa, 1.0), mean = plan.sign(3) * kappa * sigma;
  const double gamma = plan.sign(4) * plan.power_of_two(ranges.gamma_low, ranges.gamma_high, 5);
  const double amplified =
      plan.below(8, 6) == 0 ? 0 : plan.power_of_two(-3, ranges.beta_over_gamma, 7);
  const double beta = plan.sign(8) * std::min(amplified * std::fabs(gamma),
                                              std::ldexp(1.0, static_cast<int>(ranges.beta_high)));
  const double upstream = plan.power_of_two(ranges.dz_low, ranges.dz_high, 9);
  constexpr double correlations[] = {0, 0.4, 1, -1}, drifts[] = {0, 0.25, 1, -4};
  const double correlation = turn(correlations, plan.bits(10)), drift = turn(drifts, plan.bits(11));
  const bool swamped = shape == Shape::swamped;
  // A little less than half of an ulp of 1 in the accumulate type; where storage cannot hold that,
  // half of it, which ties to even.
  const double u = problem::format_of(declared.accumulate).unit_roundoff,
               dust = is_narrow(inputs.problem.dtype) ? u * 0.96875 : u * (1 - 0x1p-8);
  const std::size_t lanes =
      std::min<std::size_t>(declared.summation == Summation::lanes ? declared.lanes : 1, m);

  inputs.gamma[c] = problem::round_to(parameter, gamma);
  inputs.beta[c] = problem::round_to(parameter, beta);
  std::vector<double> t(m);
  for (std::size_t i = 0; i < m; ++i) {
    const double normal = x_draw.normal(i);
    t[i] = shape == Shape::spikes && x_draw.fork(1).below(17, i) == 0 ? 1000 * normal
           : shape == Shape::two                                      ? (normal < 0 ? -1 : 1)
                                                                      : normal;
  }
  if (shape == Shape::sorted) std::sort(t.begin(), t.end());
  for (std::size_t i = 0; i < m; ++i) {
    const std::size_t at = c * m + i;
    const bool first = i < lanes;
    // the spikes have the size, so that it stays in range
    const double spike = shape == Shape::spikes ? 1e-3 : 1;
    inputs.x[at] = problem::round_to(
        storage, swamped ? size * (first ? 1 : dust) : mean + spike * sigma * t[i]);
    const double gradient = dz_draw.normal(i) + correlation * std::clamp(t[i], -3.0, 3.0) + drift;
    inputs.dz[at] = problem::round_to(out, upstream * (swamped ? (first ? 1 : dust) : gradient));
  }
  if (inputs.problem.mode == ABN_TRAINING) return;
  inputs.running_mean[c] = problem::round_to(parameter, mean + 0.3 * sigma * plan.normal(12));
  inputs.running_var[c] = problem::round_to(parameter, sigma * sigma * plan.uniform(0.5, 1.5, 13));
}

Batch make_batch(const KernelClass& declared, const data::Stream& draw) {
  constexpr std::uint64_t frozen_in = 8;
  Batch batch;
  abn_problem& p = batch.inputs.problem;
  p.struct_size = sizeof p;
  p.dtype = declared.dtype;
  p.param_dtype =
      declared.narrow_parameters ? declared.dtype : problem::wide_type_of(declared.dtype);
  p.out_type = declared.out_type + 1;
  p.n = 1;
  p.s = samples_of(declared, draw.fork(1));
  p.c = std::max<std::int64_t>(1, batch_elements / p.s);
  const problem::Format& parameter = problem::format_of(problem::scalar_type_of(p));
  // A z of f32 that is read into tf32 may reach the end of ELU again.
  constexpr std::uint64_t straight = ABN_LEAKY_RELU + 1;
  const auto activation = static_cast<int>(
      declared.without_inverse
          ? problem::invertible_count +
                draw.below(problem::activation_count - problem::invertible_count, 0)
          : draw.below(declared.accumulate == ABN_TF32 ? straight : problem::invertible_count, 0));
  problem::draw_varied(p, activation, draw.bits(1));
  p.eps = problem::round_to(parameter, turn(epses, draw.bits(2)));
  p.momentum = problem::round_to(parameter, 0.1);
  p.scale = draw.below(2, 3) == 0 ? ABN_SCALE_SIGNED : ABN_SCALE_ABS_EPS;
  p.mode = draw.below(frozen_in, 4) == 0 ? ABN_FROZEN : ABN_TRAINING;
  batch.free.order = static_cast<int>(draw.below(3, 5));
  batch.free.reciprocals = draw.below(2, 6) == 0;
  batch.free.root = static_cast<int>(draw.below(3, 7)) - 1;
  batch.free.derivative_from_y = declared.without_inverse && draw.below(2, 8) == 0;
  const auto size = static_cast<std::size_t>(problem::element_count(p)),
             channels = static_cast<std::size_t>(p.c);
  problem::Inputs& inputs = batch.inputs;
  inputs.x.resize(size);
  inputs.dz.resize(size);
  inputs.gamma.resize(channels);
  inputs.beta.resize(channels);
  if (p.mode == ABN_FROZEN)
    inputs.running_mean.resize(channels), inputs.running_var.resize(channels);
  const data::Stream channel_draws = draw.fork(2);
  for (std::size_t c = 0; c < channels; ++c)
    fill_channel(inputs, declared, channel_draws.fork(c), c);
  return batch;
}

std::size_t index_of(compare::Output output) {
  return static_cast<std::size_t>(std::find(bounds_outputs.begin(), bounds_outputs.end(), output) -
                                  bounds_outputs.begin());
}

/// The decade of kappa; all from 1e5 on are one, with those of a channel without variance.
std::size_t decade_of(double kappa) {
  for (int k = 1; k < kappa_decades; ++k)
    if (kappa < std::pow(10.0, k)) return static_cast<std::size_t>(k - 1);
  return kappa_decades - 1;
}

void judge(BoundsResult& result, const compare::Expectation& e, const std::vector<double>& got,
           const std::vector<std::size_t>& decades, const abn_problem& problem) {
  const std::size_t output = index_of(e.output);
  if (output == bounds_outputs.size()) return;
  const problem::Format& format = problem::format_of(e.dtype);
  const std::size_t per_channel = e.points.size() / decades.size();
  for (std::size_t i = 0; i < e.points.size(); ++i) {
    const compare::Point& point = e.points[i];
    BoundsCell& cell = result.cells[output][decades[i / per_channel]];
    const bool bounded =
        (point.rule == compare::Rule::bounded || point.rule == compare::Rule::signed_bounded) &&
        point.bound < HUGE_VAL;
    ++(bounded ? cell.judged : cell.void_);
    const compare::Comparison comparison = compare::compare(point, got[i], format);
    if (bounded) cell.largest = std::max(cell.largest, comparison.ratio);
    if (comparison.passed || result.failed++ > 0) continue;
    result.failure = fmt::format(
        "{}, {}: {}[{}] of {} should be {:a} and is {:a}, {:.3g} of its bound ({})",
        class_text(result.declared), problem::to_string(problem), compare::output_name(e.output), i,
        e.points.size(), point.hi, got[i], comparison.ratio, comparison.reason);
  }
}

}  // namespace

BoundsCell& BoundsCell::operator+=(const BoundsCell& other) {
  largest = std::max(largest, other.largest);
  judged += other.judged;
  void_ += other.void_;
  return *this;
}

const std::array<BoundsCell, kappa_decades>& BoundsResult::of(compare::Output output) const {
  return cells.at(index_of(output));
}

std::vector<KernelClass> bounds_classes() {
  constexpr int schemes[] = {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT, ABN_IN_PLACE_1,
                             ABN_IN_PLACE_2};
  constexpr int statistics[] = {ABN_TWO_PASS, ABN_WELFORD, ABN_ONE_PASS};
  std::vector<KernelClass> all;
  for (const TypePair& types : type_pairs)
    for (const bool folded : {false, true})
      for (const Summation summation :
           {Summation::sequential, Summation::pairwise, Summation::lanes})
        for (std::size_t k = 0; k < std::size(schemes); ++k)
          all.push_back(
              {types.dtype, types.accumulate, turn(statistics, k), folded, summation, schemes[k]});
  return all;
}

std::vector<KernelClass> bounds_conventions() {
  constexpr int keeps_x[] = {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT};
  constexpr int others[] = {ABN_STANDARD, ABN_IN_PLACE_1, ABN_IN_PLACE_2};
  std::vector<KernelClass> all;
  const auto add = [&](int dtype, int accumulate, int scheme) -> KernelClass& {
    return all.emplace_back(
        KernelClass{.dtype = dtype, .accumulate = accumulate, .scheme = scheme});
  };
  for (const int dtype : problem::storage_types)
    for (const int scheme : keeps_x)
      add(dtype, problem::wide_type_of(dtype), scheme).without_inverse = true;
  for (const int dtype : problem::storage_types)
    for (const int scheme : {ABN_STANDARD, ABN_IN_PLACE_1}) {
      KernelClass& one = add(dtype, problem::wide_type_of(dtype), scheme);
      one.folded = one.apart = true;
    }
  for (const int dtype : {ABN_BF16, ABN_F32})
    for (const int scheme : others) add(dtype, ABN_TF32, scheme);
  for (const int dtype : {ABN_F16, ABN_BF16})
    for (const int scheme : others) add(dtype, ABN_F32, scheme).narrow_parameters = true;
  constexpr TypePair outs[] = {{ABN_BF16, ABN_F32}, {ABN_F32, ABN_BF16}, {ABN_F32, ABN_F16}};
  for (const TypePair& types : outs)
    for (const int scheme : others) add(types.dtype, ABN_F32, scheme).out_type = types.accumulate;
  for (const int dtype : {ABN_F16, ABN_BF16})
    for (const int scheme : keeps_x) {
      KernelClass& one = add(dtype, ABN_F32, scheme);
      one.without_inverse = true, one.materialises = ABN_MATERIALISES_ACTIVATION;
    }
  return all;
}

std::string convention_text(const KernelClass& declared) {
  if (declared.materialises != 0) return "activation rounded inside";
  if (declared.without_inverse) return "no inverse";
  if (declared.apart) return "folded_apart";
  if (declared.accumulate == ABN_TF32) return "tf32";
  if (declared.narrow_parameters) return "16-bit parameters";
  return declared.out_type >= 0 ? fmt::format("z in {}", problem::dtype_name(declared.out_type))
                                : "";
}

std::string class_text(const KernelClass& declared) {
  const std::string convention = convention_text(declared);
  return fmt::format(
      "{} accumulated in {}, {}, {}, {}, {}{}{}", problem::dtype_name(declared.dtype),
      problem::accumulate_name(declared.accumulate), problem::statistics_name(declared.statistics),
      problem::normalise_name(declared.folded ? ABN_FOLDED : ABN_DIRECT),
      summation_name(declared.summation), problem::scheme_name(declared.scheme),
      convention.empty() ? "" : ", ", convention);
}

BoundsResult bounds_of(const KernelClass& declared, std::uint64_t channels, std::uint64_t seed,
                       const std::function<void(abn_claims&)>& claimed) {
  BoundsResult result;
  result.declared = declared;
  std::uint64_t label = 0;
  for (const int part :
       {declared.dtype, declared.accumulate, declared.statistics, declared.folded ? 1 : 0,
        static_cast<int>(declared.summation), declared.scheme})
    label = label * 8 + static_cast<std::uint64_t>(part);
  if (const std::string convention = convention_text(declared); !convention.empty())
    for (const char letter : convention)
      label = label * 31 + static_cast<std::uint64_t>(static_cast<unsigned char>(letter));
  const data::Stream draws = data::Stream(seed).fork(label);
  for (std::uint64_t number = 0; result.channels < channels; ++number) {
    const Batch batch = make_batch(declared, draws.fork(number));
    const abn_problem& p = batch.inputs.problem;
    abn_claims claims = claims_of(declared, p);
    if (claimed) claimed(claims);
    const KernelOutputs got = simulate(batch.inputs, {declared, batch.free});
    const std::vector<compare::Expectation> forward = expect::expect_forward(batch.inputs, claims);
    std::vector<std::size_t> decades;
    for (const compare::ChannelFacts& facts : forward.front().channels)
      decades.push_back(decade_of(facts.kappa));
    for (const compare::Expectation& e : forward) judge(result, e, got.of(e.output), decades, p);
    for (const compare::Expectation& e : expect::expect_backward(batch.inputs, got.saved, claims))
      judge(result, e, got.of(e.output), decades, p);
    if (p.mode == ABN_TRAINING) result.channels += static_cast<std::uint64_t>(p.c);
  }
  return result;
}

double sharp_enough(compare::Output output) {
  return compare::is_tensor(output) ? sharp_element : sharp_reduction;
}

bool is_loose(compare::Output output, const BoundsCell& cell) {
  return cell.judged > 0 && cell.largest < sharp_enough(output);
}

}  // namespace abn::verify::study
