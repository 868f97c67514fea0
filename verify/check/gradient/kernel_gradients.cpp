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

namespace abn::verify::check::gradient {
namespace {

constexpr const char* op = "gradient";

constexpr problem::Word words[] = {
    {"adjoint",
     "In terms of dy backward is its own adjoint: sum(phi' u B(v)) = sum(phi' v B(u)) for random u "
     "and v, where B takes dz to dx."},
    {"difference",
     "A difference quotient of the kernel's own forward, along one direction a channel, gives what "
     "backward gives. Its error bar comes from the measured noise of the forward."},
    {"jacobian_dbeta", "dz/dbeta of every sample, by central differences of the kernel's forward."},
    {"jacobian_dgamma",
     "dz/dgamma of every sample, by central differences of the kernel's forward."},
    {"jacobian_dx",
     "dz/dx of every pair of samples, by central differences of the kernel's forward."},
    {"probe_ones", "Backward of dz = 1 everywhere, against the exact gradients."},
    {"probe_rademacher", "Backward of dz with random signs, against the exact gradients."},
    {"probe_units",
     "Backward of a dz that is 1 at one sample and else 0, at the edges of warps, blocks and "
     "tiles, "
     "against the exact gradients."},
    {"probe_xhat", "Backward of dz = xhat, against the exact gradients."},
};

std::vector<CheckName> checks_of(const call::Subject&, const abn_claims& claims,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  if (problem.mode == ABN_INFERENCE || problem::element_count(problem) == 0) return checks;
  // they take the saved variance, and know no other statistic
  if ((claims.saves & ABN_SAVES_INVSTD) != 0) return checks;
  // Differences know how far they may be off for activations that are analytic on either side of 0.
  const bool inverse = problem::activation_of(problem).has_inverse();
  if (inverse && (claims.saves & ABN_SAVES_Z) != 0)
    checks.push_back({op, "adjoint", results::CheckKind::property});
  if (inverse) checks.push_back({op, "difference", results::CheckKind::numbers});
  if (inverse && problem.dtype == ABN_F64)
    for (const char* check : {"jacobian_dbeta", "jacobian_dgamma", "jacobian_dx"})
      checks.push_back({op, check, results::CheckKind::numbers});
  for (const char* check : {"probe_ones", "probe_rademacher", "probe_units", "probe_xhat"})
    checks.push_back({op, check, results::CheckKind::numbers});
  return checks;
}

// m just around warps and blocks. A Jacobian has m m C entries, so f64 has shapes of its own.
constexpr std::array probed{data::Shape{2, 4, 17}, data::Shape{1, 3, 1025}, data::Shape{4, 5, 8},
                            data::Shape{33, 4, 1}, data::Shape{1, 4, 257},  data::Shape{2, 6, 31}};
constexpr std::array differentiated{data::Shape{2, 4, 9},  data::Shape{1, 3, 33},
                                    data::Shape{4, 2, 8},  data::Shape{17, 4, 1},
                                    data::Shape{2, 3, 31}, data::Shape{2, 2, 64}};
constexpr std::array data{"standard", "mixed_gamma", "standard", "spikes", "large_beta"};

std::vector<data::Case> gradient_cases(data::Tier tier, std::uint64_t seed) {
  const std::uint64_t rounds = tier <= data::Tier::smoke ? 1 : tier == data::Tier::full ? 4 : 16;
  std::vector<data::Case> cases;
  const data::Stream seeds = data::Stream(seed).fork(17);
  std::uint64_t step = 0;
  const auto add = [&](const data::Shape& shape, int dtype, int layout, int activation, int mode,
                       int scale, const char* recipe) {
    cases.push_back(data::drawn_case(shape, dtype, layout, activation, recipe, seeds.fork(step)));
    cases.back().problem.mode = mode, cases.back().problem.scale = scale;
  };
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts)
        for (int activation = 0; activation < problem::invertible_count; ++activation, ++step) {
          const data::Shape shape = dtype == ABN_F64
                                        ? differentiated[(step + round) % differentiated.size()]
                                        : probed[(step + round) % probed.size()];
          // One in four frozen, one in three |gamma| + eps.
          add(shape, dtype, layout, activation, (step + round) % 4 == 3 ? ABN_FROZEN : ABN_TRAINING,
              (step + round) % 3 == 1 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED,
              data[(step + 2 * round) % data.size()]);
        }
  // One activation without an inverse for each type, layout and round.
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts) {
        constexpr int curves = problem::activation_count - problem::invertible_count;
        add(probed[step % probed.size()], dtype, layout,
            problem::invertible_count + static_cast<int>((step + round) % curves),
            step % 4 == 3 ? ABN_FROZEN : ABN_TRAINING,
            step % 3 == 1 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED, data[step % data.size()]);
        ++step;
      }
  if (tier > data::Tier::smoke)
    add({8, 32, 64}, ABN_F64, ABN_NCHW, ABN_LEAKY_RELU, ABN_TRAINING, ABN_SCALE_SIGNED, "standard");
  return cases;
}

std::vector<results::Record> records_of(const Work& work) {
  std::vector<results::Record> records;
  if (data::is_pattern_data(work.one.data)) return records;
  problem::Inputs inputs = judge::for_oracle(data::inputs_of(work.one));
  // a file without dz; the cotangents are the checks' own
  if (inputs.dz.size() != inputs.x.size()) inputs.dz.assign(inputs.x.size(), 0.0);
  const call::Evaluator evaluator(work.subject, work.claims, work.one.seed);
  // What an evaluation was for: the record that came of it.
  call::Evaluations before;
  const auto add = [&](std::vector<results::Record> made) {
    if (made.empty()) return;
    const call::Evaluations now = evaluator.evaluations();
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

std::vector<KnownCheck> known_checks() {
  std::vector<KnownCheck> all;
  for (const problem::Word& word : words) all.push_back({op, word});
  return all;
}

}  // namespace

const CheckGroup gradient_checks{"grad",  checks_of, gradient_cases, records_of,
                                 nullptr, "",        known_checks};

}  // namespace abn::verify::check::gradient
