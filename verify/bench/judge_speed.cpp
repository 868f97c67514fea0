// How much the judge gets through in a second on one core, part by part, and how many memory
// accesses the emulator's sanitiser does.
//
// An element is one z of a forward or one dx of a backward pass of variant I in training. The
// oracle is what there has to be in any case, the exact value; its bound and the comparison are
// what judging adds, and the last column is how many times the oracle's own time that costs. Every
// part runs until it has taken `least_seconds`, at least `least_runs` times, and the quickest run
// counts: what comes on top is the machine's other work.
#include "verify/bench/judge_speed.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cuda/emulator/report.h"
#include "verify/call/parallel.hpp"
#include "verify/compare/compare.hpp"
#include "verify/data/recipes.hpp"
#include "verify/expect/shared.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::bench {
namespace {

constexpr double least_seconds = 0.5;
constexpr int least_runs = 3;

template <class Work>
double quickest(const Work& work) {
  double best = bound::infinity, total = 0;
  for (int run = 0; run < least_runs || total < least_seconds; ++run) {
    const call::Stopwatch watch;
    work();
    const double seconds = watch.seconds();
    best = std::min(best, seconds), total += seconds;
  }
  return best;
}

abn_claims recommended_claims(const abn_problem& problem) {
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  claims.scheme = ABN_IN_PLACE_1;
  claims.accumulate = problem::wide_type_of(problem.dtype);
  claims.saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  claims.depth_statistics = claims.depth_backward = 64;
  claims.function_ulp = 2;
  return claims;
}

/// A kernel's output without error: the exact values, rounded.
std::vector<double> rounded(const compare::Expectation& expectation) {
  std::vector<double> values;
  for (const compare::Point& point : expectation.points)
    values.push_back(problem::round_to(problem::format_of(expectation.dtype), point.hi));
  return values;
}

struct Speed {
  /// seconds an element: exact values, those with bounds, the comparison
  double values = 0, oracle = 0, comparison = 0;
};

Speed measure(const abn_problem& problem) {
  const problem::Inputs inputs = data::make_inputs(problem, "standard", 1);
  const abn_claims claims = recommended_claims(problem);
  const oracle::Precision precision = expect::evaluation_plan(problem, claims).precision;
  const std::vector<compare::Expectation> forward = expect::expect_forward(inputs, claims);
  problem::Saved saved;
  const compare::Expectation* z = nullptr;
  for (const compare::Expectation& one : forward) {
    if (one.output == compare::Output::z) saved.z = rounded(one), z = &one;
    if (one.output == compare::Output::variance) saved.variance = rounded(one);
  }
  const std::vector<compare::Expectation> backward = expect::expect_backward(inputs, saved, claims);
  const std::vector<double> dx = rounded(backward.front());

  const auto values = [&] {
    oracle::ForwardInput forward_in;
    oracle::ForwardValues forward_out;
    oracle::BackwardInput backward_in;
    oracle::BackwardValues backward_out;
    backward_in.source = oracle::Source::z;
    for (std::int64_t c = 0; c < problem.c; ++c) {
      const auto channel = static_cast<std::size_t>(c);
      forward_in.parameters = backward_in.parameters = expect::parameters_of(inputs, channel);
      expect::gather(problem, inputs.x, c, forward_in.x);
      oracle::forward_values(precision, forward_in, forward_out);
      expect::gather(problem, inputs.dz, c, backward_in.dz);
      expect::gather(problem, saved.z, c, backward_in.z);
      backward_in.statistics = {true, 0, saved.variance[channel]};
      oracle::backward_values(precision, backward_in, backward_out);
    }
  };
  Speed speed;
  const double elements = 2 * static_cast<double>(problem::element_count(problem));
  speed.values = quickest(values) / elements;
  speed.oracle = quickest([&] {
                   expect::expect_forward(inputs, claims),
                       expect::expect_backward(inputs, saved, claims);
                 }) /
                 elements;
  speed.comparison =
      quickest(
          [&] { compare::compare_all(*z, saved.z), compare::compare_all(backward.front(), dx); }) /
      elements;
  return speed;
}

}  // namespace

int bench_emulator() {
  const emulator::SanitizerSpeed speed = emulator::measure_sanitizer();
  if (!speed.trouble.empty()) {
    fmt::print("{}: {}\n", speed.workload, speed.trouble);
    return 1;
  }
  const auto accesses = static_cast<double>(speed.accesses);
  fmt::print(
      "{}\n{} accesses to buffers and shared memory in {:.2f} s: {:.3g} M/s, {:.2g} times as long "
      "as without instrumentation\n",
      speed.workload, speed.accesses, speed.seconds, 1e-6 * accesses / speed.seconds,
      speed.seconds / speed.plain_seconds);
  return 0;
}

int bench_judge() {
  fmt::print("{:<36} {:>14} {:>14} {:>14} {:>14} {:>14}\n", "problem", "oracle", "with bounds",
             "comparison", "all", "judging/oracle");
  for (const char* text :
       {"n8c16s1024,f32,leaky_relu:0.01", "n8c16s1024,bf16,leaky_relu:0.01", "n8c16s1024,f32,elu:1",
        "n2c16s512,f64,leaky_relu:0.01", "n2c16s512,f64,elu:1"}) {
    const Speed speed = measure(problem::parse_problem(text));
    const double all = speed.oracle + speed.comparison;
    const auto rate = [](double seconds) { return fmt::format("{:.3g} M/s", 1e-6 / seconds); };
    fmt::print("{:<36} {:>14} {:>14} {:>14} {:>14} {:>14.2f}\n", text, rate(speed.values),
               rate(speed.oracle), rate(speed.comparison), rate(all),
               (all - speed.values) / speed.values);
  }
  return 0;
}

}  // namespace abn::verify::bench
