// Error bounds of the forward pass of one channel, element by element.
//
//   xhat = (x - mu) r      |dxhat| <= r G E_mu + |xhat| (rho + 2u G)
//   y = g xhat + beta      |dy|    <= |g| r G E_mu + |g xhat| (rho + (3 + a) u G) + u|y|
// with G = 1 + rho, rho the error of r, and a = 1 for g = |gamma| + eps,
// whether g and r are multiplied first or last. The folded form y = A x + B, A = g r, B = beta - A
// mu, keeps the error of A in A (x - mu), but rounds A x, A mu and B separately: u (|A x| + |A mu|
// + |B|) more, amplified by kappa. Where B = beta - (mu g) r is formed apart, A's own roundings and
// those of (mu g) r differ, and act on A x and A mu each: (1 + a) u (|A x| + |A mu|) instead of in
// A (x - mu) alone. The error of r is in both and still cancels.
//
// z = phi(y) multiplies dy by the largest phi' between y and y^: 1, slope or alpha e^(y + |dy|),
// and where |dy| >= |y| by the larger of both branches; then slope*y, alpha*expm1(y) are rounded
// (Term::activation; with y/width before it where the width is not 1) and z is stored
// (Term::storage). Products of nonzero numbers may underflow:
// eta/2 each, so many that they are bounded together. What activations without an inverse make of
// dy, and what it costs, is derived in verify/bound/curve.hpp.
#pragma once

#include <algorithm>

#include "verify/bound/bound.hpp"
#include "verify/bound/curve.hpp"

namespace abn::verify::bound {

/// The steepest phi' within `y_off` of y.
inline double steepest(const ChannelNumbers& c, double y, double y_off) {
  if (c.phi.linear() || (y >= 0 && y > y_off)) return 1;
  const double left = c.phi.left_derivative(std::fmin(y + y_off, 0));
  return -y > y_off ? left : larger(1, left);
}

inline constexpr double reciprocal_roundings = 2;  // 1/slope, 1/alpha or 1/width, and the product

/// 1 unless multiplying by 1/value is exact.
inline double inexact(double value) {
  int exponent = 0;
  return std::frexp(value, &exponent) == 0.5 ? 0 : 1;
}

/// Reading g into a narrower type, in roundings of it: 1, or more where it is subnormal there. None
/// where nothing rounds.
inline double parameter_roundings(const Arithmetic& a, double g) {
  return a.u > 0 && a.load_parameter.u > 0 && g != 0
             ? a.load_parameter(std::fabs(g)) / (a.u * std::fabs(g))
             : 0;
}

/// What is known of an arithmetic when its bounds are compiled: nothing, or that it is plain, as
/// nearly all are. Then a dozen questions are not asked at every element.
struct AnyArithmetic {
  static constexpr bool plain = false;
};
struct PlainArithmetic {
  static constexpr bool plain = true;
};
/// Does it read and compute in one type, unfolded, with nothing rounded on the way?
inline bool is_plain(const Arithmetic& a) {
  const auto never = [](const Rounding& r) {
    return r.u == 0 && r.eta == 0 && r.largest == infinity;
  };
  return !a.folded && never(a.load) && never(a.load_out) && never(a.load_parameter) && never(a.y) &&
         never(a.xhat) && never(a.dy) && never(a.statistics) && never(a.activation);
}

/// The relative error of y/width: a rounded reciprocal and the product, nothing where the width is
/// a power of 2; and the width itself where it is read into a narrower type. As an error d of the
/// argument t of alpha expm1(t) it costs d |t| e^t, at most d |expm1(t)|.
inline double quotient_by_width(const Arithmetic& a, const ChannelNumbers& c) {
  return c.phi.scaled ? inexact(c.phi.width) * reciprocal_roundings * larger(a.u, a.activation.u) +
                            a.load_parameter.u
                      : 0;
}

template <class Error, class Known = AnyArithmetic>
class ForwardBound {
 public:
  ForwardBound(const Arithmetic& arithmetic, const ChannelNumbers& channel,
               const StatisticsError& statistics)
      : a(arithmetic),
        c(channel),
        inside(activation_arithmetic(arithmetic)),
        root(root_error(arithmetic, channel, statistics)),
        r_grown(c.r * root.growth),
        r_inverse(1 / c.r) {
    mean = times(r_grown, statistics.mean);
    mean_materialised = times(r_grown, statistics.mean_materialised);
    g = std::fabs(c.g);
    scale_roundings = product_roundings + (c.abs_eps ? 1 : 0) + parameter_roundings(a, c.g);
    beta_load = a.load_parameter(std::fabs(c.beta));
  }

  /// Before it is stored.
  Error xhat(double x, double xhat) const {
    if (root.variance == infinity) return unknown();
    Error e = normalised(x, xhat, normalise_roundings);
    if (folded())
      e[compare::Term::arithmetic] += a.u * (std::fabs(x) + 2 * std::fabs(c.mean)) * r_grown;
    return e;
  }

  /// y in the accumulate type, xhat rounded on the way where the variant says so.
  Error y(double x, double xhat, double y) const {
    if (root.variance == infinity) return unknown();
    Error e{};
    e.add(g, normalised(x, xhat, normalise_roundings + scale_roundings));
    if (folded())
      e[compare::Term::arithmetic] += a.u * ((1 + (a.apart ? scale_roundings : 0)) * g * r_grown *
                                                 (std::fabs(x) + std::fabs(c.mean)) +
                                             std::fabs(c.beta - c.g * c.r * c.mean));
    // (g (x - mu)) r, (g r) (x - mu), or (g r) x + (beta - (g r) mu), whose first product
    // underflows
    const double factor = folded() ? std::fabs(x) + std::fabs(c.mean) : std::fabs(xhat) * r_inverse;
    if (xhat != 0) e[compare::Term::arithmetic] += a.eta / 2 * (r_grown + factor);
    return affine(e, xhat, y);
  }

  /// The same where xhat was read from memory, `xhat_error` off: y = g xhat + beta.
  Error y_from_xhat(const Error& xhat_error, double xhat, double y) const {
    Error e{};
    e.add(g, xhat_error);
    e[compare::Term::arithmetic] += scale_roundings * a.u * g * std::fabs(xhat);
    return affine(e, xhat, y);
  }

  /// z in the accumulate type, before it is stored, from the error of y.
  Error z(const Error& y_error, double y, double z) const {
    const double y_off = y_error.total();
    Error e{};
    if (!c.phi.has_inverse()) return of_curve(y_error, y);
    e.add(steepest(c, y, y_off), y_error);
    if (!c.phi.linear() && !(y >= y_off)) {
      const double roundings = c.phi.curved() ? inside.function + inside.u : inside.u;
      e[compare::Term::activation] +=
          (roundings + a.load_parameter.u) * (std::fabs(z) + e.total()) + inside.eta / 2;
      // the result of expm1, multiplied by alpha afterwards
      if (c.phi.curved()) e[compare::Term::activation] += c.phi.parameter * a.activation.eta / 2;
      if (c.phi.scaled)
        e[compare::Term::activation] +=
            quotient_by_width(a, c) * (std::fabs(z) + e.total()) + c.phi.parameter * inside.eta / 2;
    }
    return e;
  }

  /// Does a step towards y overflow the accumulate type, or what an intermediate is rounded to,
  /// whichever product is taken first? What
  /// comes of that is nobody's promise, not even that it is no NaN (0 times infinity). Given
  /// statistics only: those of the batch keep |xhat| below sqrt(m).
  bool overflows(double x, double xhat, double y) const {
    const double size = std::fabs(xhat);
    if constexpr (!Known::plain)
      if (!(size <= a.xhat.largest && std::fabs(y) <= a.y.largest &&
            std::fabs(c.mean) <= a.statistics.largest && c.variance <= a.statistics.largest))
        return true;
    const double distance = folded() ? std::fabs(x) + std::fabs(c.mean) : std::fabs(x - c.mean);
    const double largest = std::max({distance, distance * c.r, distance * g, g * c.r,
                                     distance * (g * c.r), size, g * size, std::fabs(y)});
    constexpr double room = 16;  // roundings on the way, in units of u
    return !(largest <= a.largest * (1 - room * a.u));
  }

  const Arithmetic& a;
  const ChannelNumbers& c;
  ActivationArithmetic inside;  ///< of phi
  RootError root;
  double r_grown, r_inverse;               ///< r with its own error on top, 1/r
  double mean = 0, mean_materialised = 0;  ///< r G E_mu
  double g = 1;                            ///< |g|
  double scale_roundings = 1;              ///< product by g, |gamma| + eps
  /// reading beta into a narrower type, where it may be subnormal
  double beta_load = 0;

 private:
  bool folded() const { return !Known::plain && a.folded; }

  static constexpr double normalise_roundings = 2;  // the difference and the product by r
  static constexpr double product_roundings = 1;

  /// Where first order ended.
  static Error unknown() {
    Error e{};
    e[compare::Term::variance] += infinity;
    return e;
  }

  Error of_curve(const Error& y_error, double y) const {
    Error e{};
    if (!std::isfinite(y)) return e;
    e.add(stretch_near(*c.phi.curve, y, y_error.total()), y_error);
    const Cost cost = Evaluation(inside, *c.phi.curve).value(y);
    if (cost.roundings > 0 || !c.phi.curve->pieces())
      e[compare::Term::activation] +=
          cost.in(inside) + inside.u * e.total() + inside.eta * (1 + reach(inside, y));
    return e;
  }

  Error normalised(double x, double xhat, double roundings) const {
    const double size = std::fabs(xhat);
    Error e{};
    e[compare::Term::mean] += mean;
    e[compare::Term::variance] += times(root.variance, size);
    if constexpr (!Known::plain)
      e[compare::Term::materialised] += mean_materialised + times(root.materialised, size);
    e[compare::Term::arithmetic] += times(root.arithmetic + roundings * a.u * root.growth, size);
    if constexpr (!Known::plain) e[compare::Term::arithmetic] += a.load(std::fabs(x)) * r_grown;
    if (size > 0) e[compare::Term::arithmetic] += a.eta;
    return e;
  }

  Error affine(Error e, double xhat, double y) const {
    if constexpr (!Known::plain) e[compare::Term::materialised] += g * a.xhat(std::fabs(xhat));
    if (xhat != 0) e[compare::Term::arithmetic] += a.eta;
    e[compare::Term::arithmetic] += beta_load;
    e[compare::Term::arithmetic] += a.u * (std::fabs(y) + e.total());
    if constexpr (!Known::plain) e[compare::Term::materialised] += a.y(std::fabs(y) + e.total());
    return e;
  }
};

}  // namespace abn::verify::bound
