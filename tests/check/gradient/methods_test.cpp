// The methods that find derivatives by number, on functions of known difficulty: the error is
// within the bar, and the bar is of use.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "reference/dual.hpp"
#include "reference/multiprecision.hpp"
#include "verify/check/gradient/methods.hpp"
#include "verify/data/random.hpp"

namespace abn::verify::check::gradient {
namespace {

using reference::Real100;
using reference::Real50;

constexpr double u = 0x1p-53;
// How much wider than the true error a bar may be on a smooth function.
constexpr double usefulness = 1e4;
// The bar of an extrapolated value is the error of its parents, of an order less and at twice the
// step: with a wide step, where the order is 8 and truncation rules, they are that much worse.
constexpr double usefulness_of_order_8 = 1e5;

/// A function with its derivative, both as templates over the scalar.
template <class T>
struct Known {
  std::string name;
  std::function<T(const T&)> f, derivative;
  std::vector<double> at;
};

template <class T>
std::vector<Known<T>> smooth_functions() {
  using std::exp;
  return {
      {"exp",
       [](const T& x) -> T { return exp(x); },
       [](const T& x) -> T { return exp(x); },
       {-3, -0.1, 0, 0.7, 1.9999999999999998, 2}},
      {"1/(1+x^2)",
       [](const T& x) -> T { return 1 / (1 + x * x); },
       [](const T& x) -> T { return -2 * x / ((1 + x * x) * (1 + x * x)); },
       {-2, -0.3, 0.4, 1, 5}},
      {"1/(1+x^2) at its inflection",
       [](const T& x) -> T { return 1 / (1 + x * x); },
       [](const T& x) -> T { return -2 * x / ((1 + x * x) * (1 + x * x)); },
       {0.57735026918962573}},
  };
}

/// The derivative of (1 - cos x)/x^2 near 0, by its series; the next term is below 1e-17 at x =
/// 0.1.
double cancelling_slope(double x) {
  return x * (-1.0 / 12 + x * x * (1.0 / 180 + x * x * (-1.0 / 6720 + x * x / 453600)));
}

/// A few roundings of one value of f; the functions above take fewer than 4.
template <class T>
T noise_of(const T& value) {
  using std::abs;
  return 4 * unit_roundoff<T>() * abs(value);
}

template <class T>
double error_over_bar(const EstimateOf<T>& estimate, const T& exact) {
  using std::abs;
  return static_cast<double>(T(abs(T(estimate.value - exact)) / estimate.error));
}

TEST(CentralDifference, CoversItsErrorOnSmoothFunctionsInDouble) {
  for (const auto& known : smooth_functions<double>())
    for (const double x : known.at)
      for (const double step : {0.5, 0.1, 0.02, 1e-3}) {
        const double exact = known.derivative(x);
        const Estimate estimate = ridders(known.f, x, step, noise_of(known.f(x)));
        SCOPED_TRACE(known.name + " at " + std::to_string(x) + " step " + std::to_string(step));
        EXPECT_LE(error_over_bar(estimate, exact), 1);
        EXPECT_FALSE(estimate.kink);
        // The bar is of use: no wider than 1e4 true errors, or than what rounding alone makes of
        // the step.
        const double floor =
            std::max(std::abs(estimate.value - exact), u * std::abs(known.f(x)) / step);
        EXPECT_LE(estimate.error, (step > 0.1 ? usefulness_of_order_8 : usefulness) * floor);
        // A derivative off by 1e-6 is caught, and one off by 10 bars.
        if (step <= 0.1) {
          EXPECT_GT(error_over_bar(estimate, exact * (1 + 1e-6)), 1);
        }
        EXPECT_GT(error_over_bar(estimate, exact + 10 * estimate.error), 1);
      }
}

TEST(CentralDifference, CoversItsErrorIn50And100Digits) {
  const auto check = [](auto type, double step, double digits) {
    using T = decltype(type);
    for (const auto& known : smooth_functions<T>())
      for (const double at : known.at) {
        const T x(at);
        const T exact = known.derivative(x);
        const EstimateOf<T> estimate =
            central_difference<T>(known.f, x, T(step), noise_of<T>(known.f(x)), 4);
        SCOPED_TRACE(known.name + " at " + std::to_string(at));
        EXPECT_LE(error_over_bar<T>(estimate, exact), 1);
        EXPECT_FALSE(estimate.kink);
        EXPECT_LT(estimate.error, std::pow(10.0, -digits));
        EXPECT_GT(error_over_bar<T>(estimate, exact * (1 + T(1e-6))), 1);
        EXPECT_GT(error_over_bar<T>(estimate, exact + 10 * estimate.error), 1);
      }
  };
  check(Real50(), 1e-10, 36);
  check(Real100(), 1e-20, 75);
}

// Over a step sequence the order of the value rises by 2 a level: halving the step divides the
// error by 2^(2 levels).
TEST(CentralDifference, HasOrderTwoToEight) {
  const auto f = [](const Real100& x) -> Real100 { return exp(x); };
  const Real100 exact = exp(Real100(1));
  const auto table_corner = [&](int levels, double step) -> Real100 {
    std::vector<CentralLevel<Real100>> taken;
    for (int k = 0; k < levels; ++k, step /= 2) {
      const Real100 left = 1 - Real100(step), right = 1 + Real100(step);
      taken.push_back(
          central_level<Real100>(left, Real100(1), right, f(left), f(Real100(1)), f(right)));
    }
    return abs(extrapolate<Real100>(std::span<const CentralLevel<Real100>>(taken), Real100("1e-99"))
                   .value -
               exact);
  };
  for (int levels = 1; levels <= 4; ++levels) {
    const double order = std::log2(static_cast<double>(
        Real100(table_corner(levels, 0x1p-10) / table_corner(levels, 0x1p-11))));
    EXPECT_NEAR(order, 2 * levels, 0.01);
  }
}

TEST(CentralDifference, OneLevelOrAValueThatIsNotFiniteHasNoBar) {
  const CentralLevel<double> one = central_level(0.5, 1.0, 1.5, 1.0, 2.0, 3.0);
  EXPECT_TRUE(
      std::isinf(extrapolate<double>(std::span<const CentralLevel<double>>(&one, 1), 0.0).error));
  EXPECT_TRUE(std::isinf(ridders([](double x) { return 1 / (x - x); }, 1, 0.1, 1e-16).error));
  EXPECT_TRUE(std::isinf(ridders([](double x) { return std::sqrt(x); }, 0.0, 0.1, 1e-16).error));
}

// Steps are powers of two; where x + h needs a digit more than there is, the point in fact taken
// counts.
TEST(CentralDifference, DividesByTheStepThatWasTaken) {
  EXPECT_EQ(exact_step(0.1), 0.0625);
  EXPECT_EQ(exact_step(0.25), 0.25);
  EXPECT_EQ(exact_step(0.0), 0.0);
  const double x = std::nextafter(2.0, 0.0);
  const Estimate line = ridders([](double t) { return 3 * t; }, x, 0.1, 0.0);
  EXPECT_NEAR(line.value, 3, 1e-14);
  EXPECT_LE(std::abs(line.value - 3), line.error);
}

/// sin(x) with independent noise, uniform in +-size.
double noisy_sine(double x, double size) {
  return std::sin(x) +
         size *
             data::Stream(static_cast<std::uint64_t>(std::llround(x * 0x1p40))).uniform(-1, 1, 0);
}

TEST(CentralDifference, CoversPlantedNoise) {
  int tight = 0, all = 0;
  for (const double size : {1e-12, 1e-8, 1e-5, 1e-3})
    for (int i = 0; i < 200; ++i) {
      const double x = 0.1 + 0.006 * i;
      const double step = 4 * balanced_step(size, 1);
      const Estimate estimate =
          ridders([&](double t) { return noisy_sine(t, size); }, x, step, size + u);
      EXPECT_LE(std::abs(estimate.value - std::cos(x)), estimate.error) << size << " at " << x;
      ++all;
      tight += estimate.error < 100 * std::cbrt(size * size);
    }
  EXPECT_GT(tight, all * 9 / 10);  // cbrt(noise^2) is what the best step of order 2 leaves
}

TEST(CentralDifference, CoversCancellation) {
  // (1 - cos x)/x^2 near 0 loses all digits of the numerator: noise u/x^2.
  for (const double x : {1e-1, 1e-2, 1e-3, 1e-4}) {
    const auto f = [](double t) { return (1 - std::cos(t)) / (t * t); };
    const double exact = cancelling_slope(x);
    const double smallest = x / 2;  // the points lie between x/2 and 3x/2
    const Estimate estimate = ridders(f, x, x / 2, 4 * u / (smallest * smallest));
    EXPECT_LE(std::abs(estimate.value - exact), estimate.error) << x;
    EXPECT_LE(estimate.error, usefulness * u / (x * x * x)) << x;
  }
  // (x - 1)^20, multiplied out: terms up to 184756 that cancel.
  const auto expanded = [](double x) {
    double sum = 0, coefficient = 1, power = 1;
    for (int k = 0; k <= 20; ++k) {
      sum += (k % 2 == 0 ? 1 : -1) * coefficient * power;
      coefficient *= (20.0 - k) / (k + 1);
      power *= x;
    }
    return sum;
  };
  for (const double x : {0.5, 0.9, 1.0, 1.1, 1.3}) {
    const double exact = 20 * std::pow(x - 1, 19);
    const double terms = std::pow(1 + x + 0.125, 20);  // sum of |terms| at the farthest point
    const Estimate estimate = ridders(expanded, x, 0.125, 40 * u * terms);
    EXPECT_LE(std::abs(estimate.value - exact), estimate.error) << x;
    EXPECT_LE(estimate.error, usefulness * 40 * u * terms / 0.125) << x;
  }
}

// Never a wrong value with a small bar: whichever slope of the kink is meant, the bar covers it,
// wherever the kink lies between the steps.
TEST(CentralDifference, CoversKinks) {
  struct Bent {
    const char* name;
    double left, right, curve;
  };
  int flagged = 0, straddling = 0;
  for (const Bent& bent : {Bent{"|x|", -1, 1, 0}, Bent{"leaky ReLU", 0.01, 1, 0},
                           Bent{"bent parabola", 0.5, 1, 3}, Bent{"nearly straight", 0.99, 1, 0.5}})
    for (int i = -400; i <= 400; ++i) {
      const double x = i / 256.0 * 0.0625;
      const auto f = [&](double t) {
        return (t < 0 ? bent.left : bent.right) * t + bent.curve * t * t + 0.1 * std::exp(t);
      };
      const double around = 2 * bent.curve * x + 0.1 * std::exp(x);
      const Estimate estimate = ridders(f, x, 0.0625, 8 * u);
      const double left = bent.left + around, right = bent.right + around;
      if (x <= 0) {
        EXPECT_LE(std::abs(estimate.value - left), estimate.error) << bent.name << " at " << x;
      }
      if (x >= 0) {
        EXPECT_LE(std::abs(estimate.value - right), estimate.error) << bent.name << " at " << x;
      }
      if (std::abs(x) < 0.0625 / 16 * 0.4) ++straddling, flagged += estimate.kink;
      if (std::abs(x) > 0.0625) {
        EXPECT_FALSE(estimate.kink) << bent.name << " at " << x;
        EXPECT_LT(estimate.error, 1e-9) << bent.name << " at " << x;
      }
    }
  EXPECT_EQ(flagged, straddling);
}

// The same at random: sines, exponentials and lines with a kink anywhere and of any size, also one
// that hides behind the curvature.
TEST(CentralDifference, CoversRandomBentFunctions) {
  int outside = 0, false_alarms = 0, useless = 0;
  for (std::uint64_t key = 0; key < 100000; ++key) {
    const data::Stream stream(key);
    const double sine = stream.normal(0), power = stream.normal(1),
                 frequency = stream.power_of_two(-3, 2, 2), rate = stream.normal(3);
    const double phase = stream.uniform(0, 6, 4), line = stream.normal(5),
                 step = stream.power_of_two(-8, -2, 6);
    const bool bent = key % 2 == 1;
    const double jump = bent ? stream.power_of_two(-12, 1, 7) * stream.sign(8) : 0;
    const double near = key % 5 == 0 ? stream.power_of_two(-10, 0, 9) : 1;
    const double at = stream.uniform(-1.2, 1.2, 10) * step * near;
    const auto f = [&](double x) {
      return sine * std::sin(frequency * x + phase) + power * std::exp(rate * x) + line * x +
             jump * std::abs(x - at) / 2;
    };
    const double exact =
        sine * frequency * std::cos(phase) + power * rate + line + (at < 0 ? jump : -jump) / 2;
    const Estimate estimate =
        ridders(f, 0, step, 8 * u * (std::abs(sine) + 2 * std::abs(power) + 1));
    outside += !(std::abs(estimate.value - exact) <= estimate.error);
    false_alarms += !bent && estimate.kink;
    useless += !bent && estimate.error > 1e-5;
  }
  EXPECT_EQ(outside, 0);
  EXPECT_EQ(false_alarms, 0);
  EXPECT_EQ(useless, 0);
}

// ---- complex steps and duals
// ----------------------------------------------------------------------

TEST(ComplexStep, CoversItsErrorAndIsOfUse) {
  using C = std::complex<double>;
  constexpr double roundings_of_f = 8;
  for (const double x : {-3.0, -0.3, 0.4, 1.0, 5.0}) {
    const Estimate exponential =
        complex_step([](const C& t) { return std::exp(t); }, x, 1, roundings_of_f * std::exp(x));
    EXPECT_LE(error_over_bar(exponential, std::exp(x)), 1) << x;
    const double q = 1 + x * x, exact = -2 * x / (q * q);
    const Estimate quotient = complex_step([](const C& t) { return 1.0 / (1.0 + t * t); }, x, 1,
                                           roundings_of_f * std::abs(exact));
    EXPECT_LE(error_over_bar(quotient, exact), 1) << x;
    EXPECT_LE(quotient.error, usefulness * u * std::abs(exact));
    EXPECT_GT(error_over_bar(quotient, exact * (1 + 1e-6)), 1);
    EXPECT_GT(error_over_bar(quotient, exact + 10 * quotient.error), 1);
  }
  // What cancels in the derivative is what the bar has to carry: terms of size 1/x^2 times the
  // condition.
  for (const double x : {1e-1, 1e-2, 1e-3}) {
    const Estimate estimate = complex_step([](const C& t) { return (1.0 - std::cos(t)) / (t * t); },
                                           x, x, roundings_of_f * 2 / (x * x * x));
    EXPECT_LE(error_over_bar(estimate, cancelling_slope(x)), 1) << x;
  }
  // A kink is seen by its branch alone, that of the real part.
  const auto absolute = [](const C& t) { return t.real() < 0 ? -t : t; };
  EXPECT_EQ(complex_step(absolute, -1e-300, 1, 1).value, -1);
  EXPECT_EQ(complex_step(absolute, 1e-300, 1, 1).value, 1);
}

TEST(DualDerivative, CoversItsErrorAndIsOfUse) {
  using D = reference::Dual<Real50>;
  constexpr double roundings_of_f = 8;
  for (const double at : {-3.0, -0.3, 0.4, 1.0, 5.0}) {
    const Real50 x(at), q = 1 + x * x, exact = -2 * x / (q * q);
    const auto quotient = dual_derivative<D, Real50>(
        [](const D& t) { return D(1) / (D(1) + t * t); }, x, roundings_of_f * abs(exact));
    EXPECT_LE(error_over_bar<Real50>(quotient, exact), 1) << at;
    EXPECT_LE(quotient.error, usefulness * unit_roundoff<Real50>() * abs(exact));
    EXPECT_LT(quotient.error, Real50("1e-48"));
    EXPECT_GT(error_over_bar<Real50>(quotient, exact * (1 + Real50(1e-6))), 1);
    EXPECT_GT(error_over_bar<Real50>(quotient, exact + 10 * quotient.error), 1);
    const auto exponential =
        dual_derivative<D, Real50>([](const D& t) { return exp(t); }, x, roundings_of_f * exp(x));
    EXPECT_LE(error_over_bar<Real50>(exponential, exp(x)), 1) << at;
  }
}

// ---- noise
// ----------------------------------------------------------------------------------------

TEST(MeasuredNoise, IsWithinAFactorOfFourOfPlantedNoise) {
  int close = 0, all = 0;
  for (const double size : {1e-14, 1e-10, 1e-6, 1e-3})
    for (int repeat = 0; repeat < 100; ++repeat) {
      std::vector<double> values;
      for (int i = 0; i < 13; ++i)
        values.push_back(
            noisy_sine(0.3 + repeat * 1e-3 + i * 1e-10 * (size > 1e-11 ? 1e3 : 1), size));
      const double deviation = size / std::sqrt(3.0), found = measured_noise(values);
      ++all;
      close += found > deviation / 4 && found < deviation * 4;
      EXPECT_GT(found, deviation / 16) << size;
      EXPECT_LT(found, deviation * 16) << size;
    }
  EXPECT_GE(close, all * 97 / 100);
}

TEST(MeasuredNoise, TellsAFunctionFromItsNoise) {
  std::vector<double> same(9, 0.25), wide, few(5, 1.0);
  EXPECT_EQ(measured_noise(same), 0);
  // Steps that are far too wide: differences of a steep exponential grow by a constant factor and
  // never change sign.
  for (int i = 0; i < 9; ++i) wide.push_back(std::exp(3.0 * i));
  EXPECT_TRUE(std::isnan(measured_noise(wide)));
  EXPECT_THROW(measured_noise(few), std::invalid_argument);
  // Rounding to double alone: a few u.
  std::vector<double> rounded;
  for (int i = 0; i < 9; ++i) rounded.push_back(std::sin(1.0 + i * 1e-9) * 3);
  const double found = measured_noise(rounded);
  EXPECT_GT(found, u / 8);
  EXPECT_LT(found, 16 * u);
}

TEST(MeasuredNoise, GivesTheStepThatCentralDifferencesWant) {
  // h^2/6 + noise/h has its least value at the step; both sides of it are worse.
  const double noise = 1e-12, step = balanced_step(noise, 1);
  const auto total = [&](double h) { return h * h / 6 + noise / h; };
  EXPECT_LT(total(step), total(1.1 * step));
  EXPECT_LT(total(step), total(step / 1.1));
}

}  // namespace
}  // namespace abn::verify::check::gradient
