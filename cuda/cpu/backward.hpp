// Backward on the processor: InPlace-ABN I (device/scheme.cuh).
//
// With frozen statistics dx = g*r*dy needs no sums: a single round reads z and dz, leaf by leaf
// sums them, and writes dx, which may be dz.
#pragma once

#include "cuda/cpu/forward.hpp"
#include "cuda/device/backward_sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

template <class T, class P>
class BackwardPass : public Rounds<BackwardPass<T, P>, Accumulate<T>, LeafSums> {
 public:
  using A = Accumulate<T>;
  using Base = Rounds<BackwardPass, A, LeafSums>;
  using Scheme = SchemeOne<A>;

  BackwardPass(const abn_problem& problem, const abn_backward_args& args, int threads)
      : Base(problem, threads, sizeof(T), args.workspace),
        problem_(problem),
        args_(args),
        frozen_(problem.mode == ABN_FROZEN),
        phi_(activation_of<T>(problem)) {
    scratch_.mean_dy = Base::first_value(), scratch_.mean_dy_xhat = Base::second_value();
  }

  void run() {
    const bool two_sweeps = !frozen_ && args_.dx != nullptr;
    if (two_sweeps && Base::one_round()) return Base::run_in_one_round();
    Base::condense();
    if (two_sweeps) Base::apply();
  }

  // The halves: sums of a shard into a partial, and those of all shards, before anything is
  // divided, in their place. A shard without samples has gradients of 0.
  void condense_into(const SumsPartial<A>& partial) {
    scratch_.partial = partial;
    Base::condense();
  }
  void finish_whole(int64_t c, int64_t samples, const Sums<A>& parts) {
    const Sums<A> means = finished<P, Scheme>(problem_, args_, c, parts).over(samples);
    scratch_.mean_dy[c] = means.s0, scratch_.mean_dy_xhat[c] = means.s1;
  }
  void publish_nothing(int64_t c) const { publish_gradients<P>(problem_, args_, c, Sums<A>{}); }

 private:
  friend Base;
  const abn_problem problem_;
  const abn_backward_args args_;
  const bool frozen_;
  const Activation<A> phi_;
  ScratchOf<Scheme> scratch_{};
  using Base::cut_;

  template <int Width>
  void finish(int64_t c, const LeafSums<A, Width>& all, int64_t j) const {
    finish_gradients<P, Scheme>(problem_, args_, scratch_, c, all.of(j));
  }
  Affine<A> affine(int64_t c) const { return affine_of<P, A>(problem_, args_, c); }
  A frozen_scale(int64_t c) const {
    return affine(c).g * reciprocal_deviation_of<P, A>(problem_, args_, c);
  }
  typename Scheme::Channel channel(int64_t c) const {
    return backward_channel<P, Scheme>(problem_, args_, c,
                                       {scratch_.mean_dy[c], scratch_.mean_dy_xhat[c]});
  }
  bool writes_frozen() const { return frozen_ && args_.dx != nullptr; }

  ABN_FLAT LeafSums<A, 1> sum_along(int64_t c, int64_t first, int64_t last) const {
    const Along<T> z(args_.z, cut_, c), dz(args_.dz, cut_, c), dx(args_.dx, cut_, c);
    const typename Scheme::Recovery recovery = Scheme::recovery(affine(c));
    const A scale = writes_frozen() ? frozen_scale(c) : A(1);
    Room<T> of_z, of_dz, of_dx;
    LeafTree<LeafSums<A, 1>> tree;
    for (int64_t i = first; i < last; i += leaf_elements) {
      const int64_t count = last - i < leaf_elements ? last - i : leaf_elements;
      const A *const stored = z.read(i, count, of_z), *const upstream = dz.read(i, count, of_dz);
      gradients_along(stored, upstream, count, phi_, recovery, tree.next());
      tree.push(1);
      if (!writes_frozen()) continue;
      with_branch(phi_, [&](const Activation<A>& phi) {
        dx.write(i, count, of_dx, [&](A* out) {
          ABN_INDEPENDENT
          for (int64_t k = 0; k < count; ++k)
            out[k] = result<T>(scale * phi.upstream(phi.unsaturated(stored[k]), upstream[k]));
        });
      });
    }
    return tree.finish(1);
  }

  ABN_FLAT void sum_across(int64_t c, int64_t first, int64_t last,
                           LeafTree<typename Base::Block>& tree) const {
    const int64_t width = Base::width_of(c);
    const Rows<T> z(args_.z, cut_, c, width), dz(args_.dz, cut_, c, width),
        dx(args_.dx, cut_, c, width);
    BlockRecovery<A> recovery;
    alignas(64) A scale[block_channels];
    for (int64_t j = 0; j < width; ++j) {
      recovery.put(j, Scheme::recovery(affine(c + j)));
      scale[j] = writes_frozen() ? frozen_scale(c + j) : A(1);
    }
    typename Rows<T>::Room of_z, of_dz;
    for (int64_t i = first; i < last; i += leaf_rows) {
      const int64_t rows = last - i < leaf_rows ? last - i : leaf_rows;
      const auto stored = z.read(i, rows, of_z), upstream = dz.read(i, rows, of_dz);
      gradients_across(stored.data, stored.step, upstream.data, upstream.step, rows, width, phi_,
                       recovery, tree.next());
      tree.push(width);
      if (!writes_frozen()) continue;
      with_branch(phi_, [&](const Activation<A>& phi) {
        dx.write(i, rows, [&](int64_t row, A* out) {
          const A* const in = stored.data + row * stored.step;
          const A* const up = upstream.data + row * upstream.step;
          ABN_INDEPENDENT
          for (int64_t j = 0; j < width; ++j)
            out[j] = result<T>(scale[j] * phi.upstream(phi.unsaturated(in[j]), up[j]));
        });
      });
    }
  }

  ABN_FLAT void apply_along(int64_t c, int64_t first, int64_t last) const {
    const Along<T> z(args_.z, cut_, c), dz(args_.dz, cut_, c), dx(args_.dx, cut_, c);
    const typename Scheme::Channel of_channel = channel(c);
    Room<T> of_z, of_dz, of_dx;
    with_branch(phi_, [&](const Activation<A>& phi) {
      for (int64_t i = first, count; i < last; i += count) {
        count = z.stretch(i, last);
        const A *const stored = z.read(i, count, of_z), *const upstream = dz.read(i, count, of_dz);
        dx.write(i, count, of_dx, [&](A* out) {
          ABN_INDEPENDENT
          for (int64_t k = 0; k < count; ++k) {
            const A one = phi.unsaturated(stored[k]);
            out[k] = result<T>(of_channel.dx(phi.inverse(one), phi.upstream(one, upstream[k])));
          }
        });
      }
    });
  }

  ABN_FLAT void apply_across(int64_t c, int64_t first, int64_t last) const {
    const int64_t width = Base::width_of(c);
    const Rows<T> z(args_.z, cut_, c, width), dz(args_.dz, cut_, c, width),
        dx(args_.dx, cut_, c, width);
    alignas(64) A beta[block_channels], unit[block_channels], mean_dy[block_channels],
        mean_dy_d[block_channels], scale[block_channels];
    for (int64_t j = 0; j < width; ++j) {
      const typename Scheme::Channel one = channel(c + j);
      beta[j] = one.inversion.beta, unit[j] = one.inversion.unit;
      mean_dy[j] = one.mean_dy, mean_dy_d[j] = one.mean_dy_d, scale[j] = one.scale;
    }
    typename Rows<T>::Room of_z, of_dz;
    with_branch(phi_, [&](const Activation<A>& phi) {
      for (int64_t i = first; i < last; i += leaf_rows) {
        const int64_t rows = last - i < leaf_rows ? last - i : leaf_rows;
        const auto stored = z.read(i, rows, of_z), upstream = dz.read(i, rows, of_dz);
        dx.write(i, rows, [&](int64_t row, A* out) {
          const A* const in = stored.data + row * stored.step;
          const A* const up = upstream.data + row * upstream.step;
          ABN_INDEPENDENT
          for (int64_t j = 0; j < width; ++j) {
            typename Scheme::Channel one;
            one.inversion = {beta[j], unit[j], A(1)};
            one.mean_dy = mean_dy[j], one.mean_dy_d = mean_dy_d[j], one.scale = scale[j];
            const A back = phi.unsaturated(in[j]);
            out[j] = result<T>(one.dx(phi.inverse(back), phi.upstream(back, up[j])));
          }
        });
      }
    });
  }
};

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
