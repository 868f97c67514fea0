// Chooses the cases of a second look, runs them, and hands each failed record what they say.
#include "verify/run/diagnose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "verify/check/chosen.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

namespace abn::verify::run {
namespace {

constexpr std::int64_t most_elements = std::int64_t{1} << 15;  // of the cases that are tried first

}  // namespace

std::size_t mixing_stride(std::size_t count) {
  constexpr double golden_section = 0.6180339887498949;
  auto stride = static_cast<std::size_t>(golden_section * static_cast<double>(count));
  while (std::gcd(stride, count) > 1) ++stride;
  return stride;
}

std::vector<data::Case> in_order_of_trial(std::span<const data::Case> cases) {
  // Those that are there for their sizes or for the ends of ranges come last: what is wrong
  // elsewhere, too, shows before.
  std::vector<data::Case> usual, small, large, for_their_sizes;
  for (const data::Case& one : cases)
    (one.sampled || data::is_extreme(one.data) ? for_their_sizes : usual).push_back(one);
  const std::size_t stride = mixing_stride(usual.size());
  for (std::size_t i = 0; i < usual.size(); ++i) {
    const data::Case& one = usual[i * stride % usual.size()];
    (problem::element_count(one.problem) <= most_elements ? small : large).push_back(one);
  }
  for (std::vector<data::Case>* const part : {&large, &for_their_sizes}) {
    std::stable_sort(part->begin(), part->end(), [](const data::Case& a, const data::Case& b) {
      return problem::element_count(a.problem) < problem::element_count(b.problem);
    });
    small.insert(small.end(), part->begin(), part->end());
  }
  return small;
}

void diagnose_failures(std::vector<results::Record>& records, const check::CheckGroup& group,
                       std::span<const call::Subject> subjects, std::span<const data::Case> cases,
                       const check::RunOptions& options) {
  // variant, op, type, layout
  using Group = std::tuple<std::string, std::string, std::string, std::string>;
  std::set<Group> done;
  std::map<std::string, std::vector<data::Case>> ordered_of;  // by variant
  for (const results::Record& failed : records) {
    if (failed.verdict != results::Verdict::fail || failed.kind != results::CheckKind::numbers)
      continue;
    if (!done.emplace(failed.variant, failed.op, failed.dtype, failed.layout).second) continue;
    const auto subject =
        std::find_if(subjects.begin(), subjects.end(),
                     [&](const call::Subject& one) { return failed.variant == one.variant->name; });
    if (subject == subjects.end()) continue;
    const call::Subject failing =
        call::named_in(failed.witnesses.empty() ? "" : failed.witnesses[0].reproduce, *subject);
    std::vector<data::Case>& ordered = ordered_of[failed.variant];
    if (ordered.empty())
      ordered = in_order_of_trial(check::chosen_cases(group, failing, cases, options).cases);
    check::RunOptions again = options;
    again.moves_cases = false, again.choice = check::Choice::all;
    again.pattern =
        fmt::format("{}/{}/{}/{}/*", failed.variant, failed.op, failed.dtype, failed.layout);
    again.diagnose = true, again.progress = false, again.threads = 1;
    results::Diagnosis diagnosis;
    for (const data::Case& one : ordered) {
      if (problem::dtype_name(one.problem.dtype) != failed.dtype ||
          problem::layout_name(one.problem.layout) != failed.layout)
        continue;
      results::Diagnosis found;  // the same for all outputs of a call
      for (const results::Record& record :
           run(group, std::span(&failing, 1), std::span(&one, 1), again))
        if (record.kind == results::CheckKind::numbers && record.diagnosis.cases > 0)
          found = record.diagnosis;
      diagnosis += found;
      if (results::has_enough(diagnosis)) break;
    }
    for (results::Record& record : records)
      if (record.verdict == results::Verdict::fail && record.kind == results::CheckKind::numbers &&
          record.variant == failed.variant && record.op == failed.op &&
          record.dtype == failed.dtype && record.layout == failed.layout)
        record.diagnosis = diagnosis;
  }
}

}  // namespace abn::verify::run
