// Kernels that are wrong for some sizes alone: each has to be caught by the smoke tier, in every
// type, layout, mode and direction that the bug is in.
//
// A bug is a condition on the problem. Where it holds, a right kernel's last channel comes out
// twice as large; the tier's cases that meet the condition are the only ones that can show it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "tests/mutants/arithmetic.hpp"
#include "tests/mutants/kernel.hpp"
#include "verify/call/device.hpp"
#include "verify/check/exact/checks.hpp"
#include "verify/check/outputs.hpp"
#include "verify/data/ranges.hpp"
#include "verify/judge/sample.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using abn::mutants::Bug;
using abn::mutants::Plan;

constexpr abn_variant right =
    abn::mutants::variant_of<Plan{Bug::none, {}}>("right_everywhere", "no bug");

using Condition = bool (*)(const abn_problem& p);
Condition wrong_where = nullptr;
bool wrong_in_backward = false;

/// Doubles the last channel of a tensor.
void spoil(const abn_problem& p, void* tensor) {
  if (tensor == nullptr) return;
  for (std::int64_t i = 0; i < p.n * p.s; ++i) {
    const std::int64_t at = problem::sample_offset(p, p.c - 1, i);
    abn::mutants::store(p.dtype,
                        abn::mutants::rounded(p.dtype, 2 * abn::mutants::load(p.dtype, tensor, at)),
                        tensor, at);
  }
}

int spoiled_forward(const abn_problem* p, const abn_forward_args* a) {
  const int status = right.forward(p, a);
  if (status == ABN_OK && !wrong_in_backward && wrong_where(*p)) spoil(*p, a->z);
  return status;
}
int spoiled_backward(const abn_problem* p, const abn_backward_args* a) {
  const int status = right.backward(p, a);
  if (status == ABN_OK && wrong_in_backward && wrong_where(*p)) spoil(*p, a->dx);
  return status;
}

const abn_variant& spoiled() {
  static const abn_variant variant = [] {
    abn_variant out = right;
    out.name = "wrong_for_some_sizes";
    out.forward = spoiled_forward, out.backward = spoiled_backward;
    return out;
  }();
  return variant;
}

call::Subject on_host(const abn_variant& variant) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  return subject;
}

constexpr std::uint64_t tier_seed = 1;
const std::vector<data::Case>& tier() {
  static const std::vector<data::Case> cases = data::cases_of(data::Tier::smoke, tier_seed);
  return cases;
}
const std::vector<data::Case>& exact_tier() {
  static const std::vector<data::Case> cases =
      check::exact::exact_checks.cases(data::Tier::smoke, tier_seed);
  return cases;
}

/// Does a check of the operation fail on the first few of these cases that meet the condition?
bool caught(const check::CheckGroup& group, const std::vector<data::Case>& cases,
            Condition condition, int dtype, int layout, const std::function<bool(int mode)>& in,
            const char* check) {
  constexpr int most = 4;
  int tried = 0;
  for (const data::Case& one : cases) {
    const abn_problem& p = one.problem;
    if (p.dtype != dtype || p.layout != layout || !in(p.mode) || !condition(p)) continue;
    check::RunOptions options;
    options.threads = 1;
    options.pattern = fmt::format("*/{}", check);
    const call::Subject subject = on_host(spoiled());
    for (const results::Record& record :
         run::run(group, std::span(&subject, 1), std::span(&one, 1), options))
      if (record.verdict == results::Verdict::fail) return true;
    if (++tried == most) break;
  }
  return false;
}

/// Caught in the outputs' cases, or, in f64, by exact data.
bool caught(Condition condition, int dtype, int layout, const std::function<bool(int mode)>& in,
            bool backward) {
  wrong_where = condition, wrong_in_backward = backward;
  const char* const check = backward ? "dx" : "z";
  return caught(check::output_checks, tier(), condition, dtype, layout, in, check) ||
         (dtype == ABN_F64 &&
          caught(check::exact::exact_checks, exact_tier(), condition, dtype, layout, in, check));
}

std::string place(int dtype, int layout, int mode, bool backward) {
  return fmt::format("{} {} {} {}", problem::dtype_name(dtype), problem::layout_name(layout),
                     problem::mode_name(mode), backward ? "backward" : "forward");
}

struct SizeBug {
  const char* what;
  Condition where;
};

/// In every type, layout, mode and direction.
constexpr SizeBug large[] = {
    {"n > 65535", [](const abn_problem& p) { return p.n > 65535; }},
    {"c > 65535", [](const abn_problem& p) { return p.c > 65535; }},
    {"s > 65535", [](const abn_problem& p) { return p.s > 65535; }},
    {"n*s > 65535", [](const abn_problem& p) { return p.n * p.s > 65535 && p.n > 1 && p.s > 1; }},
    {"n*c > 65535", [](const abn_problem& p) { return p.n * p.c > 65535 && p.n > 1 && p.c > 1; }},
    {"c*s > 65535", [](const abn_problem& p) { return p.c * p.s > 65535 && p.c > 1 && p.s > 1; }},
    {"c = 3, s >= 1024", [](const abn_problem& p) { return p.c == 3 && p.s >= 1024; }},
};

TEST(SizeBugs, LargeSizesAreMetInEveryTypeLayoutModeAndDirection) {
  for (const SizeBug& bug : large)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts)
        for (const int mode : problem::modes)
          for (const bool backward : {false, true}) {
            if (backward && mode == ABN_INFERENCE) continue;
            EXPECT_TRUE(caught(
                bug.where, dtype, layout, [&](int other) { return other == mode; }, backward))
                << bug.what << ", " << place(dtype, layout, mode, backward);
          }
}

/// In every type and layout, the modes taking turns: caught in one of the modes.
constexpr SizeBug paired[] = {
    {"c % 128 == 0, n > 1",
     [](const abn_problem& p) { return p.c > 0 && p.c % 128 == 0 && p.n > 1; }},
    {"c >= 32, m > 1000", [](const abn_problem& p) { return p.c >= 32 && p.n * p.s > 1000; }},
    {"s = 3136", [](const abn_problem& p) { return p.s == 3136; }},
    {"c >= 1152", [](const abn_problem& p) { return p.c >= 1152; }},
    {"c >= 2048", [](const abn_problem& p) { return p.c >= 2048; }},
    {"c >= 96, c % 8 != 0", [](const abn_problem& p) { return p.c >= 96 && p.c % 8 != 0; }},
    {"c >= 96, c % 32 != 0", [](const abn_problem& p) { return p.c >= 96 && p.c % 32 != 0; }},
    {"c >= 96, c % 64 != 0", [](const abn_problem& p) { return p.c >= 96 && p.c % 64 != 0; }},
    {"s = 1, n >= 256", [](const abn_problem& p) { return p.s == 1 && p.n >= 256; }},
    {"n > 8, s >= 1024", [](const abn_problem& p) { return p.n > 8 && p.s >= 1024; }},
    {"n >= 65, c >= 128", [](const abn_problem& p) { return p.n >= 65 && p.c >= 128; }},
};

TEST(SizeBugs, PairsOfRangesAreMetInEveryTypeAndLayout) {
  for (const SizeBug& bug : paired)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts)
        EXPECT_TRUE(caught(
            bug.where, dtype, layout, [](int) { return true; }, false))
            << bug.what << ", " << place(dtype, layout, ABN_TRAINING, false);
}

TEST(SizeBugs, SumsOfManySamplesAreMetInEveryTypeInBothDirections) {
  const auto many = [](const abn_problem& p) { return p.n * p.s > 131'072; };
  const auto training = [](int mode) { return mode == ABN_TRAINING; };
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32})
    for (const bool backward : {false, true})
      EXPECT_TRUE(caught(many, dtype, ABN_NCHW, training, backward) ||
                  caught(many, dtype, ABN_NHWC, training, backward))
          << place(dtype, ABN_NCHW, ABN_TRAINING, backward);
}

TEST(SizeBugs, OneSampleMoreThanAPowerOfTwoIsMet) {
  for (int power = 11; power <= 20; ++power)
    EXPECT_TRUE(std::any_of(tier().begin(), tier().end(), [&](const data::Case& one) {
      return one.problem.n * one.problem.s == (std::int64_t{1} << power) + 1 &&
             one.problem.mode == ABN_TRAINING;
    })) << power;
}

TEST(SizeBugs, MoreThanTwoToTheEighteenElementsAreMetInInferenceAndFrozen) {
  const auto many = [](const abn_problem& p) { return p.n * p.c * p.s > 1 << 18; };
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts)
      for (const int mode : {ABN_INFERENCE, ABN_FROZEN})
        EXPECT_TRUE(caught(
            many, dtype, layout, [&](int other) { return other == mode; }, false))
            << place(dtype, layout, mode, false);
}

TEST(SizeBugs, ARightKernelRaisesNoAlarm) {
  wrong_where = [](const abn_problem&) { return false; };
  const call::Subject subject = on_host(spoiled());
  std::vector<data::Case> cases = tier();
  std::erase_if(cases, [](const data::Case& one) { return !one.sampled; });
  ASSERT_GT(cases.size(), 300u);
  check::RunOptions options;
  options.pattern = "*/@(forward|backward)/*";
  std::uint64_t sampled = 0;
  for (const results::Record& record :
       run::run(check::output_checks, std::span(&subject, 1), cases, options)) {
    EXPECT_EQ(record.verdict, results::Verdict::pass) << results::failure_text(record);
    sampled += record.sampled_cases;
  }
  EXPECT_GT(sampled, 100u);
}

TEST(Samples, NameTheElementsOfTheCase) {
  for (const char* const text :
       {"n3c70000s2,identity", "n3c70000s2,nhwc,identity", "n3c70s9001,inference,identity",
        "n3c70s9001,nhwc,inference,f64,identity"}) {
    data::Case one = data::replay(text, "standard", 5);
    one.sampled = true;
    ASSERT_TRUE(judge::is_sampled(one));
    const judge::Sample sample = judge::sample_of(one);
    const problem::Inputs all = data::inputs_of(one), some = judge::reduced(sample, all);
    ASSERT_EQ(some.x.size(), static_cast<std::size_t>(problem::element_count(some.problem)));
    EXPECT_LT(some.x.size(), all.x.size() / 5);
    EXPECT_EQ(sample.channels.back(), one.problem.c - 1);
    EXPECT_TRUE(one.problem.c < 65536 ||
                std::count(sample.channels.begin(), sample.channels.end(), 65536) == 1);
    for (std::int64_t c = 0; c < some.problem.c; ++c) {
      EXPECT_EQ(some.gamma[static_cast<std::size_t>(c)],
                all.gamma[static_cast<std::size_t>(sample.element_of(false, c))]);
      for (std::int64_t i = 0; i < problem::sample_count(some.problem); ++i) {
        const std::int64_t at = problem::sample_offset(some.problem, c, i);
        EXPECT_EQ(
            sample.element_of(true, at),
            problem::sample_offset(
                one.problem, sample.channels[static_cast<std::size_t>(c)],
                sample.positions.empty() ? i : sample.positions[static_cast<std::size_t>(i)]));
      }
    }
  }
}

}  // namespace
