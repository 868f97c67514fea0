// Expectations for the outputs of a tensor file, and their records.
#include "verify/judge/tensor_file_records.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "verify/expect/expect.hpp"
#include "verify/judge/diagnosis/diagnosis.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify {
namespace {

const std::vector<double>* find(const TensorFile& file, Output output) {
  for (const auto& stored : file.outputs)
    if (stored.output == output) return &stored.values;
  return nullptr;
}

bool is_gradient(Output output) {
  return output == Output::dx || output == Output::dgamma || output == Output::dbeta;
}

/// What backward worked from, as far as the file holds it.
Saved saved_in(const TensorFile& file) {
  Saved saved;
  const auto take = [&](Output output, std::vector<double>& into) {
    if (const auto* const values = find(file, output)) into = *values;
  };
  take(Output::z, saved.z);
  take(Output::mean, saved.mean);
  take(Output::variance, saved.variance);
  return saved;
}

/// Does the file hold what its scheme's backward starts from?
bool has_saved(const TensorFile& file, const Saved& saved) {
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
Saved with_statistics(Saved saved, const Inputs& exact, const abn_claims& claims) {
  if (exact.problem.mode != ABN_TRAINING || exact.x.empty() ||
      !(saved.mean.empty() || saved.variance.empty()))
    return saved;
  for (const Expectation& one : expect_forward(exact, claims)) {
    if (one.output != Output::mean && one.output != Output::variance) continue;
    std::vector<double>& missing = one.output == Output::mean ? saved.mean : saved.variance;
    if (!missing.empty()) continue;
    for (const Point& point : one.points) missing.push_back(point.hi);
  }
  return saved;
}

/// What the outputs of one direction together say is wrong with the step that wrote them.
void explain_failures(std::vector<Record>& records, const Evidence& all) {
  std::vector<Stored> outputs;
  std::vector<Expectation> expected;
  for (const Stored& one : all.outputs)
    if (is_gradient(one.output) == all.backward) outputs.push_back(one);
  for (const Expectation& one : all.expected)
    if (is_gradient(one.output) == all.backward) expected.push_back(one);
  const auto failed = [&](const Record& record) {
    return (record.op == "backward") == all.backward && record.tally.failed > 0;
  };
  if (std::none_of(records.begin(), records.end(), failed)) return;
  const Diagnosis diagnosis =
      diagnose({all.inputs, all.saved, all.claims, all.backward, expected, outputs});
  for (Record& record : records)
    if (failed(record)) record.diagnosis = diagnosis;
}

}  // namespace

std::vector<Record> check_file(const std::string& path) {
  const TensorFile file = read_tensor_file(path);
  if (file.outputs.empty())
    throw UsageError(
        fmt::format("{} holds inputs only, so there is nothing to judge; add outputs such as z or "
                    "dx, or run kernels on it with abn-verify "
                    "run --data {}",
                    path, shell_word(path)));
  const Saved saved = saved_in(file);
  const Inputs exact = for_oracle(file.inputs);
  const bool any_gradient =
      std::any_of(file.outputs.begin(), file.outputs.end(),
                  [](const auto& stored) { return is_gradient(stored.output); });
  const bool any_forward =
      std::any_of(file.outputs.begin(), file.outputs.end(),
                  [](const auto& stored) { return !is_gradient(stored.output); });
  const bool on_saved = has_saved(file, saved);

  std::vector<Expectation> expected, truth;
  if (any_forward) expected = expect_forward(exact, file.claims);
  if (any_gradient) {
    if (!on_saved || is_in_place(file.claims)) truth = expect_gradient(exact, file.claims);
    const auto backward = on_saved ? expect_backward(exact, saved, file.claims) : truth;
    expected.insert(expected.end(), backward.begin(), backward.end());
  }

  Origin origin;
  origin.variant = file.name;
  origin.problem = file.inputs.problem;
  origin.data = path;
  origin.command_head = "abn-verify check " + shell_word(path);
  origin.command_names_id = false;
  std::vector<Record> records;
  for (const auto& stored : file.outputs) {
    const auto same = [&](const Expectation& one) { return one.output == stored.output; };
    const auto expectation = std::find_if(expected.begin(), expected.end(), same);
    const auto explain = [&](Output output, std::int64_t element) {
      return shares_of(exact, on_saved ? &saved : nullptr, file.claims, output, element);
    };
    Record record = judge(origin, is_gradient(stored.output) ? "backward" : "forward", file.inputs,
                          saved, *expectation, stored.values, explain);
    const auto gradient = std::find_if(truth.begin(), truth.end(), same);
    if (on_saved && gradient != truth.end())
      add_end_to_end(record, origin.problem, *gradient, stored.values);
    records.push_back(std::move(record));
  }
  const auto failed = [](const Record& record) { return record.tally.failed > 0; };
  if (std::any_of(records.begin(), records.end(), failed)) {
    explain_failures(records, {exact, nullptr, file.claims, false, expected, file.outputs});
    const Saved known = with_statistics(saved, exact, file.claims);
    if (on_saved)
      explain_failures(records, {exact, &known, file.claims, true, expected, file.outputs});
  }
  for (Record& record : records) conclude(record);
  std::sort(records.begin(), records.end(),
            [](const Record& a, const Record& b) { return a.id < b.id; });
  return records;
}

VariantInfo describe_file(const std::string& path) {
  const TensorFile file = read_tensor_file(path);
  VariantInfo info;
  info.name = file.name;
  info.summary = "tensors in " + path;
  info.memory = "file";
  const auto add = [&](const char* name, std::string value) {
    info.claims.emplace_back(name, std::move(value));
  };
  add("problem", to_string(file.inputs.problem));
  if (!file.declares) return info;
  add("scheme", scheme_name(file.claims.scheme));
  add("statistics", statistics_name(file.claims.statistics));
  add("normalise", normalise_name(file.claims.normalise));
  add("accumulate", dtype_name(file.claims.accumulate));
  add("depth", fmt::format("{} forward, {} backward", file.claims.depth_statistics,
                           file.claims.depth_backward));
  return info;
}

}  // namespace abn::verify
