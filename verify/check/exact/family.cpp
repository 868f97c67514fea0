// Cases of exact data and their records.
#include "verify/check/exact/family.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>

#include "verify/call/evaluator.hpp"
#include "verify/check/exact/answer.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify {
namespace {

constexpr const char* op = "exact";
constexpr const char* kind = "numbers";

bool is_backward(Output output) {
  return output == Output::dx || output == Output::dgamma || output == Output::dbeta;
}

std::vector<Output> outputs_of(const abn_claims& claims, const abn_problem& problem) {
  std::vector<Output> outputs{Output::z};
  if ((claims.saves & ABN_SAVES_XHAT) != 0) outputs.push_back(Output::xhat);
  if (problem.mode == ABN_TRAINING)
    for (const Output one :
         {Output::mean, Output::variance, Output::running_mean, Output::running_var})
      outputs.push_back(one);
  if (problem.mode != ABN_INFERENCE)
    for (const Output one : {Output::dx, Output::dgamma, Output::dbeta}) outputs.push_back(one);
  return outputs;
}

std::vector<CheckName> checks_of(const Subject&, const abn_claims& claims,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  if (problem.activation == ABN_ELU) return checks;
  for (const Output one : outputs_of(claims, problem))
    checks.push_back({op, output_name(one), kind});
  return checks;
}

// Around the widths of a vector access, a warp, a tile and a block, in both directions; odd and
// even sample counts; one beyond 2^16.
constexpr std::array shapes{Shape{2, 33, 1},  Shape{3, 5, 11},   Shape{4, 9, 16},  Shape{1, 7, 31},
                            Shape{5, 3, 13},  Shape{8, 17, 8},   Shape{1, 4, 257}, Shape{2, 8, 64},
                            Shape{129, 3, 1}, Shape{3, 65, 3},   Shape{1, 1, 96},  Shape{2, 2, 514},
                            Shape{1, 2, 33},  Shape{1, 3, 4099}, Shape{16, 31, 4}};
constexpr std::array large_shapes{Shape{1, 4, 65537}, Shape{32, 3, 2048}};
// Two samples a channel leave room for an a of twelve bits in f32, one more than f16 and TF32 hold:
// 4^12 - 2895^2 = 8396191.
constexpr Shape pairs{2, 33, 1};
constexpr double eps_of_pairs = 8396191 * 0x1p-22;

// Each is 4^k - q a^2 times a power of 4, for several a where there are such: 15 = 16 - 1 = 64 -
// 49.
constexpr std::array even_epses{0x1.ep-3,  0x1.8p-1,   0x1.cp-2, 0x1.f8p-5,
                                0x1.38p-3, 0x1.ff8p-7, 0.0,      eps_of_pairs};
constexpr std::array odd_epses{0x1.cp-3, 0x1p-1, 0x1.7p-4, 0x1.cp-5};
constexpr std::array slopes{0.25, 0.0625, 2.0, 0.03125};

/// `turn` goes through modes, activations and eps, so that each (type, layout) meets all of them.
Case case_of(const Shape& shape, int dtype, int layout, std::uint64_t turn, const Stream& draw) {
  Case one;
  abn_problem& p = one.problem;
  p = parse_problem("n1c1s2");
  p.n = shape.n, p.c = shape.c, p.s = shape.s;
  p.dtype = dtype, p.layout = layout;
  p.param_dtype = dtype == ABN_F64 && turn % 3 != 0 ? ABN_F64 : ABN_F32;
  p.mode = turn % 6 == 4 ? ABN_FROZEN : turn % 6 == 5 ? ABN_INFERENCE : ABN_TRAINING;
  p.activation = draw.below(4, 0) == 0 ? ABN_IDENTITY : ABN_LEAKY_RELU;
  p.activation_parameter = p.activation == ABN_IDENTITY ? 0 : slopes[draw.below(slopes.size(), 1)];
  p.scale = draw.below(3, 2) == 0 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
  p.momentum = 0.25;
  const std::span<const double> epses = sample_count(p) % 2 == 0
                                            ? std::span<const double>(even_epses)
                                            : std::span<const double>(odd_epses);
  do p.eps = epses[turn++ % epses.size()];
  while (!has_exact_channels(p));
  one.data = exact_data;
  constexpr std::uint64_t readable = 1'000'000'000;
  one.seed = draw.below(readable, 3);
  return one;
}

std::vector<Case> exact_cases(Tier tier, std::uint64_t seed) {
  const std::uint64_t rounds = tier == Tier::smoke ? 8 : tier == Tier::full ? 60 : 300;
  const Stream seeds = Stream(seed).fork(7);
  std::vector<Case> cases;
  std::uint64_t step = seeds.below(shapes.size(), 0);
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (int dtype = ABN_F16; dtype <= ABN_F64; ++dtype)
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
  return cases;
}

/// Why nothing exact can be demanded of these claims; empty where it can.
std::string out_of_reach(const ExactPlan& plan, const abn_claims& claims) {
  const abn_problem& p = plan.problem;
  const int needed = p.dtype == ABN_F64 ? ABN_F64 : ABN_F32;
  if (format_of(claims.accumulate).precision < format_of(needed).precision)
    return fmt::format("sums in {} have too few bits for exact data in {}",
                       dtype_name(claims.accumulate), dtype_name(p.dtype));
  if ((claims.materialises & ABN_MATERIALISES_STATISTICS) == 0) return {};
  const Format& storage = format_of(p.dtype);
  const auto loses = [&](double value) { return round_to(storage, value) != value; };
  const bool any =
      std::any_of(plan.channels.begin(), plan.channels.end(), [&](const ExactChannel& channel) {
        return loses(channel.mean) || loses(channel.variance) || loses(channel.running_mean) ||
               loses(channel.running_var);
      });
  return any ? fmt::format(
                   "the variance does not fit into {}, to which these claims round statistics",
                   dtype_name(p.dtype))
             : "";
}

bool is_by_bound(const abn_problem& p, const abn_claims& claims, Output output) {
  if (output == Output::running_var) return true;
  int exponent = 0;
  if (output == Output::running_mean && std::frexp(p.momentum, &exponent) != 0.5) return true;
  const bool updates = claims.statistics == ABN_WELFORD;
  // dbeta needs no statistics; where z is kept, its branches do not either.
  if (output == Output::dbeta)
    return updates && claims.scheme == ABN_CHECKPOINT_X &&
           finds_statistics(p, claims, ABN_BACKWARD);
  return updates && finds_statistics(p, claims, is_backward(output) ? ABN_BACKWARD : ABN_FORWARD);
}

const std::vector<double>& values_of(const ForwardNumbers& forward, const BackwardNumbers& backward,
                                     Output output) {
  switch (output) {
    case Output::mean:
      return forward.mean;
    case Output::variance:
      return forward.variance;
    case Output::running_mean:
      return forward.running_mean;
    case Output::running_var:
      return forward.running_var;
    case Output::xhat:
      return forward.xhat;
    case Output::dx:
      return backward.dx;
    case Output::dgamma:
      return backward.dgamma;
    case Output::dbeta:
      return backward.dbeta;
    default:
      return forward.z;
  }
}

std::vector<Record> records_of(const Work& work) {
  std::vector<Record> records;
  const abn_problem& p = work.one.problem;
  const abn_claims& claims = work.claims;
  if (!is_exact_data(work.one.data) || element_count(p) == 0) return records;
  const ExactPlan plan = exact_plan(p, work.one.seed);
  if (const std::string reason = out_of_reach(plan, claims); !reason.empty()) {
    for (const CheckName& name : work.wanted)
      records.push_back(skip_record(work.origin, name, reason));
    return records;
  }
  std::vector<Output> wanted;
  for (const Output one : outputs_of(claims, p))
    if (std::any_of(work.wanted.begin(), work.wanted.end(), [&](const CheckName& name) {
          return name.check == std::string(output_name(one));
        }))
      wanted.push_back(one);

  const Inputs inputs = exact_inputs(plan);
  const Evaluator evaluator(work.subject, claims, work.one.seed);
  const Saved saved = p.mode == ABN_INFERENCE ? Saved{} : exact_saved(plan, claims);
  const bool goes_back = std::any_of(wanted.begin(), wanted.end(), is_backward);
  const ForwardNumbers forward = std::all_of(wanted.begin(), wanted.end(), is_backward)
                                     ? ForwardNumbers{}
                                     : evaluator.forward(inputs);
  const BackwardNumbers backward =
      goes_back ? evaluator.backward(inputs, saved) : BackwardNumbers{};

  std::vector<Expectation> bounds_forward, bounds_backward;
  const auto bound_of = [&](Output output) -> Expectation {
    std::vector<Expectation>& bounds = is_backward(output) ? bounds_backward : bounds_forward;
    if (bounds.empty())
      bounds = is_backward(output) ? expect_backward(inputs, saved, claims)
                                   : expect_forward(inputs, claims);
    return *std::find_if(bounds.begin(), bounds.end(),
                         [&](const Expectation& one) { return one.output == output; });
  };
  for (const Output output : wanted) {
    const std::vector<double>& got = values_of(forward, backward, output);
    if (got.empty()) continue;  // dgamma and dbeta without an affine
    const bool by_bound = is_by_bound(p, claims, output);
    const Expectation expected =
        by_bound ? bound_of(output) : exact_expectation(plan, claims, output, got);
    const auto explain = [&](Output which, std::int64_t element) {
      return by_bound
                 ? shares_of(inputs, is_backward(which) ? &saved : nullptr, claims, which, element)
                 : Shares{};
    };
    if (std::all_of(expected.points.begin(), expected.points.end(),
                    [](const Point& point) { return point.rule == Rule::anything; })) {
      records.push_back(skip_record(work.origin, {op, output_name(output), kind},
                                    "sum(x^2) has too few bits for these data"));
      continue;
    }
    Record record = judge(work.origin, op, inputs, saved, expected, got, explain);
    // All channels have one variance and may have one dgamma: here, the kernel that computes
    // nothing is the one that leaves zeros.
    record.discriminating_cases =
        compare_all(expected, std::vector<double>(got.size(), 0.0)).failed > 0 ? 1 : 0;
    // Two samples with one dy have dx = 0 and dgamma = 0, and without an affine the mean of an odd
    // count is 0.
    const auto is_zero = [](const Point& point) { return point.hi == 0; };
    if (std::all_of(expected.points.begin(), expected.points.end(), is_zero))
      record.cancelled_cases = 1;
    for (Witness& witness : record.witnesses)
      if (!by_bound && !witness.reason.empty() && std::isfinite(witness.got))
        witness.reason = fmt::format(
            "{:+.3g} ulp off where no sum is rounded, so that every bit is known", witness.ulp);
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace

const Family exact_family{"run", checks_of, exact_cases, records_of};

}  // namespace abn::verify
