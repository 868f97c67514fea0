// The activations without an inverse as functions in double: value, derivatives, kinks and limits.
//
// Backward has y itself, found again from what a scheme keeps, so what is asked is phi, phi'
// and how far both move where y is off. With s = 1/(1 + e^-y), q = 1 - s, p = e^(-y^2/2)/sqrt(2 pi)
// and P its integral, h = sqrt(2/pi), v = 2 h (y + c y^3), S = 1/(1 + e^-v), Q = 1 - S:
//
//              phi                phi'             phi''               |phi'''| at most
//   relu       max(y, 0)          0 | 1            0                   0
//   relu6      min(max(y, 0), 6)  0 | 1 | 0        0                   0
//   hardswish  y clamp(y+3)/6     0 | y/3+1/2 | 1  0 | 1/3 | 0         0
//   sigmoid    s                  s q              s q (q - s)         s q
//   tanh       t                  1 - t^2          -2t (1 - t^2)       4 (1 - t^2)
//   silu       y s                s + y s q        s q (2 + y (q - s)) s q (3 + |y|)
//   gelu       y P                P + y p          p (2 - y^2)         p (|y|^3 + 4 |y|)
//   gelu_tanh  y S                S + y S'         2 S' + y S''        3 |S''| + |y S'''|
// with S' = S Q v', S'' = S Q ((Q - S) v'^2 + v'') and S''' = S Q ((1 - 6 S Q) v'^3 + 3 (Q - S) v'
// v'' + v'''); |Q - S| and |1 - 6 S Q| are at most 1. gelu_tanh is y (1 + tanh(v/2))/2 and so y S.
//
// The last column is asked for over y +- off: s q and 1 - t^2 grow by at most e^off and
// e^(2 off) on it, as their logarithmic derivatives are q - s and -2t; p and S Q are taken at its
// point next to 0, polynomials at its far end.
//
// At a kink `derivative` is that of the left side, which PyTorch takes too.
#pragma once

#include <limits>
#include <span>

namespace abn::verify::problem {

/// A jump of phi'.
struct Kink {
  double at, left, right;
};

enum class CurveKind { relu, relu6, silu, gelu, gelu_tanh, sigmoid, tanh, hardswish };

struct Curve {
  CurveKind kind;
  double (*value)(double y);
  double (*derivative)(double y);
  double (*second)(double y);             ///< phi'' off the kinks
  double (*third)(double y, double off);  ///< at least |phi'''| on y +- off; null: 0 everywhere
  double (*derivative_from_output)(double z);  ///< null where z does not tell
  double least, most;                          ///< of phi'
  double bend;                                 ///< at least |phi''|
  bool weighted;  ///< z is y times a factor, which y = -infinity makes NaN in most kernels
  std::span<const Kink> kinks{};

  /// Made of pieces of polynomials, which need no functions.
  constexpr bool pieces() const { return third == nullptr; }
  /// sup |phi'|
  constexpr double stretch() const { return most > -least ? most : -least; }
};

/// 1/(1 + e^-y) without a loss at either end.
double logistic(double y);

extern const Curve relu_curve, relu6_curve, silu_curve, gelu_curve, gelu_tanh_curve, sigmoid_curve,
    tanh_curve, hardswish_curve;

namespace curves {
inline constexpr double hard_end = 3, cap = 6;                        ///< of hardswish, of relu6
inline constexpr double cubic = 0.044715;                             ///< c of gelu_tanh
inline constexpr double two_over_root_pi_2 = 0.79788456080286535588;  ///< sqrt(2/pi)
inline constexpr double one_over_root_2 = 0.70710678118654752440;
inline constexpr double one_over_root_2pi = 0.39894228040143267794;

double normal_density(double y);       ///< p
double normal_distribution(double y);  ///< P
/// v of gelu_tanh, twice the argument of its tanh; its derivative.
double tanh_argument(double y);
double tanh_argument_slope(double y);
}  // namespace curves

}  // namespace abn::verify::problem
