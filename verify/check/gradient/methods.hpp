// Derivatives by number, each with an error bar of its own: central differences, complex steps and
// dual numbers; and the noise of a function.
//
// Central differences. With D(h) = (f(x+h) - f(x-h)) / 2h, Taylor gives D(h) = f' + c2 h^2 + c4 h^4
// + ... Over steps h, h/2, h/4, ... Richardson's table removes one power a column (C. J. F.
// Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 4
// (1982)):
//   R(k,0) = D(h/2^k)      R(k,j) = R(k,j-1) + (R(k,j-1) - R(k-1,j-1)) / (4^j - 1)      of order
//   2j + 2
// The bar of an entry is the sum of
//   truncation   max(|R(k,j) - R(k,j-1)|, |R(k,j) - R(k-1,j-1)|), which is the error of the worse
//                of its two parents and so about 4^j times its own;
//   noise        if every value of f is off by at most `noise`, D(h) is off by noise/h, and a table
//                entry by the same combination of its parents' noise with absolute weights,
//                (4^j N(k,j-1) + N(k-1,j-1)) / (4^j - 1);
//   rounding     of the table itself, a few u |R|;
//   a kink       see below.
// The entry with the smallest bar is the estimate. A step is a power of two, so x+h and x-h are
// exact, unless x+h needs a digit more than T has; there the points that were in fact taken are
// divided by, and their asymmetry times |f''| is added to the bar.
//
// Kinks. At a kink central differences converge to the mean of two slopes, |x| at 0 even to 0 in
// every entry. What tells is the gap of the one-sided slopes, G(h) = (f(x+h) - 2 f(x) + f(x-h)) / h
// = J + h f'' + c3 h^3 + c5 h^5 + ..., with J the jump in slope, 0 where f is smooth. A table of
// its own removes the odd powers,
//   J(k,0) = G(h/2^k)      J(k,j) = J(k,j-1) + (J(k,j-1) - J(k-1,j-1)) / (2^(2j-1) - 1)
// so J(k,j) tells the jump but for O(h^(2j+1)), and J(k,j) - J(k,j-1) is O(h^(2j-1)). |J| + |J(k,j)
// - J(k,j-1)|, the jump and how far it is settled, is added twice to the bar of R(k,j), or the same
// with j+1 where that is less. At a kink this covers either slope, also where the jump and the
// curvature happen to cancel at one step. Where f is smooth, column j+1 makes it smaller than the
// truncation; an entry that already uses every level has no such column and pays an order. A jump
// below the noise of J cannot be told from it.
//
// Complex step (W. Squire and G. Trapp, "Using Complex Variables to Estimate Derivatives of Real
// Functions", SIAM Review 40 (1998)): f' = Im f(x + ih)/h - O(h^2), with nothing that cancels, so h
// is taken so small that h^2 is below every rounding. Dual numbers: the same with h^2 = 0. Both
// evaluate the sum that the chain rule gives, each product rounded: the error is at most u times
// the sum of the absolute terms times the number of roundings that a term passes. That sum,
// `terms`, is known to who wrote f. Branches of f are decided by the real part, so at a kink both
// give the slope of the branch that f itself takes.
//
// Noise (J. J. More and S. M. Wild, "Estimating Computational Noise", SIAM Journal on Scientific
// Computing 33 (2011)). Differences of order k of a smooth function at equal steps fall with k;
// those of independent noise with standard deviation s have mean square s^2 (2k)!/(k!)^2. So
//   s_k = sqrt( (k!)^2/(2k)! mean (Delta^k f)^2 )
// settles at s once the smooth part is gone.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstddef>
#include <limits>
#include <span>

namespace abn::verify::check::gradient {

/// A derivative and how far it may be off: |value - f'(x)| <= error.
template <class T>
struct EstimateOf {
  T value{0};
  T error{0};
  bool kink = false;  ///< the slopes to the left and to the right of x differ; `error` covers both
};
using Estimate = EstimateOf<double>;

/// Unit roundoff of T: half the distance from 1 to the next number.
template <class T>
T unit_roundoff() {
  return std::numeric_limits<T>::epsilon() / 2;
}

// ---- central differences ------------------------------------------------------------------------

inline constexpr int most_levels = 8;   ///< steps in one table
inline constexpr int most_columns = 4;  ///< of orders 2, 4, 6 and 8

/// What three values of f at one step say.
template <class T>
struct CentralLevel {
  T step{0};        ///< half the distance of the outer points
  T difference{0};  ///< D(h)
  T gap{0};         ///< G(h): slope to the right less slope to the left
  T asymmetry{0};   ///< how far x is from the middle of the outer points
};

/// The points must be in order, left < x < right. Steps and values may be of many channels at once:
/// this takes one of them.
template <class T>
CentralLevel<T> central_level(const T& left, const T& x, const T& right, const T& at_left,
                              const T& at_x, const T& at_right) {
  using std::abs;
  const T before = x - left;
  const T after = right - x;
  const T width = right - left;
  return {width / 2, (at_right - at_left) / width,
          (at_right - at_x) / after - (at_x - at_left) / before, abs(T(after - before)) / 2};
}

/// The largest power of two that is not above `step`, so that x +- h is exact where T has the
/// digits; 0 stays 0.
template <class T>
T exact_step(const T& step) {
  using std::frexp;
  using std::ldexp;
  if (!(step > 0)) return T(0);
  int exponent = 0;
  frexp(step, &exponent);
  return ldexp(T(1), exponent - 1);
}

/// Richardson's table over `levels` (at most most_levels, each step half the one before) of a
/// function whose values are each off by at most `noise`. Fewer than two levels say nothing of the
/// truncation: the bar is infinite, as it is where a value is not finite.
template <class T>
EstimateOf<T> extrapolate(std::span<const CentralLevel<T>> levels, const T& noise) {
  using std::abs;
  const T u = unit_roundoff<T>();
  // of one entry: a difference, a division, a sum, and the quotient that it began with
  constexpr int table_roundings = 4;
  // for taking the better of two, each of which may be small by chance
  constexpr int jump_safety = 2;
  constexpr int gap_noise = 4;  // G(h) takes f once from either side and twice at x

  EstimateOf<T> best{T(0), std::numeric_limits<T>::infinity(), false};
  std::array<std::array<T, most_columns>, most_levels> table{}, bar{};
  std::array<std::array<T, most_columns + 1>, most_levels> jump{}, jump_noise{};
  const int rows = static_cast<int>(std::min<std::size_t>(levels.size(), most_levels));
  for (int k = 0; k < rows; ++k) {
    const CentralLevel<T>& level = levels[static_cast<std::size_t>(k)];
    const auto row = static_cast<std::size_t>(k);
    table[row][0] = level.difference;
    bar[row][0] = noise / level.step + table_roundings * u * abs(level.difference) +
                  level.asymmetry * abs(level.gap) / level.step;
    jump[row][0] = level.gap;
    jump_noise[row][0] = gap_noise * noise / level.step + table_roundings * u * abs(level.gap);
    if (k == 0) best.value = level.difference;

    T odd_power(T(1) / 2);
    for (int j = 1; j <= std::min(k, most_columns); ++j) {
      const auto column = static_cast<std::size_t>(j);
      odd_power *= 4;
      jump[row][column] =
          (odd_power * jump[row][column - 1] - jump[row - 1][column - 1]) / (odd_power - 1);
      jump_noise[row][column] =
          (odd_power * jump_noise[row][column - 1] + jump_noise[row - 1][column - 1]) /
          (odd_power - 1);
    }

    T power(1);
    for (int j = 1; j <= std::min(k, most_columns - 1); ++j) {
      const auto column = static_cast<std::size_t>(j);
      power *= 4;
      const T& finer = table[row][column - 1];
      const T& coarser = table[row - 1][column - 1];
      table[row][column] = finer + (finer - coarser) / (power - 1);
      const T& value = table[row][column];
      bar[row][column] = (power * bar[row][column - 1] + bar[row - 1][column - 1]) / (power - 1) +
                         table_roundings * u * abs(value);
      const T smooth_error =
          bar[row][column] + std::max<T>(abs(T(value - finer)), abs(T(value - coarser)));

      const auto unsettled = [&](std::size_t at) {
        return T(abs(T(jump[row][at] - jump[row][at - 1])));
      };
      std::size_t settled = column;
      if (j < k && abs(jump[row][column + 1]) + unsettled(column + 1) <
                       abs(jump[row][column]) + unsettled(column))
        settled = column + 1;
      const T step_in_slope = abs(jump[row][settled]);
      const bool kink = step_in_slope > smooth_error + unsettled(settled) &&
                        step_in_slope > jump_noise[row][settled];
      const T error = smooth_error + jump_safety * (step_in_slope + unsettled(settled));
      if (error < best.error) best = {value, error, kink};
    }
  }
  return best;
}

inline constexpr int usual_levels = 5;

/// f'(x) by central differences of order 2 to 8 with steps first_step, first_step/2, ... (each
/// first rounded down to a power of two), 2 levels + 1 evaluations of f. `noise`: how far one value
/// of f may be off, absolutely; at least u |f|.
template <class T, class F>
EstimateOf<T> central_difference(F&& f, const T& x, const T& first_step, const T& noise,
                                 int levels = usual_levels) {
  std::array<CentralLevel<T>, most_levels> taken{};
  const int count = std::clamp(levels, 2, most_levels);
  T step = exact_step(first_step);
  const T at_x = f(x);
  for (int k = 0; k < count; ++k, step /= 2) {
    const T left = x - step;
    const T right = x + step;
    taken[static_cast<std::size_t>(k)] = central_level<T>(left, x, right, f(left), at_x, f(right));
  }
  return extrapolate<T>(
      std::span<const CentralLevel<T>>(taken.data(), static_cast<std::size_t>(count)), noise);
}

/// The same in double.
template <class F>
Estimate ridders(F&& f, double x, double first_step, double noise) {
  return central_difference<double>(f, x, first_step, noise);
}

// ---- complex step and dual numbers --------------------------------------------------------------

/// h of a complex step, relative to the size of x or of what f's curvature is measured in: h^2 is
/// far below every rounding of a double, and a product of two imaginary parts far above the
/// smallest double.
inline constexpr double complex_step_size = 0x1p-120;

/// f'(x) by one evaluation of f on complex numbers. `scale`: a distance over which f changes;
/// `terms`: see the top of this file.
template <class F>
Estimate complex_step(F&& f, double x, double scale, double terms) {
  const double step = complex_step_size * scale;
  const std::complex<double> value = f(std::complex<double>(x, step));
  return {value.imag() / step, unit_roundoff<double>() * terms};
}

/// f'(x) by one evaluation of f on D = reference::Dual<R>.
template <class D, class R, class F>
EstimateOf<R> dual_derivative(F&& f, const R& x, const R& terms) {
  return {f(D(x, R(1))).derivative, unit_roundoff<R>() * terms};
}

// ---- noise --------------------------------------------------------------------------------------

/// Standard deviation of the noise in values of a function at equal steps: at least 6 values (9 are
/// usual), at steps so small that the function itself hardly moves. 0 where all values are equal;
/// NaN where no order of differences settles, that is, where the steps are too wide for noise to be
/// seen. Throws std::invalid_argument for fewer than 6 values.
double measured_noise(std::span<const double> values_at_equal_steps);

/// The step of a central difference that balances noise/h against the truncation h^2 |f'''|/6: h =
/// cbrt(3 noise / |f'''|).
inline double balanced_step(double noise, double third_derivative_scale) {
  return std::cbrt(3 * noise / third_derivative_scale);
}

}  // namespace abn::verify::check::gradient
