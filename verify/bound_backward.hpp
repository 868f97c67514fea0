// Error bounds of the backward pass of one channel: dx element by element, dgamma and dbeta.
//
// Every scheme first recovers xhat and dy with errors E_xhat, E_dy (below), then sums them:
//   |dS0| <= sum E_dy + gamma(h) sum|dy|
//   |dS1| <= sum(|dy| E_xhat + |xhat| E_dy + E_dy E_xhat) + gamma(h+1) sum|dy xhat| + m eta/2
// (in place m eta: a kernel may divide by the fraction of g, 1/2 <= |fraction| < 1, once behind the sum),
// and forms dx = g r (dy - S0/m - xhat S1/m). The bracket cancels, so every term stays on its own:
//   |ddx| <= |g| r G { E_dy + dS0/m + |xhat| dS1/m + |S1|/m E_xhat + u (5|dy| + 6|S0|/m + 7|xhat S1|/m) } + |dx| rho
// The counts are those of the longest sane order, dx = (g r/m)(m dy - S0 - xhat S1) or A dy + B xhat + C with A, B, C
// rounded beforehand: two products and a sum or two for each, the reciprocal 1/m, g r.
//
// A product that underflows is off by eta/2, times whatever it is multiplied by afterwards; the orders in use differ in what that is:
//   (g r/m)(m dy - S0 - xhat S1)                       the bracket, of size m |dy| + |S0| + |xhat S1|
//   g r (dy - S0/m - (x-mu) (sum dy (x-mu)) r^2/m)     r for each of the m products in the sum, |g| (1 + r) |xhat| for what follows
//   r (g dy - g S0/m - xhat (g S1/m))                  r and r |xhat|
// Only data near the smallest numbers of the accumulate type can tell.
//
// Scheme II has dg = (Sy - beta S0)/g instead of S1, and dx = r (g dy - dg (y - beta)/m - g S0/m) with the four products
// rounded apart; dg and y - beta are only amplified together as the same dg stands in both.
//
// Recovery from a stored z, exact or E_z off (Term::inversion, and E_z by its own terms):
//   y      leaky ReLU  E_z/slope + 2u|y|            z times a rounded 1/slope; nothing where slope is a power of 2
//          ELU         with t = z/alpha, 1 + t = w/alpha: log(1 + q), q = (E_z + 2u|z|)/w, downwards -log(1 - q), and no lower
//                      than the logarithm of the smallest 1 + t that the type can hold; then the error of log1p; eta/2 for
//                      the quotient and for the logarithm, which are subnormal where z is
//   xhat   E_y/|g| + (3+a) u|xhat|                  difference, 1/g, product; a = 1 for g = |gamma| + eps
//          folded: 3u (|y| + |beta|)/|g| instead    y/g and beta/g rounded apart
//   dy     u|dy| for slope*dz; u w|dz| + u|dy| for (z + alpha) dz
// Recovery from x is the forward pass again (verify/bound_forward.hpp). Where y is within its error of the kink, and the sign
// was not stored, both branches are possible: |dz| |1 - slope| more.
#pragma once

#include <algorithm>
#include <vector>

#include "verify/bound_forward.hpp"
#include "verify/oracle_channel.hpp"

namespace abn::verify {

/// What the bound of one channel's backward depends on beside the arithmetic.
struct BackwardPlan {
  int scheme = ABN_STANDARD;
  bool end_to_end = false;   ///< from the exact x, so that stored z, xhat and statistics are themselves in error
  StatisticsError forward;   ///< errors of the statistics that forward normalised with (end to end)
  StatisticsError backward;  ///< errors of those that backward has
  double smallest_gap = 0;   ///< ELU: smallest z + alpha > 0 of the storage type, where saturated z are moved to
};

template <class Error>
struct BackwardErrors {
  std::vector<Error> dx;
  Error dgamma{}, dbeta{};
  /// Something on the way may leave the accumulate type; what comes of it is nobody's promise, not even a number.
  bool overflows = false;  ///< on the way to dx and dgamma
  bool dbeta_overflows = false;
};

template <class Error>
class BackwardBound {
 public:
  BackwardBound(const Arithmetic& arithmetic, const ChannelNumbers& channel, const BackwardPlan& plan_of_channel,
                const BackwardInput& input, const BackwardValues& values)
      : a(arithmetic),
        c(channel),
        plan(plan_of_channel),
        in(input),
        v(values),
        forward(a, c, plan.forward),
        again(a, c, plan.backward),
        in_place(plan.scheme == ABN_IN_PLACE_1 || plan.scheme == ABN_IN_PLACE_2),
        two(plan.scheme == ABN_IN_PLACE_2),
        g_inverse(1 / std::fabs(c.g)),
        parameter_inverse(1 / c.parameter),
        quotient(inexact(c.parameter) * reciprocal_roundings * a.u + a.load_parameter.u),
        r_grown(c.r * again.root.growth),
        scale(std::fabs(c.g) * r_grown),
        extra((c.abs_eps ? 1 : 0) + parameter_roundings(a, c.g)),
        product_grown(std::max({1.0, std::fabs(c.g), r_grown, scale}) * (1 + gamma_of(a.depth_backward, a.u))) {}

  BackwardErrors<Error> errors() const {
    const std::size_t size = v.dy.size();
    std::vector<Recovered> recovered(size);
    Sums sums;
    for (std::size_t i = 0; i < size; ++i) {
      recovered[i] = recover(i);
      add(sums, recovered[i], v.dy[i], two ? v.y[i] : v.xhat[i]);
    }
    BackwardErrors<Error> out;
    out.dx.resize(size);
    out.dbeta_overflows = !(sums.dy <= a.largest);
    out.overflows = out.dbeta_overflows || sums.overflows || !(sums.product <= a.largest);
    if (two) out.overflows |= !(larger(std::fabs(c.beta) * sums.dy, std::fabs(v.s1)) <= a.largest);
    // Where all dz are 0, so is every result in any arithmetic, unless an overflow makes it NaN.
    if (sums.dy == 0 && sums.s1.total() < infinity) return out;
    close(sums);
    for (std::size_t i = 0; i < size; ++i) {
      Error e = in_place && c.g == 0 ? Error{}
                : in.frozen          ? frozen(i, recovered[i])
                : two                ? training_two(i, recovered[i], sums)
                                     : training(i, recovered[i], sums);
      if (!(in_place && c.g == 0)) e[Term::storage] += a.store(std::fabs(v.dx.hi[i]) + e.total());
      out.dx[i] = e;
      out.overflows |= !in.frozen && again.root.variance < infinity && !(largest_product(i, sums) <= a.largest);
    }
    out.dgamma = sums.s1;
    out.dgamma[Term::storage] += a.store_parameter(std::fabs(v.s1) + sums.s1.total());
    out.dbeta = sums.s0;
    out.dbeta[Term::storage] += a.store_parameter(std::fabs(v.s0) + sums.s0.total());
    return out;
  }

 private:
  static constexpr double dy_roundings = 5, s0_roundings = 6, s1_roundings = 7;
  static constexpr double frozen_roundings = 3;      // g r, its product with dy, dy = phi' dz counted in E_dy
  static constexpr double inversion_roundings = 3;   // difference, 1/g, product
  static constexpr double reciprocal_roundings = 2;  // 1/slope or 1/alpha, product
  static constexpr double scheme_two_roundings = 3;  // of (Sy - beta S0)/g behind the sums

  struct Recovered {
    Error value{};  ///< of xhat, or of y under scheme II
    Error dy{};
    bool overflows = false;  ///< on the way to it something may leave its type
  };
  struct Sums {
    Error s0{}, s1{};
    double dy = 0, product = 0;  ///< sum|dy|, sum|dy xhat| (sum|dy y| under scheme II)
    bool overflows = false;      ///< of what is summed
    // Of the closed sums, once for all elements
    double per = 0, mean0 = 0, mean1 = 0;  ///< 1/m as rounded, the largest |S0|/m and |S1|/m
    bool underflows = false;               ///< g r/m is subnormal
  };

  bool stored_branch() const { return !plan.end_to_end && (in.source == Source::z || in.source == Source::x_and_z); }
  bool negative(std::size_t i) const {
    if (c.activation == ABN_IDENTITY) return false;
    return stored_branch() ? std::signbit(in.z[i]) : v.y[i] < 0;
  }
  double z(std::size_t i) const {
    if (!in.z.empty()) return in.z[i];
    const double y = v.y[i];
    return c.activation == ABN_IDENTITY || y >= 0 ? y : c.activation == ABN_LEAKY_RELU ? c.parameter * y : c.parameter * std::expm1(y);
  }
  /// z + alpha on the negative branch of ELU.
  double gap(std::size_t i) const { return stored_branch() ? in.z[i] + c.parameter : c.parameter * std::exp(v.y[i]); }
  double extra_roundings() const { return extra; }

  Recovered recover(std::size_t i) const {
    Recovered out;
    const double y = v.y[i], xhat = v.xhat[i];
    Error z_error{}, y_error{};
    if (plan.scheme == ABN_STANDARD || in_place) {
      if (plan.end_to_end) {
        y_error = forward.y(in.x[i], xhat, y);
        z_error = forward.z(y_error, y, z(i));
        z_error[Term::inversion] += a.kept(std::fabs(z(i)) + z_error.total());
        out.overflows = in_place && !(std::fabs(z(i)) <= a.kept.largest);
      }
      if (in_place) {
        z_error[Term::inversion] += a.load.u * std::fabs(z(i));
        out.value = inverted(i, z_error);
        out.overflows |= !(std::fabs(y) + std::fabs(c.beta) <= a.largest && std::fabs(xhat) <= a.largest);
      } else {
        out.value = again.xhat(in.x[i], xhat);
      }
      out.dy = dy_from_output(i, z_error, y_error.total());
    } else {
      if (plan.scheme == ABN_CHECKPOINT_X) {
        out.value = again.xhat(in.x[i], xhat);
        y_error = again.y(in.x[i], xhat, y);
      } else {
        if (plan.end_to_end) {
          out.value = forward.xhat(in.x[i], xhat);
          out.value[Term::materialised] += a.kept(std::fabs(xhat) + out.value.total());
          out.overflows = !(std::fabs(xhat) <= a.kept.largest);
        }
        out.value[Term::arithmetic] += a.load.u * std::fabs(xhat);
        y_error = again.y_from_xhat(out.value, xhat, y);
      }
      out.dy = dy_from_input(i, y_error);
    }
    const bool from_x = plan.scheme == ABN_STANDARD || plan.scheme == ABN_CHECKPOINT_X;
    if (from_x && in.frozen) out.overflows |= again.overflows(in.x[i], xhat, y);
    if (!in_place) out.value[Term::materialised] += a.xhat(std::fabs(xhat));
    out.dy[Term::arithmetic] += a.load.u * std::fabs(v.dy[i]);
    out.dy[Term::materialised] += a.dy(std::fabs(v.dy[i]) + out.dy.total());
    return out;
  }

  /// Error of y (scheme II) or xhat recovered from z.
  Error inverted(std::size_t i, const Error& z_error) const {
    const double total = z_error.total(), size = std::fabs(z(i));
    const bool crossed = plan.end_to_end && size <= total;  // the stored z may be on the other side of the kink
    Error e{};
    if (c.activation == ABN_IDENTITY || (!negative(i) && !crossed)) {
      e.add(1, z_error);
    } else if (c.activation == ABN_LEAKY_RELU) {
      e.add(crossed ? larger(1, parameter_inverse) : parameter_inverse, z_error);
      if (size > 0) e[Term::inversion] += quotient * (size * parameter_inverse) + a.eta / 2;  // in this order nothing is lost below 2^-1074
    } else {
      const double underflow = size > 0 ? a.eta / 2 : 0;  // of z/alpha, and of the logarithm
      const double own = own_quotient(i) + c.parameter * underflow, error = larger(logarithm(i, total + own), crossed ? total : 0);
      if (error < infinity && total + own > 0) {
        e.add(error / (total + own), z_error);
        e[Term::inversion] += larger(0, error - e.total());
      } else {
        e[Term::inversion] += error;
      }
      e[Term::inversion] += a.function * std::fabs(v.y[i]) + underflow;
    }
    e[Term::materialised] += a.y(std::fabs(v.y[i]) + e.total());
    if (!(std::fabs(v.y[i]) <= a.largest)) e[Term::inversion] = infinity;  // z/slope overflows the accumulate type
    return two || c.g == 0 ? e : normalised(i, e);
  }

  Error normalised(std::size_t i, const Error& y_error) const {
    const double xhat = std::fabs(v.xhat[i]), size = (std::fabs(v.y[i]) + std::fabs(c.beta)) * g_inverse;
    Error e{};
    e.add(g_inverse, y_error);
    e[Term::inversion] +=
        a.folded ? (inversion_roundings + extra_roundings()) * a.u * size : (inversion_roundings + extra_roundings()) * a.u * xhat;
    e[Term::inversion] += forward.beta_load * g_inverse + (xhat > 0 ? a.eta : 0);
    e[Term::materialised] += a.xhat(xhat + e.total());
    if (!(std::fabs(v.y[i]) + std::fabs(c.beta) <= a.largest && xhat <= a.largest)) e[Term::inversion] = infinity;
    return e;
  }

  /// The rounding of z/slope or z/alpha, as an error of z.
  double own_quotient(std::size_t i) const { return quotient * std::fabs(z(i)); }

  /// |log1p(t^) - log1p(t)| where t^ alpha is z off by `off`, and t^ no closer to -1 than the types allow.
  double logarithm(std::size_t i, double off) const {
    const double w = negative(i) ? gap(i) : c.parameter;
    const double lifted = w < plan.smallest_gap ? std::log(plan.smallest_gap / w) : 0;  // a saturated z is moved up
    if (off == 0) return lifted;
    const double lowest = larger(plan.smallest_gap, a.u * c.parameter) / 2;  // half: t itself is rounded
    const double down = w - off > lowest ? -std::log1p(-off / w) : std::fabs(std::log(w / lowest));
    return larger(larger(std::log1p(off / w), down), lifted);
  }

  /// 1 unless multiplying by 1/value is exact.
  static double inexact(double value) {
    int exponent = 0;
    return std::frexp(value, &exponent) == 0.5 ? 0 : 1;
  }

  /// dy = dz phi', the branch and phi' from the stored z.
  Error dy_from_output(std::size_t i, const Error& z_error, double doubt) const {
    Error e{};
    if (c.activation == ABN_IDENTITY || in.dz[i] == 0) return e;
    const double dz = std::fabs(in.dz[i]), total = z_error.total();
    // The sign of a NaN is nobody's promise either.
    const bool kink = (plan.end_to_end && !(std::fabs(v.y[i]) > doubt)) || std::isnan(z(i));
    if (kink) e[Term::activation] += dz * (std::fabs(1 - c.parameter) + (c.activation == ABN_ELU ? std::fabs(z(i)) + total : 0));
    if (!negative(i) && !kink) return e;
    if (c.activation == ABN_ELU) {
      const double w = gap(i);
      if (!kink) e.add(dz, z_error);
      if (plan.end_to_end) e[Term::inversion] += dz * larger(0, plan.smallest_gap - w);
      e[Term::activation] += dz * (a.u * (w + total) + a.load_parameter.u * c.parameter);
      if (!in_place) e.add(dz, freedom_of_standard(i, w));
    }
    e[Term::activation] += (a.u + a.load_parameter.u) * (std::fabs(v.dy[i]) + e.total()) + a.eta / 2;
    return e;
  }

  /// A kernel that never inverts need not move a saturated z: its phi' = z + alpha is then 0, or what the rounding of -alpha makes of it.
  /// One that claims to have a y of its own may take phi' = alpha e^y from it. That knows nothing of the rounding of z; and where y is
  /// found again from x, it and the y behind the stored z each have an error, with the statistics rounded between them when saved.
  Error freedom_of_standard(std::size_t i, double w) const {
    Error e{};
    e[Term::activation] += c.parameter * (a.function + 2 * a.u) + (w <= plan.smallest_gap ? plan.smallest_gap + a.kept.u * c.parameter : 0);
    if (plan.end_to_end || a.y.u == 0) return e;
    e[Term::materialised] += a.kept(std::fabs(z(i)));
    if (in.source != Source::x_and_z) return e;
    const double saved =
        std::fabs(c.g) * c.r * (a.store_parameter(std::fabs(c.mean)) + c.r * std::fabs(v.xhat[i]) / 2 * a.store_parameter(c.variance));
    e[Term::materialised] += w * std::expm1(2 * again.y(in.x[i], v.xhat[i], v.y[i]).total() + saved);
    return e;
  }

  /// dy = dz phi', the branch and phi' from a recomputed y.
  Error dy_from_input(std::size_t i, const Error& y_error) const {
    Error e{};
    if (c.activation == ABN_IDENTITY || in.dz[i] == 0) return e;
    const double dz = std::fabs(in.dz[i]), doubt = y_error.total();
    const bool kink = !(std::fabs(v.y[i]) > doubt);
    if (kink) e[Term::activation] += dz * std::fabs(1 - c.parameter);
    if (!negative(i) && !kink) return e;
    if (c.activation == ABN_ELU) {
      e[Term::activation] += dz * times(std::fmin(gap(i), c.parameter), std::expm1(doubt));
      // alpha e^y, or z + alpha with z = alpha expm1(y): either way within a few u of alpha
      e[Term::activation] += dz * c.parameter * (a.function + 2 * a.u + a.load_parameter.u);
    }
    e[Term::activation] += (a.u + a.load_parameter.u) * (std::fabs(v.dy[i]) + e.total()) + a.eta / 2;
    return e;
  }

  void add(Sums& sums, const Recovered& one, double dy, double value) const {
    const double value_error = one.value.total(), dy_error = one.dy.total();
    sums.s0.add(1, one.dy);
    if (!(value_error < infinity))
      sums.s1[Term::sum_dy_xhat] = infinity;  // even times dy = 0, as an overflow may stand behind it
    else
      sums.s1.add(std::fabs(dy), one.value);
    sums.overflows |= one.overflows;
    sums.s1.add(std::fabs(value), one.dy);
    if (dy_error != 0) sums.s1[Term::sum_dy_xhat] += dy_error * value_error;
    sums.dy += std::fabs(dy) + dy_error;
    sums.product += (std::fabs(dy) + dy_error) * (std::fabs(value) + (value_error < infinity ? value_error : 0));
  }

  void close(Sums& sums) const {
    close_products(sums);
    sums.per = (1 + a.count_roundings * a.u) / c.m;
    sums.mean0 = (std::fabs(v.s0) + sums.s0.total()) / c.m;
    sums.mean1 = (std::fabs(v.s1) + sums.s1.total()) / c.m;
    sums.underflows = scale / c.m < a.eta / a.u;
  }
  void close_products(Sums& sums) const {
    const double h = a.depth_backward;
    sums.s0[Term::sum_dy] += times(gamma_of(h, a.u), sums.dy);
    if (sums.dy > a.largest) sums.s0[Term::sum_dy] = infinity;
    const double each = inverts() ? 2 : std::fmax(1, c.r);  // halves of eta that a product may be off by
    sums.s1[Term::sum_dy_xhat] += times(gamma_of(h + 1, a.u), sums.product) + (c.m + 1) * each * a.eta / 2;
    if (sums.product > a.largest) sums.s1[Term::sum_dy_xhat] = infinity;
    if (!two) return;
    // S1 = (Sy - beta S0)/g
    const double g = std::fabs(c.g), beta = std::fabs(c.beta);
    if (g == 0) return;
    if (larger(beta * sums.dy, std::fabs(v.s1)) > a.largest) sums.s1[Term::sum_dy_xhat] = infinity;
    const double rounded = a.u * beta * std::fabs(v.s0) + forward.beta_load * std::fabs(v.s0) + a.eta;
    Error s1{};
    s1.add(1 / g, sums.s1);
    s1.add(beta / g, sums.s0);
    s1[Term::sum_dy_xhat] += rounded / g + (scheme_two_roundings + extra_roundings()) * a.u * std::fabs(v.s1);
    sums.s1 = s1;
  }

  bool inverts() const { return plan.scheme == ABN_IN_PLACE_1 || plan.scheme == ABN_IN_PLACE_2; }

  /// Adds |dx| rho, the error that r brings to a finished product.
  void add_root(Error& e, double dx) const {
    const RootError& root = again.root;
    e[Term::variance] += times(root.variance, dx);
    e[Term::materialised] += times(root.materialised, dx);
    e[Term::arithmetic] += times(root.arithmetic + extra_roundings() * a.u, dx);
  }

  static Error unknown() {
    Error e{};
    e[Term::variance] += infinity;
    return e;
  }

  /// m dy, and the sums times g, r or both, each before it is divided by m: as large as anything gets on the way to dx. Scheme II
  /// multiplies dg, as far off as it may be, by y and beta apart.
  double largest_product(std::size_t i, const Sums& sums) const {
    if (two)
      return (std::fabs(c.g) * (c.m * std::fabs(v.dy[i]) + std::fabs(v.s0)) + c.m * sums.mean1 * (std::fabs(v.y[i]) + std::fabs(c.beta))) *
             larger(1, r_grown) * (1 + gamma_of(a.depth_backward, a.u));
    return (c.m * std::fabs(v.dy[i]) + std::fabs(v.s0) + std::fabs(v.s1 * v.xhat[i])) * product_grown;
  }

  Error training(std::size_t i, const Recovered& one, const Sums& sums) const {
    if (again.root.variance == infinity) return unknown();
    const double xhat = std::fabs(v.xhat[i]), per = sums.per, s0 = sums.mean0, s1 = sums.mean1;
    Error e{};
    e.add(scale, one.dy);
    e.add(scale * per, sums.s0);
    e.add(scale * per * xhat, sums.s1);
    e.add(scale * s1, one.value);
    const double roundings =
        dy_roundings * std::fabs(v.dy[i]) + s0_roundings * s0 + s1_roundings * s1 * xhat + a.count_roundings * (s0 + s1 * xhat);
    double underflow = 2 + 2 * scale + xhat + r_grown * (2 + xhat) + (std::fabs(c.g) + scale) * xhat;
    if (sums.underflows) underflow += c.m * (std::fabs(v.dy[i]) + s0 + s1 * xhat);  // g r/m is subnormal
    e[Term::arithmetic] += scale * a.u * roundings + a.eta * underflow;
    if (!(largest_product(i, sums) <= a.largest)) e[Term::arithmetic] = infinity;
    add_root(e, std::fabs(v.dx.hi[i]));
    return e;
  }

  Error training_two(std::size_t i, const Recovered& one, const Sums& sums) const {
    if (again.root.variance == infinity) return unknown();
    const double r = r_grown, g = std::fabs(c.g), xhat = std::fabs(v.xhat[i]), y = std::fabs(v.y[i]), s0 = sums.mean0, dg = sums.mean1;
    Error e{};
    e.add(scale, one.dy);
    e.add(scale * sums.per, sums.s0);
    e.add(scale * sums.per * xhat, sums.s1);
    e.add(r * dg, one.value);
    const double roundings = dy_roundings * g * std::fabs(v.dy[i]) + s1_roundings * (dg * y + g * s0 + std::fabs(c.beta) * dg);
    e[Term::arithmetic] += r * a.u * (roundings + (a.count_roundings + extra_roundings()) * (dg * y + g * s0 + std::fabs(c.beta) * dg));
    e[Term::arithmetic] += a.eta * (2 + 2 * r + y);
    if (!(largest_product(i, sums) <= a.largest)) e[Term::arithmetic] = infinity;
    add_root(e, std::fabs(v.dx.hi[i]));
    return e;
  }

  Error frozen(std::size_t i, const Recovered& one) const {
    if (again.root.variance == infinity) return unknown();
    const double dx = std::fabs(v.dx.hi[i]);
    Error e{};
    e.add(scale, one.dy);
    e[Term::arithmetic] += frozen_roundings * a.u * dx * again.root.growth + (dx > 0 ? a.eta * (1 + std::fabs(v.dy[i]) + r_grown) : 0);
    add_root(e, dx);
    return e;
  }

  const Arithmetic& a;
  const ChannelNumbers& c;
  const BackwardPlan& plan;
  const BackwardInput& in;
  const BackwardValues& v;
  ForwardBound<Error> forward, again;
  bool in_place, two;
  // Of the channel, once for all elements
  double g_inverse, parameter_inverse;  ///< 1/|g|, 1/slope or 1/alpha
  double quotient;                      ///< roundings of z/slope or z/alpha, relative
  double r_grown, scale;                ///< r and |g| r with r's own error on top
  double extra;                         ///< roundings of |gamma| + eps, and of g read into a narrower type
  double product_grown;                 ///< what a sum may be multiplied by before it is divided by m
};

}  // namespace abn::verify
