// Kernels on exact data: right ones of every design have every bit, approximate roots are no alarm,
// and one wrong bit anywhere is.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tests/mutants/kernel.hpp"
#include "tests/mutants/mutants.hpp"
#include "verify/check/exact/checks.hpp"
#include "verify/data/exact.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;
using namespace abn::verify::check::exact;
using abn::mutants::Bug;
using abn::mutants::Plan;
using abn::mutants::Summation;
using abn::mutants::variant_of;

std::vector<results::Record> records_of(const abn_variant& variant,
                                        const std::vector<data::Case>& cases,
                                        const std::string& pattern = "*") {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  return run::run(exact_checks, {&subject, 1}, cases, {.pattern = pattern, .threads = 1});
}

/// Everything that did not pass, as text.
std::string alarms(const std::vector<results::Record>& records) {
  std::string text;
  for (const results::Record& record : records) {
    // large f64 cases are there for their places, and what has no exact answer is left to others
    const bool left_out = record.verdict == results::Verdict::skip &&
                          record.reason.find("judged by its bound") != std::string::npos;
    if (record.verdict != results::Verdict::pass && !left_out)
      text += results::failure_text(record);
  }
  return text;
}

constexpr abn_variant correct_kernels[] = {
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD}}>("standard", "keeps x and z"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .normalise = ABN_FOLDED}}>(
        "standard_folded", "a x + b"),
    variant_of<Plan{Bug::none,
                    {.scheme = ABN_STANDARD, .statistics = ABN_WELFORD, .contracted = true}}>(
        "standard_welford_fma", "fma"),
    variant_of<Plan{Bug::none, {.scheme = ABN_CHECKPOINT_X, .summation = Summation::pairwise}}>(
        "checkpoint_x", "pairwise sums"),
    variant_of<Plan{Bug::none, {.scheme = ABN_CHECKPOINT_XHAT, .statistics = ABN_ONE_PASS}}>(
        "checkpoint_xhat", "one pass"),
    variant_of<Plan{Bug::none, {}}>("in_place_1", "64 lanes and a tree"),
    variant_of<Plan{Bug::none, {.statistics = ABN_ONE_PASS, .summation = Summation::sequential}}>(
        "in_place_1_one_pass", "one by one"),
    variant_of<Plan{Bug::none, {.statistics = ABN_WELFORD}}>("in_place_1_welford",
                                                             "Chan's merges of 64 lanes"),
    variant_of<Plan{Bug::none, {.statistics = ABN_WELFORD, .summation = Summation::sequential}}>(
        "in_place_1_welford_long", "one by one"),
    variant_of<Plan{Bug::none, {.normalise = ABN_FOLDED, .contracted = true}}>(
        "in_place_1_folded_fma", "a x + b with fma"),
    variant_of<Plan{Bug::none, {.summation = Summation::wide}}>("in_place_1_wide",
                                                                "sums in double"),
    variant_of<Plan{Bug::none, {.scheme = ABN_IN_PLACE_2}}>("in_place_2", "gradients written in y"),
    variant_of<Plan{Bug::none,
                    {.scheme = ABN_IN_PLACE_2, .summation = Summation::wide, .contracted = true}}>(
        "in_place_2_wide_fma", "fma"),
};

TEST(ExactKernels, ResultsThatAreAllZeroAreRightToo) {
  // Two samples a channel with one dy each; an odd count without an affine (seed 4 has none).
  for (const data::Case& one :
       {data::replay("n2c33s1,f32,identity,eps:2.0018079280853271", "exact", 1),
        data::replay("n3c4s1,f32,identity,eps:0.5", "exact", 4)})
    for (const abn_variant& kernel : correct_kernels)
      for (const results::Record& record : records_of(kernel, {one}))
        EXPECT_TRUE(record.verdict == results::Verdict::pass ||
                    record.verdict == results::Verdict::skip)
            << results::failure_text(record);
}

/// Every `share`-th case of the smoke tier, beginning with `first`.
std::vector<data::Case> some_cases(std::uint64_t seed, std::size_t share, std::size_t first) {
  std::vector<data::Case> all = exact_checks.cases(data::Tier::smoke, seed), out;
  for (std::size_t i = first % share; i < all.size(); i += share) out.push_back(std::move(all[i]));
  return out;
}

void expect_every_bit(const abn_variant& kernel, const std::vector<data::Case>& cases) {
  const bool updates = std::string_view(kernel.name).find("welford") != std::string_view::npos;
  const std::vector<results::Record> records = records_of(kernel, cases);
  EXPECT_EQ(alarms(records), "") << kernel.name;
  for (const results::Record& record : records) {
    const bool by_bound = record.check == "running_var" || (updates && record.check[0] != 'd');
    EXPECT_TRUE(by_bound || record.tally.max_ratio == 0) << record.id;
  }
}

/// ABN_TIER=full goes on with further seeds.
std::uint64_t seed_count() {
  const char* const tier = std::getenv("ABN_TIER");
  return tier != nullptr && std::string_view(tier) == "full" ? 20 : 2;
}

TEST(ExactKernels, RightOnesHaveEveryBit) {
  for (const abn_variant& kernel : correct_kernels)
    for (std::uint64_t seed = 1; seed <= seed_count(); ++seed)
      expect_every_bit(kernel, exact_checks.cases(data::Tier::smoke, seed));
}

TEST(ExactKernels, TheReferenceHasEveryBit) {
  std::size_t share = 0;
  for (const abn_variant* const kernel : expect::reference_variants()) {
    const std::string_view name = kernel->name;
    if (name.find("digits50") != name.npos) continue;  // as exact as f64, and slow
    std::vector<data::Case> cases = some_cases(3, 4, share++);
    if (name.find("f32") != name.npos)
      std::erase_if(cases, [](const data::Case& one) { return one.problem.dtype == ABN_F64; });
    expect_every_bit(*kernel, cases);
  }
}

// ---- roots
// -------------------------------------------------------------------------------------------------

template <int Steps>
constexpr Plan off(int scheme, int normalise = ABN_DIRECT, bool contracted = false) {
  return {
      Bug::none,
      {.scheme = scheme, .normalise = normalise, .contracted = contracted, .root_steps = Steps}};
}
template <int Steps>
const std::vector<abn_variant>& kernels_with_root() {
  static const std::vector<abn_variant> all{
      variant_of<off<Steps>(ABN_STANDARD)>("standard", ""),
      variant_of<off<Steps>(ABN_STANDARD, ABN_FOLDED, true)>("standard_folded_fma", ""),
      variant_of<off<Steps>(ABN_CHECKPOINT_X)>("checkpoint_x", ""),
      variant_of<off<Steps>(ABN_CHECKPOINT_XHAT)>("checkpoint_xhat", ""),
      variant_of<off<Steps>(ABN_IN_PLACE_1)>("in_place_1", ""),
      variant_of<off<Steps>(ABN_IN_PLACE_1, ABN_FOLDED)>("in_place_1_folded", ""),
      variant_of<off<Steps>(ABN_IN_PLACE_2, ABN_DIRECT, true)>("in_place_2_fma", ""),
  };
  return all;
}

/// 2^-k has neighbours 2u above it and u below it, so 2 ulp are two values above and four below.
TEST(ExactKernels, RootsWithinTwoUlpAreNoAlarm) {
  std::size_t approximate = 0, share = 0;
  for (const auto* kernels :
       {&kernels_with_root<-4>(), &kernels_with_root<-3>(), &kernels_with_root<-1>(),
        &kernels_with_root<1>(), &kernels_with_root<2>()})
    for (const abn_variant& kernel : *kernels)
      for (std::uint64_t seed = 1; seed < seed_count(); ++seed) {
        const std::vector<results::Record> records =
            records_of(kernel, some_cases(seed, 3, share++));
        EXPECT_EQ(alarms(records), "") << kernel.name;
        for (const results::Record& record : records) {
          const bool has_root = record.check == "z" || record.check == "xhat" ||
                                record.check == "dx" || record.check == "dgamma";
          EXPECT_TRUE(has_root || record.check == "running_var" || record.tally.max_ratio == 0)
              << record.id;
          approximate += has_root && record.tally.max_ratio > 0 ? 1 : 0;
        }
      }
  EXPECT_GT(approximate, 0u);
}

TEST(ExactKernels, RootsFurtherOffAre) {
  std::vector<data::Case> cases = exact_checks.cases(data::Tier::smoke, 4);
  std::erase_if(cases, [](const data::Case& one) { return one.problem.dtype != ABN_F32; });
  for (const auto* kernels : {&kernels_with_root<-40>(), &kernels_with_root<20>()})
    for (const abn_variant& kernel : *kernels)
      for (const char* check : {"*/z", "*/dx"})
        EXPECT_NE(alarms(records_of(kernel, cases, check)), "") << kernel.name << check;
}

// ---- one wrong bit
// -------------------------------------------------------------------------------------------------

/// A right kernel that spoils the last bit of one element of one output.
struct Fault {
  const abn_variant* kernel;
  std::string output;
  bool first = false;  ///< else the last element
};
Fault fault;

void spoil(const char* output, void* tensor, int dtype, std::int64_t count) {
  if (fault.output != output || tensor == nullptr) return;
  const int bytes = problem::format_of(dtype).bytes;
  static_cast<unsigned char*>(tensor)[fault.first ? 0 : (count - 1) * bytes] ^= 1;
}

abn_variant faulty() {
  abn_variant variant = *fault.kernel;
  variant.name = "faulty";
  variant.forward = [](const abn_problem* p, const abn_forward_args* a) {
    const int status = fault.kernel->forward(p, a);
    spoil("z", a->z, p->dtype, problem::element_count(*p));
    spoil("xhat", a->xhat, p->dtype, problem::element_count(*p));
    spoil("mean", a->mean, p->param_dtype, p->c);
    spoil("variance", a->var, p->param_dtype, p->c);
    if (p->mode == ABN_TRAINING) spoil("running_mean", a->running_mean, p->param_dtype, p->c);
    return status;
  };
  variant.backward = [](const abn_problem* p, const abn_backward_args* a) {
    const int status = fault.kernel->backward(p, a);
    spoil("dx", a->dx, p->dtype, problem::element_count(*p));
    spoil("dgamma", a->dgamma, p->param_dtype, p->c);
    spoil("dbeta", a->dbeta, p->param_dtype, p->c);
    return status;
  };
  return variant;
}

/// Is there nothing that could excuse the fault? One-pass statistics say nothing of channels with a
/// large mean, another root explains a sample that has no like and dgamma where it is found from x,
/// and dx may lie in the middle between two values of 16 bits.
bool has_no_excuse(const data::Case& one, const abn_claims& claims) {
  const data::ExactPlan plan = data::exact_plan(one.problem, one.seed);
  const data::ExactChannel& channel = fault.first ? plan.channels.front() : plan.channels.back();
  const bool from_x = claims.scheme == ABN_STANDARD || claims.scheme == ABN_CHECKPOINT_X;
  if (claims.statistics == ABN_ONE_PASS && !channel.one_pass) return false;
  if (fault.output == "dgamma") return !from_x;
  const bool is_dx = fault.output == "dx";
  if (!is_dx && fault.output != "z" && fault.output != "xhat") return true;
  if (is_dx && one.problem.dtype < ABN_F32) return false;
  const std::size_t at = fault.first ? 0 : channel.dy.size() - 1;
  std::size_t alike = 0;
  for (std::size_t i = 0; i < channel.dy.size(); ++i)
    alike +=
        channel.deviation[i] == channel.deviation[at] && (!is_dx || channel.dy[i] == channel.dy[at])
            ? 1
            : 0;
  return alike > 1;
}

void expect_found(const data::Case& one, const results::Record& record) {
  ASSERT_EQ(record.verdict, results::Verdict::fail)
      << record.id << " " << problem::to_string(one.problem) << " --seed " << one.seed;
  const std::string text = results::failure_text(record);
  EXPECT_EQ(record.tally.failed, 1u) << text;
  EXPECT_NE(text.find("not right to the last bit"), text.npos) << text;
  EXPECT_NE(text.find(fmt::format("--problem {} --data exact --seed {}",
                                  problem::to_string(one.problem), one.seed)),
            text.npos)
      << text;
  const bool tensor = fault.output == "z" || fault.output == "xhat" || fault.output == "dx";
  const abn_problem& p = one.problem;
  const std::string place = tensor ? fmt::format("[n {}, c {}, s {}]", p.n - 1, p.c - 1, p.s - 1)
                                   : fmt::format("[c {}]", p.c - 1);
  EXPECT_NE(text.find(fault.output + (!fault.first ? place
                                      : tensor     ? "[n 0, c 0, s 0]"
                                                   : "[c 0]")),
            text.npos)
      << text;
}

TEST(ExactKernels, OneWrongBitIsFoundAndNamed) {
  std::size_t share = 0, found = 0;
  for (const abn_variant* const kernel :
       {&correct_kernels[0], &correct_kernels[4], &correct_kernels[5], &correct_kernels[11]})
    for (const char* output :
         {"z", "xhat", "mean", "variance", "running_mean", "dx", "dgamma", "dbeta"})
      for (const bool first : {true, false}) {
        fault = {kernel, output, first};
        const abn_variant variant = faulty();
        for (const data::Case& one : some_cases(1, 6, share++))
          for (const results::Record& record : records_of(variant, {one})) {
            const bool wrong = record.check == output;
            if (!wrong) {
              EXPECT_TRUE(record.verdict == results::Verdict::pass ||
                          record.verdict == results::Verdict::skip)
                  << results::failure_text(record);
            } else if (has_no_excuse(one, problem::claims_of(*kernel, one.problem).claims)) {
              expect_found(one, record);
              ++found;
            }
          }
      }
  EXPECT_GT(found, 100u);
}

TEST(ExactKernels, AnApproximateRootExcusesNoSingleElement) {
  std::vector<data::Case> cases = exact_checks.cases(data::Tier::smoke, 1);
  std::erase_if(cases, [](const data::Case& one) {
    return one.problem.dtype < ABN_F32 || problem::sample_count(one.problem) % 2 == 1 ||
           problem::sample_count(one.problem) < 8;
  });
  ASSERT_GT(cases.size(), 5u);
  fault = {&kernels_with_root<-1>()[0], "z", false};
  const abn_variant variant = faulty();
  for (const data::Case& one : cases)
    for (const results::Record& record : records_of(variant, {one}, "*/z"))
      EXPECT_EQ(record.verdict, results::Verdict::fail) << problem::to_string(one.problem);
}

// ---- planted bugs
// -------------------------------------------------------------------------------------------------

const abn::mutants::Mutant& mutant_of(Bug bug) {
  for (const abn::mutants::Group& group : abn::mutants::groups())
    for (const abn::mutants::Mutant& mutant : group.mutants)
      if (mutant.bug == bug) return mutant;
  throw std::invalid_argument("no such bug");
}

/// The first failing check of a case in which nothing but the bug could fail it, or nothing.
std::string caught(const abn::mutants::Mutant& mutant, const std::vector<data::Case>& cases) {
  for (const data::Case& one : cases)
    for (const results::Record& record : records_of(variant_of(mutant), {one}))
      if (record.verdict == results::Verdict::fail)
        return fmt::format("{}, {} of {} elements, {}", record.id, record.tally.failed,
                           record.tally.elements, problem::to_string(one.problem));
  return {};
}

void expect_caught(std::initializer_list<Bug> bugs, const std::vector<data::Case>& cases) {
  ASSERT_FALSE(cases.empty());
  for (const Bug bug : bugs) {
    const abn::mutants::Mutant& mutant = mutant_of(bug);
    const std::string where = caught(mutant, cases);
    EXPECT_NE(where, "") << mutant.id;
    fmt::print("  {:<26} {}\n", mutant.id, where);
  }
}

template <class Condition>
std::vector<data::Case> cases_where(const Condition& condition) {
  std::vector<data::Case> cases = exact_checks.cases(data::Tier::smoke, 1);
  std::erase_if(cases, [&](const data::Case& one) { return !condition(one.problem); });
  return cases;
}

TEST(ExactKernels, OneSampleOfSixtyFiveThousandIsMissed) {
  expect_caught({Bug::statistics_last_skipped, Bug::dgamma_last_skipped,
                 Bug::statistics_tail_skipped, Bug::backward_tail_skipped, Bug::samples_of_16_bits,
                 Bug::count_m_minus_one, Bug::variance_unbiased, Bug::saved_variance_unbiased},
                cases_where([](const abn_problem& p) { return problem::sample_count(p) > 65536; }));
}

TEST(ExactKernels, SumsAndProductsOfTooFewBitsAreFound) {
  expect_caught({Bug::accumulate_f16, Bug::accumulate_bf16, Bug::backward_accumulate_bf16,
                 Bug::products_in_tf32, Bug::gradients_in_storage, Bug::parameters_in_storage,
                 Bug::statistics_in_storage, Bug::truncated_store, Bug::rstd_two_newton_steps},
                cases_where([](const abn_problem& p) { return p.dtype != ABN_F64; }));
  expect_caught({Bug::accumulate_f32},
                cases_where([](const abn_problem& p) { return p.dtype == ABN_F64; }));
}

TEST(ExactKernels, TailsAndBranchesAreFound) {
  expect_caught(
      {Bug::row_tail_shifted, Bug::row_tail_unwritten, Bug::nhwc_tail_channels,
       Bug::last_element_unwritten, Bug::count_in_f16, Bug::channels_modulo_64,
       Bug::channels_behind_64_dropped, Bug::images_modulo_32, Bug::zero_negative,
       Bug::branch_of_xhat, Bug::branch_of_xhat_forward, Bug::matrix_path_unbiased,
       Bug::one_image_path_without_term, Bug::dgamma_sign_lost, Bug::abs_eps_without_eps,
       Bug::in_place_2_without_beta, Bug::welford_delta_squared, Bug::every_other_call_off},
      cases_where([](const abn_problem&) { return true; }));
}

}  // namespace
