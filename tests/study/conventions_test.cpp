// Every convention that a kernel may have is planted and has to be named; what is no convention
// must not be.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "cuda/registry.h"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/conventions.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::study;

/// A right in-place kernel whose conventions are plain functions: identity activation, f32 storage,
/// arithmetic in double.
struct Conventions {
  std::function<double(double v, double eps, double m)> under_root = [](double v, double eps,
                                                                        double) { return v + eps; };
  std::function<double(double gamma, double eps, bool abs_eps)> scale = [](double gamma, double eps,
                                                                           bool abs_eps) {
    return abs_eps ? std::fabs(gamma) + eps : gamma;
  };
  std::function<double(double v, double eps, double m)> kept = [](double v, double, double) {
    return v;
  };
  std::function<double(double v, double eps, double m)> averaged = [](double v, double, double m) {
    return v * m / (m - 1);
  };
  std::function<double(double s, double eps, double m)> under_root_again =
      [](double s, double eps, double) { return s + eps; };
  bool swapped_momentum = false;
  /// phi'(0) of leaky ReLU in backward; nullptr: the kernel knows the identity alone
  double (*at_kink)(double slope) = nullptr;
  std::uint32_t saves = ABN_SAVES_VAR;
};
Conventions planted;  // the entries below are plain functions and reach it here

int planted_claims(const abn_problem* p, abn_claims* out) {
  const bool known = p->activation == ABN_IDENTITY ||
                     (p->activation == ABN_LEAKY_RELU && planted.at_kink != nullptr);
  if (p->dtype != ABN_F32 || !known) return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_IN_PLACE_1;
  out->statistics = ABN_TWO_PASS;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F64;
  out->saves = ABN_SAVES_Z | planted.saves;
  out->deterministic = 1;
  out->depth_statistics = out->depth_backward = p->n * p->s;
  return ABN_OK;
}

size_t no_workspace(const abn_problem*, int) { return 0; }

double slope_of(const abn_problem* p) {
  return p->activation == ABN_LEAKY_RELU ? p->activation_parameter : 1;
}

int planted_forward(const abn_problem* p, const abn_forward_args* a) {
  const auto m = static_cast<double>(p->s);
  for (std::int64_t c = 0; c < p->c; ++c) {
    const float* const x = static_cast<const float*>(a->x) + c * p->s;
    float* const z = static_cast<float*>(a->z) + c * p->s;
    double mean = 0, v = 0;
    for (std::int64_t i = 0; i < p->s; ++i) mean += x[i];
    mean /= m;
    for (std::int64_t i = 0; i < p->s; ++i) v += (x[i] - mean) * (x[i] - mean);
    v /= m;
    const double r = 1 / std::sqrt(planted.under_root(v, p->eps, m));
    const double g = planted.scale(static_cast<const float*>(a->gamma)[c], p->eps,
                                   p->scale == ABN_SCALE_ABS_EPS);
    for (std::int64_t i = 0; i < p->s; ++i) {
      const double y = g * ((x[i] - mean) * r) + static_cast<const float*>(a->beta)[c];
      z[i] = static_cast<float>(y < 0 ? slope_of(p) * y : y + 0.0);
    }
    if (a->mean != nullptr) static_cast<float*>(a->mean)[c] = static_cast<float>(mean);
    if (a->var != nullptr)
      static_cast<float*>(a->var)[c] = static_cast<float>(planted.kept(v, p->eps, m));
    const double weight = planted.swapped_momentum ? 1 - p->momentum : p->momentum;
    if (a->running_mean != nullptr) {
      float& average = static_cast<float*>(a->running_mean)[c];
      average = static_cast<float>((1 - weight) * average + weight * mean);
    }
    if (a->running_var != nullptr) {
      float& average = static_cast<float*>(a->running_var)[c];
      average =
          static_cast<float>((1 - weight) * average + weight * planted.averaged(v, p->eps, m));
    }
  }
  return ABN_OK;
}

int planted_backward(const abn_problem* p, const abn_backward_args* a) {
  const auto m = static_cast<double>(p->s);
  for (std::int64_t c = 0; c < p->c; ++c) {
    const float* const z = static_cast<const float*>(a->z) + c * p->s;
    const float* const dz = static_cast<const float*>(a->dz) + c * p->s;
    const double g = planted.scale(static_cast<const float*>(a->gamma)[c], p->eps,
                                   p->scale == ABN_SCALE_ABS_EPS);
    const double beta = static_cast<const float*>(a->beta)[c];
    const double r =
        1 / std::sqrt(planted.under_root_again(static_cast<const float*>(a->var)[c], p->eps, m));
    const double slope = slope_of(p);
    const auto xhat = [&](std::int64_t i) { return (z[i] / (z[i] < 0 ? slope : 1) - beta) / g; };
    const auto dy = [&](std::int64_t i) {
      return dz[i] * (z[i] < 0                                  ? slope
                      : z[i] == 0 && planted.at_kink != nullptr ? planted.at_kink(slope)
                                                                : 1);
    };
    double s0 = 0, s1 = 0;
    for (std::int64_t i = 0; i < p->s; ++i) {
      s0 += dy(i);
      s1 += dy(i) * xhat(i);
    }
    if (a->dgamma != nullptr) static_cast<float*>(a->dgamma)[c] = static_cast<float>(s1);
    if (a->dbeta != nullptr) static_cast<float*>(a->dbeta)[c] = static_cast<float>(s0);
    if (a->dx == nullptr) continue;
    for (std::int64_t i = 0; i < p->s; ++i)
      static_cast<float*>(a->dx)[c * p->s + i] =
          static_cast<float>(g * r * (dy(i) - s0 / m - xhat(i) * (s1 / m)));
  }
  return ABN_OK;
}

const abn_variant planted_variant = {ABN_ABI_VERSION,          sizeof(abn_variant), "planted",
                                     "whatever the test says", ABN_MEMORY_HOST,     0,
                                     planted_claims,           no_workspace,        planted_forward,
                                     planted_backward};

Study study_of(const abn_variant& variant) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  return conventions_study(subject, 1);
}

/// The convention that a study names for a question.
std::string named(const Study& study, const std::string& question) {
  for (const auto& row : table_of(study, "findings").rows)
    if (std::get<std::string>(row[0]).find(question) == 0) return std::get<std::string>(row[1]);
  return "no such question";
}

constexpr const char* forward_eps = "eps in forward";
constexpr const char* divisor = "variance that forward divides by";
constexpr const char* signed_scale = "scale where signed";
constexpr const char* absolute_scale = "scale where |gamma|";
constexpr const char* kept_variance = "saved variance s";
constexpr const char* running_variance = "running variance takes";
constexpr const char* backward_eps = "eps in backward";

std::string all_conclusions(const Study& study) {
  std::string text;
  for (const auto& sentence : study.conclusions) text += sentence + "\n";
  return text;
}

void expect_textbook(const Study& study) {
  EXPECT_EQ(named(study, forward_eps), "1/sqrt(v + eps)");
  EXPECT_EQ(named(study, divisor), "biased");
  EXPECT_EQ(named(study, signed_scale), "gamma");
  EXPECT_EQ(named(study, absolute_scale), "|gamma| + eps");
  EXPECT_EQ(named(study, kept_variance), "v, biased");
  EXPECT_EQ(named(study, running_variance), "v m/(m-1), unbiased");
  EXPECT_EQ(named(study, backward_eps), "1/sqrt(s + eps)");
  for (const char* question : {"phi'(0) of leaky ReLU", "phi'(0) of ELU"})
    if (named(study, question) != "no such question") {
      EXPECT_EQ(named(study, question), "1, from the right") << question;
    }
  EXPECT_NE(all_conclusions(study).find("backward uses the same 1/sigma as forward"),
            std::string::npos);
}

class ConventionsStudy : public testing::Test {
 protected:
  void SetUp() override { planted = {}; }
};

TEST_F(ConventionsStudy, NamesTheTextbook) {
  const Study study = study_of(planted_variant);
  expect_textbook(study);
  for (const auto& row : table_of(study, "findings").rows) {
    EXPECT_LE(std::get<double>(row[2]), 1) << std::get<std::string>(row[0]);
    // the next best is not close
    EXPECT_GT(std::get<double>(row[4]), 1000) << std::get<std::string>(row[0]);
  }
}

/// Every in-tree variant as the emulator runs it.
std::vector<const abn_variant*> in_tree() {
  std::vector<const abn_variant*> found;
  for (std::uint32_t i = 0; const abn_variant* const variant = abn_in_tree_variant(i); ++i)
    if (variant->memory == ABN_MEMORY_HOST) found.push_back(variant);
  return found;
}

std::filesystem::path studies() {
  const char* const root = std::getenv("ABN_SOURCE_DIR");
  return std::filesystem::path(root != nullptr ? root : ".") / "fixtures" / "studies";
}

TEST_F(ConventionsStudy, NamesTheInTreeVariantsOnTheEmulator) {
  EXPECT_FALSE(in_tree().empty());
  for (const abn_variant* const variant : in_tree()) {
    SCOPED_TRACE(variant->name);
    expect_textbook(study_of(*variant));
  }
}

/// Conventions are words and have to be the same; of ratios, what explains must explain and what
/// does not must not.
TEST_F(ConventionsStudy, ReproducesWhatIsCommittedOfEveryInTreeVariant) {
  for (const abn_variant* const variant : in_tree()) {
    SCOPED_TRACE(variant->name);
    const std::filesystem::path path =
        studies() / (std::string("conventions-") + variant->name + ".json");
    std::ifstream in(path);
    if (!in.good()) {
      ADD_FAILURE() << path << " is missing; make it: abn-verify study conventions "
                    << variant->name << " --device emulator --out "
                    << "fixtures/studies/conventions-" << variant->name << ".json";
      continue;
    }
    const Study fixture = study_from_json({std::istreambuf_iterator<char>(in), {}});
    const Study now = study_of(*variant);
    const Table &old_table = table_of(fixture, "findings"), &new_table = table_of(now, "findings");
    ASSERT_EQ(old_table.rows.size(), new_table.rows.size());
    for (std::size_t r = 0; r < old_table.rows.size(); ++r) {
      const auto &a = old_table.rows[r], &b = new_table.rows[r];
      for (const std::size_t column : {0, 1, 3})
        EXPECT_EQ(show_cell(a[column]), show_cell(b[column])) << "row " << r;
      for (const std::size_t column : {2, 4})
        EXPECT_LE(std::fabs(std::log(std::get<double>(a[column]) / std::get<double>(b[column]))),
                  std::log(1.5))
            << "row " << r;
    }
    EXPECT_EQ(fixture.conclusions.back(), now.conclusions.back());
  }
}

TEST_F(ConventionsStudy, WhatIsCommittedIsOfVariantsThatExist) {
  const std::string head = "conventions-";
  for (const auto& entry : std::filesystem::directory_iterator(studies())) {
    const std::string name = entry.path().stem().string();
    if (name.rfind(head, 0) != 0) continue;
    const auto variants = in_tree();
    EXPECT_TRUE(std::any_of(variants.begin(), variants.end(),
                            [&](const abn_variant* one) { return head + one->name == name; }))
        << entry.path() << " is of no in-tree variant";
  }
}

TEST_F(ConventionsStudy, NamesEverySchemeOfTheReference) {
  for (const int scheme :
       {ABN_STANDARD, ABN_CHECKPOINT_X, ABN_CHECKPOINT_XHAT, ABN_IN_PLACE_1, ABN_IN_PLACE_2}) {
    SCOPED_TRACE(problem::scheme_name(scheme));
    expect_textbook(study_of(expect::reference_variant(expect::ReferenceArithmetic::f32, scheme)));
  }
}

TEST_F(ConventionsStudy, NamesEveryRootAndDivisor) {
  struct Case {
    const char* root;
    const char* again;  ///< the same in terms of the saved variance
    double (*under)(double v, double eps);
  };
  const Case cases[] = {
      {"1/sqrt(v + eps)", "1/sqrt(s + eps)", [](double v, double eps) { return v + eps; }},
      {"1/(sqrt(v) + eps)", "1/(sqrt(s) + eps)",
       [](double v, double eps) { return (std::sqrt(v) + eps) * (std::sqrt(v) + eps); }},
      {"1/sqrt(max(v, eps))", "1/sqrt(max(s, eps))",
       [](double v, double eps) { return std::max(v, eps); }},
      {"1/sqrt(v), eps missing", "1/sqrt(s)", [](double v, double) { return v; }},
  };
  for (const Case& one : cases)
    for (const bool unbiased : {false, true}) {
      SCOPED_TRACE(std::string(one.root) + (unbiased ? " unbiased" : " biased"));
      planted = {};
      planted.under_root = [&](double v, double eps, double m) {
        return one.under(unbiased ? v * m / (m - 1) : v, eps);
      };
      planted.kept = [&](double v, double, double m) { return unbiased ? v * m / (m - 1) : v; };
      planted.under_root_again = [&](double s, double eps, double) { return one.under(s, eps); };
      const Study study = study_of(planted_variant);
      EXPECT_EQ(named(study, forward_eps), one.root);
      EXPECT_EQ(named(study, divisor), unbiased ? "unbiased" : "biased");
      EXPECT_EQ(named(study, kept_variance), unbiased ? "v m/(m-1), unbiased" : "v, biased");
      EXPECT_EQ(named(study, backward_eps), one.again);
      EXPECT_NE(all_conclusions(study).find("backward uses the same 1/sigma"), std::string::npos)
          << all_conclusions(study);
    }
}

TEST_F(ConventionsStudy, TheMapShowsWhereAConventionMatters) {
  const Study textbook = study_of(planted_variant);
  ASSERT_EQ(textbook.grids.size(), 1u);
  for (const double percent : textbook.grids[0].measured) EXPECT_LT(percent, 0.001);
  planted.under_root = [](double v, double eps, double) {
    return (std::sqrt(v) + eps) * (std::sqrt(v) + eps);
  };
  const Grid grid = study_of(planted_variant).grids.at(0);
  double largest = 0;
  for (std::size_t i = 0; i < grid.measured.size(); ++i) {
    EXPECT_NEAR(grid.measured[i], grid.predicted[i], 0.001 * grid.predicted[i] + 0.001) << i;
    largest = std::max(largest, grid.measured[i]);
  }
  EXPECT_GT(largest, 100);  // tiny variances are where it matters
}

TEST_F(ConventionsStudy, NamesEveryScale) {
  const std::pair<const char*, double (*)(double, double)> scales[] = {
      {"gamma", [](double gamma, double) { return gamma; }},
      {"|gamma|", [](double gamma, double) { return std::fabs(gamma); }},
      {"|gamma| + eps", [](double gamma, double eps) { return std::fabs(gamma) + eps; }},
      {"gamma + eps", [](double gamma, double eps) { return gamma + eps; }},
  };
  for (const auto& [name, g] : scales) {
    planted.scale = [g = g](double gamma, double eps, bool) { return g(gamma, eps); };
    const Study study = study_of(planted_variant);
    EXPECT_EQ(named(study, signed_scale), name);
    EXPECT_EQ(named(study, absolute_scale), name);
    EXPECT_EQ(named(study, forward_eps), "1/sqrt(v + eps)") << name;
  }
}

TEST_F(ConventionsStudy, NamesWhatIsBakedIntoTheSavedVariance) {
  const std::pair<const char*, double (*)(double, double, double)> keeps[] = {
      {"v + eps, eps baked in", [](double v, double eps, double) { return v + eps; }},
      {"v m/(m-1) + eps, eps baked in",
       [](double v, double eps, double m) { return v * m / (m - 1) + eps; }},
      {"max(v, eps)", [](double v, double eps, double) { return std::max(v, eps); }},
      {"sqrt(v)", [](double v, double, double) { return std::sqrt(v); }},
      {"sqrt(v + eps)", [](double v, double eps, double) { return std::sqrt(v + eps); }},
      {"1/sqrt(v + eps)", [](double v, double eps, double) { return 1 / std::sqrt(v + eps); }},
  };
  for (const auto& [name, keep] : keeps) {
    planted.kept = keep;
    EXPECT_EQ(named(study_of(planted_variant), kept_variance), name);
  }
}

TEST_F(ConventionsStudy, SaysWhetherBackwardAgreesWithForward) {
  // eps baked in and not added again: a convention of its own, and consistent.
  planted.kept = [](double v, double eps, double) { return v + eps; };
  planted.under_root_again = [](double s, double, double) { return s; };
  Study study = study_of(planted_variant);
  // What is kept is never below eps, so that the data cannot tell these two apart, and the study
  // says so.
  EXPECT_EQ(named(study, backward_eps), "1/sqrt(max(s, eps)) or 1/sqrt(s)");
  EXPECT_NE(all_conclusions(study).find(
                "eps in backward: the data cannot separate 1/sqrt(max(s, eps)) or 1/sqrt(s)"),
            std::string::npos);
  EXPECT_NE(all_conclusions(study).find("backward uses the same 1/sigma"), std::string::npos);

  // Added twice.
  planted.under_root_again = [](double s, double eps, double) { return s + eps; };
  study = study_of(planted_variant);
  EXPECT_EQ(named(study, kept_variance), "v + eps, eps baked in");
  EXPECT_EQ(named(study, backward_eps), "1/sqrt(s + eps)");
  EXPECT_NE(all_conclusions(study).find("does NOT use forward's 1/sigma"), std::string::npos)
      << all_conclusions(study);

  // Bessel's correction in what is saved, undone in one kernel and forgotten in the other.
  planted.kept = [](double v, double, double m) { return v * m / (m - 1); };
  planted.under_root_again = [](double s, double eps, double m) { return s * (m - 1) / m + eps; };
  study = study_of(planted_variant);
  EXPECT_EQ(named(study, backward_eps), "1/sqrt(s (m-1)/m + eps)");
  EXPECT_NE(all_conclusions(study).find("backward uses the same 1/sigma"), std::string::npos);
  planted.under_root_again = [](double s, double eps, double) { return s + eps; };
  EXPECT_NE(all_conclusions(study_of(planted_variant)).find("does NOT use forward's 1/sigma"),
            std::string::npos);
}

TEST_F(ConventionsStudy, NamesTheRunningVariance) {
  for (const bool swapped : {false, true})
    for (const bool unbiased : {false, true})
      for (const bool baked : {false, true}) {
        planted = {};
        planted.swapped_momentum = swapped;
        planted.averaged = [&](double v, double eps, double m) {
          return (unbiased ? v * m / (m - 1) : v) + (baked ? eps : 0);
        };
        const std::string expected = std::string(unbiased ? "v m/(m-1)" : "v") +
                                     (baked      ? " + eps, eps baked in"
                                      : unbiased ? ", unbiased"
                                                 : ", biased") +
                                     (swapped ? ", momentum weighs the old value" : "");
        EXPECT_EQ(named(study_of(planted_variant), running_variance), expected);
      }
}

TEST_F(ConventionsStudy, NamesTheSideOfTheKink) {
  const std::string question = "phi'(0) of leaky ReLU";
  EXPECT_EQ(named(study_of(planted_variant), question), "no such question");  // identity alone
  planted.at_kink = [](double) { return 1.0; };
  EXPECT_EQ(named(study_of(planted_variant), question), "1, from the right");
  planted.at_kink = [](double slope) { return slope; };
  EXPECT_EQ(named(study_of(planted_variant), question), "the slope or alpha, from the left");
  planted.at_kink = [](double slope) {
    return (1 + slope) / 2;
  };  // a subgradient that nobody takes
  EXPECT_EQ(named(study_of(planted_variant), question), "none of the known conventions");
}

TEST_F(ConventionsStudy, NamesTheSideOfBothActivationsOfTheReference) {
  const Study study =
      study_of(expect::reference_variant(expect::ReferenceArithmetic::f32, ABN_IN_PLACE_1));
  EXPECT_EQ(named(study, "phi'(0) of leaky ReLU"), "1, from the right");
  EXPECT_EQ(named(study, "phi'(0) of ELU"), "1, from the right");
}

TEST_F(ConventionsStudy, NamesTheInverseStandardDeviationWhereItIsSaved) {
  planted.saves = ABN_SAVES_VAR | ABN_SAVES_INVSTD;
  planted.kept = [](double v, double eps, double) { return 1 / std::sqrt(v + eps); };
  planted.under_root_again = [](double s, double, double) { return 1 / (s * s); };
  const Study study = study_of(planted_variant);
  EXPECT_EQ(named(study, kept_variance), "1/sqrt(v + eps)");
  EXPECT_EQ(named(study, backward_eps), "s");
  EXPECT_NE(all_conclusions(study).find("backward uses the same 1/sigma"), std::string::npos);
}

TEST_F(ConventionsStudy, NamesAnEpsOfTheKernelsOwn) {
  struct Case {
    const char *root, *again;
    double (*eps)(double asked);
  };
  const Case cases[] = {
      {"1/sqrt(v + 1e-5), eps ignored", "1/sqrt(s + 1e-5), eps ignored",
       [](double) { return 1e-5; }},
      {"1/sqrt(v + 1e-3), eps ignored", "1/sqrt(s + 1e-3), eps ignored",
       [](double) { return 1e-3; }},
      {"1/sqrt(v + max(eps, 1e-5))", "1/sqrt(s + max(eps, 1e-5))",
       [](double asked) { return std::max(asked, 1e-5); }},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.root);
    planted = {};
    planted.under_root = [&](double v, double eps, double) { return v + one.eps(eps); };
    planted.under_root_again = [&](double s, double eps, double) { return s + one.eps(eps); };
    const Study study = study_of(planted_variant);
    EXPECT_EQ(named(study, forward_eps), one.root);
    EXPECT_EQ(named(study, backward_eps), one.again);
  }
}

TEST_F(ConventionsStudy, SaysThatItKnowsNoSuchConvention) {
  planted.under_root = [](double v, double eps, double) { return v + 2 * eps; };
  const Study study = study_of(planted_variant);
  EXPECT_EQ(named(study, forward_eps), "none of the known conventions");
  EXPECT_NE(
      all_conclusions(study).find("eps in forward: none of the known conventions; the nearest is "),
      std::string::npos)
      << all_conclusions(study);
  EXPECT_NE(all_conclusions(study).find("cannot be said"), std::string::npos);
}

TEST_F(ConventionsStudy, ANanExplainsNothing) {
  planted.under_root = [](double, double, double) { return -1.0; };
  const Study study = study_of(planted_variant);
  EXPECT_EQ(named(study, forward_eps), "none of the known conventions");
  EXPECT_EQ(named(study, kept_variance), "v, biased");
  EXPECT_NE(all_conclusions(study).find(
                "eps in forward: none of the known conventions, as an output is not finite."),
            std::string::npos);
}

TEST_F(ConventionsStudy, SaysWhatTheDataCannotSeparate) {
  const Finding finding{"eps", {{"a", 0.4}, {"b", 0.9}, {"c", 3}}};
  EXPECT_EQ(finding.answer(), Finding::Answer::several);
  EXPECT_EQ(finding.name(), "a or b");
  ASSERT_NE(finding.runner_up(), nullptr);
  EXPECT_EQ(finding.runner_up()->name, "c");
  const Finding none{"eps", {{"a", std::nan("")}}};
  EXPECT_EQ(none.answer(), Finding::Answer::none);
}

TEST_F(ConventionsStudy, TheSameSeedGivesTheSameBytes) {
  EXPECT_EQ(study_to_json(study_of(planted_variant)), study_to_json(study_of(planted_variant)));
}

TEST_F(ConventionsStudy, RefusesWhatCannotRun) {
  abn_variant unsupported = planted_variant;
  unsupported.claims = [](const abn_problem*, abn_claims*) -> int { return ABN_ERROR_UNSUPPORTED; };
  EXPECT_THROW(study_of(unsupported), problem::UsageError);
}

}  // namespace
