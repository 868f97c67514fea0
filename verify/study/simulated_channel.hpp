// One channel of the simulated kernel, in its accumulate type: what forward and backward do alike.
#pragma once

#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/simulated_arithmetic.hpp"
#include "verify/study/simulated_kernel.hpp"

namespace abn::verify::study::simulated {

inline constexpr double hardware_root_ulp = 1.5;

template <class A>
struct Channel {
  const problem::Inputs& in;
  const SimulatedKernel& kernel;
  const abn_problem& p = in.problem;
  const KernelClass& declared = kernel.declared;
  const Liberties& free = kernel.free;
  const problem::Phi phi = problem::phi_of(p);
  const problem::Format &storage = problem::format_of(p.dtype),
                        &out = problem::format_of(problem::out_type_of(p)),
                        &parameter = problem::format_of(p.param_dtype);
  const std::size_t m = static_cast<std::size_t>(problem::sample_count(p));
  const A count = A(static_cast<double>(m));
  const bool training = p.mode == ABN_TRAINING;
  std::size_t c = 0;
  std::vector<std::size_t> at{};  ///< of sample i
  A g{}, beta{};
  bool negated = false;  ///< g = |gamma| + eps of a gamma below 0

  Channel(const problem::Inputs& inputs, const SimulatedKernel& simulated)
      : in(inputs), kernel(simulated), at(m) {}
  /// The same kernel in another arithmetic, for activations alone.
  template <class B>
  explicit Channel(const Channel<B>& other) : in(other.in), kernel(other.kernel) {}

  void enter(std::size_t channel) {
    c = channel;
    problem::for_each_sample(p, static_cast<std::int64_t>(c),
                             [&](std::size_t i, std::size_t place) { at[i] = place; });
    const double gamma = in.affine ? in.gamma[c] : 1;
    const bool abs_eps = in.affine && !in.unit_scale && p.scale == ABN_SCALE_ABS_EPS;
    g = abs_eps ? A(std::fabs(gamma)) + A(p.eps) : A(gamma);
    negated = abs_eps && gamma < 0;
    beta = A(in.affine ? in.beta[c] : 0);
  }

  bool has(Bug bug) const { return kernel.bug == bug; }
  /// x cannot be found again from z.
  bool is_lost() const { return in_place() && static_cast<double>(g) == 0; }
  bool in_place() const {
    return declared.scheme == ABN_IN_PLACE_1 || declared.scheme == ABN_IN_PLACE_2;
  }

  A divide(A a, A b) const { return free.reciprocals ? a * (A(1) / b) : a / b; }
  A over_width(A y) const {
    return free.reciprocal_width ? divide(y, A(phi.width)) : y / A(phi.width);
  }

  double stored(A value) const { return stored_as(storage, value); }
  double stored_out(A value) const { return stored_as(out, value); }
  double stored_as(const problem::Format& format, A value) const {
    const double exact = static_cast<double>(value), nearest = problem::round_to(format, exact);
    if (!has(Bug::truncated_store) || !(std::fabs(nearest) > std::fabs(exact))) return nearest;
    return nearest - std::copysign(problem::ulp_of(format, exact), exact);
  }
  double stored_parameter(A value) const {
    return problem::round_to(parameter, static_cast<double>(value));
  }
  /// What is left of an intermediate result where the class stores it on the way.
  A materialised(std::uint32_t which, A value) const {
    constexpr std::uint32_t behind = ABN_MATERIALISES_Y | ABN_MATERIALISES_DY;
    return (declared.materialises & which) == 0
               ? value
               : A(problem::round_to((which & behind) != 0 ? out : storage,
                                     static_cast<double>(value)));
  }

  template <class Term>
  A sum(std::size_t samples, bool narrow, const Term& term) const {
    const auto add = [&](A a, A b) {
      return narrow ? A(problem::round_to(storage, static_cast<double>(a + b))) : a + b;
    };
    return reduced<A>(
        declared, samples, term, [&](A& lane, std::size_t i) { lane = add(lane, term(i)); }, add);
  }

  A reciprocal_root(A variance) const {
    using std::sqrt;
    if (has(Bug::eps_outside_root)) return A(1) / (sqrt(variance) + A(p.eps));
    const A radicand = variance + A(p.eps);
    if constexpr (std::is_same_v<A, float>) {  // hardware has it in f32
      if (free.root != 0 && std::isfinite(variance)) {
        const double exact = 1 / std::sqrt(static_cast<double>(radicand));
        return static_cast<float>(exact + free.root * hardware_root_ulp *
                                              problem::ulp_of(problem::format_of(ABN_F32), exact));
      }
    }
    return A(1) / sqrt(radicand);
  }

  A xhat_of(A x, A mean, A r) const {
    return materialised(ABN_MATERIALISES_XHAT, declared.folded ? x * r - mean * r : (x - mean) * r);
  }
  A y_of(A x, A mean, A r) const {
    using std::fma;
    A y;
    if (declared.folded) {
      const A a = g * r, b = beta - (declared.apart ? (mean * g) * r : a * mean);
      y = free.order == 2 ? fma(a, x, b) : a * x + b;
    } else if (free.order == 0 || (declared.materialises & ABN_MATERIALISES_XHAT) != 0) {
      y = g * xhat_of(x, mean, r) + beta;
    } else {
      y = free.order == 1 ? (x - mean) * (g * r) + beta : fma(x - mean, g * r, beta);
    }
    return materialised(ABN_MATERIALISES_Y | ABN_MATERIALISES_ACTIVATION, y);
  }
};

}  // namespace abn::verify::study::simulated
