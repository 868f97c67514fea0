// What cooperative_groups.hpp asks of the emulator: the barrier of a cluster, and the way to a
// peer's shared memory. As engine.hpp, plain types only.
#pragma once

#include "cuda/emulator/engine.hpp"

namespace abn::emulator {

// above 8 a launch opts in, which launch() does by itself
inline constexpr unsigned largest_cluster = 16;

[[nodiscard]] Arrival cluster_arrive(Where where);
[[nodiscard]] Arrival cluster_wait(Where where);
[[nodiscard]] Arrival cluster_sync(Where where);  // both at once
[[gnu::const]] uint3 cluster_shape();
[[gnu::const]] unsigned cluster_rank();
// Where a byte of the caller's shared memory lies in that of another block of the cluster, and the
// rank of the block that owns a byte.
void* peer_address(const void* shared, unsigned rank, Where where);
unsigned peer_rank(const void* shared, Where where);

}  // namespace abn::emulator
