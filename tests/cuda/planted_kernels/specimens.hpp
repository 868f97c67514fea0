// A few kernels that are right, for tests of what a session makes of them.
#pragma once

#include "tests/cuda/planted_kernels/planted.hpp"

namespace abn::tests {

struct Specimens {
  // one element a thread, blocks of 64
  int (*copy)(const float* from, float* to, unsigned count);
  // four, count a multiple of 4
  int (*copy_wide)(const float* from, float* to, unsigned count);
  // block b of 64 threads: elements t * blocks + b
  int (*copy_strided)(const float* from, float* to, unsigned count);
  // of 12 bytes, one a thread; count a multiple of 3
  int (*copy_structs)(const float* from, float* to, unsigned count);
  // memcpy of everything, by one thread
  int (*copy_bytes)(const float* from, float* to, unsigned count);
  int (*clear)(float* to, unsigned count);                                 // memset, likewise
  int (*count_all)(unsigned* counter, unsigned blocks, unsigned threads);  // one atomicAdd a thread
  // one block of 32, lane t copies t % 4 + 1 elements, 4 apart
  int (*uneven)(const float* from, float* to);
  // one warp: the even lanes copy, then, behind a __syncwarp, the odd ones
  int (*taking_turns)(const float* from, float* to);
  // a race: two blocks of one thread, and the last one wins
  int (*everyone_writes)(float* to);
  // a race: one block writes to[6], then another one reads to[4..7] at once
  int (*wide_read_of_one_write)(float* to);
  int (*store_at)(float* to, long long element);  // one thread
};
Specimens& specimens(Compiler compiler);

}  // namespace abn::tests
