// Expectations for the outputs of a tensor file, and their records.
#include "verify/judge/tensor_file_records.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "verify/expect/expect.hpp"
#include "verify/judge/diagnosis/diagnosis.hpp"
#include "verify/judge/judge.hpp"
#include "verify/judge/sample.hpp"
#include "verify/judge/tensor_file_advice.hpp"
#include "verify/judge/tensor_file_expectations.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::judge {
namespace {

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
  const FileExpectations all = expectations_of(file);
  const problem::Inputs& exact = all.exact;
  const problem::Saved& saved = all.saved;
  const bool on_saved = all.on_saved;
  const std::vector<compare::Expectation>&expected = all.expected, &truth = all.truth;
  origin.variant = file.name;
  origin.data = path;
  origin.command_head = "abn-verify check " + shell_word(path);
  origin.command_names_id = false;
  std::vector<results::Record> records;
  for (const auto& stored : file.outputs) {
    const problem::WholeBatch& ranks = file.inputs.whole;
    if (stored.output == compare::Output::dx && ranks.samples > 0 && ranks.sum_dy.empty()) {
      results::Record& record =
          records.emplace_back(blank_record(origin, "backward", "dx", results::CheckKind::numbers));
      record.skipped_cases = 1;
      record.reason =
          "the sums of all ranks, from which dx follows, are not in the file; add sum_dy "
          "and sum_dy_xhat as backward got them";
      continue;
    }
    const auto* const expectation = compare::find_output(expected, stored.output);
    const auto explain = [&](compare::Output output, std::int64_t element) {
      return expect::shares_of(exact, on_saved ? &saved : nullptr, all.claims, output, element);
    };
    results::Record record =
        judge(origin, compare::is_gradient(stored.output) ? "backward" : "forward", file.inputs,
              saved, *expectation, stored.values, explain);
    // The one right value of such data; what is all 0 says no more, and is no fault.
    const auto is_zero = [](const compare::Point& point) {
      return point.hi == 0 &&
             (point.rule == compare::Rule::bounded || point.rule == compare::Rule::signed_bounded);
    };
    if (record.discriminating_cases == 0 &&
        std::all_of(expectation->points.begin(), expectation->points.end(), is_zero))
      record.cancelled_cases = 1;
    // The one number that all channels share, as dbeta of a dz that is 1 everywhere, comes of
    // having computed it; a file is one call, so nothing is left over from another.
    const auto is_shared = [&](const compare::Point& point) {
      return point.hi == expectation->points[0].hi && std::fabs(point.hi) > point.bound;
    };
    if (!compare::is_tensor(stored.output) &&
        std::all_of(expectation->points.begin(), expectation->points.end(), is_shared))
      record.discriminating_cases = 1;
    const auto* const gradient = compare::find_output(truth, stored.output);
    if (on_saved && gradient != nullptr)
      add_end_to_end(record, file.inputs.problem, *gradient, stored.values);
    records.push_back(std::move(record));
  }
  const auto failed = [](const results::Record& record) { return record.tally.failed > 0; };
  if (std::any_of(records.begin(), records.end(), failed)) {
    explain_failures(records, {exact, nullptr, all.claims, false, expected, file.outputs});
    const problem::Saved known = with_statistics(saved, exact, all.claims);
    if (on_saved)
      explain_failures(records, {exact, &known, all.claims, true, expected, file.outputs});
  }
  advise(file, records);
  if (problem::sample_count(origin.problem) == 1)
    for (results::Record& record : records)
      if (failed(record) && record.check == "running_var" &&
          std::isnan(record.witnesses.front().got))
        record.diagnosis = results::diagnose_contract("single_sample");
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
  add("accumulate", problem::accumulate_name(file.claims.accumulate));
  add("kink", problem::kink_name(file.claims.kink));
  add("running_variance", problem::running_variance_name(file.claims.running_variance));
  add("depth", fmt::format("{} forward, {} backward", file.claims.depth_statistics,
                           file.claims.depth_backward));
  return info;
}

}  // namespace abn::verify::judge
