// Error bounds of the backward pass of one channel: dx element by element, dgamma and dbeta.
//
// Every scheme first recovers xhat and dy with errors E_xhat, E_dy (verify/bound/recovery.hpp),
// then sums them:
//   |dS0| <= sum E_dy + gamma(h) sum|dy|
//   |dS1| <= sum(|dy| E_xhat + |xhat| E_dy + E_dy E_xhat) + gamma(h+1) sum|dy xhat| + m eta/2
// (in place m eta: a kernel may divide by the fraction of g, 1/2 <= |fraction| < 1, once behind the
// sum), and forms dx = g r (dy - S0/m - xhat S1/m). The bracket cancels, so every term stays on its
// own:
//   |ddx| <= |g| r G { E_dy + dS0/m + |xhat| dS1/m + |S1|/m E_xhat + u (5|dy| + 6|S0|/m + 7|xhat
//   S1|/m) } + |dx| rho
// The counts are those of the longest sane order, dx = (g r/m)(m dy - S0 - xhat S1) or A dy + B
// xhat + C with A, B, C rounded beforehand: two products and a sum or two for each, the reciprocal
// 1/m, g r.
//
// A product that underflows is off by eta/2, times whatever it is multiplied by afterwards; the
// orders in use differ in what that is:
//   (g r/m)(m dy - S0 - xhat S1)                       the bracket, of size m |dy| + |S0| + |xhat
//                                                      S1|
//   g r (dy - S0/m - (x-mu) (sum dy (x-mu)) r^2/m)     r for each of the m products in the sum, |g|
//                                                      (1 + r) |xhat| for what follows
//   r (g dy - g S0/m - xhat (g S1/m))                  r and r |xhat|
// Only data near the smallest numbers of the accumulate type can tell.
//
// Scheme II has dg = (Sy - beta S0)/g instead of S1, and dx = r (g dy - dg (y - beta)/m - g S0/m)
// with the four products rounded apart; dg and y - beta are only amplified together as the same dg
// stands in both. Or dx is written in xhat = (y - beta)/g, in one of the orders above: 3 + a
// roundings of xhat are fewer than those of y and beta apart, |xhat| <= (|y| + |beta|)/|g|, but a
// g r or g r/m that is subnormal is off by eta/2 times the bracket, as it is there.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "verify/bound/recovery.hpp"

namespace abn::verify::bound {

template <class Error>
struct BackwardErrors {
  std::vector<Error> dx;
  /// elements whose branch is anyone's (Recovered::open); empty where there is none
  std::vector<bool> open;
  /// elements whose dy is anyone's (Recovered::undefined); empty where there is none
  std::vector<bool> undefined;
  /// elements of frozen statistics on whose way something leaves the accumulate type; empty where
  /// there is none
  std::vector<bool> overflown;
  Error dgamma{}, dbeta{};
  /// Something on the way may leave the accumulate type; what comes of it is nobody's promise, not
  /// even a number.
  bool overflows = false;  ///< on the way to dx and dgamma
  bool dbeta_overflows = false;
};

/// May two arithmetics differ in their depths and in what they claim of statistics alone? Plain
/// ones, whose loads and stores follow.
inline bool is_same_arithmetic(const Arithmetic& a, const Arithmetic& b) {
  return a.u == b.u && a.eta == b.eta && a.largest == b.largest && a.function == b.function;
}

template <class Error, class Known = AnyRecovery>
class BackwardBound {
 public:
  BackwardBound(const Arithmetic& arithmetic, const ChannelNumbers& channel,
                const BackwardPlan& plan_of_channel, const oracle::BackwardInput& input,
                const oracle::BackwardValues& values)
      : a(arithmetic),
        c(channel),
        v(values),
        recover(a, c, plan_of_channel, input, values),
        r_grown(c.r * recover.backward_statistics.root.growth),
        scale(std::fabs(c.g) * r_grown),
        product_grown(std::max({1.0, std::fabs(c.g), r_grown, scale}) *
                      (1 + gamma_of(a.depth_backward, a.u))) {}

  struct Sums {
    Error s0{}, s1{};
    double dy = 0, product = 0;  ///< sum|dy|, sum|dy xhat| (sum|dy y| under scheme II)
    bool overflows = false;      ///< of what is summed
    bool dy_overflows = false;   ///< of dy itself
  };
  /// All that depends on neither depth.
  struct Summed {
    std::vector<Recovered<Error>> recovered;
    Sums sums;
  };

  BackwardErrors<Error> errors() const { return errors(summed()); }

  Summed summed() const {
    Summed out;
    out.recovered.resize(v.dy.size());
    for (std::size_t i = 0; i < v.dy.size(); ++i) {
      out.recovered[i] = recover(i);
      add(out.sums, out.recovered[i], v.dy[i], recover.is_scheme_two() ? v.y[i] : v.xhat[i]);
    }
    return out;
  }

  BackwardErrors<Error> errors(const Summed& all) const {
    const std::vector<Recovered<Error>>& recovered = all.recovered;
    Sums sums = all.sums;
    BackwardErrors<Error> out;
    out.dx.resize(recovered.size());
    if (std::any_of(recovered.begin(), recovered.end(),
                    [](const Recovered<Error>& one) { return one.open; }))
      for (const Recovered<Error>& one : recovered) out.open.push_back(one.open);
    if (std::any_of(recovered.begin(), recovered.end(),
                    [](const Recovered<Error>& one) { return one.undefined; }))
      for (const Recovered<Error>& one : recovered) out.undefined.push_back(one.undefined);
    out.dbeta_overflows = sums.dy_overflows || !(sums.dy <= a.largest);
    out.overflows = out.dbeta_overflows || sums.overflows || !(sums.product <= a.largest);
    if (recover.is_scheme_two())
      out.overflows |= !(larger(std::fabs(c.beta) * sums.dy, std::fabs(v.s1)) <= a.largest);
    // Where all dz are 0, so is every result in any arithmetic, unless an overflow makes it NaN.
    if (sums.dy == 0 && sums.s1.total() < infinity && !c.shards()) return out;
    const Closed closed = close(sums);
    const bool unknown = recover.backward_statistics.root.variance == infinity;
    bool overflows = false;
    for (std::size_t i = 0; i < recovered.size(); ++i) {
      const bool fits = recover.frozen() || largest_product(i, closed) <= a.largest;
      if (recover.frozen() && (recovered[i].dy_overflows || frozen_overflows(i))) {
        out.overflown.resize(recovered.size());
        out.overflown[i] = true;
      }
      Error e{};
      if (!recover.xhat_unrecoverable()) {
        e = unknown                   ? nothing_known()
            : recover.frozen()        ? frozen(i, recovered[i])
            : recover.is_scheme_two() ? training_two(i, recovered[i], closed)
                                      : training(i, recovered[i], closed);
        if (!fits) e[compare::Term::arithmetic] = infinity;
        e[compare::Term::storage] += a.store(std::fabs(v.dx.hi[i]) + e.total());
      }
      out.dx[i] = e;
      overflows |= !fits;
    }
    out.overflows |= overflows && !unknown;
    out.dgamma = sums.s1;
    out.dgamma[compare::Term::storage] += a.store_parameter(std::fabs(v.s1) + sums.s1.total());
    out.dbeta = sums.s0;
    out.dbeta[compare::Term::storage] += a.store_parameter(std::fabs(v.s0) + sums.s0.total());
    return out;
  }

 private:
  static constexpr double dy_roundings = 5, s0_roundings = 6, s1_roundings = 7;
  // g r, its product with dy, dy = phi' dz counted in E_dy
  static constexpr double frozen_roundings = 3;
  static constexpr double scheme_two_roundings = 3;  // of (Sy - beta S0)/g behind the sums

  /// What the sums bring to every element.
  struct Closed {
    /// of dx by S0/m, and by S1/m for each unit of xhat
    Error s0{}, s1{};
    double mean0 = 0, mean1 = 0;                    ///< the largest |S0|/m and |S1|/m
    double constant = 0, per_xhat = 0, per_dy = 0;  ///< what is rounded in dx itself
  };

  void add(Sums& sums, const Recovered<Error>& one, double dy, double value) const {
    const double value_error = one.value.total(), dy_error = one.dy.total();
    Error product{};  // apart from the sums, which each wait for the one before
    if (!(value_error < infinity))
      // even times dy = 0, as an overflow may stand behind it
      product[compare::Term::sum_dy_xhat] = infinity;
    else
      product.add(std::fabs(dy), one.value);
    product.add(std::fabs(value), one.dy);
    if (dy_error != 0) product[compare::Term::sum_dy_xhat] += dy_error * value_error;
    sums.s0.add(1, one.dy);
    sums.s1.add(1, product);
    sums.overflows |= one.overflows;
    sums.dy_overflows |= one.dy_overflows;
    sums.dy += std::fabs(dy) + dy_error;
    sums.product += (std::fabs(dy) + dy_error) *
                    (std::fabs(value) + (value_error < infinity ? value_error : 0));
  }

  Closed close(Sums& sums) const {
    close_products(sums);
    const double per = (1 + a.count_roundings * a.u) / c.divisor();
    Closed closed;
    const Error none{}, &s0 = c.shards() ? none : sums.s0, &s1 = c.shards() ? none : sums.s1;
    closed.s0.add(scale * per, s0);
    closed.s1.add(scale * per, s1);
    closed.mean0 = (std::fabs(c.shards() ? v.all_s0 : v.s0) + s0.total()) / c.divisor();
    closed.mean1 = (std::fabs(c.shards() ? v.all_s1 : v.s1) + s1.total()) / c.divisor();
    if (!recover.is_scheme_two()) close_arithmetic(closed);
    close_underflow(closed);
    return closed;
  }
  void close_arithmetic(Closed& closed) const {
    const double rounding = scale * a.u;
    closed.constant = rounding * (s0_roundings + a.count_roundings) * closed.mean0;
    closed.per_xhat = rounding * (s1_roundings + a.count_roundings) * closed.mean1;
    closed.per_dy = rounding * dy_roundings;
  }
  void close_underflow(Closed& closed) const {
    const double s0 = closed.mean0, s1 = closed.mean1;
    closed.constant += a.eta * (2 + 2 * scale + 2 * r_grown);
    closed.per_xhat += a.eta * (1 + r_grown + std::fabs(c.g) + scale);
    if (!(scale / c.m < a.eta / a.u)) return;
    // g r/m is subnormal
    closed.constant += a.eta * c.m * s0;
    closed.per_xhat += a.eta * c.m * s1;
    closed.per_dy += a.eta * c.m;
  }
  void close_products(Sums& sums) const {
    const double h = a.depth_backward;
    sums.s0[compare::Term::sum_dy] += times(gamma_of(h, a.u), sums.dy);
    if (sums.dy > a.largest) sums.s0[compare::Term::sum_dy] = infinity;
    // halves of eta that a product may be off by
    const double each = recover.in_place() ? 2 : std::fmax(1, c.r);
    sums.s1[compare::Term::sum_dy_xhat] +=
        times(gamma_of(h + 1, a.u), sums.product) + (c.m + 1) * each * a.eta / 2;
    if (sums.product > a.largest) sums.s1[compare::Term::sum_dy_xhat] = infinity;
    if (!recover.is_scheme_two()) return;
    // S1 = (Sy - beta S0)/g
    const double g = std::fabs(c.g), beta = std::fabs(c.beta);
    if (g == 0) return;
    if (larger(beta * sums.dy, std::fabs(v.s1)) > a.largest)
      sums.s1[compare::Term::sum_dy_xhat] = infinity;
    const double rounded =
        a.u * beta * std::fabs(v.s0) + recover.beta_load() * std::fabs(v.s0) + a.eta;
    Error s1{};
    s1.add(1 / g, sums.s1);
    s1.add(beta / g, sums.s0);
    s1[compare::Term::sum_dy_xhat] +=
        rounded / g + (scheme_two_roundings + recover.scale_roundings) * a.u * std::fabs(v.s1);
    sums.s1 = s1;
  }

  /// Adds |dx| rho, the error that r brings to a finished product.
  void add_root(Error& e, double dx) const {
    const RootError& root = recover.backward_statistics.root;
    e[compare::Term::variance] += times(root.variance, dx);
    e[compare::Term::materialised] += times(root.materialised, dx);
    e[compare::Term::arithmetic] += times(root.arithmetic + recover.scale_roundings * a.u, dx);
  }

  /// Where the reciprocal root is beyond first order.
  static Error nothing_known() {
    Error e{};
    e[compare::Term::variance] += infinity;
    return e;
  }

  /// m dy, and the sums times g, r or both, each before it is divided by m: as large as anything
  /// gets on the way to dx. Scheme II multiplies dg, as far off as it may be, by y and beta apart.
  double largest_product(std::size_t i, const Closed& closed) const {
    if (recover.is_scheme_two())
      return (std::fabs(c.g) * (c.m * std::fabs(v.dy[i]) + std::fabs(v.s0)) +
              c.m * closed.mean1 * (std::fabs(v.y[i]) + std::fabs(c.beta))) *
             larger(1, r_grown) * (1 + gamma_of(a.depth_backward, a.u));
    return (c.m * std::fabs(v.dy[i]) + std::fabs(v.s0) + std::fabs(v.s1 * v.xhat[i])) *
           product_grown;
  }

  /// g, r and dy in any order. A number that is no longer finite is not judged.
  bool frozen_overflows(std::size_t i) const {
    const double dy = std::fabs(v.dy[i]), g = std::fabs(c.g);
    const double most = std::max({c.r, g * c.r, dy, g * dy, c.r * dy, g * c.r * dy});
    constexpr double room = 16;  // roundings on the way, in units of u
    return std::isfinite(v.dy[i]) && std::isfinite(c.g) && std::isfinite(c.mean) &&
           !(most <= a.largest * (1 - room * a.u));
  }

  Error training(std::size_t i, const Recovered<Error>& one, const Closed& closed) const {
    const double xhat = std::fabs(v.xhat[i]);
    Error e{};
    e.add(scale, one.dy);
    e.add(1, closed.s0);
    e.add(xhat, closed.s1);
    e.add(scale * closed.mean1, one.value);
    e[compare::Term::arithmetic] +=
        closed.constant + closed.per_xhat * xhat + closed.per_dy * std::fabs(v.dy[i]);
    add_root(e, std::fabs(v.dx.hi[i]));
    return e;
  }

  Error training_two(std::size_t i, const Recovered<Error>& one, const Closed& closed) const {
    const double r = r_grown, g = std::fabs(c.g), xhat = std::fabs(v.xhat[i]),
                 y = std::fabs(v.y[i]), s0 = closed.mean0, dg = closed.mean1;
    Error e{};
    e.add(scale, one.dy);
    e.add(1, closed.s0);
    e.add(xhat, closed.s1);
    e.add(r * dg, one.value);
    const double roundings = dy_roundings * g * std::fabs(v.dy[i]) +
                             s1_roundings * (dg * y + g * s0 + std::fabs(c.beta) * dg);
    e[compare::Term::arithmetic] += r * a.u *
                                    (roundings + (a.count_roundings + recover.scale_roundings) *
                                                     (dg * y + g * s0 + std::fabs(c.beta) * dg));
    e[compare::Term::arithmetic] +=
        a.eta * y + closed.constant + closed.per_xhat * xhat + closed.per_dy * std::fabs(v.dy[i]);
    add_root(e, std::fabs(v.dx.hi[i]));
    return e;
  }

  Error frozen(std::size_t i, const Recovered<Error>& one) const {
    const double dx = std::fabs(v.dx.hi[i]);
    // Exactly 0, in which nothing underflows. dx itself would not tell: below half of the smallest
    // double it is 0 as well.
    const bool vanishes = c.g == 0 || recover.vanishes(i);
    Error e{};
    e.add(scale, one.dy);
    e[compare::Term::arithmetic] +=
        frozen_roundings * a.u * dx * recover.backward_statistics.root.growth +
        (vanishes ? 0 : a.eta * (1 + std::fabs(v.dy[i]) + r_grown));
    add_root(e, dx);
    return e;
  }

  const Arithmetic& a;
  const ChannelNumbers& c;
  const oracle::BackwardValues& v;
  // Of the channel, once for all elements
  Recovery<Error, Known> recover;
  double r_grown, scale;  ///< r and |g| r with r's own error on top
  double product_grown;   ///< what a sum may be multiplied by before it is divided by m
};

/// For what is declared and for what is recommended, in the quickest way that the channel allows.
template <class Error>
struct BothBackwardErrors {
  BackwardErrors<Error> declared;
  BackwardErrors<Total> recommended;
};
template <class Error>
BothBackwardErrors<Error> backward_errors(const Arithmetic& declared, const BackwardPlan& plan,
                                          const Arithmetic& recommended,
                                          const BackwardPlan& fit_plan, const ChannelNumbers& c,
                                          const oracle::BackwardInput& in,
                                          const oracle::BackwardValues& v) {
  if (!is_common(declared, c, plan, in) || !is_common(recommended, c, fit_plan, in))
    return {BackwardBound<Error>(declared, c, plan, in, v).errors(),
            BackwardBound<Total>(recommended, c, fit_plan, in, v).errors()};
  const BackwardBound<Error, CommonRecovery> bound(declared, c, plan, in, v);
  const BackwardBound<Total, CommonRecovery> fit(recommended, c, fit_plan, in, v);
  const auto summed = bound.summed();
  if constexpr (std::is_same_v<Error, Total>)
    if (is_same_arithmetic(declared, recommended))
      return {bound.errors(summed), fit.errors(summed)};
  return {bound.errors(summed), fit.errors()};
}

}  // namespace abn::verify::bound
