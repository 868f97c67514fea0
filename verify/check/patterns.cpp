// Pattern cases and their records.
#include "verify/check/patterns.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "verify/call/evaluator.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/kink.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check {
namespace {

constexpr const char* op = "patterns";
// the judge takes some 500 bytes an element
constexpr std::int64_t largest_case = std::int64_t{1} << 18;

constexpr problem::Word words[] = {
    {"activation", "z is right for every bit pattern as x, where y = x."},
    {"derivative",
     "The activation's derivative is right for every bit pattern as the stored z: dx and dbeta for "
     "dz = 1."},
    {"inverse",
     "The activation's inverse is right for every bit pattern as the stored z: dgamma for dz = 1, "
     "which is the derivative times xhat."},
};

std::vector<CheckName> checks_of(const call::Subject&, const abn_claims& claims,
                                 const abn_problem& problem) {
  if (problem.mode != ABN_FROZEN || problem.dtype == ABN_F64) return {};
  std::vector<CheckName> checks{{op, "activation", results::CheckKind::numbers},
                                {op, "derivative", results::CheckKind::numbers}};
  if (problem::is_in_place(claims)) checks.push_back({op, "inverse", results::CheckKind::numbers});
  return checks;
}

std::vector<data::Case> pattern_cases(data::Tier tier, std::uint64_t seed) {
  std::vector<data::Case> cases;
  int turn = 0;
  for (const int dtype : problem::storage_types) {
    if (problem::format_of(dtype).bytes > 4) continue;  // 2^64 patterns are not to be had
    if (dtype == ABN_F32 && tier != data::Tier::exhaustive) continue;
    for (const problem::Activation& row : problem::activation_table)
      for (const int scale : problem::scales) {
        // Of the hours that f32 takes none goes to what the 16-bit types have shown: g is 1 either
        // way, and the identity is the identity.
        if (dtype == ABN_F32 &&
            scale != (row.needs_functions() ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED))
          continue;
        if (dtype == ABN_F32 && !row.has_parameter()) continue;
        // g is 1 either way; a case costs what sixteen of a walk do
        if (!row.has_inverse() && scale != row.code % 2) continue;
        abn_problem problem = problem::parse_problem("n1c1s1,frozen,leaky_relu");
        problem.dtype = dtype;
        problem::set_activation(problem, row.code, row.default_parameter);
        problem.scale = scale;
        problem.eps = data::pattern_eps;
        // with one sample a channel the memory is the same, the kernel is not
        problem.layout = turn++ % 2 == 0 ? ABN_NCHW : ABN_NHWC;
        auto count = static_cast<std::int64_t>(data::pattern_count(dtype));
        problem.c = std::min(count, largest_case);
        std::int64_t first = 0;
        if (tier == data::Tier::quick) {  // one window of them, drawn
          problem.c = std::min(count, quick_elements);
          const auto windows = static_cast<std::uint64_t>(count / problem.c);
          first = problem.c * static_cast<std::int64_t>(
                                  data::Stream(seed).fork(8).below(windows, cases.size()));
          count = first + problem.c;
        }
        for (; first < count; first += problem.c)
          cases.push_back(data::replay(problem::to_string(problem),
                                       fmt::format("{}{:#x}", data::patterns_prefix, first), seed));
      }
  }
  return cases;
}

/// The numbers of one output. Within a range a constant may be right (phi' = 1), so the kernel that
/// computes nothing is the one that leaves zeros.
results::Record judged(const Work& work, const problem::Inputs& inputs, const problem::Saved& saved,
                       const compare::Expectation& expected, const std::vector<double>& got,
                       const char* check) {
  const auto explain = [&](compare::Output output, std::int64_t element) {
    return expect::shares_of(inputs, output == compare::Output::z ? nullptr : &saved, work.claims,
                             output, element);
  };
  results::Record record =
      judge::judge(work.origin, op, inputs, saved, expected, got, explain, check);
  record.discriminating_cases =
      compare::compare_all(expected, std::vector<double>(got.size(), 0.0)).failed > 0 ? 1 : 0;
  return record;
}

const compare::Expectation& find(const std::vector<compare::Expectation>& all,
                                 compare::Output output) {
  return *compare::find_output(all, output);
}

std::vector<results::Record> records_of(const Work& work) {
  if (!data::is_pattern_data(work.one.data)) return {};
  const auto wants = [&](const char* check) {
    return std::any_of(work.wanted.begin(), work.wanted.end(), [&](const CheckName& name) {
      return std::string_view(name.check) == check;
    });
  };
  const problem::Inputs inputs = data::inputs_of(work.one);
  const call::Evaluator evaluator(work.subject, work.claims, work.one.seed);
  const call::ForwardNumbers forward = evaluator.forward(inputs);
  std::vector<results::Record> records;
  if (wants("activation"))
    records.push_back(judged(work, inputs, {},
                             find(expect::expect_forward(inputs, work.claims), compare::Output::z),
                             forward.z, "activation"));
  const bool inverse = wants("inverse");
  if (!inverse && !wants("derivative")) return records;
  problem::Saved saved = evaluator.saved(inputs.problem, forward);
  if (problem::is_in_place(work.claims)) saved.z = inputs.x;
  const call::BackwardNumbers backward = evaluator.backward(inputs, saved);
  const abn_claims claims = judge::with_kink(inputs, saved, work.claims, backward);
  const std::vector<compare::Expectation> expected = expect::expect_backward(inputs, saved, claims);
  if (wants("derivative")) {
    records.push_back(judged(work, inputs, saved, find(expected, compare::Output::dx), backward.dx,
                             "derivative"));
    results::Record sums = judged(work, inputs, saved, find(expected, compare::Output::dbeta),
                                  backward.dbeta, "derivative");
    sums.cases = 0;  // the same case, seen through another output
    sums.failed_cases = records.back().failed_cases > 0 ? 0 : sums.failed_cases;
    sums.discriminating_cases = 0;
    results::merge(records.back(), sums);
  }
  if (inverse)
    records.push_back(judged(work, inputs, saved, find(expected, compare::Output::dgamma),
                             backward.dgamma, "inverse"));
  return records;
}

std::vector<KnownCheck> known_checks() {
  std::vector<KnownCheck> all;
  for (const problem::Word& word : words) all.push_back({op, word});
  return all;
}

/// y is x for any eps below 1; a pattern is a channel of its own.
bool suits(const data::Case& one) {
  try {
    data::first_pattern(one.problem, one.data);
  } catch (const problem::UsageError&) {
    return false;
  }
  return one.problem.eps < 1;
}

}  // namespace

const CheckGroup pattern_checks{"run",   checks_of, pattern_cases, records_of,
                                nullptr, "",        known_checks,  suits};

void keep_range(std::vector<data::Case>& cases, const data::PatternRange& range) {
  std::erase_if(cases, [&](const data::Case& one) {
    const std::uint64_t first = data::first_pattern(one.problem, one.data);
    return first > range.last || first + static_cast<std::uint64_t>(one.problem.c) <= range.first;
  });
}

}  // namespace abn::verify::check
