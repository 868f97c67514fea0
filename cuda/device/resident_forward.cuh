// Forward in one sweep: load a slice into shared memory, reduce it there, agree with the blocks
// that hold the channel's other slices, normalise from shared memory. x is read once and z written
// once.
//
// A grid has a block for every slice of the groups that are in flight; block b holds slice b %
// slices of the groups b / slices, b / slices + in flight, ... z may be x: a block has read all of
// its windows before it writes the first. Inference has its statistics and goes from loading to
// normalising, alone; it comes here where runs are ragged, for the sake of 16-byte accesses.
#pragma once

#include "cuda/device/activation.cuh"
#include "cuda/device/exchange.cuh"
#include "cuda/device/forward_sweeps.cuh"
#include "cuda/device/slab_apply.cuh"
#include "cuda/device/statistics.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// Channels of a group at the most.
template <class T, int Layout>
constexpr int most_pack = Layout == ABN_NCHW ? most_columns : slab_columns* window_lanes<T>;

template <class T, int Layout>
struct alignas(16) ForwardShared {
  using A = Accumulate<T>;
  union Trees {
    MomentsTree<A, owned<T, Layout>, A> slice;
    MomentsTree<A, 1, int64_t> merge;
    __device__ Trees() {}
  } tree;
  MomentsPart<A> parts[most_pack<T, Layout>];
  ForwardChannel<A> channels[most_pack<T, Layout>];
};

template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, resident_blocks)
    resident_forward(Slab slab, abn_problem problem, abn_forward_args args,
                     ForwardScratch<Accumulate<T>> scratch, Exchange exchange) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>;
  const Tensor<T> x(args.x, slab.cut), z(args.z, slab.cut);
  auto& shared = dynamic_shared<ForwardShared<T, Layout>>();
  const SlabTensor<T> data(&shared + 1);
  const Activation<A> phi = activation_of<T>(problem);
  const bool training = problem.mode == ABN_TRAINING;
  const int64_t slices = slab.cut.slices, slice = blockIdx.x % slices;
  const int column = static_cast<int>(threadIdx.x) % slab.columns,
            row = static_cast<int>(threadIdx.x) / slab.columns;
  Exchanger<MomentsPart<A>> exchanger(exchange, slab, shared.parts, scratch.parts);

  const auto keep = [&](int j, const ForwardChannel<A>& channel) { shared.channels[j] = channel; };
  const auto settle = [&](const Chunk& chunk, int j, const Moments<A>& moments, bool kept,
                          bool published) {
    const int64_t c = chunk.channel + j;
    const A mean = moments.hi, variance = moments.m2 / static_cast<A>(problem.n * problem.s);
    if (kept) {
      keep(j, forward_channel<P>(problem, args, c, mean, variance));
    } else {
      scratch.mean[c] = mean;
      scratch.variance[c] = variance;
    }
    if (published)
      publish_statistics<A, P>(problem, args, c, problem.n * problem.s, mean, variance);
  };

  for (int64_t group = blockIdx.x / slices; group < slab.groups; group += exchange.groups) {
    const Chunk chunk = chunk_of(slab, group, slice);
    data.fill(x, chunk);
    if (!training) {
      for (int j = static_cast<int>(threadIdx.x); j < chunk.channels;
           j += static_cast<int>(blockDim.x))
        keep(j, running_channel<P, A>(problem, args, chunk.channel + j));
    }
    copy_async_wait<0>();
    __syncthreads();

    for (int first = 0; training && first < chunk.channels; first += slab.columns * own) {
      A n = 0;
      Moments<A> moments[own];
      with_slab_walk<T, Layout>(slab, chunk, slice, first + column,
                                [&](auto walk) { add_moments<T, Layout>(walk, data, n, moments); });
      shared.tree.slice.reduce(slab.columns, slab.cut.rows, n, moments);
      if (row == 0) {
        ABN_UNROLL for (int l = 0; l < own; ++l) {
          const int j = first + column * own + l;
          if (j >= chunk.channels) continue;
          if (exchange.meeting == Meeting::alone)
            settle(chunk, j, moments[l], true, true);
          else
            exchanger.place(chunk, slice, j) = {n, moments[l]};
        }
      }
      __syncthreads();  // the tree is free again
    }

    if (exchange.meeting != Meeting::alone) {
      exchanger.run(
          chunk, slice,
          [&](bool live, auto part) {
            return merge_slices(shared.tree.merge, slab.merge, slices, live, part);
          },
          [&](int j, const Moments<A>& moments, bool kept, bool published) {
            settle(chunk, j, moments, kept, published);
          },
          [&](int j) {
            const int64_t c = chunk.channel + j;
            keep(j, forward_channel<P>(problem, args, c, scratch.mean[c], scratch.variance[c]));
          });
    }

    write_back<T, Layout>(
        slab, chunk, shared.channels, z, [&](int slot) { return data.slot(slot); },
        [&](const Vec16<T>& value, int l, const ForwardChannel<A>& channel) {
          return phi.value(channel.y(widen(value.lane[l])));
        });
    __syncthreads();  // the slab and the table are free again
    exchanger.part();
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::device
