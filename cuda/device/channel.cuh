// What kernels compute once a channel: the effective scale and offset, the reciprocal deviation,
// running averages, dgamma.
#pragma once

#include "cuda/device/scalar.cuh"
#include "cuda/kernel.h"

namespace abn::device {
inline namespace ABN_BUILD {

// y = g*xhat + beta.
template <class A>
struct Affine {
  A g = 1, beta = 0;
};

// A null gamma means g = 1 under both scale conventions, a null beta 0.
template <class A, class P>
__device__ Affine<A> affine_of(const abn_problem& problem, const P* gamma, const P* beta,
                               int64_t c) {
  Affine<A> affine;
  if (gamma != nullptr) {
    const A weight = static_cast<A>(gamma[c]);
    affine.g = problem.scale == ABN_SCALE_ABS_EPS
                   ? (weight < 0 ? -weight : weight) + static_cast<A>(problem.eps)
                   : weight;
  }
  if (beta != nullptr) affine.beta = static_cast<A>(beta[c]);
  return affine;
}

template <class A>
__device__ A reciprocal_deviation(A variance, double eps) {
  return A(1) / root(variance + static_cast<A>(eps));
}

// dgamma from s1 = sum(dy*xhat). 0 where g = 0, since xhat is then unknown; under abs_eps |gamma|
// has slope +1 at gamma = 0.
template <class A, class P>
__device__ A gamma_gradient(const abn_problem& problem, const P* gamma, int64_t c, A g, A s1) {
  if (g == 0) return A(0);
  return problem.scale == ABN_SCALE_ABS_EPS && gamma != nullptr && gamma[c] < 0 ? -s1 : s1;
}

// Writes the batch statistics and updates the running ones, each where its pointer is not null. The
// running variance is the unbiased one, without eps.
template <class A, class P>
__device__ void publish_statistics(const abn_problem& problem, const abn_forward_args& args,
                                   int64_t c, int64_t samples, A mean, A variance) {
  const A m = static_cast<A>(samples), before = static_cast<A>(samples - 1);
  const A p = static_cast<A>(problem.momentum);
  if (args.mean != nullptr) static_cast<P*>(args.mean)[c] = static_cast<P>(mean);
  if (args.var != nullptr) static_cast<P*>(args.var)[c] = static_cast<P>(variance);
  if (P* running = static_cast<P*>(args.running_mean))
    running[c] = static_cast<P>((A(1) - p) * static_cast<A>(running[c]) + p * mean);
  if (P* running = static_cast<P*>(args.running_var))
    running[c] =
        static_cast<P>((A(1) - p) * static_cast<A>(running[c]) + p * (variance * (m / before)));
}

}  // namespace ABN_BUILD
}  // namespace abn::device
