// Cases of exact data and their records.
#include "verify/check/exact/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>

#include "verify/call/evaluator.hpp"
#include "verify/check/exact/answer.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::exact {
namespace {

constexpr const char* op = "exact";
constexpr results::CheckKind kind = results::CheckKind::numbers;

std::vector<compare::Output> outputs_of(const abn_claims& claims, const abn_problem& problem) {
  std::vector<compare::Output> outputs{compare::Output::z};
  if ((claims.saves & ABN_SAVES_XHAT) != 0) outputs.push_back(compare::Output::xhat);
  if (problem.mode == ABN_TRAINING)
    for (const compare::Output one : {compare::Output::mean, compare::Output::variance,
                                      compare::Output::running_mean, compare::Output::running_var})
      outputs.push_back(one);
  if (problem.mode != ABN_INFERENCE)
    for (const compare::Output one :
         {compare::Output::dx, compare::Output::dgamma, compare::Output::dbeta})
      outputs.push_back(one);
  return outputs;
}

std::vector<CheckName> checks_of(const call::Subject&, const abn_claims& claims,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  const problem::Activation& activation = problem::activation_of(problem);
  if (activation.needs_functions() || !activation.has_inverse()) return checks;
  // they take the saved variance, and know no other statistic
  if ((claims.saves & ABN_SAVES_INVSTD) != 0) return checks;
  for (const compare::Output one : outputs_of(claims, problem))
    checks.push_back({op, compare::output_name(one), kind});
  return checks;
}

// Around the widths of a vector access, a warp, a tile and a block, in both directions; odd and
// even sample counts; one beyond 2^16.
constexpr std::array shapes{
    data::Shape{2, 33, 1},  data::Shape{3, 5, 11},   data::Shape{4, 9, 16},  data::Shape{1, 7, 31},
    data::Shape{5, 3, 13},  data::Shape{8, 17, 8},   data::Shape{1, 4, 257}, data::Shape{2, 8, 64},
    data::Shape{129, 3, 1}, data::Shape{3, 65, 3},   data::Shape{1, 1, 96},  data::Shape{2, 2, 514},
    data::Shape{1, 2, 33},  data::Shape{1, 3, 4099}, data::Shape{16, 31, 4}};
constexpr std::array large_shapes{data::Shape{1, 4, 65537}, data::Shape{32, 3, 2048}};
constexpr std::array sizes_of_17_bits{data::Shape{65536, 1, 1}, data::Shape{1, 1, 65536},
                                      data::Shape{256, 1, 256}};
// Two samples a channel leave room for an a of twelve bits in f32, one more than f16 and TF32 hold:
// 4^12 - 2895^2 = 8396191.
constexpr data::Shape pairs{2, 33, 1};
constexpr double eps_of_pairs = 8396191 * 0x1p-22;

// Each is 4^k - q a^2 times a power of 4, for several a where there are such: 15 = 16 - 1 = 64 -
// 49.
constexpr std::array even_epses{0x1.ep-3,  0x1.8p-1,   0x1.cp-2, 0x1.f8p-5,
                                0x1.38p-3, 0x1.ff8p-7, 0.0,      eps_of_pairs};
constexpr std::array odd_epses{0x1.cp-3, 0x1p-1, 0x1.7p-4, 0x1.cp-5};
constexpr std::array slopes{0.25, 0.0625, 2.0, 0.03125};

/// `turn` goes through modes, activations and eps, so that each (type, layout) meets all of them.
data::Case case_of(const data::Shape& shape, int dtype, int layout, std::uint64_t turn,
                   const data::Stream& draw) {
  data::Case one;
  abn_problem& p = one.problem;
  p = problem::parse_problem("n1c1s2,leaky_relu");
  p.n = shape.n, p.c = shape.c, p.s = shape.s;
  p.dtype = dtype, p.layout = layout;
  p.param_dtype = dtype == ABN_F64 && turn % 3 != 0 ? ABN_F64 : ABN_F32;
  p.mode = turn % 6 == 4 ? ABN_FROZEN : turn % 6 == 5 ? ABN_INFERENCE : ABN_TRAINING;
  p.activation = draw.below(4, 0) == 0 ? ABN_IDENTITY : ABN_LEAKY_RELU;
  p.activation_parameter = p.activation == ABN_IDENTITY ? 0 : slopes[draw.below(slopes.size(), 1)];
  p.scale = draw.below(3, 2) == 0 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
  p.momentum = 0.25;
  const std::span<const double> epses = problem::sample_count(p) % 2 == 0
                                            ? std::span<const double>(even_epses)
                                            : std::span<const double>(odd_epses);
  do p.eps = epses[turn++ % epses.size()];
  while (!data::has_exact_channels(p));
  one.data = data::exact_data;
  constexpr std::uint64_t readable = 1'000'000'000;
  one.seed = draw.below(readable, 3);
  return one;
}

/// Sizes above 65,535 in f64 (verify/data/ranges.hpp). Of the kernels of this project, which run on
/// the emulator, each meets one of a size and mode in smoke.
void append_large(std::vector<data::Case>& cases, data::Tier tier, const data::Stream& seeds) {
  constexpr std::uint64_t apart = 1'000'000;
  const data::Stream large = seeds.fork(apart);
  std::uint64_t turn = large.bits(0);
  for (const data::Shape& shape : sizes_of_17_bits)
    for (const int mode : problem::modes) {
      ++turn;
      for (const int layout : problem::layouts) {
        const auto label = static_cast<std::uint64_t>(cases.size());
        constexpr std::uint64_t turn_of[] = {1, 5, 4};  // in which the mode's turn comes
        data::Case one = case_of(shape, ABN_F64, layout, turn_of[mode], large.fork(label));
        one.not_emulated = tier <= data::Tier::smoke && turn % 2 == static_cast<unsigned>(layout);
        cases.push_back(std::move(one));
      }
    }
}

std::vector<data::Case> exact_cases(data::Tier tier, std::uint64_t seed) {
  const std::uint64_t rounds = tier <= data::Tier::smoke ? 8 : tier == data::Tier::full ? 60 : 300;
  const data::Stream seeds = data::Stream(seed).fork(7);
  std::vector<data::Case> cases;
  std::uint64_t step = seeds.below(shapes.size(), 0);
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (const int dtype : problem::storage_types)
      for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout, ++step) {
        const auto turn = round + static_cast<std::uint64_t>(2 * dtype + layout);
        cases.push_back(
            case_of(shapes[step % shapes.size()], dtype, layout, turn, seeds.fork(step)));
      }
  for (std::uint64_t k = 0; k < large_shapes.size(); ++k) {
    const auto dtype = static_cast<int>((step + k) % 3);
    cases.push_back(case_of(large_shapes[k], dtype, static_cast<int>(k), k, seeds.fork(step + k)));
  }
  cases.push_back(case_of(pairs, ABN_F32, static_cast<int>(step % 2), 0,
                          seeds.fork(step + large_shapes.size())));
  cases.back().problem.eps = eps_of_pairs;
  append_large(cases, tier, seeds);
  return cases;
}

/// Why nothing exact can be demanded of these claims; empty where it can.
std::string out_of_reach(const data::ExactPlan& plan, const abn_claims& claims) {
  const abn_problem& p = plan.problem;
  const int needed = problem::wide_type_of(p.dtype);
  if (problem::format_of(claims.accumulate).precision < problem::format_of(needed).precision)
    return fmt::format("sums in {} have too few bits for exact data in {}",
                       problem::accumulate_name(claims.accumulate), problem::dtype_name(p.dtype));
  if ((claims.materialises & ABN_MATERIALISES_STATISTICS) == 0) return {};
  const problem::Format& storage = problem::format_of(p.dtype);
  const auto loses = [&](double value) { return problem::round_to(storage, value) != value; };
  const bool any = std::any_of(plan.channels.begin(), plan.channels.end(),
                               [&](const data::ExactChannel& channel) {
                                 return loses(channel.mean) || loses(channel.variance) ||
                                        loses(channel.running_mean) || loses(channel.running_var);
                               });
  return any ? fmt::format(
                   "the variance does not fit into {}, to which these claims round statistics",
                   problem::dtype_name(p.dtype))
             : "";
}

// elements; some seconds
constexpr std::int64_t most_in_fifty_digits = 1 << 15;

bool is_by_bound(const abn_problem& p, const abn_claims& claims, compare::Output output) {
  if (output == compare::Output::running_var) return true;
  int exponent = 0;
  if (output == compare::Output::running_mean && std::frexp(p.momentum, &exponent) != 0.5)
    return true;
  const bool updates = claims.statistics == ABN_WELFORD;
  // dbeta needs no statistics; where z is kept, its branches do not either.
  if (output == compare::Output::dbeta)
    return updates && claims.scheme == ABN_CHECKPOINT_X &&
           finds_statistics(p, claims, ABN_BACKWARD);
  return updates &&
         finds_statistics(p, claims, compare::is_gradient(output) ? ABN_BACKWARD : ABN_FORWARD);
}

const std::vector<double>& values_of(const call::ForwardNumbers& forward,
                                     const call::BackwardNumbers& backward,
                                     compare::Output output) {
  switch (output) {
    case compare::Output::mean:
      return forward.mean;
    case compare::Output::variance:
      return forward.variance;
    case compare::Output::running_mean:
      return forward.running_mean;
    case compare::Output::running_var:
      return forward.running_var;
    case compare::Output::xhat:
      return forward.xhat;
    case compare::Output::dx:
      return backward.dx;
    case compare::Output::dgamma:
      return backward.dgamma;
    case compare::Output::dbeta:
      return backward.dbeta;
    default:
      return forward.z;
  }
}

std::vector<results::Record> records_of(const Work& work) {
  std::vector<results::Record> records;
  const abn_problem& p = work.one.problem;
  const abn_claims& declared = work.claims;
  if (!data::is_exact_data(work.one.data) || problem::element_count(p) == 0) return records;
  const data::ExactPlan plan = data::exact_plan(p, work.one.seed);
  if (const std::string reason = out_of_reach(plan, declared); !reason.empty()) {
    for (const CheckName& name : work.wanted)
      records.push_back(skip_record(work.origin, name, reason));
    return records;
  }
  std::vector<compare::Output> wanted;
  for (const compare::Output one : outputs_of(declared, p))
    if (std::any_of(work.wanted.begin(), work.wanted.end(), [&](const CheckName& name) {
          return name.check == std::string(compare::output_name(one));
        }))
      wanted.push_back(one);

  const problem::Inputs inputs = data::exact_inputs(plan);
  const call::Evaluator evaluator(work.subject, declared, work.one.seed);
  const problem::Saved saved =
      p.mode == ABN_INFERENCE ? problem::Saved{} : exact_saved(plan, declared);
  const bool goes_back = std::any_of(wanted.begin(), wanted.end(), compare::is_gradient);
  const call::ForwardNumbers forward =
      std::all_of(wanted.begin(), wanted.end(), compare::is_gradient) ? call::ForwardNumbers{}
                                                                      : evaluator.forward(inputs);
  const call::BackwardNumbers backward =
      goes_back ? evaluator.backward(inputs, saved) : call::BackwardNumbers{};

  const abn_claims claims =
      goes_back ? judge::with_kink(inputs, saved, declared, backward) : declared;
  std::vector<compare::Expectation> bounds_forward, bounds_backward;
  const auto bound_of = [&](compare::Output output) -> compare::Expectation {
    std::vector<compare::Expectation>& bounds =
        compare::is_gradient(output) ? bounds_backward : bounds_forward;
    if (bounds.empty())
      bounds = compare::is_gradient(output) ? expect::expect_backward(inputs, saved, claims)
                                            : expect::expect_forward(inputs, claims);
    return *compare::find_output(bounds, output);
  };
  for (const compare::Output output : wanted) {
    const std::vector<double>& got = values_of(forward, backward, output);
    if (got.empty()) continue;  // dgamma and dbeta without an affine
    const bool by_bound = is_by_bound(p, claims, output);
    if (by_bound && p.dtype == ABN_F64 && problem::element_count(p) > most_in_fifty_digits) {
      records.push_back(
          skip_record(work.origin, {op, compare::output_name(output), kind},
                      "it is judged by its bound, and so many exact values in f64 take too long"));
      continue;
    }
    const compare::Expectation expected =
        by_bound ? bound_of(output) : exact_expectation(plan, claims, output, got);
    const auto explain = [&](compare::Output which, std::int64_t element) {
      return by_bound ? expect::shares_of(inputs, compare::is_gradient(which) ? &saved : nullptr,
                                          claims, which, element)
                      : compare::Shares{};
    };
    if (std::all_of(
            expected.points.begin(), expected.points.end(),
            [](const compare::Point& point) { return point.rule == compare::Rule::anything; })) {
      records.push_back(skip_record(work.origin, {op, compare::output_name(output), kind},
                                    "sum(x^2) has too few bits for these data"));
      continue;
    }
    results::Record record = judge::judge(work.origin, op, inputs, saved, expected, got, explain);
    // All channels have one variance and may have one dgamma: here, the kernel that computes
    // nothing is the one that leaves zeros.
    record.discriminating_cases =
        compare::compare_all(expected, std::vector<double>(got.size(), 0.0)).failed > 0 ? 1 : 0;
    // Two samples with one dy have dx = 0 and dgamma = 0, and without an affine the mean of an odd
    // count is 0.
    const auto is_zero = [](const compare::Point& point) { return point.hi == 0; };
    if (std::all_of(expected.points.begin(), expected.points.end(), is_zero))
      record.cancelled_cases = 1;
    for (results::Witness& witness : record.witnesses)
      if (!by_bound && !witness.reason.empty() && std::isfinite(witness.got))
        witness.reason = fmt::format(
            "{:+.3g} ulp off where no sum is rounded, so that every bit is known", witness.ulp);
    records.push_back(std::move(record));
  }
  return records;
}

std::vector<KnownCheck> known_checks() {
  std::vector<KnownCheck> all;
  for (const problem::Word& output : compare::output_words()) all.push_back({op, output});
  return all;
}

bool suits(const data::Case& one) {
  if (problem::activation_of(one.problem).needs_functions()) return false;
  try {
    data::exact_plan(one.problem, one.seed);
  } catch (const problem::UsageError&) {
    return false;
  }
  return true;
}

}  // namespace

const CheckGroup exact_checks{"run",   checks_of, exact_cases,  records_of,
                              nullptr, "",        known_checks, suits};

}  // namespace abn::verify::check::exact
