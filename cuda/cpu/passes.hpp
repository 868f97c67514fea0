// Forward and backward on the processor, as compiled for one set of its instructions.
//
// All sets give the same bits, and so does every number of threads: sums have a fixed order in
// which vectors are columns, nothing is contracted, and the functions of libm are called one by
// one.
#pragma once

#include "cuda/kernel.h"

namespace abn::cpu {

/// The arguments have been checked, and the problem is one that the variant does. `threads`: at
/// most so many, this one included. The halves are those of abn_split_variant; a shard may be
/// empty.
struct Passes {
  const char* name;
  int (*forward)(const abn_problem& problem, const abn_forward_args& args, int threads);
  int (*backward)(const abn_problem& problem, const abn_backward_args& args, int threads);
  int (*forward_local)(const abn_problem& shard, const abn_forward_args& args, void* partial,
                       int threads);
  int (*forward_apply)(const abn_problem& shard, const abn_forward_args& args, const void* partials,
                       int ranks, int threads);
  int (*backward_local)(const abn_problem& shard, const abn_backward_args& args, void* partial,
                        int threads);
  int (*backward_apply)(const abn_problem& shard, const abn_backward_args& args,
                        const void* partials, int ranks, int threads);
};

/// For every processor of the architecture.
extern const Passes portable_passes;

/// For AVX2 and F16C; null where this build or this processor has none.
const Passes* avx2_passes();

/// The quickest for this processor.
const Passes& best_passes();

}  // namespace abn::cpu
