// The bounds measured again on fewer channels: none is exceeded, none is loose but where the
// committed study says so, and bounds that are too small are noticed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "verify/compare/compare.hpp"
#include "verify/data/given.hpp"
#include "verify/expect/expect.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/bounds_study.hpp"
#include "verify/study/simulate.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::study;

constexpr std::uint64_t few_channels = 1000 * 3;

const std::vector<BoundsResult>& results() {
  static const std::vector<BoundsResult> all = bounds_results(few_channels, 1, 0);
  return all;
}

Study committed() {
  const char* const root = std::getenv("ABN_SOURCE_DIR");
  const std::string path =
      std::string(root != nullptr ? root : ".") + "/fixtures/studies/bounds.json";
  std::ifstream in(path);
  EXPECT_TRUE(in.good()) << path;
  return study_from_json({std::istreambuf_iterator<char>(in), {}});
}

std::size_t column_of(const Table& table, const std::string& name) {
  const auto at = std::find_if(table.columns.begin(), table.columns.end(),
                               [&](const Column& column) { return column.name == name; });
  EXPECT_NE(at, table.columns.end()) << name;
  return static_cast<std::size_t>(at - table.columns.begin());
}

/// A row by the words in front of its numbers.
std::string key_of(const std::vector<Cell>& row) {
  std::string key;
  for (std::size_t i = 0; i < 6; ++i) key += show_cell(row[i]) + " ";
  return key;
}

double number(const Cell& cell) { return std::get<double>(cell); }

TEST(BoundsStudy, CoversEveryValueOfEveryClaimAndEveryPairThatABoundTellsApart) {
  std::set<std::tuple<int, int, int, bool, Summation>> forward;
  std::set<std::tuple<int, int, int, bool, Summation>> backward;
  std::set<int> dtypes, accumulates;
  for (const KernelClass& one : bounds_classes()) {
    forward.insert({one.dtype, one.accumulate, one.statistics, one.folded, one.summation});
    backward.insert({one.dtype, one.accumulate, one.scheme, one.folded, one.summation});
    dtypes.insert(one.dtype), accumulates.insert(one.accumulate);
  }
  EXPECT_EQ(dtypes.size(), 4u);
  EXPECT_EQ(accumulates.size(), 4u);
  EXPECT_EQ(forward.size(), 7u * 3 * 2 * 3);   // pairs of types, statistics, normalise, sums
  EXPECT_EQ(backward.size(), 7u * 5 * 2 * 3);  // pairs of types, schemes, normalise, sums
}

TEST(BoundsStudy, HasClassesOfEveryOtherConvention) {
  std::set<std::string> conventions, texts;
  for (const KernelClass& one : bounds_conventions()) {
    conventions.insert(convention_text(one));
    EXPECT_TRUE(texts.insert(class_text(one)).second) << class_text(one);
  }
  EXPECT_EQ(conventions, (std::set<std::string>{"activation rounded inside", "no inverse",
                                                "folded_apart", "tf32", "16-bit parameters",
                                                "z in f16", "z in bf16", "z in f32"}));
  for (const KernelClass& one : bounds_classes()) EXPECT_EQ(convention_text(one), "");
}

TEST(BoundsStudy, NoRightKernelIsAboveItsBound) {
  for (const BoundsResult& result : results()) {
    EXPECT_GE(result.channels,
              convention_text(result.declared).empty() ? few_channels : few_channels / 10);
    EXPECT_EQ(result.failed, 0u) << result.failure;
    for (const auto& cells : result.cells)
      for (const BoundsCell& cell : cells) EXPECT_LE(cell.largest, 1);
  }
}

/// With so few channels single cells may be loose by chance; a class as a whole is not, but where
/// the sums of narrow values are exact.
TEST(BoundsStudy, EveryClassUsesItsBounds) {
  for (const BoundsResult& result : results())
    for (const compare::Output output : bounds_outputs) {
      BoundsCell all;
      for (const BoundsCell& cell : result.of(output)) all += cell;
      const bool exact =
          all.largest == 0 && problem::format_of(result.declared.dtype).precision <
                                  problem::format_of(result.declared.accumulate).precision;
      if (!exact) {
        EXPECT_FALSE(is_loose(output, all)) << class_text(result.declared) << " "
                                            << compare::output_name(output) << " " << all.largest;
      }
    }
}

TEST(BoundsStudy, TheSameSeedGivesTheSameBytesForAnyNumberOfThreads) {
  constexpr std::uint64_t very_few = 20;
  const auto text = [](std::uint64_t seed, int threads) {
    return study_to_json(bounds_study(bounds_results(very_few, seed, threads), very_few, seed));
  };
  EXPECT_EQ(text(1, 1), text(1, 3));
  EXPECT_NE(text(1, 1), text(2, 1));
}

// ---- what is committed
// -------------------------------------------------------------------------------------------------

TEST(BoundsStudy, WhatIsCommittedIsAFullRunWithinAllBounds) {
  const Study study = committed();
  EXPECT_NE(study.conclusions.at(0).find("None of "), std::string::npos) << study.conclusions.at(0);
  for (const char* const name : {"forward", "backward", "conventions"}) {
    const Table& table = table_of(study, name);
    const std::size_t first = column_of(table, "kappa from, 1e0"),
                      loose = column_of(table, "loose from"), count = column_of(table, "channels");
    // mean, variance, z and of one scheme xhat
    if (name == std::string("forward")) {
      EXPECT_EQ(table.rows.size(), 126u * 3 + 42);
    } else if (name == std::string("backward")) {
      EXPECT_EQ(table.rows.size(), 210u * 3);
    } else {
      std::size_t with_xhat = 0;
      for (const KernelClass& one : bounds_conventions())
        with_xhat += one.scheme == ABN_CHECKPOINT_XHAT ? 1 : 0;
      EXPECT_EQ(table.rows.size(), bounds_conventions().size() * 6 + with_xhat);
    }
    for (const auto& row : table.rows) {
      const bool convention = name == std::string("conventions");
      EXPECT_GE(number(row[count]), static_cast<double>(bounds_channels) / (convention ? 10 : 1));
      const bool tensor =
          show_cell(row[0]) == "z" || show_cell(row[0]) == "xhat" || show_cell(row[0]) == "dx";
      for (int k = 0; k < kappa_decades; ++k) {
        const double ratio = number(row[first + static_cast<std::size_t>(k)]);
        if (std::isnan(ratio)) continue;
        EXPECT_LE(ratio, 1) << key_of(row);
        const bool said = show_cell(row[loose]).find("1e" + std::to_string(k)) != std::string::npos;
        EXPECT_EQ(said, ratio < (tensor ? sharp_element : sharp_reduction)) << key_of(row) << k;
      }
    }
  }
}

/// The reduced run is the beginning of the full one, so its largest ratios are not above those of
/// the full one but for the digits of ELU's functions in another C library.
TEST(BoundsStudy, TheReducedRunIsTheBeginningOfWhatIsCommitted) {
  constexpr double band = 1.5;
  const Study now = bounds_study(results(), few_channels, 1), then = committed();
  std::size_t compared = 0, equal = 0;
  for (const char* const name : {"forward", "backward", "conventions"}) {
    const Table &a = table_of(now, name), &b = table_of(then, name);
    ASSERT_EQ(a.rows.size(), b.rows.size());
    std::map<std::string, const std::vector<Cell>*> known;
    for (const auto& row : b.rows) known[key_of(row)] = &row;
    const std::size_t first = column_of(a, "kappa from, 1e0");
    for (const auto& row : a.rows) {
      ASSERT_TRUE(known.contains(key_of(row))) << key_of(row);
      for (std::size_t k = first; k < first + kappa_decades; ++k) {
        const double few = number(row[k]), many = number((*known[key_of(row)])[k]);
        if (std::isnan(few)) continue;
        EXPECT_LE(few, many * band) << key_of(row) << k - first;
        ++compared;
        equal += many <= few * band;
      }
    }
  }
  EXPECT_GT(compared, 5000u);
  EXPECT_GT(equal, compared / 4);  // and they are not far below either
}

// ---- bounds that are too small
// -------------------------------------------------------------------------------------------------

struct TooSmall {
  const char* what;
  KernelClass kernel;
  void (*claimed)(abn_claims&);
  compare::Output caught_by;
};

TEST(BoundsStudy, BoundsThatAreTooSmallAreNoticed) {
  const KernelClass plain{ABN_F32,     ABN_F32, ABN_TWO_PASS, false, Summation::sequential,
                          ABN_STANDARD};
  KernelClass one_pass = plain, folded = plain, pairwise = plain, in_place = plain, welford = plain;
  one_pass.statistics = ABN_ONE_PASS;
  welford.statistics = ABN_WELFORD;
  folded.folded = true;
  pairwise.summation = Summation::pairwise;
  in_place.scheme = ABN_IN_PLACE_1;
  const TooSmall planted[] = {
      {"half the additions of the mean", plain,
       [](abn_claims& c) { c.depth_statistics = (c.depth_statistics + 1) / 2; },
       compare::Output::mean},
      {"half the additions of the mean, by Welford", welford,
       [](abn_claims& c) { c.depth_statistics = (c.depth_statistics + 1) / 8; },
       compare::Output::mean},
      {"half the additions of sum(dy)", plain,
       [](abn_claims& c) { c.depth_backward = (c.depth_backward + 1) / 2; },
       compare::Output::dbeta},
      {"half the additions of sum(dy xhat)", in_place,
       [](abn_claims& c) { c.depth_backward = (c.depth_backward + 1) / 2; },
       compare::Output::dgamma},
      {"one pass taken for two", one_pass, [](abn_claims& c) { c.statistics = ABN_TWO_PASS; },
       compare::Output::variance},
      {"folded taken for direct", folded, [](abn_claims& c) { c.normalise = ABN_DIRECT; },
       compare::Output::z},
      {"f32 taken for f64", pairwise, [](abn_claims& c) { c.accumulate = ABN_F64; },
       compare::Output::dx},
  };
  for (const TooSmall& one : planted) {
    const BoundsResult wrong = bounds_of(one.kernel, few_channels, 1, one.claimed);
    EXPECT_GT(wrong.failed, 0u) << one.what;
    EXPECT_FALSE(wrong.failure.empty()) << one.what;
    double largest = 0;
    for (const BoundsCell& cell : wrong.of(one.caught_by))
      largest = std::max(largest, cell.largest);
    EXPECT_GT(largest, 1) << one.what << ": " << wrong.failure;
    EXPECT_EQ(bounds_of(one.kernel, few_channels, 1).failed, 0u) << one.what << ", repaired";
  }
}

TEST(BoundsStudy, SaysWhichKernelIsAboveWhichBound) {
  const KernelClass plain{ABN_F32,     ABN_F32, ABN_TWO_PASS, false, Summation::sequential,
                          ABN_STANDARD};
  const std::vector<BoundsResult> wrong{
      bounds_of(plain, few_channels, 1, [](abn_claims& c) { c.depth_statistics = 1; })};
  EXPECT_FALSE(all_within(wrong));
  const std::string text = study_text(bounds_study(wrong, few_channels, 1), true);
  EXPECT_NE(text.find("the bounds are wrong"), std::string::npos);
  EXPECT_NE(text.find("f32 accumulated in f32, two_pass, direct, sequential, standard"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("error above its bound"), std::string::npos) << text;
}

// ---- what the study found
// -------------------------------------------------------------------------------------------------

std::uint64_t failures(const problem::Inputs& inputs, const KernelClass& kernel,
                       const Liberties& free) {
  const abn_claims claims = claims_of(kernel, inputs.problem);
  const KernelOutputs got = simulate(inputs, {kernel, free});
  std::uint64_t failed = 0;
  for (const auto& expectations :
       {expect::expect_forward(inputs, claims), expect::expect_backward(inputs, got.saved, claims)})
    for (const compare::Expectation& e : expectations)
      failed += compare::compare_all(e, got.of(e.output)).failed;
  return failed;
}

/// beta is a normal number of f32 and a subnormal one of f16: reading it costs half a step, far
/// more than u beta.
TEST(SimulatedKernels, MayReadParametersThatAreSubnormalInANarrowAccumulator) {
  for (const int mode : {ABN_FROZEN, ABN_TRAINING})
    for (const int scheme : {ABN_IN_PLACE_1, ABN_IN_PLACE_2, ABN_STANDARD}) {
      const KernelClass kernel{ABN_F16, ABN_F16, ABN_TWO_PASS, false, Summation::pairwise, scheme};
      problem::Inputs inputs = data::parse_given(
          "given:x=0x1.f94p-1,0x1.f94p-1,0x1.f94p-1;dz=-0x1.4b8p-4,-0x1.854p-4,-0x1.188p-4;gamma="
          "0x1.23cfeep-13;beta=0x1.d576f4p-16;"
          "running_mean=0x1.f94p-1;running_var=0x1.8p-10",
          problem::parse_problem(mode == ABN_FROZEN ? "n1c1s3,f16,identity,eps:0.1,frozen"
                                                    : "n1c1s3,f16,identity,eps:0.1"));
      EXPECT_EQ(failures(inputs, kernel, {}), 0u)
          << problem::scheme_name(scheme) << " " << problem::mode_name(mode);
    }
}

/// Scheme II multiplies beta by S0 and by S1, which leaves f16 where an ELU far below 0 makes S0
/// nothing and beta is large.
TEST(SimulatedKernels, MayOverflowOnTheWayOfSchemeTwo) {
  const KernelClass kernel{ABN_F16,       ABN_F16, ABN_TWO_PASS, false, Summation::sequential,
                           ABN_IN_PLACE_2};
  const problem::Format &f16 = problem::format_of(ABN_F16), &f32 = problem::format_of(ABN_F32);
  problem::Inputs inputs;
  inputs.problem = problem::parse_problem("n1c1s42,f16,elu:1.7,eps:0.1");
  inputs.gamma = {problem::round_to(f32, -0.075)};
  for (int i = 0; i < 42; ++i) {
    inputs.x.push_back(problem::round_to(f16, -0.7 - 0.001 * (i % 7)));
    inputs.dz.push_back(problem::round_to(f16, -0.1 - 0.01 * (i % 5)));
  }
  for (const double beta : {-1.0, -32.0, -1024.0}) {
    inputs.beta = {beta};
    EXPECT_EQ(failures(inputs, kernel, {.reciprocals = true}), 0u) << beta;
  }
}

/// z and y are subnormal or nearly so: the bound of z/slope must not vanish where it is worked out.
TEST(SimulatedKernels, MayHaveAGammaThatIsSubnormalInDouble) {
  const KernelClass kernel{ABN_F64,       ABN_F64, ABN_TWO_PASS, false, Summation::sequential,
                           ABN_IN_PLACE_1};
  problem::Inputs inputs;
  inputs.problem = problem::parse_problem("n1c1s16,f64,leaky_relu:0.01");
  inputs.gamma = {-0x0.41ec0b740d5dp-1022};
  for (int i = 0; i < 16; ++i) {
    inputs.x.push_back(0x1.f20cc9p+22 + 0.3 * i);
    inputs.dz.push_back(0x1p-11 * (1 + 0.1 * (i % 3)));
  }
  for (int k = 0; k < 10; ++k) {
    inputs.beta = {-0x1.10beaa370d41p-1017 * (1 + 0.1 * k)};
    for (const bool reciprocals : {false, true})
      EXPECT_EQ(failures(inputs, kernel, {.reciprocals = reciprocals}), 0u) << reciprocals;
  }
}

/// Every step of Welford's mean divides, and may underflow.
TEST(SimulatedKernels, MayUnderflowInEveryStepOfWelford) {
  const KernelClass kernel{ABN_BF16,    ABN_F32, ABN_WELFORD, false, Summation::sequential,
                           ABN_STANDARD};
  problem::Inputs inputs;
  inputs.problem = problem::parse_problem("n1c1s64,bf16,identity,eps:1e-08");
  inputs.gamma = {1};
  inputs.beta = {0};
  for (int sign = -1; sign <= 1; sign += 2) {
    inputs.x.clear(), inputs.dz.clear();
    for (int i = 0; i < 64; ++i)
      inputs.x.push_back(sign * 0x1p-133 * (i % 7 + 3 * (i % 2))), inputs.dz.push_back(1);
    for (const bool reciprocals : {false, true})
      EXPECT_EQ(failures(inputs, kernel, {.reciprocals = reciprocals}), 0u) << reciprocals;
  }
}

/// x minus a running mean of the other sign may be no number of the accumulate type, though xhat is
/// one.
TEST(SimulatedKernels, MayOverflowInADifferenceFromAGivenMean) {
  for (const int scheme : {ABN_STANDARD, ABN_CHECKPOINT_X}) {
    const KernelClass kernel{ABN_F32, ABN_F32, ABN_TWO_PASS, false, Summation::sequential, scheme};
    const problem::Inputs inputs = data::parse_given(
        "given:x=0x1.fffffep+127,0x1p+0;dz=-0x1p-3,0x1p-2;gamma=0x1p+0;beta=0x0p+0;running_mean=-"
        "0x1p+123;running_var=0x1p+127",
        problem::parse_problem("n1c1s2,f32,elu:1,eps:0.001,frozen"));
    EXPECT_EQ(failures(inputs, kernel, {}), 0u) << problem::scheme_name(scheme);
  }
}

/// The mean is half of the smallest number that there is.
TEST(SimulatedKernels, MayRoundAMeanThatIsNoDouble) {
  const KernelClass kernel{ABN_F64,     ABN_F64, ABN_WELFORD, false, Summation::sequential,
                           ABN_STANDARD};
  problem::Inputs inputs;
  inputs.problem = problem::parse_problem("n1c1s2,f64,identity");
  inputs.gamma = {1};
  inputs.beta = {0};
  inputs.dz = {1, 2};
  constexpr double least = 0x1p-1074;
  for (const auto& x : {std::vector<double>{least, 0},
                        {-least, 0},
                        {0, least},
                        {0, -least},
                        {-least, least},
                        {least, 2 * least}}) {
    inputs.x = x;
    EXPECT_EQ(failures(inputs, kernel, {}), 0u) << x[0] << " " << x[1];
  }
}

/// Finite numbers whose variance is beyond double: z may be anything, and is beta where
/// 1/sqrt(infinity) is 0.
TEST(SimulatedKernels, MayOverflowInDouble) {
  const KernelClass kernel{ABN_F64,       ABN_F64, ABN_TWO_PASS, false, Summation::sequential,
                           ABN_IN_PLACE_1};
  problem::Inputs inputs;
  inputs.problem = problem::parse_problem("n1c1s3,f64,identity");
  inputs.gamma = {1};
  inputs.beta = {2};
  inputs.dz = {1, 2, 3};
  for (const double large : {1e200, 1e300, 0x1.fffffffffffffp+1023}) {
    inputs.x = {large, 1, -large};
    EXPECT_EQ(failures(inputs, kernel, {}), 0u) << large;
  }
}

TEST(SimulatedKernels, DeclareTheDepthOfTheirOrder) {
  KernelClass kernel;
  EXPECT_EQ(depth_of(kernel, 100), 9);
  EXPECT_EQ(depth_of(kernel, 3), 3);
  kernel.lanes = 256;
  EXPECT_EQ(depth_of(kernel, 1000), 12);
  kernel.summation = Summation::sequential;
  EXPECT_EQ(depth_of(kernel, 100), 100);
  kernel.summation = Summation::pairwise;
  EXPECT_EQ(depth_of(kernel, 100), 7);
  EXPECT_EQ(depth_of(kernel, 2), 1);
}

}  // namespace
