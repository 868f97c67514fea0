// Error bounds of what backward recovers of one channel: xhat (y under scheme II) and dy, element
// by element.
//
// Recovery from a stored z, exact or E_z off (Term::inversion, and E_z by its own terms):
//   y      leaky ReLU  E_z/slope + 2u|y|            z times a rounded 1/slope; nothing where slope
//                                                   is a power of 2
//          ELU, CELU   with t = z/alpha, 1 + t = w/alpha: log(1 + q), q = (E_z + 2u|z|)/w, times
//                      the width; downwards -log(1 - q), and no lower than the logarithm of the
//                      smallest 1 + t that the type can hold; then the error of log1p; eta/2 for
//                      the quotient and for the logarithm, which are subnormal where z is
//   xhat   E_y/|g| + (3+a) u|xhat|                  difference, 1/g, product; a = 1 for g = |gamma|
//                                                   + eps
//          folded: 3u (|y| + |beta|)/|g| instead    y/g and beta/g rounded apart
//   dy     u|dy| for slope*dz; u w|dz| + u|dy| for (z + alpha) dz, over the width
// Recovery from x is the forward pass again (verify/bound/forward.hpp). Where y is within its error
// of the kink, and the sign was not stored, both branches are possible: |dz| |1 - slope| more.
//
// An activation without an inverse has phi' of a y found again, under the standard scheme too, and
// dy is off by |dz| times what verify/bound/curve.hpp says of phi'. If z tells phi' (ReLU, ReLU6,
// sigmoid, tanh) a standard backward may read it there: then it is what the stored z gives.
#pragma once

#include "verify/bound/forward.hpp"
#include "verify/oracle/channel.hpp"

namespace abn::verify::bound {

/// What the bound of one channel's backward depends on beside the arithmetic.
struct BackwardPlan {
  int scheme = ABN_STANDARD;
  /// from the exact x, so that stored z, xhat and statistics are themselves in error
  bool end_to_end = false;
  StatisticsError forward;   ///< errors of the statistics that forward normalised with (end to end)
  StatisticsError backward;  ///< errors of those that backward has
  /// ELU: smallest z + alpha > 0 of the storage type, where saturated z are moved to
  double smallest_gap = 0;
};

/// InPlace-ABN I on its own stored z in training, in plain arithmetic: nearly every element that is
/// ever judged.
struct CommonRecovery : PlainArithmetic {
  static constexpr bool common = true;
};
struct AnyRecovery : AnyArithmetic {
  static constexpr bool common = false;
};
inline bool is_common(const Arithmetic& a, const ChannelNumbers& c, const BackwardPlan& plan,
                      const oracle::BackwardInput& in) {
  return is_plain(a) && plan.scheme == ABN_IN_PLACE_1 && !plan.end_to_end && !in.frozen && c.g != 0;
}

template <class Error>
struct Recovered {
  Error value{};  ///< of xhat, or of y under scheme II
  Error dy{};
  bool overflows = false;  ///< on the way to it something may leave its type
  bool open = false;       ///< from the exact x: y is within its error of the kink
  /// dz is not finite, and phi' so small that kernels may select where others multiply
  bool undefined = false;
  bool dy_overflows = false;  ///< dy leaves the type that it is rounded to
};

template <class Error, class Known = AnyRecovery>
class Recovery {
 public:
  Recovery(const Arithmetic& arithmetic, const ChannelNumbers& channel,
           const BackwardPlan& plan_of_channel, const oracle::BackwardInput& input,
           const oracle::BackwardValues& values)
      : a(arithmetic),
        c(channel),
        plan(plan_of_channel),
        in(input),
        v(values),
        forward(a, c, plan.forward),
        inside(forward.inside),
        g_inverse(1 / std::fabs(c.g)),
        parameter_inverse(1 / c.phi.parameter),
        quotient(inexact(c.phi.parameter) * reciprocal_roundings * a.u + a.load_parameter.u),
        by_width(quotient_by_width(a, c)),
        smallest_gap(larger(plan.smallest_gap, 2 * a.load_out.u * c.phi.parameter)),
        reciprocal_overflows(a.folded && c.g != 0 && !(g_inverse <= a.largest)),
        backward_statistics(a, c, plan.backward),
        scale_roundings((c.abs_eps ? 1 : 0) + parameter_roundings(a, c.g)) {}

  Recovered<Error> operator()(std::size_t i) const {
    Recovered<Error> out;
    const double y = v.y[i], xhat = v.xhat[i];
    Error z_error{}, y_error{};
    if (!c.phi.has_inverse()) {
      without_inverse(i, out);
    } else if (in_place() || plan.scheme == ABN_STANDARD) {
      if (end_to_end()) {
        y_error = forward.y(in.x[i], xhat, y);
        z_error = forward.z(y_error, y, z(i));
        z_error[compare::Term::inversion] += a.kept(std::fabs(z(i)) + z_error.total());
        out.overflows = in_place() && !(std::fabs(z(i)) <= a.kept.largest);
      }
      if (in_place()) {
        if constexpr (!Known::common)
          z_error[compare::Term::inversion] += a.load_out(std::fabs(z(i)));
        out.value = inverted(i, z_error);
        out.overflows |= leaves_type(i);
      } else {
        out.value = backward_statistics.xhat(in.x[i], xhat);
      }
      out.dy = dy_from_output(i, z_error, y_error.total());
      out.undefined = !in_place() && may_be_flat(i);
      out.open = end_to_end() && !c.phi.linear() && !(std::fabs(y) > y_error.total());
    } else {
      if (plan.scheme == ABN_CHECKPOINT_X) {
        out.value = backward_statistics.xhat(in.x[i], xhat);
        y_error = backward_statistics.y(in.x[i], xhat, y);
      } else {
        y_error = from_stored_xhat(i, out);
      }
      out.dy = dy_from_input(i, y_error);
      out.undefined = may_be_flat(i);
    }
    if (!in_place() && in.frozen) {
      const bool from_x = plan.scheme == ABN_STANDARD || plan.scheme == ABN_CHECKPOINT_X;
      if (from_x) out.overflows |= backward_statistics.overflows(in.x[i], xhat, y);
    }
    if (!in_place()) out.value[compare::Term::materialised] += a.xhat(std::fabs(xhat));
    if constexpr (!Known::plain) {
      out.dy_overflows = std::isfinite(v.dy[i]) && !(std::fabs(v.dy[i]) <= a.dy.largest);
      out.dy[compare::Term::arithmetic] += loaded(i);
      out.dy[compare::Term::materialised] += a.dy(std::fabs(v.dy[i]) + out.dy.total());
    }
    return out;
  }

  bool in_place() const {
    return Known::common || plan.scheme == ABN_IN_PLACE_1 || plan.scheme == ABN_IN_PLACE_2;
  }
  bool is_scheme_two() const { return !Known::common && plan.scheme == ABN_IN_PLACE_2; }
  bool end_to_end() const { return !Known::common && plan.end_to_end; }
  bool frozen() const { return !Known::common && in.frozen; }
  bool xhat_unrecoverable() const { return !Known::common && in_place() && c.g == 0; }
  double beta_load() const { return forward.beta_load; }
  /// dy = phi' dz does; phi' is nowhere 0
  bool vanishes(std::size_t i) const { return in.dz[i] == 0; }

 private:
  static constexpr double inversion_roundings = 3;  // difference, 1/g, product

  bool stored_branch() const {
    return !end_to_end() &&
           (in.source == oracle::Source::z || in.source == oracle::Source::x_and_z);
  }
  bool negative(std::size_t i) const {
    if (c.phi.linear()) return false;
    if (Known::common || stored_branch()) return c.phi.is_negative(in.z[i], std::signbit(in.z[i]));
    return v.y[i] < 0 || (c.phi.left_at_zero && v.y[i] == 0);
  }
  /// Reading dz into a narrower type: u|dy|, and phi' times half of its eta where dz is subnormal
  /// there.
  double loaded(std::size_t i) const {
    const double dz = std::fabs(in.dz[i]), dy = std::fabs(v.dy[i]);
    return dz > 0 && a.load_out.u > 0 ? a.load_out(dz) / dz * dy : 0;
  }
  /// A dz that is not finite, and a phi' of ELU so small that alpha e^y underflows, or z + alpha
  /// cancels, without being moved as in place.
  bool may_be_flat(std::size_t i) const {
    if (std::isfinite(in.dz[i]) || !c.phi.curved() || !negative(i)) return false;
    const double flat = c.phi.parameter * (inside.function + 4 * inside.u + a.kept.u) +
                        plan.smallest_gap + inside.eta / inside.u;
    return !(distance_to_saturation(i) > 2 * flat);
  }

  /// xhat and dy where phi' is taken from a y found again.
  void without_inverse(std::size_t i, Recovered<Error>& out) const {
    const double y = v.y[i], xhat = v.xhat[i];
    Error y_error{};
    if (plan.scheme == ABN_CHECKPOINT_XHAT) {
      y_error = from_stored_xhat(i, out);
    } else {
      out.value = backward_statistics.xhat(in.x[i], xhat);
      y_error = backward_statistics.y(in.x[i], xhat, y);
    }
    if (!std::isfinite(y)) return;  // of which nothing is judged
    const problem::Curve& curve = *c.phi.curve;
    const double off = y_error.total(), dz = std::fabs(in.dz[i]);
    // rounded to its type it is infinite
    if constexpr (!Known::plain) out.undefined = !(std::fabs(y) <= a.y.largest);
    const double tilt = tilt_near(curve, y, off);
    const bool from_z = plan.scheme == ABN_STANDARD && curve.derivative_from_output != nullptr;
    const double by_storage = from_z ? larger(0, tilt_by_storage(i, off) - tilt) : 0;
    const Cost cost = Evaluation(inside, curve).derivative(y);
    if (!std::isfinite(dz)) {
      constexpr double judged_from = 0.5;  // cuda/kernel.h
      out.undefined |= !(curve.derivative(y) - tilt - by_storage - cost.in(inside) >= judged_from);
      return;
    }
    out.open = end_to_end() && meets_kink(curve, y, off);
    if (dz == 0) return;
    Error e{};
    if (off < infinity && off > 0) {
      e.add(dz * tilt / off, y_error);
    } else {
      e[compare::Term::activation] += dz * tilt;
    }
    e[compare::Term::storage] += dz * by_storage;
    if (cost.roundings > 0 || !curve.pieces())
      e[compare::Term::activation] += dz * (cost.in(inside) + inside.eta * (2 + reach(inside, y))) +
                                      inside.u * (std::fabs(v.dy[i]) + e.total()) + inside.eta / 2;
    out.dy = e;
  }

  /// |phi' read off the stored z - phi'(y)|; where z is not known, of any that forward may store.
  double tilt_by_storage(std::size_t i, double y_off) const {
    const problem::Curve& curve = *c.phi.curve;
    const double y = v.y[i], at = curve.derivative(y);
    const auto tilt = [&](double stored) {
      return larger(std::fabs(curve.derivative_from_output(stored) - at), 0);
    };
    if (stored_branch()) return tilt(in.z[i]);
    const double exact = curve.value(y), z_off = stretch_near(curve, y, y_off) * y_off,
                 off = z_off + a.kept(std::fabs(exact) + z_off);
    return off < infinity ? larger(tilt(exact - off), tilt(exact + off))
                          : larger(curve.most - at, at - curve.least);
  }

  /// Its error and that of y, which is computed from it.
  Error from_stored_xhat(std::size_t i, Recovered<Error>& out) const {
    const double xhat = v.xhat[i];
    if (plan.end_to_end) {
      out.value = forward.xhat(in.x[i], xhat);
      out.value[compare::Term::materialised] += a.kept(std::fabs(xhat) + out.value.total());
      out.overflows = !(std::fabs(xhat) <= a.kept.largest);
    }
    out.value[compare::Term::arithmetic] += a.load(std::fabs(xhat));
    return backward_statistics.y_from_xhat(out.value, xhat, v.y[i]);
  }

  double z(std::size_t i) const {
    if (Known::common || !in.z.empty()) return in.z[i];
    const double y = v.y[i];
    return c.phi.value(y);
  }
  /// z + alpha on the negative branch of ELU.
  double distance_to_saturation(std::size_t i) const {
    return stored_branch() ? in.z[i] + c.phi.parameter
                           : c.phi.parameter * std::exp(v.y[i] / c.phi.width);
  }

  /// xhat, or what it is recovered from, beyond the accumulate type.
  bool leaves_type(std::size_t i) const {
    if constexpr (!Known::plain)
      if (!(std::fabs(v.y[i]) <= a.y.largest && std::fabs(v.xhat[i]) <= a.xhat.largest))
        return true;
    return static_cast<int>(!(std::fabs(v.y[i]) + std::fabs(c.beta) <= a.largest)) |
           static_cast<int>(!(std::fabs(v.xhat[i]) <= a.largest)) |
           static_cast<int>(reciprocal_overflows);
  }

  /// Error of y (scheme II) or xhat recovered from z.
  Error inverted(std::size_t i, const Error& z_error) const {
    Error e = c.phi.curved() ? inverted_exponential(i, z_error) : inverted_straight(i, z_error);
    if constexpr (!Known::plain)
      e[compare::Term::materialised] += a.y(std::fabs(v.y[i]) + e.total());
    // z/slope overflows the accumulate type
    if (!(std::fabs(v.y[i]) <= a.largest)) e[compare::Term::inversion] = infinity;
    return is_scheme_two() || xhat_unrecoverable() ? e : normalised(i, e);
  }

  Error inverted_straight(std::size_t i, const Error& z_error) const {
    if (c.phi.linear()) return z_error;
    const double size = std::fabs(z(i));
    // the stored z may be on the other side of the kink
    const bool crossed = end_to_end() && size <= z_error.total();
    Error e{};
    if constexpr (!Known::common)
      e.add(crossed ? larger(1, parameter_inverse) : negative(i) ? parameter_inverse : 1, z_error);
    const double on = crossed ? switched(true, size > 0) : switched(negative(i), size > 0);
    // in this order nothing is lost below 2^-1074
    e[compare::Term::inversion] += on * (quotient * (size * parameter_inverse) + a.eta / 2);
    return e;
  }

  Error inverted_exponential(std::size_t i, const Error& z_error) const {
    const double total = z_error.total(), size = std::fabs(z(i));
    const bool crossed = end_to_end() && size <= total;
    Error e{};
    if (!negative(i) && !crossed) {
      e.add(1, z_error);
      return e;
    }
    const double underflow = size > 0 ? a.eta / 2 : 0;  // of z/alpha, and of the logarithm
    const double own = own_quotient(i) + c.phi.parameter * underflow,
                 error = larger(c.phi.width * logarithm(i, total + own), crossed ? total : 0);
    if (error < infinity && total + own > 0) {
      e.add(error / (total + own), z_error);
      e[compare::Term::inversion] += larger(0, error - e.total());
    } else {
      e[compare::Term::inversion] += error;
    }
    e[compare::Term::inversion] += a.function * std::fabs(v.y[i]) + underflow;
    // the product with the width, and the underflow of the logarithm before it
    if (c.phi.scaled)
      e[compare::Term::inversion] +=
          (a.u + a.load_parameter.u) * (std::fabs(v.y[i]) + e.total()) + c.phi.width * underflow;
    return e;
  }

  Error normalised(std::size_t i, const Error& y_error) const {
    const double xhat = std::fabs(v.xhat[i]);
    Error e{};
    e.add(g_inverse, y_error);
    const bool folded = !Known::plain && a.folded;
    const double size = folded ? (std::fabs(v.y[i]) + std::fabs(c.beta)) * g_inverse : xhat;
    e[compare::Term::inversion] += (inversion_roundings + scale_roundings) * a.u * size;
    e[compare::Term::inversion] += forward.beta_load * g_inverse + (xhat > 0 ? a.eta : 0);
    if constexpr (!Known::plain) e[compare::Term::materialised] += a.xhat(xhat + e.total());
    if (leaves_type(i)) e[compare::Term::inversion] = infinity;
    return e;
  }

  /// The rounding of z/slope or z/alpha, as an error of z.
  double own_quotient(std::size_t i) const { return quotient * std::fabs(z(i)); }

  /// |log1p(t^) - log1p(t)| where t^ alpha is z off by `off`, and t^ no closer to -1 than the types
  /// allow.
  double logarithm(std::size_t i, double off) const {
    const double w = negative(i) ? distance_to_saturation(i) : c.phi.parameter;
    // a saturated z is moved up
    const double lifted = w < smallest_gap ? std::log(smallest_gap / w) : 0;
    if (off == 0) return lifted;
    // half: t itself is rounded
    const double lowest = larger(smallest_gap, a.u * c.phi.parameter) / 2;
    const double down = w - off > lowest ? -std::log1p(-off / w) : std::fabs(std::log(w / lowest));
    return larger(larger(std::log1p(off / w), down), lifted);
  }

  /// 1 where both hold, as a factor: which elements are negative cannot be foretold, and a wrong
  /// guess costs as much as the rest.
  static double switched(bool first, bool second) {
    return static_cast<double>(static_cast<int>(first) & static_cast<int>(second));
  }

  /// dy = dz phi', the branch and phi' from the stored z.
  Error dy_from_output(std::size_t i, const Error& z_error, double y_off) const {
    Error e{};
    if (c.phi.linear()) return e;
    const double dz = std::fabs(in.dz[i]);
    // The sign of a NaN is nobody's promise either.
    const bool kink = (end_to_end() && !(std::fabs(v.y[i]) > y_off)) || std::isnan(z(i));
    if (kink && dz != 0)
      e[compare::Term::activation] +=
          dz * (std::fabs(1 - c.phi.lambda) +
                (c.phi.curved() ? (std::fabs(z(i)) + z_error.total()) / c.phi.width : 0));
    const double on = kink ? switched(true, dz != 0) : switched(negative(i), dz != 0);
    if (c.phi.curved() && on != 0) {
      // phi' = (z + alpha)/width, or 1 + z/alpha where the two are one
      const double w = distance_to_saturation(i), factor = dz / c.phi.width;
      if (!kink) e.add(factor, z_error);
      if (end_to_end() || smallest_gap > plan.smallest_gap)
        e[compare::Term::inversion] += factor * larger(0, smallest_gap - w);
      e[compare::Term::activation] +=
          factor * (inside.u * (w + z_error.total()) + a.load_parameter.u * c.phi.parameter);
      if (c.phi.scaled)
        e[compare::Term::activation] +=
            by_width * (factor * std::fabs(z(i)) + std::fabs(v.dy[i])) + dz * inside.eta;
      if (!in_place()) e.add(factor, freedom_of_standard(i, w));
    }
    e[compare::Term::activation] +=
        on * ((inside.u + a.load_parameter.u) * (std::fabs(v.dy[i]) + e.total()) + inside.eta / 2);
    return e;
  }

  /// A kernel that never inverts need not move a saturated z: its phi' = z + alpha is then 0, or
  /// what the rounding of -alpha makes of it. One that claims to have a y of its own may take phi'
  /// = alpha e^y from it. That knows nothing of the rounding of z; and where y is found again from
  /// x, it and the y behind the stored z each have an error, with the statistics rounded between
  /// them when saved.
  Error freedom_of_standard(std::size_t i, double w) const {
    Error e{};
    e[compare::Term::activation] +=
        c.phi.parameter * (inside.function + 2 * inside.u + 2 * by_width) +
        (w <= plan.smallest_gap ? plan.smallest_gap + a.kept.u * c.phi.parameter : 0);
    if (!a.derivative_from_y) return e;
    if (plan.end_to_end) {  // the statistics that backward has are those that were saved
      e[compare::Term::materialised] += times(
          w, std::expm1(backward_statistics.y(in.x[i], v.xhat[i], v.y[i]).total() / c.phi.width));
      return e;
    }
    e[compare::Term::materialised] += a.kept(std::fabs(z(i)));
    if (in.source != oracle::Source::x_and_z) return e;
    const double saved = std::fabs(c.g) * c.r *
                         (a.store_parameter(std::fabs(c.mean)) +
                          c.r * std::fabs(v.xhat[i]) / 2 * a.store_parameter(c.variance));
    e[compare::Term::materialised] +=
        w * std::expm1((2 * backward_statistics.y(in.x[i], v.xhat[i], v.y[i]).total() + saved) /
                       c.phi.width);
    return e;
  }

  /// dy = dz phi', the branch and phi' from a recomputed y.
  Error dy_from_input(std::size_t i, const Error& y_error) const {
    Error e{};
    if (c.phi.linear() || in.dz[i] == 0) return e;
    const double dz = std::fabs(in.dz[i]), y_off = y_error.total();
    const bool kink = !(std::fabs(v.y[i]) > y_off);
    if (kink) e[compare::Term::activation] += dz * std::fabs(1 - c.phi.lambda);
    if (!negative(i) && !kink) return e;
    if (c.phi.curved()) {
      const double factor = dz / c.phi.width;
      e[compare::Term::activation] +=
          factor * times(std::fmin(distance_to_saturation(i), c.phi.parameter),
                         std::expm1(y_off / c.phi.width));
      // alpha e^y, or z + alpha with z = alpha expm1(y): either way within a few u of alpha
      e[compare::Term::activation] +=
          factor * c.phi.parameter *
          (inside.function + 2 * inside.u + a.load_parameter.u + 3 * by_width);
    }
    e[compare::Term::activation] +=
        (inside.u + a.load_parameter.u) * (std::fabs(v.dy[i]) + e.total()) + inside.eta / 2;
    return e;
  }

  const Arithmetic& a;
  const ChannelNumbers& c;
  const BackwardPlan& plan;
  const oracle::BackwardInput& in;
  const oracle::BackwardValues& v;
  // Of the channel, once for all elements
  ForwardBound<Error, Known> forward;
  const ActivationArithmetic& inside;   ///< of phi'
  double g_inverse, parameter_inverse;  ///< 1/|g|, 1/slope or 1/alpha
  double quotient;                      ///< roundings of z/slope or z/alpha, relative
  double by_width;                      ///< of y/width, 0 where the width is 1
  /// the plan's, or that of the type into which z is read where it is narrower: a z that comes out
  /// as -alpha there is moved there
  double smallest_gap;
  /// 1/g does, which folded kernels form: no promise then of what is recovered
  bool reciprocal_overflows;

 public:
  const ForwardBound<Error, Known> backward_statistics;  ///< with the statistics that backward has
  /// roundings of |gamma| + eps, and of g read into a narrower type
  const double scale_roundings;
};

}  // namespace abn::verify::bound
