// The gradient check of the reference: the reference passes it, and every planted wrong derivation
// fails it, under every method.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "verify/check/gradient/reference_check.hpp"
#include "verify/check/gradient/reference_derivation.hpp"
#include "verify/data/cases.hpp"

namespace abn::verify::check::gradient {
namespace {

using reference::ActivationKind;
using reference::Gradients;
using reference::ScaleConvention;

constexpr std::uint64_t seed = 7;
const char* const methods[] = {"central100", "complex", "dual50"};

enum class Bug : std::uint8_t {
  none,
  mean_term,
  xhat_term,
  phi_is_one,
  sign_of_gamma,
  eps_outside_root,
  m_less_one,
  in_place_sign,
  local_sums,
};

/// The gradients written out once more, in one place, with a bug.
template <class T>
Gradients<T> written_out(const OneChannel<T>& setup, Bug bug) {
  using reference::sqrt;
  const reference::Forward<T> kept = forward(setup);
  const reference::Channel<T>& channel = setup.channel;
  Vector<T> dy = setup.dz, xhat = kept.xhat;
  for (Eigen::Index i = 0; i < dy.size(); ++i)
    if (bug != Bug::phi_is_one) dy[i] *= channel.activation.derivative_from_input(kept.y[i]);
  T r = kept.r;
  if (bug == Bug::eps_outside_root) {
    r = T(1) / (sqrt(kept.variance) + channel.eps);
    xhat *= r / kept.r;
  }
  const T g = kept.g;
  Gradients<T> out{Vector<T>(dy.size()), T(0), dy.sum()};
  out.dgamma = (dy * xhat).sum();
  if (channel.scale == ScaleConvention::abs_eps && channel.gamma < 0 && bug != Bug::sign_of_gamma)
    out.dgamma = -out.dgamma;
  if (setup.frozen) {
    out.dx = g * r * dy;
    return out;
  }
  const std::vector<Eigen::Index> whole{dy.size()};
  Eigen::Index begin = 0;
  for (const Eigen::Index size : bug == Bug::local_sums ? setup.shards : whole) {
    if (size == 0) continue;
    const Vector<T> part = dy.segment(begin, size), part_xhat = xhat.segment(begin, size),
                    part_y = kept.y.segment(begin, size);
    const T s0 = part.sum(), s1 = (part * part_xhat).sum(), m = T(static_cast<double>(size));
    Vector<T> dx = part;
    if (bug == Bug::in_place_sign) {
      dx = (g * part - s1 / m * part_y - (g * s0 + channel.beta * s1) / m) / g;
    } else {
      if (bug != Bug::mean_term) dx -= s0 / m;
      if (bug != Bug::xhat_term)
        dx -= part_xhat * (s1 / (bug == Bug::m_less_one ? T(m - T(1)) : m));
    }
    out.dx.segment(begin, size) = g * r * dx;
    begin += size;
  }
  return out;
}

Derivation planted(Bug bug) {
  return {[bug](const OneChannel<double>& setup, Scheme) { return written_out(setup, bug); },
          [bug](const OneChannel<Real50>& setup, Scheme) { return written_out(setup, bug); },
          [bug](const OneChannel<Real100>& setup, Scheme) { return written_out(setup, bug); }};
}

/// The right gradients times a factor.
template <class T>
GradientFunction<T> scaled_by(const T& factor) {
  return [factor](const OneChannel<T>& setup, Scheme scheme) {
    Gradients<T> out = hand_derived(setup, scheme);
    out.dx *= factor, out.dgamma *= factor, out.dbeta *= factor;
    return out;
  };
}

/// Ordinary data under two activations, every convention, sign and mode.
std::vector<ReferenceCase> few_cases(Data data = Data::ordinary) {
  std::vector<ReferenceCase> few;
  for (const ReferenceCase& one : reference_cases()) {
    const bool chosen =
        (one.activation.kind == ActivationKind::leaky_relu && one.activation.parameter == 0.01) ||
        (one.activation.kind == ActivationKind::elu && one.activation.parameter == 2.5);
    if (chosen && one.data == data) few.push_back(one);
  }
  return few;
}

std::vector<ReferenceCase> without(std::vector<ReferenceCase> cases, bool frozen) {
  std::erase_if(cases, [&](const ReferenceCase& one) { return one.frozen == frozen; });
  return cases;
}

TEST(ReferenceGradientCheck, EveryRecordOfTheReferencePasses) {
  const std::vector<std::string> ids = reference_gradient_ids();
  EXPECT_EQ(ids.size(), 3u * 6 * 3 + 5);
  const std::vector<results::Record> records = check_reference_gradients("*", seed, 2);
  ASSERT_EQ(records.size(), ids.size());
  const std::size_t all = reference_cases().size();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const results::Record& record = records[i];
    EXPECT_EQ(record.id, ids[i]);
    EXPECT_EQ(record.verdict, results::Verdict::pass)
        << record.id << ": " << record.reason
        << (record.witnesses.empty() ? "" : record.witnesses[0].reason);
    EXPECT_EQ(record.tally.failed, 0u);
    EXPECT_GT(record.cases, all - 20);  // in place leaves out gamma = 0 under the signed convention
    EXPECT_GT(record.discriminating_cases * 10, record.cases * 9) << record.id;
    ASSERT_FALSE(record.witnesses.empty());
    EXPECT_NE(record.witnesses[0].reproduce.find("abn-verify grad " + record.id + " --seed 7"),
              std::string::npos);
  }
}

TEST(ReferenceGradientCheck, GivesTheSameBytesForAnyNumberOfThreads) {
  results::Results one, two;
  one.records = check_reference_gradients("reference/gradient/complex/*", seed, 1);
  two.records = check_reference_gradients("reference/gradient/complex/*", seed, 3);
  EXPECT_EQ(one.records.size(), 18u);
  EXPECT_EQ(results::to_json(one), results::to_json(two));
  EXPECT_TRUE(check_reference_gradients("two_sweep/*", seed, 1).empty());
}

// The data sit where their names say, or the edges would not be checked.
TEST(ReferenceGradientCheck, DataSitOnTheEdgesThatTheyAreNamedAfter) {
  const Real100 margin(0x1p-60);
  for (const ReferenceCase& one : reference_cases()) {
    const OneChannel<Real100> setup = make_setup(one, seed, margin);
    const reference::Forward<Real100> kept = forward(setup);
    SCOPED_TRACE(describe(one));
    EXPECT_TRUE((setup.dz > 0).any() && (setup.dz < 0).any());
    EXPECT_GT(abs(setup.dz.sum()), Real100(0.01));
    Eigen::Index sharded = 0;
    for (const Eigen::Index size : setup.shards) sharded += size;
    EXPECT_EQ(sharded, setup.x.size());
    switch (one.data) {
      case Data::kink:
        EXPECT_LT(kept.y[2] * kept.y[5], 0);
        EXPECT_LE(abs(kept.y[2]), margin * 1.01);
        EXPECT_GE(abs(kept.y[2]), margin * 0.49);
        break;
      case Data::tiny_variance:
        EXPECT_LT(kept.variance, 1e-6 * setup.channel.eps);
        break;
      case Data::eps_zero:
        EXPECT_EQ(setup.channel.eps, 0);
        break;
      case Data::gamma_zero:
        EXPECT_EQ(setup.channel.gamma, 0);
        break;
      case Data::constant:
        EXPECT_EQ(reference::statistics(setup.x).m2, 0);
        break;
      case Data::two_samples:
        EXPECT_EQ(setup.x.size(), 2);
        break;
      case Data::saturated:
        EXPECT_TRUE((kept.y < -20).all() && (kept.y < -29).any());
        break;
      default:
        break;
    }
  }
}

struct Planted {
  const char* name;
  Bug bug;
  const char *scheme, *output;
};

class ReferenceGradientPlanted : public testing::TestWithParam<Planted> {};

TEST_P(ReferenceGradientPlanted, FailsUnderEveryMethod) {
  const Planted& one = GetParam();
  // Where the bug makes no difference, in frozen mode, its cases pass; so only training is asked,
  // which must fail.
  const std::vector<ReferenceCase> cases = without(few_cases(), true);
  std::vector<std::string> patterns;
  for (const char* method : methods)
    patterns.push_back(std::string("reference/gradient/") + method + "/" + one.scheme + "/" +
                       one.output);
  if (std::string(one.scheme) != "standard")
    patterns.push_back(std::string("reference/gradient/real50/") + one.scheme + "/agreement");
  for (const std::string& pattern : patterns) {
    const std::vector<results::Record> right =
        check_gradients(planted(Bug::none), cases, pattern, seed, 1);
    ASSERT_EQ(right.size(), 1u) << pattern;
    EXPECT_EQ(right[0].verdict, results::Verdict::pass)
        << pattern << ": without the bug: " << right[0].reason << right[0].witnesses[0].reason;
    const std::vector<results::Record> wrong =
        check_gradients(planted(one.bug), cases, pattern, seed, 1);
    ASSERT_EQ(wrong.size(), 1u);
    EXPECT_EQ(wrong[0].verdict, results::Verdict::fail) << pattern;
    EXPECT_GT(wrong[0].tally.max_ratio, 1e6) << pattern;
    const results::Witness& witness = wrong[0].witnesses.at(0);
    EXPECT_NE(witness.reason.find("error above its bound: "), std::string::npos);
    EXPECT_NE(witness.reason.find("numeric "), std::string::npos);
    EXPECT_NE(witness.problem.find("training, ordinary"), std::string::npos);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Bugs, ReferenceGradientPlanted,
    testing::Values(Planted{"MeanTerm", Bug::mean_term, "standard", "dx"},
                    Planted{"XhatTerm", Bug::xhat_term, "checkpoint_xhat", "dx"},
                    Planted{"PhiIsOne", Bug::phi_is_one, "in_place_1", "dbeta"},
                    Planted{"SignOfGamma", Bug::sign_of_gamma, "checkpoint_x", "dgamma"},
                    Planted{"EpsOutsideRoot", Bug::eps_outside_root, "standard", "dgamma"},
                    Planted{"MLessOne", Bug::m_less_one, "in_place_1", "dx"},
                    Planted{"InPlaceSign", Bug::in_place_sign, "in_place_2", "dx"},
                    Planted{"LocalSums", Bug::local_sums, "sync", "dx"}),
    [](const auto& planted_bug) { return std::string(planted_bug.param.name); });

TEST(ReferenceGradientCheck, FindsGradientsThatAreZero) {
  const auto nothing = [](const auto& setup, Scheme) {
    using T = typename std::decay_t<decltype(setup.x)>::Scalar;
    return Gradients<T>{Vector<T>::Constant(setup.x.size(), T(0)), T(0), T(0)};
  };
  const std::vector<results::Record> records =
      check_gradients({nothing, nothing, nothing}, few_cases(Data::kink), "*", seed, 2);
  EXPECT_EQ(records.size(), reference_gradient_ids().size());
  for (const results::Record& record : records) {
    EXPECT_EQ(record.verdict, results::Verdict::fail) << record.id;
    EXPECT_EQ(record.failed_cases, record.cases) << record.id;
  }
}

// The bars are as narrow as the arithmetic allows: an error far below what double shows fails in 50
// and 100 digits.
TEST(ReferenceGradientCheck, FindsErrorsFarBelowOneInAMillion) {
  struct Size {
    double in_double;
    const char *in_real50, *in_real100;
  };
  for (const Size& size : {Size{1e-6, "1e-6", "1e-6"}, Size{1e-10, "1e-40", "1e-46"}}) {
    const Derivation wrong{scaled_by<double>(1 + size.in_double),
                           scaled_by<Real50>(1 + Real50(size.in_real50)),
                           scaled_by<Real100>(1 + Real100(size.in_real100))};
    for (const char* method : methods)
      for (const results::Record& record : check_gradients(
               wrong, few_cases(), std::string("*/") + method + "/in_place_?/*", seed, 1)) {
        EXPECT_EQ(record.verdict, results::Verdict::fail)
            << record.id << " off by " << size.in_double;
        EXPECT_EQ(record.failed_cases, record.cases) << record.id << " off by " << size.in_double;
      }
  }
}

/// The right gradients with dbeta off by `error`.
template <class T>
GradientFunction<T> with_dbeta_off_by(double error) {
  return [error](const OneChannel<T>& setup, Scheme scheme) {
    Gradients<T> out = hand_derived(setup, scheme);
    out.dbeta += T(error);
    return out;
  };
}

// An error of ten bars fails in every case, one of half a bar in none.
TEST(ReferenceGradientCheck, TellsTenBarsFromHalfABar) {
  for (const Data data : {Data::ordinary, Data::kink, Data::saturated, Data::outlier})
    for (const ReferenceCase& one : few_cases(data))
      for (const char* method : methods) {
        const std::string id = std::string("reference/gradient/") + method + "/standard/dbeta";
        const double bar = check_gradients({}, {one}, id, seed, 1).at(0).witnesses.at(0).bound;
        ASSERT_GT(bar, 0) << describe(one);
        const auto off_by = [](double error) {
          return Derivation{with_dbeta_off_by<double>(error), with_dbeta_off_by<Real50>(error),
                            with_dbeta_off_by<Real100>(error)};
        };
        EXPECT_EQ(check_gradients(off_by(10 * bar), {one}, id, seed, 1).at(0).verdict,
                  results::Verdict::fail)
            << id << " " << describe(one);
        EXPECT_EQ(check_gradients(off_by(bar / 2), {one}, id, seed, 1).at(0).failed_cases, 0u)
            << id << " " << describe(one);
      }
}

// A NaN is no gradient, under any bar.
TEST(ReferenceGradientCheck, FindsNan) {
  const auto nan = [](const OneChannel<double>& setup, Scheme) {
    return Gradients<double>{Vector<double>::Constant(setup.x.size(), std::nan("")), std::nan(""),
                             std::nan("")};
  };
  Derivation wrong;
  wrong.in_double = nan;
  for (const results::Record& record :
       check_gradients(wrong, few_cases(), "*/complex/standard/*", seed, 1))
    EXPECT_EQ(record.failed_cases, record.cases) << record.id;
}

}  // namespace
}  // namespace abn::verify::check::gradient
