// Expectations for the outputs of a tensor file, and their records.
#include "verify/judge/tensor_file_records.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "verify/expect/expect.hpp"
#include "verify/judge/diagnosis/diagnosis.hpp"
#include "verify/judge/judge.hpp"
#include "verify/judge/sample.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::judge {
namespace {

const std::vector<double>* find(const data::TensorFile& file, compare::Output output) {
  for (const auto& stored : file.outputs)
    if (stored.output == output) return &stored.values;
  return nullptr;
}

/// What backward worked from, as far as the file holds it.
problem::Saved saved_in(const data::TensorFile& file) {
  problem::Saved saved;
  const auto take = [&](compare::Output output, std::vector<double>& into) {
    if (const auto* const values = find(file, output)) into = *values;
  };
  take(compare::Output::z, saved.z);
  take(compare::Output::mean, saved.mean);
  take(compare::Output::variance, saved.variance);
  return saved;
}

/// Does the file hold what its scheme's backward starts from?
bool has_saved(const data::TensorFile& file, const problem::Saved& saved) {
  switch (file.claims.scheme) {
    case ABN_STANDARD:
      return !saved.z.empty();
    case ABN_CHECKPOINT_X:
      return true;
    case ABN_CHECKPOINT_XHAT:
      return false;  // the format has no xhat
    default:
      return !saved.z.empty() &&
             (file.inputs.problem.mode != ABN_TRAINING || !saved.variance.empty());
  }
}

/// Statistics that a file does not hold are those of its x: what a hypothesis about backward starts
/// from.
problem::Saved with_statistics(problem::Saved saved, const problem::Inputs& exact,
                               const abn_claims& claims) {
  if (exact.problem.mode != ABN_TRAINING || exact.x.empty() ||
      !(saved.mean.empty() || saved.variance.empty()))
    return saved;
  for (const compare::Expectation& one : expect::expect_forward(exact, claims)) {
    if (one.output != compare::Output::mean && one.output != compare::Output::variance) continue;
    std::vector<double>& missing =
        one.output == compare::Output::mean ? saved.mean : saved.variance;
    if (!missing.empty()) continue;
    for (const compare::Point& point : one.points) missing.push_back(point.hi);
  }
  return saved;
}

/// What the outputs of one direction together say is wrong with the step that wrote them.
void explain_failures(std::vector<results::Record>& records, const diagnosis::Evidence& all) {
  std::vector<compare::Stored> outputs;
  std::vector<compare::Expectation> expected;
  for (const compare::Stored& one : all.outputs)
    if (compare::is_gradient(one.output) == all.backward) outputs.push_back(one);
  for (const compare::Expectation& one : all.expected)
    if (compare::is_gradient(one.output) == all.backward) expected.push_back(one);
  const auto failed = [&](const results::Record& record) {
    return (record.op == "backward") == all.backward && record.tally.failed > 0;
  };
  if (std::none_of(records.begin(), records.end(), failed)) return;
  const results::Diagnosis diagnosis =
      diagnosis::diagnose({all.inputs, all.saved, all.claims, all.backward, expected, outputs});
  for (results::Record& record : records)
    if (failed(record)) record.diagnosis = diagnosis;
}

}  // namespace

std::vector<results::Record> check_file(const std::string& path) {
  data::TensorFile file = data::read_tensor_file(path);
  if (file.outputs.empty())
    throw problem::UsageError(
        fmt::format("{} holds inputs only, so there is nothing to judge; add outputs such as z or "
                    "dx, or run kernels on it with abn-verify "
                    "run --data {}",
                    path, shell_word(path)));
  Origin origin;
  origin.problem = file.inputs.problem;
  data::Case whole;
  whole.problem = file.inputs.problem;
  if (is_sampled(whole)) {
    const Sample sample = sample_of(whole);
    file.inputs = reduced(sample, file.inputs);
    reduce(sample, file.outputs);
    origin.sampled = sample.text();
    origin.element_of = [sample](bool tensor, std::int64_t element) {
      return sample.element_of(tensor, element);
    };
  }
  const problem::Saved saved = saved_in(file);
  const problem::Inputs exact = for_oracle(file.inputs);
  const bool any_gradient =
      std::any_of(file.outputs.begin(), file.outputs.end(),
                  [](const auto& stored) { return compare::is_gradient(stored.output); });
  const bool any_forward =
      std::any_of(file.outputs.begin(), file.outputs.end(),
                  [](const auto& stored) { return !compare::is_gradient(stored.output); });
  const bool on_saved = has_saved(file, saved);

  std::vector<compare::Expectation> expected, truth;
  if (any_forward) expected = expect::expect_forward(exact, file.claims);
  if (any_gradient) {
    if (!on_saved || problem::is_in_place(file.claims))
      truth = expect::expect_gradient(exact, file.claims);
    const auto backward = on_saved ? expect::expect_backward(exact, saved, file.claims) : truth;
    expected.insert(expected.end(), backward.begin(), backward.end());
  }

  origin.variant = file.name;
  origin.data = path;
  origin.command_head = "abn-verify check " + shell_word(path);
  origin.command_names_id = false;
  std::vector<results::Record> records;
  for (const auto& stored : file.outputs) {
    const auto same = [&](const compare::Expectation& one) { return one.output == stored.output; };
    const auto expectation = std::find_if(expected.begin(), expected.end(), same);
    const auto explain = [&](compare::Output output, std::int64_t element) {
      return expect::shares_of(exact, on_saved ? &saved : nullptr, file.claims, output, element);
    };
    results::Record record =
        judge(origin, compare::is_gradient(stored.output) ? "backward" : "forward", file.inputs,
              saved, *expectation, stored.values, explain);
    const auto gradient = std::find_if(truth.begin(), truth.end(), same);
    if (on_saved && gradient != truth.end())
      add_end_to_end(record, file.inputs.problem, *gradient, stored.values);
    records.push_back(std::move(record));
  }
  const auto failed = [](const results::Record& record) { return record.tally.failed > 0; };
  if (std::any_of(records.begin(), records.end(), failed)) {
    explain_failures(records, {exact, nullptr, file.claims, false, expected, file.outputs});
    const problem::Saved known = with_statistics(saved, exact, file.claims);
    if (on_saved)
      explain_failures(records, {exact, &known, file.claims, true, expected, file.outputs});
  }
  for (results::Record& record : records) results::conclude(record);
  std::sort(records.begin(), records.end(),
            [](const results::Record& a, const results::Record& b) { return a.id < b.id; });
  return records;
}

results::VariantInfo describe_file(const std::string& path) {
  const data::TensorFile file = data::read_tensor_file(path);
  results::VariantInfo info;
  info.name = file.name;
  info.summary = "tensors in " + path;
  info.memory = "file";
  const auto add = [&](const char* name, std::string value) {
    info.claims.emplace_back(name, std::move(value));
  };
  add("problem", problem::to_string(file.inputs.problem));
  if (!file.declares) return info;
  add("scheme", problem::scheme_name(file.claims.scheme));
  add("statistics", problem::statistics_name(file.claims.statistics));
  add("normalise", problem::normalise_name(file.claims.normalise));
  add("accumulate", problem::dtype_name(file.claims.accumulate));
  add("depth", fmt::format("{} forward, {} backward", file.claims.depth_statistics,
                           file.claims.depth_backward));
  return info;
}

}  // namespace abn::verify::judge
