// Backward is judged on the file's own z and statistics where it has them, else at its x.
#include "verify/judge/tensor_file_expectations.hpp"

#include <algorithm>

#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/judge.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"

namespace abn::verify::judge {
namespace {

problem::Saved saved_in(const data::TensorFile& file) {
  problem::Saved saved;
  for (const compare::Stored& stored : file.outputs) {
    std::vector<double>* const into = stored.output == compare::Output::z          ? &saved.z
                                      : stored.output == compare::Output::mean     ? &saved.mean
                                      : stored.output == compare::Output::variance ? &saved.variance
                                      : stored.output == compare::Output::invstd   ? &saved.invstd
                                                                                   : nullptr;
    if (into != nullptr) *into = stored.values;
  }
  const abn_problem& p = file.inputs.problem;
  saved.narrowed = problem::format_of(p.param_dtype).precision <
                   problem::format_of(file.claims.accumulate).precision;
  return saved;
}

bool has_saved(const data::TensorFile& file, const problem::Saved& saved) {
  const bool has_variance = file.inputs.problem.mode != ABN_TRAINING || !saved.variance.empty() ||
                            !saved.invstd.empty() || file.inputs.whole.samples > 0;
  switch (file.claims.scheme) {
    case ABN_STANDARD:
      return !saved.z.empty();
    case ABN_CHECKPOINT_X:
      return true;
    case ABN_CHECKPOINT_XHAT:
      return false;  // the format has no xhat
    default:
      return !saved.z.empty() && has_variance;
  }
}

}  // namespace

FileExpectations expectations_of(const data::TensorFile& file) {
  FileExpectations out;
  out.exact = for_oracle(file.inputs);
  out.saved = saved_in(file);
  out.on_saved = has_saved(file, out.saved);
  out.claims = file.claims;
  const auto any = [&](bool gradient) {
    return std::any_of(file.outputs.begin(), file.outputs.end(), [&](const auto& stored) {
      return compare::is_gradient(stored.output) == gradient;
    });
  };
  if (any(true) && out.on_saved)
    out.claims = with_kink(out.exact, out.saved, file.claims, file.outputs);
  if (any(false)) out.expected = expect::expect_forward(out.exact, out.claims);
  if (!any(true)) return out;
  if (!out.on_saved || problem::is_in_place(out.claims))
    out.truth = expect::expect_gradient(out.exact, out.claims);
  const auto backward =
      out.on_saved ? expect::expect_backward(out.exact, out.saved, out.claims) : out.truth;
  out.expected.insert(out.expected.end(), backward.begin(), backward.end());
  return out;
}

std::vector<compare::Expectation> all_expectations_of(const data::TensorFile& file) {
  const problem::Inputs exact = for_oracle(file.inputs);
  std::vector<compare::Expectation> all = expect::expect_forward(exact, file.claims);
  if (file.inputs.dz.empty() || file.inputs.problem.mode == ABN_INFERENCE) return all;
  const problem::Saved saved = saved_in(file);
  const auto backward = has_saved(file, saved) ? expect::expect_backward(exact, saved, file.claims)
                                               : expect::expect_gradient(exact, file.claims);
  all.insert(all.end(), backward.begin(), backward.end());
  return all;
}

std::vector<compare::Output> failed_outputs(const data::TensorFile& file) {
  std::vector<compare::Output> failed;
  const problem::WholeBatch& whole = file.inputs.whole;
  for (const compare::Expectation& expected : expectations_of(file).expected)
    for (const compare::Stored& stored : file.outputs)
      if (stored.output == expected.output &&
          !(stored.output == compare::Output::dx && whole.samples > 0 && whole.sum_dy.empty()) &&
          (stored.values.size() != expected.points.size() ||
           compare::compare_all(expected, stored.values).failed > 0))
        failed.push_back(stored.output);
  return failed;
}

}  // namespace abn::verify::judge
