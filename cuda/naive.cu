// The textbook kernel: one block a channel, one element at a time, two passes for the statistics.
// Read it to learn the operation.
//
// Forward, training     mu = sum(x)/m, then v = sum((x-mu)^2)/m, then z = phi(g*((x-mu)*r) + beta),
//                       r = 1/sqrt(v+eps).
// Forward, otherwise    the same with the running mean and variance.
// Backward              from z alone: y = phi^-1(z), xhat = (y-beta)/g, dy = dz*phi'(y). First S0 =
//                       sum(dy) and S1 = sum(dy*xhat), then dx = g*r*(dy - S0/m - xhat*S1/m), or
//                       g*r*dy where the statistics are frozen.
// Every thread adds up each T-th sample of the channel, T threads in all; a tree in shared memory
// adds up the threads. So a sum has at most ceil(m/T) + log2(T) roundings on any path, and the same
// ones in every run.
//
// Element i of a channel is written by the thread that read it, and nobody else reads it: z may be
// x, and dx may be dz. What happens at the numerical edges is said in device/activation.cuh and
// device/channel.cuh. Where g = 0, xhat is unknown and taken as 0: then dx = 0 and dgamma = 0.
#include "cuda/device/activation.cuh"
#include "cuda/device/channel.cuh"
#include "cuda/device/entry.cuh"
#include "cuda/device/register.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace naive {

constexpr int most_threads = 256;
constexpr int64_t most_blocks = 65536;  // beyond, blocks take several channels

template <class A>
struct Shared {
  A term[most_threads];
};

// Where element i of channel c lies; i counts a channel's samples from 0 to m-1.
__device__ int64_t element(const abn_problem& p, int64_t c, int64_t i) {
  return p.layout == ABN_NCHW ? (i / p.s * p.c + c) * p.s + i % p.s : i * p.c + c;
}

// The sum of every thread's term, in every thread.
template <class A>
__device__ A block_sum(A term) {
  A* const terms = dynamic_shared<Shared<A>>().term;
  terms[threadIdx.x] = term;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) terms[threadIdx.x] += terms[threadIdx.x + half];
    __syncthreads();
  }
  const A sum = terms[0];
  __syncthreads();  // before anyone overwrites it
  return sum;
}

template <class T, class P>
__global__ void __launch_bounds__(most_threads)
    forward_kernel(abn_problem p, abn_forward_args args) {
  using A = Accumulate<T>;
  const T* const x = static_cast<const T*>(args.x);
  T* const z = static_cast<T*>(args.z);
  const Activation<A> phi = activation_of<T>(p);
  const int64_t m = p.n * p.s;

  for (int64_t c = blockIdx.x; c < p.c; c += gridDim.x) {
    A mean, variance;
    if (p.mode == ABN_TRAINING) {
      A sum = 0;
      for (int64_t i = threadIdx.x; i < m; i += blockDim.x) sum += widen(x[element(p, c, i)]);
      mean = block_sum(sum) / static_cast<A>(m);

      A squares = 0;
      for (int64_t i = threadIdx.x; i < m; i += blockDim.x) {
        const A deviation = widen(x[element(p, c, i)]) - mean;
        squares += deviation * deviation;
      }
      variance = block_sum(squares) / static_cast<A>(m);
      if (threadIdx.x == 0) publish_statistics<A, P>(p, args, c, m, mean, variance);
    } else {
      mean = static_cast<A>(static_cast<const P*>(args.running_mean)[c]);
      variance = static_cast<A>(static_cast<const P*>(args.running_var)[c]);
    }

    const A r = reciprocal_deviation(variance, p.eps);
    const Affine<A> affine =
        affine_of<A>(p, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta), c);
    for (int64_t i = threadIdx.x; i < m; i += blockDim.x) {
      const int64_t at = element(p, c, i);
      const A xhat = (widen(x[at]) - mean) * r;
      z[at] = narrow<T>(phi.value(affine.g * xhat + affine.beta));
    }
  }
}

// dy and xhat of one element, from its stored z.
template <class A>
struct Recovered {
  A dy, xhat;
};
template <class A>
__device__ Recovered<A> recover(const Activation<A>& phi, const Affine<A>& affine, A stored, A dz) {
  const A z = phi.unsaturated(stored);
  const A xhat = affine.g == 0 ? A(0) : (phi.inverse(z) - affine.beta) / affine.g;
  return {phi.upstream(z, dz), xhat};
}

template <class T, class P>
__global__ void __launch_bounds__(most_threads)
    backward_kernel(abn_problem p, abn_backward_args args) {
  using A = Accumulate<T>;
  const T* const z = static_cast<const T*>(args.z);
  const T* const dz = static_cast<const T*>(args.dz);
  T* const dx = static_cast<T*>(args.dx);
  const P* const gamma = static_cast<const P*>(args.gamma);
  const Activation<A> phi = activation_of<T>(p);
  const int64_t m = p.n * p.s;

  for (int64_t c = blockIdx.x; c < p.c; c += gridDim.x) {
    const A r = reciprocal_deviation(static_cast<A>(static_cast<const P*>(args.var)[c]), p.eps);
    const Affine<A> affine = affine_of<A>(p, gamma, static_cast<const P*>(args.beta), c);

    A s0 = 0, s1 = 0;
    for (int64_t i = threadIdx.x; i < m; i += blockDim.x) {
      const int64_t at = element(p, c, i);
      const Recovered<A> one = recover(phi, affine, widen(z[at]), widen(dz[at]));
      s0 += one.dy;
      s1 += one.dy * one.xhat;
    }
    s0 = block_sum(s0);
    s1 = block_sum(s1);
    if (threadIdx.x == 0) {
      if (args.dgamma != nullptr)
        static_cast<P*>(args.dgamma)[c] = static_cast<P>(gamma_gradient(p, gamma, c, affine.g, s1));
      if (args.dbeta != nullptr) static_cast<P*>(args.dbeta)[c] = static_cast<P>(s0);
    }
    if (dx == nullptr) continue;

    const bool training = p.mode == ABN_TRAINING;
    const A mean_dy = training ? s0 / static_cast<A>(m) : A(0),
            mean_dy_xhat = training ? s1 / static_cast<A>(m) : A(0);
    const A scale = affine.g * r;
    for (int64_t i = threadIdx.x; i < m; i += blockDim.x) {
      const int64_t at = element(p, c, i);
      const Recovered<A> one = recover(phi, affine, widen(z[at]), widen(dz[at]));
      dx[at] = narrow<T>(scale * (training ? one.dy - mean_dy - one.xhat * mean_dy_xhat : one.dy));
    }
  }
}

// ---- the entries

int threads_of(const abn_problem& p) { return power_of_two_above(p.n * p.s, most_threads); }

template <class A>
LaunchConfig config_of(const abn_problem& p, void* stream) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(p.c < most_blocks ? p.c : most_blocks));
  config.block = dim3(static_cast<unsigned>(threads_of(p)));
  config.shared_bytes = sizeof(Shared<A>);
  config.stream = stream;
  return config;
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  abn_claims claims = in_place_claims(*problem);
  claims.statistics = ABN_TWO_PASS;
  const int threads = threads_of(*problem);
  const int64_t depth = ceil_div(problem->n * problem->s, threads) + log2_of(threads);
  claims.depth_statistics = claims.depth_backward = depth < 1 ? 1 : depth;
  // the mean, the squares, the result; the sums, the result
  claim_sweeps(claims, problem->mode == ABN_TRAINING ? 3 : 1, 2);
  claims.coalesced = problem->layout == ABN_NCHW;
  return hand_over(claims, out);
}

size_t workspace_bytes(const abn_problem*, int) { return 0; }

int run_forward(const abn_problem& problem, const abn_forward_args& args) {
  return with_types(problem, [&](auto types) -> int {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    const LaunchConfig config = config_of<Accumulate<T>>(problem, args.stream);
    return launch(config, forward_kernel<T, P>, problem, args) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
  });
}

int run_backward(const abn_problem& problem, const abn_backward_args& args) {
  return with_types(problem, [&](auto types) -> int {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    const LaunchConfig config = config_of<Accumulate<T>>(problem, args.stream);
    return launch(config, backward_kernel<T, P>, problem, args) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
  });
}

const abn_variant variant = variant_of<workspace_bytes, run_forward, run_backward>(
    "naive", "The textbook kernel: one block a channel, two passes, one element at a time.",
    claims);
ABN_REGISTER_VARIANT(variant)

}  // namespace naive
}  // namespace ABN_BUILD
}  // namespace abn::device
