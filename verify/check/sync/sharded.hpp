// A variant's halves as a variant of their own: a batch is cut into shards along its images, every
// rank runs its half on its shard, and the outputs of all ranks together are those of one call.
//
// Shards are slices of the same buffers, since images lie behind each other in both layouts. The
// partials lie in the workspace, where every rank's first half writes its own and every second half
// reads all: what an allgather would have done. One rank is the one whose mean, variance and
// running averages are looked at; which one differs from case to case, and the others work without.
// dgamma and dbeta, which stay local, are added up here as a framework would.
//
// So whatever judges a variant judges its halves: bounds, guards, poison, in place, again.
#pragma once

#include <cstdint>
#include <vector>

#include "verify/call/subject.hpp"
#include "verify/problem/claims.hpp"

namespace abn::verify::check::sync {

/// How a batch is cut, and the rank whose statistics are looked at.
struct ShardPlan {
  std::vector<std::int64_t> images;  ///< of each rank, in order; adds up to n
  std::size_t shown = 0;
};

/// 1, 2, 3 or 7 ranks, as uneven as their number of images allows, some with one image or none;
/// a function of the seed alone. Every rank is empty where n is 0.
ShardPlan plan_of(const abn_problem& problem, std::uint64_t seed);

/// While it lives, `variant()` is, on this thread, `base` with its batch cut by `plan`. It supports
/// training only, and claims what `base` claims with the merges of the partials on top: two passes
/// become merges, and every sum is as many steps longer as there are ranks.
class Sharded {
 public:
  Sharded(const abn_split_variant& base, ShardPlan plan);
  ~Sharded();
  Sharded(const Sharded&) = delete;
  Sharded& operator=(const Sharded&) = delete;
  const abn_variant& variant() const { return variant_; }

 private:
  abn_variant variant_{};
};

}  // namespace abn::verify::check::sync
