// Forward on the processor: statistics and results of a channel, or of a block of channels.
#pragma once

#include "cuda/cpu/leaves.hpp"
#include "cuda/cpu/rounds.hpp"
#include "cuda/device/forward_sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

// A result as it is stored where T is computed in; else narrow_all() follows.
template <class T>
inline Accumulate<T> result(Accumulate<T> value) {
  if constexpr (is_computed_in<T>) return narrow<T>(value);
  return value;
}

template <class T, class P>
class ForwardPass : public Rounds<ForwardPass<T, P>, Accumulate<T>, LeafMoments> {
 public:
  using A = Accumulate<T>;
  using Base = Rounds<ForwardPass, A, LeafMoments>;

  ForwardPass(const abn_problem& problem, const abn_forward_args& args, int threads)
      : Base(problem, threads, sizeof(T), problem.mode == ABN_TRAINING ? args.workspace : nullptr),
        problem_(problem),
        args_(args),
        phi_(activation_of<T>(problem)) {
    scratch_.mean = Base::first_value(), scratch_.variance = Base::second_value();
  }

  void run() {
    const bool training = problem_.mode == ABN_TRAINING;
    if (training && Base::one_round()) return Base::run_in_one_round();
    if (training) Base::condense();
    Base::apply();
  }

  // The halves: statistics of a shard into a partial, and those of all shards in their place.
  void condense_into(const MomentsPartial<A>& partial) {
    scratch_.partial = partial;
    Base::condense();
  }
  void finish_whole(int64_t c, int64_t samples, const Moments<A>& moments) {
    finish_statistics<P>(problem_, args_, scratch_, c, samples, moments);
  }

 private:
  friend Base;
  const abn_problem problem_;
  const abn_forward_args args_;
  const Activation<A> phi_;
  ForwardScratch<A> scratch_{};
  using Base::cut_;

  template <int Width>
  void finish(int64_t c, const LeafMoments<A, Width>& all, int64_t j) const {
    finish_moments<P>(problem_, args_, scratch_, c, all.of(j));
  }
  ForwardChannel<A> channel(int64_t c) const {
    if (problem_.mode != ABN_TRAINING) return running_channel<P, A>(problem_, args_, c);
    return forward_channel<P>(problem_, args_, c, scratch_.mean[c], scratch_.variance[c]);
  }

  ABN_FLAT LeafMoments<A, 1> sum_along(int64_t c, int64_t first, int64_t last) const {
    const Along<T> x(args_.x, cut_, c);
    Room<T> room;
    LeafTree<LeafMoments<A, 1>> tree;
    for (int64_t i = first; i < last; i += leaf_elements) {
      const int64_t count = last - i < leaf_elements ? last - i : leaf_elements;
      moments_along(x.read(i, count, room), count, tree.next());
      tree.push(1);
    }
    return tree.finish(1);
  }

  ABN_FLAT void sum_across(int64_t c, int64_t first, int64_t last,
                           LeafTree<typename Base::Block>& tree) const {
    const int64_t width = Base::width_of(c);
    const Rows<T> x(args_.x, cut_, c, width);
    typename Rows<T>::Room room;
    for (int64_t i = first; i < last; i += leaf_rows) {
      const int64_t rows = last - i < leaf_rows ? last - i : leaf_rows;
      const auto read = x.read(i, rows, room);
      moments_across(read.data, read.step, rows, width, tree.next());
      tree.push(width);
    }
  }

  ABN_FLAT void apply_along(int64_t c, int64_t first, int64_t last) const {
    const Along<T> x(args_.x, cut_, c), z(args_.z, cut_, c);
    const ForwardChannel<A> of_channel = channel(c);
    Room<T> read, written;
    with_branch(phi_, [&](const Activation<A>& phi) {
      for (int64_t i = first, count; i < last; i += count) {
        count = x.stretch(i, last);
        const A* const in = x.read(i, count, read);
        z.write(i, count, written, [&](A* out) {
          ABN_INDEPENDENT
          for (int64_t k = 0; k < count; ++k) out[k] = result<T>(phi.value(of_channel.y(in[k])));
        });
      }
    });
  }

  ABN_FLAT void apply_across(int64_t c, int64_t first, int64_t last) const {
    const int64_t width = Base::width_of(c);
    const Rows<T> x(args_.x, cut_, c, width), z(args_.z, cut_, c, width);
    alignas(64) A mean[block_channels], r[block_channels], g[block_channels], beta[block_channels];
    for (int64_t j = 0; j < width; ++j) {
      const ForwardChannel<A> one = channel(c + j);
      mean[j] = one.mean, r[j] = one.r, g[j] = one.affine.g, beta[j] = one.affine.beta;
    }
    typename Rows<T>::Room room;
    with_branch(phi_, [&](const Activation<A>& phi) {
      for (int64_t i = first; i < last; i += leaf_rows) {
        const int64_t rows = last - i < leaf_rows ? last - i : leaf_rows;
        const auto in = x.read(i, rows, room);
        z.write(i, rows, [&](int64_t row, A* out) {
          const A* const from = in.data + row * in.step;
          ABN_INDEPENDENT
          for (int64_t j = 0; j < width; ++j) {
            const ForwardChannel<A> one{mean[j], r[j], {g[j], beta[j]}};
            out[j] = result<T>(phi.value(one.y(from[j])));
          }
        });
      }
    });
  }
};

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
