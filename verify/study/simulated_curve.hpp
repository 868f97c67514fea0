// The activations without an inverse in the simulated kernel's arithmetic, as cuda/kernel.h has
// them; `order` 1 takes the other form where there are two. And which arithmetic that is: the
// kernel's, or that of the type of z where every operation is rounded to it.
#pragma once

#include <cmath>

#include "verify/study/simulated_channel.hpp"

namespace abn::verify::study::simulated {

template <class A>
A logistic(const Channel<A>& k, A v) {
  using std::exp;
  return k.divide(A(1), A(1) + exp(-v));
}
template <class A>
A normal_distribution(A v) {
  using std::erf;
  return A(0.5) * (A(1) + erf(v * A(problem::curves::one_over_root_2)));
}
/// w of gelu_tanh.
template <class A>
A argument_of_tanh(A v) {
  return A(problem::curves::two_over_root_pi_2) * (v + A(problem::curves::cubic) * v * v * v);
}

template <class A>
A curve_value(const Channel<A>& k, A y) {
  using std::tanh;
  const A zero(0), end(problem::curves::hard_end), cap(problem::curves::cap);
  switch (k.phi.curve->kind) {
    case problem::CurveKind::relu:
      return zero < y ? y : zero;
    case problem::CurveKind::relu6:
      return zero < y ? (y < cap ? y : cap) : zero;
    case problem::CurveKind::silu:
      return y * logistic(k, y);
    case problem::CurveKind::gelu:
      return y * normal_distribution(y);
    case problem::CurveKind::gelu_tanh:
      return k.free.order == 1 ? y * logistic(k, A(2) * argument_of_tanh(y))
                               : A(0.5) * y * (A(1) + tanh(argument_of_tanh(y)));
    case problem::CurveKind::sigmoid:
      return logistic(k, y);
    case problem::CurveKind::tanh:
      return tanh(y);
    case problem::CurveKind::hardswish:
      break;
  }
  if (y < -end) return zero;
  return end < y ? y : k.divide(y * (y + end), cap);
}

template <class A>
A curve_slope(const Channel<A>& k, A y) {
  using std::exp;
  using std::tanh;
  const A zero(0), one(1), end(problem::curves::hard_end);
  switch (k.phi.curve->kind) {
    case problem::CurveKind::relu:
      return zero < y ? one : zero;
    case problem::CurveKind::relu6:
      return zero < y && y < A(problem::curves::cap) ? one : zero;
    case problem::CurveKind::silu: {
      const A s = logistic(k, y);
      return k.free.order == 1 ? s + y * s * (one - s) : s * (one + y * (one - s));
    }
    case problem::CurveKind::gelu:
      return normal_distribution(y) +
             y * (exp(A(-0.5) * y * y) * A(problem::curves::one_over_root_2pi));
    case problem::CurveKind::gelu_tanh: {
      const A t = tanh(argument_of_tanh(y)), bell = one - t * t, half = A(0.5) * (one + t);
      const A slope =
          A(problem::curves::two_over_root_pi_2) * (one + A(3 * problem::curves::cubic) * y * y);
      return zero < bell ? half + A(0.5) * y * bell * slope : half;
    }
    case problem::CurveKind::sigmoid: {
      const A s = logistic(k, y);
      return s * (one - s);
    }
    case problem::CurveKind::tanh: {
      const A t = tanh(y);
      return one - t * t;
    }
    case problem::CurveKind::hardswish:
      break;
  }
  if (y < -end) return zero;
  return end < y ? one : k.divide(y, end) + A(0.5);
}

/// phi' as a standard kernel may read it off z.
template <class A>
A curve_slope_of_output(const Channel<A>& k, A z) {
  const A zero(0), one(1);
  if (k.phi.curve->kind == problem::CurveKind::sigmoid) return z * (one - z);
  if (k.phi.curve->kind == problem::CurveKind::tanh) return one - z * z;
  const bool capped =
      k.phi.curve->kind == problem::CurveKind::relu6 && !(z < A(problem::curves::cap));
  return zero < z && !capped ? one : zero;
}

/// evaluate(channel, y), in the type of z where the class rounds inside activations.
template <class A, class Evaluate>
A in_activation_arithmetic(const Channel<A>& k, A y, const Evaluate& evaluate) {
  if ((k.declared.materialises & ABN_MATERIALISES_ACTIVATION) == 0) return evaluate(k, y);
  const auto as = [&]<class B>(B argument) {
    return A(static_cast<double>(evaluate(Channel<B>(k), argument)));
  };
  switch (k.out.dtype) {
    case ABN_F16:
      return as(Narrow<ABN_F16>(static_cast<double>(y)));
    case ABN_BF16:
      return as(Narrow<ABN_BF16>(static_cast<double>(y)));
    case ABN_F32:
      return as(static_cast<float>(static_cast<double>(y)));
    default:
      return evaluate(k, y);
  }
}

}  // namespace abn::verify::study::simulated
