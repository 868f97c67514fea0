// The production kernel: one sweep over the data for the channel sums, one for the result. Forward reads x twice and writes z,
// backward reads z and dz twice and writes dx, inference and frozen backward need a single sweep; nothing else of the size of a tensor
// is ever written.
//
// Launches. Sums: each block reduces one slice of one tile (device/cut.cuh). If a channel has one slice, the block also finishes the
// channel (statistics, running averages, dgamma, dbeta); otherwise it leaves a partial result in the workspace, and a small kernel
// merges the slices of each channel and finishes it. Results: the same geometry in reverse order. There are no atomics, no memset
// and no synchronisation with the host; slices, trees and merges follow from the shape, so every bit does.
//
// Statistics: local two-pass in registers, then Chan merges (device/moments.cuh): class `welford`. Gradients: with y = phi^-1(z),
// d = (y - beta)*2^-k and g = rest*2^k (device/inversion.cuh),
//   S0 = sum(dy)     S1 = sum(dy*d)/rest     dx = g*r * ((dy - S0/m) - d*(S1/m/rest))
// y = g*((x - mu)*r) + beta is multiplied in this order, as g*r may be subnormal where xhat is not.
//
// z may be x and dx may be dz: every thread loads a bundle of windows before it stores to the same windows. What happens at the
// numerical edges is said in device/activation.cuh, device/channel.cuh and device/inversion.cuh.
#include "cuda/device/activation.cuh"
#include "cuda/device/channel.cuh"
#include "cuda/device/cut.cuh"
#include "cuda/device/entry.cuh"
#include "cuda/device/inversion.cuh"
#include "cuda/device/register.cuh"
#include "cuda/device/tree.cuh"
#include "cuda/device/window.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace two_sweep {

// Windows that a thread has in flight. Those of the statistics are also the samples of one local two-pass.
constexpr int statistics_bundle = 4;
constexpr int apply_bundle = 4;
constexpr int gradient_bundle = 2;  // of z and of dz

constexpr int least_resident = 2;  // blocks a processor: bounds the registers

// ---- forward ----------------------------------------------------------------------------------------------------------------

template <class A>
struct MomentsPart {
  A n;
  Moments<A> moments;
};

// The workspace of forward. parts[slice*c + channel] exists where there are several slices.
template <class A>
struct ForwardScratch {
  A *mean, *variance;
  MomentsPart<A>* parts;
};

template <class P, class A>
__device__ void finish_statistics(const abn_problem& problem, const abn_forward_args& args, const ForwardScratch<A>& scratch, int64_t c,
                                  const Moments<A>& moments) {
  const A variance = moments.m2 / static_cast<A>(problem.n * problem.s);
  scratch.mean[c] = moments.hi;
  scratch.variance[c] = variance;
  publish_statistics<A, P>(problem, args, c, moments.hi, variance);
}

template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, least_resident)
    sum_moments(Cut cut, abn_problem problem, abn_forward_args args, ForwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = window_lanes<T>, count = statistics_bundle;
  const Tensor<T> x(args.x, cut);
  auto& tree = dynamic_shared<MomentsTree<A, own, A>>();

  for (int64_t index = blockIdx.x; index < cut.units(); index += gridDim.x) {
    const Unit unit = unit_at(cut, index);
    A n = 0;
    Moments<A> moments[own];
    for (Walk<T, Layout> walk(cut, unit); walk.more();) {
      Window windows[count];
      Vec16<T> raw[count];
      ABN_UNROLL for (int u = 0; u < count; ++u) windows[u] = walk.next();
      ABN_UNROLL for (int u = 0; u < count; ++u) raw[u] = x.load(windows[u]);
      if constexpr (Layout == ABN_NCHW) {
        A values[count * lanes];
        unsigned mask = 0;
        ABN_UNROLL for (int u = 0; u < count; ++u) {
          mask |= windows[u].present << (u * lanes);
          ABN_UNROLL for (int j = 0; j < lanes; ++j) values[u * lanes + j] = widen(raw[u].lane[j]);
        }
        if (mask == 0) continue;
        const A added = static_cast<A>(__popc(mask));
        moments[0] = merge(moments[0], two_pass(values, mask, A(1) / added), weights_of<A>(n, added));
        n += added;
      } else {
        unsigned mask = 0;
        ABN_UNROLL for (int u = 0; u < count; ++u) mask |= (windows[u].present != 0 ? 1u : 0u) << u;
        if (mask == 0) continue;
        const A added = static_cast<A>(__popc(mask));
        const Weights<A> weights = weights_of<A>(n, added);
        const A inverse = A(1) / added;
        ABN_UNROLL for (int j = 0; j < lanes; ++j) {
          A values[count];
          ABN_UNROLL for (int u = 0; u < count; ++u) values[u] = widen(raw[u].lane[j]);
          moments[j] = merge(moments[j], two_pass(values, mask, inverse), weights);
        }
        n += added;
      }
    }

    tree.reduce(cut.columns, cut.rows, n, moments);
    if (row_of_thread(cut) == 0) {
      const int64_t first = first_channel<Layout>(cut, unit.tile);
      ABN_UNROLL for (int l = 0; l < own; ++l) {
        const int64_t c = first + l;
        if (c >= cut.c) continue;
        if (cut.slices == 1)
          finish_statistics<P>(problem, args, scratch, c, moments[l]);
        else
          scratch.parts[unit.slice * cut.c + c] = {n, moments[l]};
      }
    }
    __syncthreads();  // the tree is free again
  }
}

// The threads that merge slices: channels side by side, rows of them taking every rows-th slice.
struct MergeShape {
  int columns, rows;
  int threads() const { return columns * rows; }
};
inline MergeShape merge_shape(const Cut& cut) {
  MergeShape shape{power_of_two_above(cut.c, most_columns), 1};
  shape.rows = power_of_two_above(ceil_div(cut.slices, 2), most_threads / shape.columns);
  return shape;
}

template <class P, class A>
__global__ void __launch_bounds__(most_threads)
    merge_moments(Cut cut, MergeShape shape, abn_problem problem, abn_forward_args args, ForwardScratch<A> scratch) {
  auto& tree = dynamic_shared<MomentsTree<A, 1, int64_t>>();
  const int column = static_cast<int>(threadIdx.x) % shape.columns, row = static_cast<int>(threadIdx.x) / shape.columns;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * shape.columns; first < cut.c; first += static_cast<int64_t>(gridDim.x) * shape.columns) {
    const int64_t c = first + column;
    int64_t n = 0;
    Moments<A> moments[1];
    for (int64_t slice = row; slice < cut.slices && c < cut.c; slice += shape.rows) {
      const MomentsPart<A> part = scratch.parts[slice * cut.c + c];
      const int64_t added = static_cast<int64_t>(part.n);
      moments[0] = merge(moments[0], part.moments, weights_of<A>(n, added));
      n += added;
    }
    tree.reduce(shape.columns, shape.rows, n, moments);
    if (row == 0 && c < cut.c) finish_statistics<P>(problem, args, scratch, c, moments[0]);
    __syncthreads();
  }
}

template <class A>
struct ForwardChannel {
  A mean = 0, r = 1;
  Affine<A> affine;
  __device__ A y(A x) const { return affine.g * ((x - mean) * r) + affine.beta; }
};

template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, least_resident)
    normalise(Cut cut, abn_problem problem, abn_forward_args args, ForwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = window_lanes<T>, count = apply_bundle;
  const Tensor<T> x(args.x, cut), z(args.z, cut);
  const Activation<A> phi = activation_of<T>(problem);

  for (int64_t index = blockIdx.x; index < cut.units(); index += gridDim.x) {
    const Unit unit = unit_at(cut, cut.units() - 1 - index);
    const int64_t first = first_channel<Layout>(cut, unit.tile);
    ForwardChannel<A> channel[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      if (c >= cut.c) continue;
      A variance;
      if (problem.mode == ABN_TRAINING) {
        channel[l].mean = scratch.mean[c];
        variance = scratch.variance[c];
      } else {
        channel[l].mean = static_cast<A>(static_cast<const P*>(args.running_mean)[c]);
        variance = static_cast<A>(static_cast<const P*>(args.running_var)[c]);
      }
      channel[l].r = reciprocal_deviation(variance, problem.eps);
      channel[l].affine = affine_of<A>(problem, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta), c);
    }

    for (Walk<T, Layout> walk(cut, unit); walk.more();) {
      Window windows[count];
      Vec16<T> values[count];
      ABN_UNROLL for (int u = 0; u < count; ++u) windows[u] = walk.next();
      ABN_UNROLL for (int u = 0; u < count; ++u) values[u] = x.load(windows[u]);
      ABN_UNROLL for (int u = 0; u < count; ++u) {
        ABN_UNROLL for (int j = 0; j < lanes; ++j) {
          T& value = values[u].lane[j];
          value = narrow<T>(phi.value(channel[own == 1 ? 0 : j].y(widen(value))));
        }
      }
      ABN_UNROLL for (int u = 0; u < count; ++u) z.store(windows[u], values[u]);
    }
  }
}

// ---- backward ---------------------------------------------------------------------------------------------------------------

// The workspace of backward: S0 and S1 of the channels, and the sums of the slices where there are several.
template <class A>
struct BackwardScratch {
  A *s0, *s1;
  Sums<A>* parts;
};

template <class P, class A>
__device__ void finish_gradients(const abn_problem& problem, const abn_backward_args& args, const BackwardScratch<A>& scratch, int64_t c,
                                 const Sums<A>& sums) {
  const P* const gamma = static_cast<const P*>(args.gamma);
  const Affine<A> affine = affine_of<A>(problem, gamma, static_cast<const P*>(args.beta), c);
  const A s1 = sums.s1 / inversion_of(affine).rest;
  scratch.s0[c] = sums.s0;
  scratch.s1[c] = s1;
  if (args.dgamma != nullptr) static_cast<P*>(args.dgamma)[c] = static_cast<P>(gamma_gradient(problem, gamma, c, affine.g, s1));
  if (args.dbeta != nullptr) static_cast<P*>(args.dbeta)[c] = static_cast<P>(sums.s0);
}

// g*r of dx.
template <class P, class A>
__device__ A gradient_scale(const abn_problem& problem, const abn_backward_args& args, int64_t c, A g) {
  return g * reciprocal_deviation(static_cast<A>(static_cast<const P*>(args.var)[c]), problem.eps);
}

template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, least_resident)
    sum_gradients(Cut cut, abn_problem problem, abn_backward_args args, BackwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = window_lanes<T>, count = gradient_bundle;
  const Tensor<T> z(args.z, cut), dz(args.dz, cut), dx(args.dx, cut);
  const bool writes_dx = problem.mode == ABN_FROZEN && args.dx != nullptr;  // dx = g*r*dy needs no sums
  const Activation<A> phi = activation_of<T>(problem);
  auto& tree = dynamic_shared<SumsTree<A, own>>();

  for (int64_t index = blockIdx.x; index < cut.units(); index += gridDim.x) {
    const Unit unit = unit_at(cut, index);
    const int64_t first = first_channel<Layout>(cut, unit.tile);
    Inversion<A> inversion[own];
    A scale[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      inversion[l] = {A(0), A(1), A(1)};
      scale[l] = 1;
      if (c >= cut.c) continue;
      const Affine<A> affine = affine_of<A>(problem, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta), c);
      inversion[l] = inversion_of(affine);
      if (writes_dx) scale[l] = gradient_scale<P>(problem, args, c, affine.g);
    }

    Sums<A> sums[own];
    for (Walk<T, Layout> walk(cut, unit); walk.more();) {
      Window windows[count];
      Vec16<T> outputs[count], gradients[count];
      ABN_UNROLL for (int u = 0; u < count; ++u) windows[u] = walk.next();
      ABN_UNROLL for (int u = 0; u < count; ++u) {
        outputs[u] = z.load(windows[u]);
        gradients[u] = dz.load(windows[u]);
      }
      ABN_UNROLL for (int u = 0; u < count; ++u) {
        Sums<A> window;
        ABN_UNROLL for (int j = 0; j < lanes; ++j) {
          const A one = phi.unsaturated(widen(outputs[u].lane[j]));
          const A dy = phi.upstream(one, widen(gradients[u].lane[j]));
          const A product = dy * inversion[own == 1 ? 0 : j].d(phi.inverse(one));
          gradients[u].lane[j] = narrow<T>(scale[own == 1 ? 0 : j] * dy);
          if ((windows[u].present >> j & 1) == 0) continue;  // what lies outside may be 0 * infinity
          Sums<A>& sum = own == 1 ? window : sums[own == 1 ? 0 : j];
          sum.s0 += dy;
          sum.s1 += product;
        }
        if constexpr (own == 1) sums[0].add(window);
      }
      if (writes_dx) {
        ABN_UNROLL for (int u = 0; u < count; ++u) dx.store(windows[u], gradients[u]);
      }
    }

    tree.reduce(cut.columns, cut.rows, sums);
    if (row_of_thread(cut) == 0) {
      ABN_UNROLL for (int l = 0; l < own; ++l) {
        const int64_t c = first + l;
        if (c >= cut.c) continue;
        if (cut.slices == 1)
          finish_gradients<P>(problem, args, scratch, c, sums[l]);
        else
          scratch.parts[unit.slice * cut.c + c] = sums[l];
      }
    }
    __syncthreads();  // the tree is free again
  }
}

template <class P, class A>
__global__ void __launch_bounds__(most_threads)
    merge_gradients(Cut cut, MergeShape shape, abn_problem problem, abn_backward_args args, BackwardScratch<A> scratch) {
  auto& tree = dynamic_shared<SumsTree<A, 1>>();
  const int column = static_cast<int>(threadIdx.x) % shape.columns, row = static_cast<int>(threadIdx.x) / shape.columns;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * shape.columns; first < cut.c; first += static_cast<int64_t>(gridDim.x) * shape.columns) {
    const int64_t c = first + column;
    Sums<A> sums[1];
    for (int64_t slice = row; slice < cut.slices && c < cut.c; slice += shape.rows) sums[0].add(scratch.parts[slice * cut.c + c]);
    tree.reduce(shape.columns, shape.rows, sums);
    if (row == 0 && c < cut.c) finish_gradients<P>(problem, args, scratch, c, sums[0]);
    __syncthreads();
  }
}

template <class A>
struct BackwardChannel {
  Inversion<A> inversion{A(0), A(1), A(1)};
  A mean_dy = 0, mean_dy_d = 0;  // S0/m and S1/m/rest
  A scale = 1;
  __device__ A dx(A y, A dy) const { return ((dy - mean_dy) - inversion.d(y) * mean_dy_d) * scale; }
};

// dx of training.
template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, least_resident)
    propagate(Cut cut, abn_problem problem, abn_backward_args args, BackwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = window_lanes<T>, count = gradient_bundle;
  const Tensor<T> z(args.z, cut), dz(args.dz, cut), dx(args.dx, cut);
  const Activation<A> phi = activation_of<T>(problem);
  const A m = static_cast<A>(problem.n * problem.s);

  for (int64_t index = blockIdx.x; index < cut.units(); index += gridDim.x) {
    const Unit unit = unit_at(cut, cut.units() - 1 - index);
    const int64_t first = first_channel<Layout>(cut, unit.tile);
    BackwardChannel<A> channel[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      if (c >= cut.c) continue;
      const Affine<A> affine = affine_of<A>(problem, static_cast<const P*>(args.gamma), static_cast<const P*>(args.beta), c);
      channel[l].inversion = inversion_of(affine);
      channel[l].mean_dy = scratch.s0[c] / m;
      channel[l].mean_dy_d = scratch.s1[c] / m / channel[l].inversion.rest;
      channel[l].scale = gradient_scale<P>(problem, args, c, affine.g);
    }

    for (Walk<T, Layout> walk(cut, unit); walk.more();) {
      Window windows[count];
      Vec16<T> outputs[count], gradients[count];
      ABN_UNROLL for (int u = 0; u < count; ++u) windows[u] = walk.next();
      ABN_UNROLL for (int u = 0; u < count; ++u) {
        outputs[u] = z.load(windows[u]);
        gradients[u] = dz.load(windows[u]);
      }
      ABN_UNROLL for (int u = 0; u < count; ++u) {
        ABN_UNROLL for (int j = 0; j < lanes; ++j) {
          const A one = phi.unsaturated(widen(outputs[u].lane[j]));
          T& gradient = gradients[u].lane[j];
          gradient = narrow<T>(channel[own == 1 ? 0 : j].dx(phi.inverse(one), phi.upstream(one, widen(gradient))));
        }
      }
      ABN_UNROLL for (int u = 0; u < count; ++u) dx.store(windows[u], gradients[u]);
    }
  }
}

// ---- the entries ------------------------------------------------------------------------------------------------------------

// Channel-sized arrays first, then the parts, whose alignment those keep: 2*c values of A are a multiple of A.
template <class A, class Scratch>
Scratch scratch_in(void* workspace, int64_t c) {
  A* const values = static_cast<A*>(workspace);
  return {values, values + c, reinterpret_cast<decltype(Scratch::parts)>(values + 2 * c)};
}
template <class A, class Part>
size_t scratch_bytes(const Cut& cut) {
  const int64_t parts = cut.slices > 1 ? cut.slices * cut.c : 0;
  return sizeof(A) * 2 * static_cast<size_t>(cut.c) + sizeof(Part) * static_cast<size_t>(parts);
}

size_t workspace_bytes(const abn_problem* problem, int direction) {
  if (!known(*problem) || empty(*problem) || (direction == ABN_FORWARD && problem->mode != ABN_TRAINING)) return 0;
  const Cut cut = cut_of(*problem);
  return with_types(*problem, [&](auto types) -> size_t {
    using A = Accumulate<typename decltype(types)::Storage>;
    return direction == ABN_FORWARD ? scratch_bytes<A, MomentsPart<A>>(cut) : scratch_bytes<A, Sums<A>>(cut);
  });
}

LaunchConfig config_of(int64_t blocks, int threads, size_t shared_bytes, void* stream) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks));
  config.block = dim3(static_cast<unsigned>(threads));
  config.shared_bytes = shared_bytes;
  config.stream = stream;
  return config;
}
LaunchConfig merge_config(const Cut& cut, const MergeShape& shape, size_t shared_bytes, void* stream) {
  return config_of(ceil_div(cut.c, shape.columns), shape.threads(), shared_bytes, stream);
}

// Longest path to a statistic: a local sum with its correction, the thread's merges, the tree, then the merges of the slices.
int64_t merge_depth(const Cut& cut) {
  if (cut.slices == 1) return 0;
  const int rows = merge_shape(cut).rows;
  return ceil_div(cut.slices, rows) + log2_of(rows);
}
int64_t depth_of_statistics(const Cut& cut) {
  const bool nchw = cut.layout == ABN_NCHW;
  const int64_t bundles = ceil_div(ceil_div(cut.slice_items, cut.rows), statistics_bundle);
  return log2_of(statistics_bundle * (nchw ? cut.lanes : 1)) + 1 + bundles + log2_of(cut.rows) + merge_depth(cut);
}
// Longest path to S0 and S1: the elements of a window (NCHW), a thread's windows, the tree, then the slices.
int64_t depth_of_gradients(const Cut& cut) {
  const int64_t windows = ceil_div(cut.slice_items, cut.rows);
  return (cut.layout == ABN_NCHW ? cut.lanes : 0) + windows + log2_of(cut.rows) + merge_depth(cut);
}

int claims(const abn_problem* problem, abn_claims* out) {
  if (!known(*problem)) return ABN_ERROR_UNSUPPORTED;
  abn_claims claims = in_place_claims(*problem);
  claims.statistics = ABN_WELFORD;
  claims.depth_statistics = claims.depth_backward = 1;
  if (!empty(*problem)) {
    const Cut cut = cut_of(*problem);
    const int64_t m = problem->n * problem->s;
    const auto at_most_m = [m](int64_t depth) { return depth < m ? depth : m; };
    claims.depth_statistics = at_most_m(depth_of_statistics(cut));
    claims.depth_backward = at_most_m(depth_of_gradients(cut));
  }
  return hand_over(claims, out);
}

template <class T, class P, int Layout>
int run_forward(const Cut& cut, const abn_problem& problem, const abn_forward_args& args) {
  using A = Accumulate<T>;
  const auto scratch = scratch_in<A, ForwardScratch<A>>(args.workspace, cut.c);
  if (problem.mode == ABN_TRAINING) {
    const LaunchConfig config = config_of(cut.units(), cut.threads(), sizeof(MomentsTree<A, owned<T, Layout>, A>), args.stream);
    if (launch(config, sum_moments<T, P, Layout>, cut, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
    if (cut.slices > 1) {
      const MergeShape shape = merge_shape(cut);
      const LaunchConfig merging = merge_config(cut, shape, sizeof(MomentsTree<A, 1, int64_t>), args.stream);
      if (launch(merging, merge_moments<P, A>, cut, shape, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
    }
  }
  const LaunchConfig config = config_of(cut.units(), cut.threads(), 0, args.stream);
  return launch(config, normalise<T, P, Layout>, cut, problem, args, scratch) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}

template <class T, class P, int Layout>
int run_backward(const Cut& cut, const abn_problem& problem, const abn_backward_args& args) {
  using A = Accumulate<T>;
  const auto scratch = scratch_in<A, BackwardScratch<A>>(args.workspace, cut.c);
  const LaunchConfig config = config_of(cut.units(), cut.threads(), sizeof(SumsTree<A, owned<T, Layout>>), args.stream);
  if (launch(config, sum_gradients<T, P, Layout>, cut, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
  if (cut.slices > 1) {
    const MergeShape shape = merge_shape(cut);
    const LaunchConfig merging = merge_config(cut, shape, sizeof(SumsTree<A, 1>), args.stream);
    if (launch(merging, merge_gradients<P, A>, cut, shape, problem, args, scratch) != 0) return ABN_ERROR_LAUNCH;
  }
  if (problem.mode != ABN_TRAINING || args.dx == nullptr) return ABN_OK;
  const LaunchConfig applying = config_of(cut.units(), cut.threads(), 0, args.stream);
  return launch(applying, propagate<T, P, Layout>, cut, problem, args, scratch) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}

int forward(const abn_problem* problem, const abn_forward_args* args) {
  if (empty(*problem)) return ABN_OK;
  if (const int status = check(*problem, *args, workspace_bytes(problem, ABN_FORWARD))) return status;
  const Cut cut = cut_of(*problem);
  return with_types(*problem, [&](auto types) -> int {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    return cut.layout == ABN_NCHW ? run_forward<T, P, ABN_NCHW>(cut, *problem, *args) : run_forward<T, P, ABN_NHWC>(cut, *problem, *args);
  });
}

int backward(const abn_problem* problem, const abn_backward_args* args) {
  if (empty(*problem)) return ABN_OK;
  if (const int status = check(*problem, *args, workspace_bytes(problem, ABN_BACKWARD))) return status;
  const Cut cut = cut_of(*problem);
  return with_types(*problem, [&](auto types) -> int {
    using T = typename decltype(types)::Storage;
    using P = typename decltype(types)::Parameter;
    return cut.layout == ABN_NCHW ? run_backward<T, P, ABN_NCHW>(cut, *problem, *args) : run_backward<T, P, ABN_NHWC>(cut, *problem, *args);
  });
}

const abn_variant variant = {ABN_ABI_VERSION, sizeof(abn_variant), "two_sweep",
                             "The production kernel: one sweep for the sums, one for the result, 16 bytes at a time.",
                             ABN_VARIANT_MEMORY, 0, claims, workspace_bytes, forward, backward};
ABN_REGISTER_VARIANT(variant)

}  // namespace two_sweep
}  // namespace ABN_BUILD
}  // namespace abn::device
