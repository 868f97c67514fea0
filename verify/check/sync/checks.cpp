// The output checks on a sharded call, and two comparisons of bits.
#include "verify/check/sync/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "verify/call/evaluator.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/sync/sharded.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::sync {
namespace {

constexpr const char* op = "sync";
constexpr results::CheckKind contract = results::CheckKind::contract;
constexpr problem::Word own_words[] = {
    {"fused", "One rank alone has the bits of the call that is not sharded."},
    {"ranks", "All ranks have the same bits of mean, variance and running averages."},
};

bool is_own(std::string_view check) {
  return std::any_of(std::begin(own_words), std::end(own_words),
                     [&](const problem::Word& word) { return check == word.name; });
}

std::vector<CheckName> checks_of(const call::Subject& subject, const abn_claims& claims,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  if (abn_split_of(subject.variant) == nullptr || problem.mode != ABN_TRAINING) return checks;
  for (const CheckName& name : output_checks.checks(subject, claims, problem)) {
    const std::string_view check = name.check;
    const bool seen = std::any_of(checks.begin(), checks.end(),
                                  [&](const CheckName& one) { return check == one.check; });
    if (!seen && check != "emulator") checks.push_back({op, name.check, name.kind});
  }
  for (const problem::Word& word : own_words)
    if (claims.deterministic == 1) checks.push_back({op, word.name, contract});
  return checks;
}

std::string refuses(const call::Subject& subject) {
  return subject.device != nullptr && subject.device->memory() == ABN_MEMORY_CUDA
             ? "the halves are judged in host memory; run them with --device emulator"
             : "";
}

// 1 to 40 images, so that 7 ranks get several, one or none; channels and samples that are ragged
// and not.
constexpr std::array shapes{data::Shape{14, 5, 7},  data::Shape{3, 4, 33},   data::Shape{7, 9, 16},
                            data::Shape{40, 3, 1},  data::Shape{2, 8, 49},   data::Shape{1, 6, 20},
                            data::Shape{9, 32, 4},  data::Shape{21, 2, 130}, data::Shape{5, 64, 64},
                            data::Shape{12, 33, 3}, data::Shape{0, 4, 5},    data::Shape{16, 1, 1}};
constexpr std::array recipes{"standard", "large_mean", "mixed_gamma",
                             "spikes",   "constant",   "no_affine"};

std::vector<data::Case> sync_cases(data::Tier tier, std::uint64_t seed) {
  const std::uint64_t rounds = tier <= data::Tier::smoke ? 6 : tier == data::Tier::full ? 48 : 96;
  const data::Stream seeds = data::Stream(seed).fork(11);
  std::vector<data::Case> cases;
  std::uint64_t step = seeds.below(shapes.size(), 0);
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts) {
        const data::Stream draw = seeds.fork(++step);
        data::Case one = data::drawn_case(
            shapes[step % shapes.size()], dtype, layout,
            static_cast<int>(draw.below(static_cast<std::uint64_t>(problem::invertible_count), 90)),
            recipes[draw.below(recipes.size(), 91)], draw);
        one.problem.mode = ABN_TRAINING;
        one.problem.param_dtype = problem::wide_type_of(dtype);
        cases.push_back(std::move(one));
      }
  return cases;
}

/// Everything that a training step of a variant writes, in a fixed order.
std::vector<compare::Stored> step_of(const call::Subject& subject, const problem::Inputs& inputs,
                                     std::uint64_t seed) {
  const problem::Claimed claimed = problem::claims_of(*subject.variant, inputs.problem);
  const call::Evaluator evaluator(subject, claimed.claims, seed);
  const call::ForwardNumbers f = evaluator.forward(inputs);
  const call::BackwardNumbers b = evaluator.backward(inputs, evaluator.saved(inputs.problem, f));
  return {{compare::Output::z, f.z},
          {compare::Output::mean, f.mean},
          {compare::Output::variance, f.variance},
          {compare::Output::invstd, f.invstd},
          {compare::Output::running_mean, f.running_mean},
          {compare::Output::running_var, f.running_var},
          {compare::Output::dx, b.dx},
          {compare::Output::dgamma, b.dgamma},
          {compare::Output::dbeta, b.dbeta}};
}

results::Record equal_bits(const Work& work, const char* check,
                           const std::vector<compare::Stored>& a,
                           const std::vector<compare::Stored>& b, const char* reason) {
  results::Record record = judge::blank_record(work.origin, op, check, contract);
  const auto differ = [](double x, double y) {
    return !(std::isnan(x) && std::isnan(y)) && !(x == y && std::signbit(x) == std::signbit(y));
  };
  for (std::size_t k = 0; k < a.size(); ++k)
    for (std::size_t i = 0; i < a[k].values.size(); ++i) {
      if (i < b[k].values.size() && !differ(a[k].values[i], b[k].values[i])) continue;
      record.verdict = results::Verdict::fail;
      record.failed_cases = 1;
      record.reason = reason;
      results::Witness witness = judge::blank_witness(work.origin, record.id);
      witness.where =
          problem::place_of(work.one.problem, compare::output_name(a[k].output),
                            compare::is_tensor(a[k].output), static_cast<std::int64_t>(i));
      witness.expected = a[k].values[i];
      witness.got = i < b[k].values.size() ? b[k].values[i] : std::nan("");
      witness.reason = reason;
      record.witnesses.push_back(std::move(witness));
      return record;
    }
  return record;
}

/// The records of the output checks of a sharded call, under the names of this group.
std::vector<results::Record> judged(const Work& work, const abn_split_variant& split) {
  const Sharded sharded(split, plan_of(work.one.problem, work.one.seed));
  call::Subject subject = work.subject;
  subject.variant = &sharded.variant();
  subject.emulator_build = subject.instrumented = nullptr;
  const problem::Claimed claimed = problem::claims_of(*subject.variant, work.one.problem);
  if (claimed.status == ABN_ERROR_UNSUPPORTED) return {};
  std::vector<CheckName> wanted;
  for (const CheckName& name : output_checks.checks(subject, claimed.claims, work.one.problem))
    if (std::any_of(work.wanted.begin(), work.wanted.end(), [&](const CheckName& one) {
          return std::string_view(one.check) == name.check;
        }))
      wanted.push_back(name);
  if (wanted.empty()) return {};
  std::vector<results::Record> records;
  for (results::Record& record :
       output_checks.make({subject, work.one, claimed.claims, work.options, wanted, work.origin})) {
    const std::string id = judge::id_of(work.origin.variant, work.one.problem, op, record.check);
    for (results::Witness& witness : record.witnesses) {
      const std::size_t at = witness.reproduce.find(record.id);
      if (at != std::string::npos) witness.reproduce.replace(at, record.id.size(), id);
    }
    record.op = op, record.id = id;
    const auto same = std::find_if(records.begin(), records.end(),
                                   [&](const auto& other) { return other.id == record.id; });
    if (same == records.end()) {
      records.push_back(std::move(record));
      continue;
    }
    record.cases = 0;  // the same case, seen in its other direction
    if (same->failed_cases > 0) record.failed_cases = 0;
    results::merge(*same, record);
  }
  return records;
}

std::vector<results::Record> records_of(const Work& work) {
  const abn_split_variant* const split = abn_split_of(work.subject.variant);
  if (split == nullptr) return {};
  std::vector<results::Record> records = judged(work, *split);
  const auto wants = [&](std::string_view check) {
    return std::any_of(work.wanted.begin(), work.wanted.end(),
                       [&](const CheckName& one) { return check == one.check; });
  };
  const abn_problem& p = work.one.problem;
  if ((!wants("fused") && !wants("ranks")) || problem::element_count(p) == 0) return records;
  const problem::Inputs inputs = data::inputs_of(work.one);
  const auto step = [&](std::optional<ShardPlan> plan) {
    call::Subject subject = work.subject;
    if (!plan) return step_of(subject, inputs, work.one.seed);
    const Sharded sharded(*split, *plan);
    subject.variant = &sharded.variant();
    subject.emulator_build = subject.instrumented = nullptr;
    return step_of(subject, inputs, work.one.seed);
  };
  if (wants("fused"))
    records.push_back(equal_bits(work, "fused", step(std::nullopt), step(ShardPlan{{p.n}, 0}),
                                 "one rank alone has not the bits of the fused call"));
  ShardPlan plan = plan_of(p, work.one.seed), other = plan;
  other.shown = (plan.shown + 1) % plan.images.size();
  if (wants("ranks") && plan.images.size() > 1)
    records.push_back(equal_bits(work, "ranks", step(plan), step(other),
                                 "two ranks have different statistics, or other outputs when "
                                 "another rank's are looked at"));
  return records;
}

std::vector<KnownCheck> known_checks() {
  std::vector<KnownCheck> all;
  for (const KnownCheck& one : output_checks.known())
    if (!is_own(one.check.name)) all.push_back({op, one.check});
  for (const problem::Word& word : own_words) all.push_back({op, word});
  return all;
}

}  // namespace

const CheckGroup sync_checks{"run", checks_of, sync_cases, records_of, refuses, "", known_checks};

}  // namespace abn::verify::check::sync
