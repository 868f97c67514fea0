// The kernels of variants whose backward has x or xhat: what they write in forward, and backward in
// two sweeps.
//
// Forward sums moments as two_sweep does (device/forward_sweeps.cuh) and then writes z, and xhat
// where that is kept. Backward finds xhat = (x - mean)*r again, or has it, and y = g*xhat + beta:
//
//   sum_kept      S0 = sum(dy), S1 = sum(dy*xhat), dy = dz*phi'; with frozen statistics dx = g*r*dy
//   merge_kept    the slices of a channel, where there are several
//   propagate_kept   dx = g*r*((dy - S0/m) - xhat*(S1/m))
//
// Nothing is divided by g, so g = 0 needs no care: dx is 0 and dgamma is S1.
//
// The partition, and with it the order of every sum, is that of two_sweep. dx may be dz, and z may
// be x where backward does not need x: a thread loads a bundle of vectors before it stores to the
// same ones.
#pragma once

#include "cuda/device/backward_sweeps.cuh"
#include "cuda/device/curve.cuh"
#include "cuda/device/forward_sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

enum class Keeps { x_and_z, x, xhat };

// Vectors of each tensor that a thread of backward has in flight: as in place, but one where three
// tensors of eight channels each would not fit into its registers.
template <class T, int Layout, Keeps keeps>
constexpr int kept_bundle = keeps == Keeps::x_and_z&& owned<T, Layout> > 4 ? 1 : gradient_bundle;

template <class T, class P, int Layout, Keeps keeps>
__global__ void __launch_bounds__(most_threads, least_resident)
    normalise_kept(Partition partition, abn_problem problem, abn_forward_args args,
                   ForwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>, lanes = vector_lanes<T>, count = apply_bundle;
  const Tensor<T> x(args.x, partition), z(args.z, partition), xhat(args.xhat, partition);
  const bool writes_xhat = keeps == Keeps::xhat && args.xhat != nullptr;
  const Curve<A> phi = curve_of<T>(problem);

  for (int64_t index = blockIdx.x; index < partition.units(); index += gridDim.x) {
    const Unit unit = unit_at(partition, partition.units() - 1 - index);
    const int64_t first = first_channel<Layout>(partition, unit.panel);
    ForwardChannel<A> channel[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      if (c >= partition.c) continue;
      channel[l] = problem.mode == ABN_TRAINING
                       ? forward_channel<P>(problem, args, c, scratch.mean[c], scratch.variance[c])
                       : running_channel<P, A>(problem, args, c);
    }

    with_iterator<T, Layout>(partition, unit, [&](auto iterator) {
      while (iterator.more()) {
        typename decltype(iterator)::Item vectors[count];
        Vec16<T> values[count];
        ABN_UNROLL for (int u = 0; u < count; ++u) vectors[u] = iterator.next();
        ABN_UNROLL for (int u = 0; u < count; ++u) values[u] = x.load(vectors[u]);
        ABN_UNROLL for (int u = 0; u < count; ++u) {
          A normalised[lanes], results[lanes];
          ABN_UNROLL for (int j = 0; j < lanes; ++j) {
            const ForwardChannel<A>& of = channel[own == 1 ? 0 : j];
            normalised[j] = (widen(values[u].lane[j]) - of.mean) * of.r;
            results[j] = phi.value(of.affine.g * normalised[j] + of.affine.beta);
          }
          values[u] = narrow_all<T>(results);
          if (writes_xhat) xhat.store(vectors[u], narrow_all<T>(normalised));
        }
        ABN_UNROLL for (int u = 0; u < count; ++u) z.store(vectors[u], values[u]);
      }
    });
  }
}

// What backward needs of a channel.
template <class A>
struct KeptChannel {
  A mean = 0, r = 1;
  Affine<A> affine;
  A mean_dy = 0, mean_dy_xhat = 0;  // S0/m and S1/m, 0 where they are not known yet
  A scale = 1;                      // g*r

  __device__ A dx(A xhat, A dy) const { return ((dy - mean_dy) - xhat * mean_dy_xhat) * scale; }
};
template <class P, Keeps keeps, class A>
__device__ KeptChannel<A> kept_channel(const abn_problem& problem, const abn_backward_args& args,
                                       int64_t c) {
  KeptChannel<A> channel;
  if constexpr (keeps != Keeps::xhat)
    channel.mean = static_cast<A>(static_cast<const P*>(args.mean)[c]);
  channel.r = reciprocal_deviation_of<P, A>(problem, args, c);
  channel.affine = affine_of<P, A>(problem, args, c);
  channel.scale = channel.affine.g * channel.r;
  return channel;
}

// The tensors that backward reads, and what is found in one vector of them.
template <class T, Keeps keeps>
class KeptTensors {
 public:
  using A = Accumulate<T>;
  __device__ KeptTensors(const abn_backward_args& args, const Partition& partition)
      : input_(keeps == Keeps::xhat ? args.xhat : args.x, partition),
        z_(keeps == Keeps::x_and_z ? args.z : nullptr, partition),
        dz_(args.dz, partition) {}

  struct Vector {
    Vec16<T> input, z, dz;
  };
  template <class Access>
  __device__ Vector load(const Access& access) const {
    Vector vector;
    vector.input = input_.load(access);
    if constexpr (keeps == Keeps::x_and_z) vector.z = z_.load(access);
    vector.dz = dz_.load(access);
    return vector;
  }

  struct Element {
    A xhat, dy;
  };
  __device__ static Element found(const Vector& vector, int lane, const KeptChannel<A>& channel,
                                  const Curve<A>& phi) {
    const A input = widen(vector.input.lane[lane]), dz = widen(vector.dz.lane[lane]);
    const A xhat = keeps == Keeps::xhat ? input : (input - channel.mean) * channel.r;
    const A y = channel.affine.g * xhat + channel.affine.beta;
    if constexpr (keeps == Keeps::x_and_z)
      return {xhat, phi.upstream(y, widen(vector.z.lane[lane]), dz)};
    else
      return {xhat, phi.upstream(y, dz)};
  }

 private:
  Tensor<T> input_, z_, dz_;
};

// The end of a channel's sums.
template <class P, class A>
__device__ void finish_kept(const abn_problem& problem, const abn_backward_args& args,
                            const BackwardScratch<A>& scratch, int64_t c, const Sums<A>& sums) {
  const P* const gamma = static_cast<const P*>(args.gamma);
  const bool negated = problem.scale == ABN_SCALE_ABS_EPS && gamma != nullptr && gamma[c] < 0;
  if (args.dgamma != nullptr)
    static_cast<P*>(args.dgamma)[c] = static_cast<P>(negated ? -sums.s1 : sums.s1);
  if (args.dbeta != nullptr) static_cast<P*>(args.dbeta)[c] = static_cast<P>(sums.s0);
  const Sums<A> means = sums.over(problem.n * problem.s);
  scratch.mean_dy[c] = means.s0;
  scratch.mean_dy_xhat[c] = means.s1;
}

template <class T, class P, int Layout, Keeps keeps>
__global__ void __launch_bounds__(most_threads, least_resident)
    sum_kept(Partition partition, abn_problem problem, abn_backward_args args,
             BackwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  using Kept = KeptTensors<T, keeps>;
  constexpr int own = owned<T, Layout>, lanes = vector_lanes<T>,
                count = kept_bundle<T, Layout, keeps>;
  const Kept kept(args, partition);
  const Tensor<T> dx(args.dx, partition);
  const bool writes_dx = problem.mode == ABN_FROZEN && args.dx != nullptr;
  const Curve<A> phi = curve_of<T>(problem);
  auto& tree = dynamic_shared<SumsTree<A, own>>();

  for (int64_t index = blockIdx.x; index < partition.units(); index += gridDim.x) {
    const Unit unit = unit_at(partition, index);
    const int64_t first = first_channel<Layout>(partition, unit.panel);
    KeptChannel<A> channel[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      if (first + l < partition.c) channel[l] = kept_channel<P, keeps, A>(problem, args, first + l);
    }

    Sums<A> sums[own];
    with_iterator<T, Layout>(partition, unit, [&](auto iterator) {
      while (iterator.more()) {
        typename decltype(iterator)::Item vectors[count];
        typename Kept::Vector values[count];
        ABN_UNROLL for (int u = 0; u < count; ++u) vectors[u] = iterator.next();
        ABN_UNROLL for (int u = 0; u < count; ++u) values[u] = kept.load(vectors[u]);
        ABN_UNROLL for (int u = 0; u < count; ++u) {
          Sums<A> access;
          A scaled[lanes];
          ABN_UNROLL for (int j = 0; j < lanes; ++j) {
            const KeptChannel<A>& of = channel[own == 1 ? 0 : j];
            const auto one = Kept::found(values[u], j, of, phi);
            scaled[j] = of.scale * one.dy;
            // what lies outside may be 0 * infinity
            if ((lanes_present<T>(vectors[u]) >> j & 1) == 0) continue;
            Sums<A>& sum = own == 1 ? access : sums[own == 1 ? 0 : j];
            sum.s0 += one.dy;
            sum.s1 += one.dy * one.xhat;
          }
          if constexpr (own == 1) sums[0].add(access);
          if (writes_dx) dx.store(vectors[u], narrow_all<T>(scaled));
        }
      }
    });

    tree.reduce(partition.columns, partition.rows, sums);
    if (row_of_thread(partition) == 0) {
      ABN_UNROLL for (int l = 0; l < own; ++l) {
        const int64_t c = first + l;
        if (c >= partition.c) continue;
        if (partition.slices == 1)
          finish_kept<P>(problem, args, scratch, c, sums[l]);
        else
          scratch.parts[unit.slice * partition.c + c] = sums[l];
      }
    }
    __syncthreads();  // the tree is free again
  }
}

template <class P, class A>
__global__ void __launch_bounds__(most_threads)
    merge_kept(Partition partition, MergeShape shape, abn_problem problem, abn_backward_args args,
               BackwardScratch<A> scratch) {
  auto& tree = dynamic_shared<SumsTree<A, 1>>();
  const int column = static_cast<int>(threadIdx.x) % shape.columns,
            row = static_cast<int>(threadIdx.x) / shape.columns;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * shape.columns; first < partition.c;
       first += static_cast<int64_t>(gridDim.x) * shape.columns) {
    const int64_t c = first + column;
    const Sums<A> sums =
        merge_slices(tree, shape, partition.slices, c < partition.c,
                     [&](int64_t slice) { return scratch.parts[slice * partition.c + c]; });
    if (row == 0 && c < partition.c) finish_kept<P>(problem, args, scratch, c, sums);
    __syncthreads();
  }
}

// dx of training.
template <class T, class P, int Layout, Keeps keeps>
__global__ void __launch_bounds__(most_threads, least_resident)
    propagate_kept(Partition partition, abn_problem problem, abn_backward_args args,
                   BackwardScratch<Accumulate<T>> scratch) {
  using A = Accumulate<T>;
  using Kept = KeptTensors<T, keeps>;
  constexpr int own = owned<T, Layout>, lanes = vector_lanes<T>,
                count = kept_bundle<T, Layout, keeps>;
  const Kept kept(args, partition);
  const Tensor<T> dx(args.dx, partition);
  const Curve<A> phi = curve_of<T>(problem);

  for (int64_t index = blockIdx.x; index < partition.units(); index += gridDim.x) {
    const Unit unit = unit_at(partition, partition.units() - 1 - index);
    const int64_t first = first_channel<Layout>(partition, unit.panel);
    KeptChannel<A> channel[own];
    ABN_UNROLL for (int l = 0; l < own; ++l) {
      const int64_t c = first + l;
      if (c >= partition.c) continue;
      channel[l] = kept_channel<P, keeps, A>(problem, args, c);
      channel[l].mean_dy = scratch.mean_dy[c];
      channel[l].mean_dy_xhat = scratch.mean_dy_xhat[c];
    }

    with_iterator<T, Layout>(partition, unit, [&](auto iterator) {
      while (iterator.more()) {
        typename decltype(iterator)::Item vectors[count];
        typename Kept::Vector values[count];
        ABN_UNROLL for (int u = 0; u < count; ++u) vectors[u] = iterator.next();
        ABN_UNROLL for (int u = 0; u < count; ++u) values[u] = kept.load(vectors[u]);
        ABN_UNROLL for (int u = 0; u < count; ++u) {
          A results[lanes];
          ABN_UNROLL for (int j = 0; j < lanes; ++j) {
            const KeptChannel<A>& of = channel[own == 1 ? 0 : j];
            const auto one = Kept::found(values[u], j, of, phi);
            results[j] = of.dx(one.xhat, one.dy);
          }
          dx.store(vectors[u], narrow_all<T>(results));
        }
      }
    });
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::device
