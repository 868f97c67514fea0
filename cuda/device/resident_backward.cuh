// Backward in one sweep: z and dz are loaded into shared memory, reduced there, and dx is written
// from there, after the blocks that hold the channel's other slices have agreed on S0 and S1. See
// device/resident_forward.cuh. dx may be dz. With frozen statistics dx = g*r*dy; that comes here
// where runs are ragged, for the sake of 16-byte accesses.
#pragma once

#include "cuda/device/backward_sweeps.cuh"
#include "cuda/device/gradients.cuh"
#include "cuda/device/group_reduction.cuh"
#include "cuda/device/resident_forward.cuh"
#include "cuda/device/smem_write_back.cuh"

namespace abn::device {
inline namespace ABN_BUILD {

template <class T, int Layout>
struct alignas(16) BackwardShared {
  using A = Accumulate<T>;
  union Trees {
    SumsTree<A, owned<T, Layout>> slice;
    SumsTree<A, 1> merge;
    __device__ Trees() {}
  } tree;
  Sums<A> parts[most_pack<T, Layout>];
  typename SchemeOne<A>::Channel channels[most_pack<T, Layout>];
};

template <class T>
struct Pair {
  Vec16<T> z, dz;
};

template <class T, class P, int Layout>
__global__ void __launch_bounds__(most_threads, resident_blocks)
    resident_backward(SmemTiling tiling, abn_problem problem, abn_backward_args args,
                      BackwardScratch<Accumulate<T>> scratch, GroupSync sync) {
  using A = Accumulate<T>;
  using Scheme = SchemeOne<A>;
  constexpr int own = owned<T, Layout>;
  const Tensor<T> z(args.z, tiling.partition), dz(args.dz, tiling.partition),
      dx(args.dx, tiling.partition);
  auto& shared = dynamic_shared<BackwardShared<T, Layout>>();
  Vec16<T>* const slots = reinterpret_cast<Vec16<T>*>(&shared + 1);
  const SmemTensor<T> outputs(slots), gradients(slots + tiling.slots);
  const Activation<A> phi = activation_of<T>(problem);
  const bool training = problem.mode == ABN_TRAINING;
  const int64_t slices = tiling.partition.slices, slice = blockIdx.x % slices;
  const int column = static_cast<int>(threadIdx.x) % tiling.columns,
            row = static_cast<int>(threadIdx.x) / tiling.columns;
  GroupReduction<Sums<A>> reduction(sync, tiling, shared.parts, scratch.parts);

  const auto keep = [&](int j, const typename Scheme::Channel& channel) {
    shared.channels[j] = channel;
  };
  const auto finish_channel = [&](const SmemTile& tile, int j, const Sums<A>& parts, bool kept,
                                  bool published) {
    const int64_t c = tile.channel + j;
    const Sums<A> sums = finished<P, Scheme>(problem, args, c, parts);
    const Sums<A> means = sums.over(problem.n * problem.s);
    if (kept) {
      keep(j, backward_channel<P, Scheme>(problem, args, c, means));
    } else {
      scratch.mean_dy[c] = means.s0;
      scratch.mean_dy_xhat[c] = means.s1;
    }
    if (published) publish_gradients<P>(problem, args, c, sums);
  };

  for (int64_t group = blockIdx.x / slices; group < tiling.groups; group += sync.groups) {
    const SmemTile tile = smem_tile_of(tiling, group, slice);
    outputs.fill(z, tile);
    gradients.fill(dz, tile);
    copy_async_wait<0>();
    __syncthreads();

    for (int first = 0; first < tile.channels; first += tiling.columns * own) {
      typename Scheme::Recovery recovery[own];
      A scale[own];
      ABN_UNROLL for (int l = 0; l < own; ++l) {
        const int j = first + column * own + l;
        recovery[l] = Scheme::none();
        scale[l] = 1;
        if (j < tile.channels)
          recovery[l] = Scheme::recovery(affine_of<P, A>(problem, args, tile.channel + j));
      }
      Sums<A> sums[own];
      with_smem_iterator<T, Layout>(tiling, tile, slice, first + column, [&](auto iterator) {
        add_gradients<T, Layout, Scheme>(iterator, outputs, gradients, phi, recovery, scale, sums,
                                         [](const auto&, const Vec16<T>&) {});
      });
      shared.tree.slice.reduce(tiling.columns, tiling.partition.rows, sums);
      if (row == 0) {
        ABN_UNROLL for (int l = 0; l < own; ++l) {
          const int j = first + column * own + l;
          if (j >= tile.channels) continue;
          if (sync.scope == SyncScope::block)
            finish_channel(tile, j, sums[l], true, true);
          else
            reduction.slot(tile, slice, j) = sums[l];
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
          [&](int j, const Sums<A>& parts, bool kept, bool published) {
            finish_channel(tile, j, parts, kept, published);
          },
          [&](int j) {
            const int64_t c = tile.channel + j;
            keep(j, backward_channel<P, Scheme>(problem, args, c,
                                                {scratch.mean_dy[c], scratch.mean_dy_xhat[c]}));
          });
    }

    if (args.dx != nullptr) {
      const auto pick = [&](int slot) { return Pair<T>{outputs.slot(slot), gradients.slot(slot)}; };
      const auto write = [&](auto compute) {
        write_back<T, Layout>(tiling, tile, shared.channels, dx, pick, compute);
      };
      if (training) {
        write([&](const Pair<T>& pair, int l, const typename Scheme::Channel& channel) {
          const A one = phi.unsaturated(widen(pair.z.lane[l]));
          return channel.dx(phi.inverse(one), phi.upstream(one, widen(pair.dz.lane[l])));
        });
      } else {
        write([&](const Pair<T>& pair, int l, const typename Scheme::Channel& channel) {
          return channel.scale *
                 phi.upstream(phi.unsaturated(widen(pair.z.lane[l])), widen(pair.dz.lane[l]));
        });
      }
    }
    __syncthreads();  // the tiles and the table are free again
    reduction.release();
  }
}

}  // namespace ABN_BUILD
}  // namespace abn::device
