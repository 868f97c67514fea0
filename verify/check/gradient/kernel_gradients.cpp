// The table of gradient checks and their cases.
#include "verify/check/gradient/kernel_gradients.hpp"

#include <array>
#include <iterator>
#include <string_view>

#include "verify/check/gradient/jacobian.hpp"
#include "verify/check/gradient/probes.hpp"
#include "verify/check/patterns.hpp"
#include "verify/data/random.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify {
namespace {

constexpr const char* op = "gradient";

std::vector<CheckName> checks_of(const Subject&, const abn_claims& claims,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  if (problem.mode == ABN_INFERENCE || element_count(problem) == 0) return checks;
  if ((claims.saves & ABN_SAVES_Z) != 0) checks.push_back({op, "adjoint", "property"});
  checks.push_back({op, "difference", "numbers"});
  if (problem.dtype == ABN_F64)
    for (const char* check : {"jacobian_dbeta", "jacobian_dgamma", "jacobian_dx"})
      checks.push_back({op, check, "numbers"});
  for (const char* check : {"probe_ones", "probe_rademacher", "probe_units", "probe_xhat"})
    checks.push_back({op, check, "numbers"});
  return checks;
}

// m just around warps and blocks. A Jacobian has m m C entries, so f64 has shapes of its own.
constexpr std::array probed{Shape{2, 4, 17}, Shape{1, 3, 1025}, Shape{4, 5, 8},
                            Shape{33, 4, 1}, Shape{1, 4, 257},  Shape{2, 6, 31}};
constexpr std::array differentiated{Shape{2, 4, 9},  Shape{1, 3, 33}, Shape{4, 2, 8},
                                    Shape{17, 4, 1}, Shape{2, 3, 31}, Shape{2, 2, 64}};
constexpr std::array data{"standard", "mixed_gamma", "standard", "spikes", "large_beta"};

std::vector<Case> gradient_cases(Tier tier, std::uint64_t seed) {
  const std::uint64_t rounds = tier == Tier::smoke ? 1 : tier == Tier::full ? 4 : 16;
  std::vector<Case> cases;
  const Stream seeds = Stream(seed).fork(17);
  std::uint64_t step = 0;
  const auto add = [&](const Shape& shape, int dtype, int layout, int activation, int mode,
                       int scale, const char* recipe) {
    cases.push_back(drawn_case(shape, dtype, layout, activation, recipe, seeds.fork(step)));
    cases.back().problem.mode = mode, cases.back().problem.scale = scale;
  };
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (int dtype = ABN_F16; dtype <= ABN_F64; ++dtype)
      for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
        for (int activation = ABN_IDENTITY; activation <= ABN_ELU; ++activation, ++step) {
          const Shape shape = dtype == ABN_F64
                                  ? differentiated[(step + round) % differentiated.size()]
                                  : probed[(step + round) % probed.size()];
          // One in four frozen, one in three |gamma| + eps.
          add(shape, dtype, layout, activation, (step + round) % 4 == 3 ? ABN_FROZEN : ABN_TRAINING,
              (step + round) % 3 == 1 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED,
              data[(step + 2 * round) % data.size()]);
        }
  if (tier != Tier::smoke)
    add({8, 32, 64}, ABN_F64, ABN_NCHW, ABN_LEAKY_RELU, ABN_TRAINING, ABN_SCALE_SIGNED, "standard");
  return cases;
}

std::vector<Record> records_of(const Work& work) {
  std::vector<Record> records;
  if (is_pattern_data(work.one.data)) return records;
  Inputs inputs = for_oracle(inputs_of(work.one));
  // a file without dz; the cotangents are the checks' own
  if (inputs.dz.size() != inputs.x.size()) inputs.dz.assign(inputs.x.size(), 0.0);
  const Evaluator evaluator(work.subject, work.claims, work.one.seed);
  // What an evaluation was for: the record that came of it.
  Evaluations before;
  const auto add = [&](std::vector<Record> made) {
    if (made.empty()) return;
    const Evaluations now = evaluator.evaluations();
    made.back().evaluations += {now.forward - before.forward, now.backward - before.backward};
    before = now;
    std::move(made.begin(), made.end(), std::back_inserter(records));
  };
  add(jacobian_records(work, evaluator, inputs));
  add(probe_records(work, evaluator, inputs));
  for (const CheckName& name : work.wanted)
    if (std::string_view(name.check) == "difference")
      add({difference_record(work, name, evaluator, inputs)});
  return records;
}

}  // namespace

const Family gradient_family{"grad", checks_of, gradient_cases, records_of};

}  // namespace abn::verify
