// The table of verify/problem/curve.hpp.
#include "verify/problem/curve.hpp"

#include <algorithm>
#include <cmath>

namespace abn::verify::problem {

double logistic(double y) {
  const double e = std::exp(-std::fabs(y));
  return (y < 0 ? e : 1) / (1 + e);
}

namespace curves {

double normal_density(double y) { return one_over_root_2pi * std::exp(-y * y / 2); }
double normal_distribution(double y) { return std::erfc(-y * one_over_root_2) / 2; }
double tanh_argument(double y) { return 2 * two_over_root_pi_2 * y * (1 + cubic * y * y); }
double tanh_argument_slope(double y) { return 2 * two_over_root_pi_2 * (1 + 3 * cubic * y * y); }

namespace {

/// factor * value where a value of 0 stands for less than a double can hold.
double product(double factor, double value) { return value == 0 ? 0 : factor * value; }

double sigmoid_bell(double y) { return logistic(y) * logistic(-y); }
/// The point of y +- off next to 0, and the one farthest from it, without their signs.
double near(double y, double off) { return std::fmax(std::fabs(y) - off, 0); }
double far(double y, double off) { return std::fabs(y) + off; }
/// s q on y +- off.
double largest_bell(double y, double off) {
  return std::fmin(0.25, sigmoid_bell(y) * std::exp(off));
}
double sech_squared(double y) { return 4 * sigmoid_bell(2 * y); }

/// S Q of gelu_tanh, at most e^-|v|.
double tanh_bell(double y) { return sigmoid_bell(tanh_argument(y)); }
constexpr double argument_third = 12 * two_over_root_pi_2 * cubic;  // v'''; v'' = v''' y

double zero(double) { return 0; }

double relu_value(double y) { return y < 0 ? 0 : y + 0.0; }
double relu_derivative(double y) { return y > 0 ? 1 : 0; }
double relu6_value(double y) { return y > cap ? cap : relu_value(y); }
double relu6_derivative(double y) { return y > 0 && y <= cap ? 1 : 0; }
double relu6_from_output(double z) { return z > 0 && z < cap ? 1 : 0; }

double hardswish_value(double y) {
  return y <= -hard_end ? 0 : y >= hard_end ? y : y * (y + hard_end) / (2 * hard_end);
}
double hardswish_derivative(double y) {
  return y <= -hard_end ? 0 : y > hard_end ? 1 : std::isnan(y) ? y : y / hard_end + 0.5;
}
double hardswish_second(double y) { return std::fabs(y) < hard_end ? 1 / hard_end : 0; }

double sigmoid_second(double y) { return sigmoid_bell(y) * (logistic(-y) - logistic(y)); }
double sigmoid_from_output(double z) { return z * (1 - z); }

double tanh_value(double y) { return std::tanh(y); }
double tanh_second(double y) { return -2 * std::tanh(y) * sech_squared(y); }
double tanh_third(double y, double off) {
  return 4 * std::fmin(1, sech_squared(y) * std::exp(2 * off));
}
double tanh_from_output(double z) { return (1 - z) * (1 + z); }

double silu_value(double y) { return product(y, logistic(y)); }
double silu_derivative(double y) { return logistic(y) + product(y, sigmoid_bell(y)); }
double silu_second(double y) {
  return product(2 + y * (logistic(-y) - logistic(y)), sigmoid_bell(y));
}
double silu_third(double y, double off) { return product(3 + far(y, off), largest_bell(y, off)); }

double gelu_value(double y) { return product(y, normal_distribution(y)); }
double gelu_derivative(double y) { return normal_distribution(y) + product(y, normal_density(y)); }
double gelu_second(double y) { return product(2 - y * y, normal_density(y)); }
double gelu_third(double y, double off) {
  const double end = far(y, off);
  return product(end * (end * end + 4), normal_density(near(y, off)));
}

double gelu_tanh_value(double y) { return product(y, logistic(tanh_argument(y))); }
double gelu_tanh_derivative(double y) {
  return logistic(tanh_argument(y)) + product(y * tanh_argument_slope(y), tanh_bell(y));
}
double gelu_tanh_second(double y) {
  const double v = tanh_argument(y), slope = tanh_argument_slope(y),
               tilt = logistic(-v) - logistic(v);
  return product(2 * slope + y * (tilt * slope * slope + argument_third * y), tanh_bell(y));
}
double gelu_tanh_third(double y, double off) {
  const double end = far(y, off), slope = tanh_argument_slope(end), second = argument_third * end;
  const double of_second = slope * slope + second,
               of_third = slope * slope * slope + 3 * slope * second + argument_third;
  return product(3 * of_second + end * of_third, tanh_bell(near(y, off)));
}

double sigmoid_third(double y, double off) { return largest_bell(y, off); }

constexpr Kink relu_kinks[] = {{0, 0, 1}}, relu6_kinks[] = {{0, 0, 1}, {cap, 1, 0}},
               hardswish_kinks[] = {{-hard_end, 0, -0.5}, {hard_end, 1.5, 1}};

}  // namespace
}  // namespace curves

// Where phi' and phi'' of silu and both gelus end was found by bisection of phi'' and phi''', and
// rounded away from 0; a test goes through all of them.
constexpr double silu_most = 1.09984, gelu_most = 1.12891, gelu_tanh_most = 1.129;

const Curve relu_curve{CurveKind::relu,
                       curves::relu_value,
                       curves::relu_derivative,
                       curves::zero,
                       nullptr,
                       curves::relu_derivative,
                       0,
                       1,
                       0,
                       false,
                       curves::relu_kinks};
const Curve relu6_curve{CurveKind::relu6,
                        curves::relu6_value,
                        curves::relu6_derivative,
                        curves::zero,
                        nullptr,
                        curves::relu6_from_output,
                        0,
                        1,
                        0,
                        false,
                        curves::relu6_kinks};
const Curve silu_curve{CurveKind::silu,
                       curves::silu_value,
                       curves::silu_derivative,
                       curves::silu_second,
                       curves::silu_third,
                       nullptr,
                       1 - silu_most,
                       silu_most,
                       0.5,
                       true};
const Curve gelu_curve{CurveKind::gelu,
                       curves::gelu_value,
                       curves::gelu_derivative,
                       curves::gelu_second,
                       curves::gelu_third,
                       nullptr,
                       1 - gelu_most,
                       gelu_most,
                       0.7979,
                       true};
const Curve gelu_tanh_curve{CurveKind::gelu_tanh,
                            curves::gelu_tanh_value,
                            curves::gelu_tanh_derivative,
                            curves::gelu_tanh_second,
                            curves::gelu_tanh_third,
                            nullptr,
                            1 - gelu_tanh_most,
                            gelu_tanh_most,
                            0.7979,
                            true};
const Curve sigmoid_curve{CurveKind::sigmoid,
                          logistic,
                          curves::sigmoid_bell,
                          curves::sigmoid_second,
                          curves::sigmoid_third,
                          curves::sigmoid_from_output,
                          0,
                          0.25,
                          0.0963,
                          false};
const Curve tanh_curve{CurveKind::tanh,
                       curves::tanh_value,
                       curves::sech_squared,
                       curves::tanh_second,
                       curves::tanh_third,
                       curves::tanh_from_output,
                       0,
                       1,
                       0.76981,
                       false};
const Curve hardswish_curve{CurveKind::hardswish,
                            curves::hardswish_value,
                            curves::hardswish_derivative,
                            curves::hardswish_second,
                            nullptr,
                            nullptr,
                            -0.5,
                            1.5,
                            1 / curves::hard_end,
                            true,
                            curves::hardswish_kinks};

}  // namespace abn::verify::problem
