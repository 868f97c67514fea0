// One kernel before all rules; the kernels of a grade, the right ones first, for their exact values
// serve the others.
#include "verify/study/judges.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "verify/call/invocation.hpp"
#include "verify/call/parallel.hpp"
#include "verify/compare/compare.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/judges_plain.hpp"
#include "verify/study/judges_rules.hpp"

namespace abn::verify::study {
namespace {

/// What one operation is compared with.
struct Truth {
  std::vector<compare::Expectation> expected;
  Numbers plain;
};

/// One right kernel on one problem, for the kernels that claim the same.
struct Answer {
  bool supported = false;
  abn_claims claims{};
  call::Invocation invocation;
  Truth forward, backward;
};

bool same_claims(const abn_claims& a, const abn_claims& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) {
           return (std::isnan(x) && std::isnan(y)) ||
                  (x == y && std::signbit(x) == std::signbit(y));
         });
}

bool same_saved(const problem::Saved& a, const problem::Saved& b) {
  return same_bits(a.z, b.z) && same_bits(a.xhat, b.xhat) && same_bits(a.mean, b.mean) &&
         same_bits(a.variance, b.variance);
}

bool same_outputs(const call::Operation& a, const call::Operation& b) {
  return a.usable == b.usable &&
         std::equal(a.outputs.begin(), a.outputs.end(), b.outputs.begin(), b.outputs.end(),
                    [](const compare::Stored& x, const compare::Stored& y) {
                      return same_bits(x.values, y.values);
                    });
}

Truth forward_truth(const problem::Inputs& inputs, const abn_claims& claims) {
  return {expect::expect_forward(inputs, claims), plain_forward(inputs)};
}
Truth backward_truth(const problem::Inputs& inputs, const problem::Saved& saved,
                     const abn_claims& claims) {
  return {expect::expect_backward(inputs, saved, claims),
          plain_backward(inputs, saved, problem::is_in_place(claims))};
}

/// Marks the rules that refuse an output of one operation.
void judge_operation(const call::Operation& operation, const Truth& truth, int storage,
                     std::vector<bool>& refused) {
  // the call itself failed, and nobody overlooks that
  if (!operation.usable) refused.assign(refused.size(), true);
  const std::span<const JudgeRule> rules = judge_rules();
  for (const compare::Stored& stored : operation.outputs)
    for (const compare::Expectation& expectation : truth.expected) {
      if (expectation.output != stored.output) continue;
      std::vector<double> exact(expectation.points.size());
      std::transform(expectation.points.begin(), expectation.points.end(), exact.begin(),
                     [](const compare::Point& point) { return point.hi; });
      const Sample sample{stored.output, expectation.dtype,
                          storage,       stored.values,
                          exact,         truth.plain.at(stored.output)};
      for (std::size_t k = 0; k < rules.size(); ++k)
        if (!refused[k] && !rules[k].passes(sample)) refused[k] = true;
      if (compare::compare_all(expectation, stored.values).failed > 0) refused[own_rule()] = true;
    }
  const bool broken =
      std::any_of(operation.contracts.begin(), operation.contracts.end(),
                  [](const call::Contract& contract) { return !contract.reason.empty(); });
  if (refused[own_rule()] || broken) refused[own_rule() + 1] = true;
}

/// One kernel on one problem. A right kernel leaves its answer behind; `answers` are those of the
/// right kernels, for others.
void judge_case(const call::Subject& kernel, const problem::Inputs& inputs, std::uint64_t seed,
                std::span<const std::vector<Answer>> answers, std::size_t index, Verdicts& verdicts,
                Answer* leave) {
  const problem::Claimed claimed = problem::claims_of(*kernel.variant, inputs.problem);
  if (claimed.status == ABN_ERROR_UNSUPPORTED) return;
  if (!claimed.nonsense.empty())
    throw std::runtime_error(fmt::format("{}: {}", kernel.variant->name, claimed.nonsense));
  const abn_claims& claims = claimed.claims;
  ++verdicts.cases;
  call::Invocation invocation = call::invoke(kernel, inputs, claims, seed, true);
  const Answer* alike = nullptr;
  for (const std::vector<Answer>& one : answers)
    if (alike == nullptr && one[index].supported && same_claims(one[index].claims, claims))
      alike = &one[index];
  if (alike == nullptr || !same_outputs(invocation.forward, alike->invocation.forward) ||
      !same_outputs(invocation.backward, alike->invocation.backward))
    verdicts.visible = true;

  Truth forward, backward;
  if (invocation.forward.usable && alike == nullptr) forward = forward_truth(inputs, claims);
  const bool same_as_before =
      alike != nullptr && same_saved(invocation.saved, alike->invocation.saved);
  if (invocation.backward.usable && !same_as_before)
    backward = backward_truth(inputs, invocation.saved, claims);
  std::vector<bool> refused(rule_count(), false);
  judge_operation(invocation.forward, alike != nullptr ? alike->forward : forward,
                  inputs.problem.dtype, refused);
  if (invocation.backward.called)
    judge_operation(invocation.backward, same_as_before ? alike->backward : backward,
                    inputs.problem.dtype, refused);
  for (std::size_t k = 0; k < refused.size(); ++k) verdicts.refusals[k] += refused[k] ? 1 : 0;
  if (leave != nullptr)
    *leave = {true, claims, std::move(invocation), std::move(forward), std::move(backward)};
}

}  // namespace

bool is_right_kernel(const abn_variant& variant) {
  return std::string_view(variant.name).starts_with(right_kernel_prefix);
}

std::size_t rule_count() { return judge_rules().size() + 2; }

const char* rule_name(std::size_t rule) {
  if (rule < judge_rules().size()) return judge_rules()[rule].name;
  return rule == own_rule() ? "abn-verify" : "abn-verify, contracts too";
}

std::vector<Verdicts> verdicts_of(Grade grade, int dtype, std::span<const call::Subject> kernels,
                                  std::uint64_t seed, int threads) {
  const std::vector<problem::Inputs> cases = graded_cases(grade, dtype, seed);
  std::vector<Verdicts> all(kernels.size(), Verdicts{false, 0, std::vector<int>(rule_count(), 0)});
  std::vector<std::size_t> right, wrong;
  for (std::size_t k = 0; k < kernels.size(); ++k)
    (is_right_kernel(*kernels[k].variant) ? right : wrong).push_back(k);
  std::vector<std::vector<Answer>> answers(right.size(), std::vector<Answer>(cases.size()));

  std::mutex reporting;
  std::string trouble;
  const auto meet = [&](std::size_t kernel, std::span<const std::vector<Answer>> known,
                        std::vector<Answer>* leave) {
    std::thread([&] {
      try {
        for (std::size_t i = 0; i < cases.size(); ++i)
          judge_case(kernels[kernel], cases[i], seed + i, known, i, all[kernel],
                     leave != nullptr ? &(*leave)[i] : nullptr);
      } catch (const std::exception& wrong_call) {
        const std::lock_guard lock(reporting);
        trouble = wrong_call.what();
      }
    }).join();
  };
  call::in_parallel(right.size(), threads,
                    [&](std::size_t k, int) { meet(right[k], {}, &answers[k]); });
  call::in_parallel(wrong.size(), threads,
                    [&](std::size_t k, int) { meet(wrong[k], answers, nullptr); });
  if (!trouble.empty()) throw std::runtime_error(trouble);
  return all;
}

}  // namespace abn::verify::study
