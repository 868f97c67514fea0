// The passes for the instructions that this file is compiled for: portable.cpp and avx2.cpp include
// it, each under a name of its own for everything in it (ABN_BUILD), so that no code for the one
// ends up in the other.
#pragma once

#include "cuda/cpu/backward.hpp"
#include "cuda/cpu/passes.hpp"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

// Calls use(pass) with the pass of the problem's types.
template <class Use>
int with_pass(const abn_problem& problem, const abn_forward_args& args, int threads, Use use) {
  return with_types(problem, [&](auto types) {
    using Pair = decltype(types);
    ForwardPass<typename Pair::Storage, typename Pair::Parameter> pass(problem, args, threads);
    return use(pass), int{ABN_OK};
  });
}
template <class Use>
int with_pass(const abn_problem& problem, const abn_backward_args& args, int threads, Use use) {
  return with_types(problem, [&](auto types) {
    using Pair = decltype(types);
    BackwardPass<typename Pair::Storage, typename Pair::Parameter> pass(problem, args, threads);
    return use(pass), int{ABN_OK};
  });
}
template <class Pass>
using Computed = typename std::remove_reference_t<Pass>::A;

inline int forward(const abn_problem& problem, const abn_forward_args& args, int threads) {
  return with_pass(problem, args, threads, [](auto& pass) { pass.run(); });
}
inline int backward(const abn_problem& problem, const abn_backward_args& args, int threads) {
  return with_pass(problem, args, threads, [](auto& pass) { pass.run(); });
}

inline int forward_local(const abn_problem& shard, const abn_forward_args& args, void* partial,
                         int threads) {
  return with_pass(shard, args, threads, [&](auto& pass) {
    using A = Computed<decltype(pass)>;
    const MomentsPartial<A> out(partial, shard.c);
    if (shard.n > 0) return pass.condense_into(out);
    for (int64_t c = 0; c < shard.c; ++c) out.put(c, 0, Moments<A>{});
  });
}
inline int forward_apply(const abn_problem& shard, const abn_forward_args& args,
                         const void* partials, int ranks, int threads) {
  return with_pass(shard, args, threads, [&](auto& pass) {
    using A = Computed<decltype(pass)>;
    const size_t bytes = MomentsPartial<A>::bytes(shard.c);
    for (int64_t c = 0; c < shard.c; ++c) {
      int64_t n = 0;
      Moments<A> moments;
      for (int rank = 0; rank < ranks; ++rank) {
        const auto partial = partial_of<MomentsPartial<A>>(partials, bytes, rank, shard.c);
        const int64_t added = *partial.samples;
        moments = merge(moments, partial.of(c), weights_of<A>(n, added));
        n += added;
      }
      if (n > 0) pass.finish_whole(c, n, moments);
    }
    if (shard.n > 0) pass.apply();
  });
}

inline int backward_local(const abn_problem& shard, const abn_backward_args& args, void* partial,
                          int threads) {
  return with_pass(shard, args, threads, [&](auto& pass) {
    const SumsPartial<Computed<decltype(pass)>> out(partial, shard.c);
    if (shard.n > 0) return pass.condense_into(out);
    for (int64_t c = 0; c < shard.c; ++c) {
      out.put(c, 0, {});
      pass.publish_nothing(c);
    }
  });
}
inline int backward_apply(const abn_problem& shard, const abn_backward_args& args,
                          const void* partials, int ranks, int threads) {
  if (shard.n == 0 || args.dx == nullptr) return ABN_OK;
  return with_pass(shard, args, threads, [&](auto& pass) {
    using Partial = SumsPartial<Computed<decltype(pass)>>;
    const size_t bytes = Partial::bytes(shard.c);
    for (int64_t c = 0; c < shard.c; ++c) {
      const auto first = partial_of<Partial>(partials, bytes, 0, shard.c);
      int64_t n = *first.samples;
      auto parts = first.of(c);
      for (int rank = 1; rank < ranks; ++rank) {
        const auto partial = partial_of<Partial>(partials, bytes, rank, shard.c);
        n += *partial.samples;
        parts.add(partial.of(c));
      }
      pass.finish_whole(c, n, parts);
    }
    pass.apply();
  });
}

constexpr abn::cpu::Passes passes_named(const char* name) {
  return {name, forward, backward, forward_local, forward_apply, backward_local, backward_apply};
}

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
