// The conventions that are met in the wild, as functions of the exact biased variance.
#pragma once

#include <array>
#include <cmath>

namespace abn::verify::study::conventions {

using Real = long double;

struct Root {
  const char* name;
  Real (*under)(Real v, Real eps);  ///< q
};
// eps that kernels have of their own: the smallest that cuDNN takes, and the default of Keras and
// TensorFlow
inline constexpr Real eps_of_cudnn = 1e-5L, eps_of_keras = 1e-3L;
inline constexpr std::array<Root, 7> roots{{
    {"1/sqrt(v + eps)", [](Real v, Real eps) -> Real { return v + eps; }},
    {"1/(sqrt(v) + eps)",
     [](Real v, Real eps) -> Real {
       const Real sd = std::sqrt(v) + eps;
       return sd * sd;
     }},
    {"1/sqrt(max(v, eps))", [](Real v, Real eps) -> Real { return v < eps ? eps : v; }},
    {"1/sqrt(v), eps missing", [](Real v, Real) -> Real { return v; }},
    {"1/sqrt(v + 1e-5), eps ignored", [](Real v, Real) -> Real { return v + eps_of_cudnn; }},
    {"1/sqrt(v + 1e-3), eps ignored", [](Real v, Real) -> Real { return v + eps_of_keras; }},
    {"1/sqrt(v + max(eps, 1e-5))",
     [](Real v, Real eps) -> Real { return v + (eps < eps_of_cudnn ? eps_of_cudnn : eps); }},
}};

/// Variance with the divisor m, or m - 1 (Bessel).
struct Divisor {
  const char* name;
  bool unbiased;
};
inline constexpr std::array<Divisor, 2> divisors{{{"biased", false}, {"unbiased", true}}};
inline Real with_divisor(Real v, Real m, bool unbiased) { return unbiased ? v * m / (m - 1) : v; }

struct Scale {
  const char* name;
  Real (*g)(Real gamma, Real eps);
};
inline constexpr std::array<Scale, 4> scales{{
    {"gamma", [](Real gamma, Real) -> Real { return gamma; }},
    {"|gamma| + eps", [](Real gamma, Real eps) -> Real { return std::fabs(gamma) + eps; }},
    {"|gamma|", [](Real gamma, Real) -> Real { return std::fabs(gamma); }},
    {"gamma + eps", [](Real gamma, Real eps) -> Real { return gamma + eps; }},
}};

/// What is left in the variance output for backward.
struct Kept {
  const char* name;
  Real (*value)(Real v, Real eps, Real m);
};
inline constexpr std::array<Kept, 8> kept{{
    {"v, biased", [](Real v, Real, Real) -> Real { return v; }},
    {"v m/(m-1), unbiased", [](Real v, Real, Real m) -> Real { return v * m / (m - 1); }},
    {"v + eps, eps baked in", [](Real v, Real eps, Real) -> Real { return v + eps; }},
    {"v m/(m-1) + eps, eps baked in",
     [](Real v, Real eps, Real m) -> Real { return v * m / (m - 1) + eps; }},
    {"max(v, eps)", [](Real v, Real eps, Real) -> Real { return v < eps ? eps : v; }},
    {"sqrt(v)", [](Real v, Real, Real) -> Real { return std::sqrt(v); }},
    {"sqrt(v + eps)", [](Real v, Real eps, Real) -> Real { return std::sqrt(v + eps); }},
    {"1/sqrt(v + eps)", [](Real v, Real eps, Real) -> Real { return 1 / std::sqrt(v + eps); }},
}};

/// What goes into the running variance, with which weight.
struct Running {
  const char* name;
  bool unbiased, baked, swapped;
};
inline constexpr std::array<Running, 8> running{{
    {"v m/(m-1), unbiased", true, false, false},
    {"v, biased", false, false, false},
    {"v m/(m-1) + eps, eps baked in", true, true, false},
    {"v + eps, eps baked in", false, true, false},
    {"v m/(m-1), unbiased, momentum weighs the old value", true, false, true},
    {"v, biased, momentum weighs the old value", false, false, true},
    {"v m/(m-1) + eps, eps baked in, momentum weighs the old value", true, true, true},
    {"v + eps, eps baked in, momentum weighs the old value", false, true, true},
}};

/// What backward makes of the saved value s.
struct Back {
  const char* name;
  Real (*under)(Real s, Real eps, Real m);
};
inline constexpr std::array<Back, 13> backs{{
    {"1/sqrt(s + eps)", [](Real s, Real eps, Real) -> Real { return s + eps; }},
    {"1/(sqrt(s) + eps)",
     [](Real s, Real eps, Real) -> Real {
       const Real sd = std::sqrt(s) + eps;
       return sd * sd;
     }},
    {"1/sqrt(max(s, eps))", [](Real s, Real eps, Real) -> Real { return s < eps ? eps : s; }},
    {"1/sqrt(s)", [](Real s, Real, Real) -> Real { return s; }},
    {"1/sqrt(s m/(m-1) + eps)",
     [](Real s, Real eps, Real m) -> Real { return s * m / (m - 1) + eps; }},
    {"1/sqrt(s (m-1)/m + eps)",
     [](Real s, Real eps, Real m) -> Real { return s * (m - 1) / m + eps; }},
    {"1/(sqrt(s m/(m-1)) + eps)",
     [](Real s, Real eps, Real m) -> Real {
       const Real sd = std::sqrt(s * m / (m - 1)) + eps;
       return sd * sd;
     }},
    {"1/sqrt(s m/(m-1))", [](Real s, Real, Real m) -> Real { return s * m / (m - 1); }},
    {"1/sqrt(s + 1e-5), eps ignored", [](Real s, Real, Real) -> Real { return s + eps_of_cudnn; }},
    {"1/sqrt(s + 1e-3), eps ignored", [](Real s, Real, Real) -> Real { return s + eps_of_keras; }},
    {"1/sqrt(s + max(eps, 1e-5))",
     [](Real s, Real eps, Real) -> Real { return s + (eps < eps_of_cudnn ? eps_of_cudnn : eps); }},
    {"1/s", [](Real s, Real, Real) -> Real { return s * s; }},
    {"s", [](Real s, Real, Real) -> Real { return 1 / (s * s); }},
}};

}  // namespace abn::verify::study::conventions
