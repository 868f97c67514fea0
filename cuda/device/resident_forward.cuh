// Forward in one sweep: load a slice into shared memory, reduce it there, agree with the blocks
// that hold the channel's other slices, normalise from shared memory. x is read once and z written
// once.
//
// A grid has a block for every slice of the groups that are in flight; block b holds slice b %
// slices of the groups b / slices, b / slices + in flight, ... z may be x: a block has read all of
// its vectors before it writes the first. Inference has its statistics and goes from loading to
// normalising, alone; it comes here where runs are ragged, for the sake of 16-byte accesses.
#pragma once

#include "cuda/device/activation.cuh"
#include "cuda/device/forward_sweeps.cuh"
#include "cuda/device/group_reduction.cuh"
#include "cuda/device/smem_write_back.cuh"
#include "cuda/device/statistics.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

// Channels of a group at the most.
template <class T, int Layout>
constexpr int most_pack = Layout == ABN_NCHW ? most_columns : smem_columns* vector_lanes<T>;

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
    resident_forward(SmemTiling tiling, abn_problem problem, abn_forward_args args,
                     ForwardScratch<Accumulate<T>> scratch, GroupSync sync) {
  using A = Accumulate<T>;
  constexpr int own = owned<T, Layout>;
  const Tensor<T> x(args.x, tiling.partition), z(args.z, tiling.partition);
  auto& shared = dynamic_shared<ForwardShared<T, Layout>>();
  const SmemTensor<T> data(&shared + 1);
  const Activation<A> phi = activation_of<T>(problem);
  const bool training = problem.mode == ABN_TRAINING;
  const int64_t slices = tiling.partition.slices, slice = blockIdx.x % slices;
  const int column = static_cast<int>(threadIdx.x) % tiling.columns,
            row = static_cast<int>(threadIdx.x) / tiling.columns;
  GroupReduction<MomentsPart<A>> reduction(sync, tiling, shared.parts, scratch.parts);

  const auto keep = [&](int j, const ForwardChannel<A>& channel) { shared.channels[j] = channel; };
  const auto finish_channel = [&](const SmemTile& tile, int j, const Moments<A>& moments, bool kept,
                                  bool published) {
    const int64_t c = tile.channel + j;
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

  for (int64_t group = blockIdx.x / slices; group < tiling.groups; group += sync.groups) {
    const SmemTile tile = smem_tile_of(tiling, group, slice);
    data.fill(x, tile);
    if (!training) {
      for (int j = static_cast<int>(threadIdx.x); j < tile.channels;
           j += static_cast<int>(blockDim.x))
        keep(j, running_channel<P, A>(problem, args, tile.channel + j));
    }
    copy_async_wait<0>();
    __syncthreads();

    for (int first = 0; training && first < tile.channels; first += tiling.columns * own) {
      A n = 0;
      Moments<A> moments[own];
      with_smem_iterator<T, Layout>(tiling, tile, slice, first + column, [&](auto iterator) {
        add_moments<T, Layout>(iterator, data, n, moments);
      });
      shared.tree.slice.reduce(tiling.columns, tiling.partition.rows, n, moments);
      if (row == 0) {
        ABN_UNROLL for (int l = 0; l < own; ++l) {
          const int j = first + column * own + l;
          if (j >= tile.channels) continue;
          if (sync.scope == SyncScope::block)
            finish_channel(tile, j, moments[l], true, true);
          else
            reduction.slot(tile, slice, j) = {n, moments[l]};
        }
      }
      __syncthreads();  // the tree is free again
    }

    if (sync.scope != SyncScope::block) {
      reduction.reduce(
          tile, slice,
          [&](bool live, auto part) {
            return merge_slices(shared.tree.merge, tiling.merge, slices, live, part);
          },
          [&](int j, const Moments<A>& moments, bool kept, bool published) {
            finish_channel(tile, j, moments, kept, published);
          },
          [&](int j) {
            const int64_t c = tile.channel + j;
            keep(j, forward_channel<P>(problem, args, c, scratch.mean[c], scratch.variance[c]));
          });
    }

    write_back<T, Layout>(
        tiling, tile, shared.channels, z, [&](int slot) { return data.slot(slot); },
        [&](const Vec16<T>& value, int l, const ForwardChannel<A>& channel) {
          return phi.value(channel.y(widen(value.lane[l])));
        });
    __syncthreads();  // the tile and the table are free again
    reduction.release();
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::device
