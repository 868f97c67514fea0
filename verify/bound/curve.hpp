// How far phi and phi' of an activation without an inverse may be from their values at the exact y.
//
// y^ is y + d, |d| <= D. Taylor's formula with phi'' at y, phi''' bounded over y +- D (verify/
// problem/curve.hpp), and never more than the global constants allow:
//   |phi(y^) - phi(y)|   <= D min(|phi'| + D/2 B, sup|phi'|),   B = min(|phi''| + D sup|phi'''|,
//                                                                      sup|phi''|)
//   |phi'(y^) - phi'(y)| <= min(D min(|phi''| + D/2 sup|phi'''|, sup|phi''|), width of phi')
// from D = 1 on with the global constants alone. The pieces of ReLU, ReLU6 and hardswish have
// phi''' = 0: there the extremes of phi' lie at the ends of the interval and on both sides of the
// kinks in it, which is how either one-sided derivative is accepted at a kink.
//
// Evaluating the formulas of cuda/kernel.h then costs f times a magnitude, f the relative error of
// exp, tanh or erf, and u times another. With s, q = 1 - s; P, p, y p; S, Q, T = tanh(w), w' as
// there, and |ds| = f s q + 4u s (exp, sum, quotient with a rounded reciprocal, one to spare):
//
//              f times                          u times
//   sigmoid    s q                              4 s
//     phi'     s q                              4 s + 3 s q               s (1 - s)
//   tanh       |z|                              0
//     phi'     2 z^2                            z^2 + phi'                1 - z z
//   silu       |y| s q                          5 |z|
//     phi'     s q (s |y| + |1 + y q|)          s |y| (4 s + 2 q) + 4 s |1 + y q| + s (1 + |y| q) +
//                                               |phi'|                    s (1 + y (1 - s))
//   gelu       |y| max(|erf|/2, P)              2 y^2 p + 3 |z|           y (1 + erf(y/2^.5))/2; or
//                                                                         by erfc
//     phi'     max(|erf|/2, P) + |y| p          2 |y| p + P + |y| p (5/2 y^2 + 3) + |phi'|
//   gelu_tanh  |y| max(|T|/2, S Q)              12 |y w| S Q + 5 |z|      w: 6 roundings; or by S
//     phi'     max(|T|/2, S Q) + |y| w' T^2     12 |w| S Q + S + |y| w' (24 |T w| S Q + (T^2 + 4 S
//                                               Q)/2 + 10 S Q + 8 S) + |phi'|
//   hardswish  0                                4 |z|
//     phi'     0                                2/3 |y| + 3 |phi'|        y/3 + 1/2
//
// In 1 - s and 1 - T^2 the rounding of 1 does not shrink with them: multiplied by y and w' it would
// grow for ever. But where e^-y (e^-2|w|) is below u^2, s and T come out as 1, as every library has
// it; these are 0 then, and what they stand for is lost. Where e^-y is beyond the accumulate type,
// sigmoid and silu may be 0.
//
// Where every operation is rounded to the type of z (ABN_MATERIALISES_ACTIVATION) the counts are
// the same, and u, the functions' errors, eta and the range are those of that type.
#pragma once

#include <algorithm>
#include <cmath>

#include "verify/bound/bound.hpp"
#include "verify/problem/curve.hpp"

namespace abn::verify::bound {

/// May y be that kink? With some room for the roundings of y - off itself.
inline bool reaches(const problem::Kink& kink, double y, double off) {
  return !(std::fabs(y - kink.at) > off + 0x1p-50 * std::fabs(kink.at));
}
inline bool meets_kink(const problem::Curve& curve, double y, double off) {
  return std::any_of(curve.kinks.begin(), curve.kinks.end(),
                     [&](const problem::Kink& kink) { return reaches(kink, y, off); });
}

/// The largest |phi(y^) - phi(y)|, over `off`.
inline double stretch_near(const problem::Curve& curve, double y, double off) {
  if (!(off < 1)) return curve.stretch();
  if (!curve.pieces()) {
    const double bend =
        std::fmin(std::fabs(curve.second(y)) + off * curve.third(y, off), curve.bend);
    return std::fmin(std::fabs(curve.derivative(y)) + off / 2 * bend, curve.stretch());
  }
  double most = larger(std::fabs(curve.derivative(y - off)), std::fabs(curve.derivative(y + off)));
  for (const problem::Kink& kink : curve.kinks)
    if (reaches(kink, y, off))
      most = larger(most, larger(std::fabs(kink.left), std::fabs(kink.right)));
  return most;
}

/// The largest |phi'(y^) - phi'(y)|.
inline double tilt_near(const problem::Curve& curve, double y, double off) {
  const double at = curve.derivative(y), width = larger(curve.most - at, at - curve.least);
  if (!curve.pieces()) {
    if (!(off < 1)) return width;
    const double bend =
        std::fmin(std::fabs(curve.second(y)) + off / 2 * curve.third(y, off), curve.bend);
    return std::fmin(off * bend, width);
  }
  if (!(off < infinity)) return width;
  double most =
      larger(std::fabs(curve.derivative(y - off) - at), std::fabs(curve.derivative(y + off) - at));
  for (const problem::Kink& kink : curve.kinks)
    if (reaches(kink, y, off))
      most = larger(most, larger(std::fabs(kink.left - at), std::fabs(kink.right - at)));
  return most;
}

/// What an evaluation costs: `functions` times the error of a function, `roundings` times u; and
/// `lost`, which may be missing since an exponential overflowed.
struct Cost {
  double functions = 0, roundings = 0, lost = 0;

  double in(const ActivationArithmetic& a) const {
    // a function's result is rounded too
    return larger(a.function, a.u) * functions + a.u * roundings + lost;
  }
};

/// |y| as the factor of an exponential that underflows: beyond, the product does, too.
inline double reach(const ActivationArithmetic& a, double y) {
  return std::fmin(std::fabs(y), 1 - std::log(a.eta));
}

class Evaluation {
 public:
  Evaluation(const ActivationArithmetic& arithmetic, const problem::Curve& of_channel)
      : curve(of_channel),
        exact_from(-2 * std::log(arithmetic.u)),
        overflow_from(std::log(arithmetic.largest) - 1) {}

  Cost value(double y) const;
  Cost derivative(double y) const;

 private:
  using Kind = problem::CurveKind;

  /// 1 where 1 - s or 1 - T^2 has the roundings of 1, 0 where it comes out as 0.
  double roundings_of_one(double v) const { return v > exact_from ? 0 : 1; }
  /// e^-y overflows.
  bool overflows(double y) const { return -y > overflow_from; }

  const problem::Curve& curve;
  double exact_from, overflow_from;
};

inline Cost Evaluation::value(double y) const {
  const double size = std::fabs(y), z = std::fabs(curve.value(y));
  switch (curve.kind) {
    case Kind::relu:
    case Kind::relu6:
      return {};
    case Kind::hardswish:
      return {0, 4 * z};
    case Kind::sigmoid:
      return {z * problem::logistic(-y), 4 * z, overflows(y) ? z : 0};
    case Kind::tanh:
      return {z, 0};
    case Kind::silu:
      return {z * problem::logistic(-y), 5 * z, overflows(y) ? z : 0};
    case Kind::gelu: {
      const double P = problem::curves::normal_distribution(y),
                   p = problem::curves::normal_density(y);
      return {size * larger(std::fabs(P - 0.5), P), times(2 * y * y, p) + 3 * z};
    }
    case Kind::gelu_tanh: {
      const double v = problem::curves::tanh_argument(y), S = problem::logistic(v),
                   bell = S * problem::logistic(-v);
      return {size * larger(std::fabs(S - 0.5), bell),
              times(12 * size * std::fabs(v / 2), bell) + 5 * z};
    }
  }
  return {};
}

inline Cost Evaluation::derivative(double y) const {
  const double size = std::fabs(y), at = std::fabs(curve.derivative(y));
  switch (curve.kind) {
    case Kind::relu:
    case Kind::relu6:
      return {};
    case Kind::hardswish:
      return size >= problem::curves::hard_end ? Cost{} : Cost{0, size * 2 / 3 + 3 * at};
    case Kind::sigmoid: {
      const double s = problem::logistic(y);
      const double one = roundings_of_one(y);
      return {at, 4 * s * one + 3 * at, overflows(y) || one == 0 ? at : 0};
    }
    case Kind::tanh: {
      const double one = roundings_of_one(2 * size);
      return {2 * (1 - at) * one, (1 - at) * one + at, one == 0 ? at : 0};
    }
    case Kind::silu: {
      const double s = problem::logistic(y), q = problem::logistic(-y), one = roundings_of_one(y);
      const double inner = std::fabs(1 + times(y, q));
      return {
          s * q * (times(s * size, one) + inner),
          times(s * size, one) * (4 * s + 2 * q) + 4 * s * inner + s * (1 + times(size, q)) + at,
          overflows(y) ? at
          : one == 0   ? times(size, s * q)
                       : 0};
    }
    case Kind::gelu: {
      const double P = problem::curves::normal_distribution(y),
                   p = times(size, problem::curves::normal_density(y));
      return {larger(std::fabs(P - 0.5), P) + p, 2 * p + P + times(2.5 * y * y + 3, p) + at};
    }
    case Kind::gelu_tanh: {
      const double v = problem::curves::tanh_argument(y), w = std::fabs(v / 2),
                   S = problem::logistic(v), bell = S * problem::logistic(-v), T = 2 * S - 1,
                   slope = problem::curves::tanh_argument_slope(y) / 2,
                   one = times(size * slope, roundings_of_one(std::fabs(v)));
      return {larger(std::fabs(T) / 2, bell) + one * T * T,
              times(12 * w, bell) + S + times(24 * one * std::fabs(T) * w, bell) +
                  one * ((T * T + 4 * bell) / 2 + 8 * S) + times(10 * size * slope, bell) + at,
              one == 0 ? times(2 * size * slope, bell) : 0};
    }
  }
  return {};
}

}  // namespace abn::verify::bound
