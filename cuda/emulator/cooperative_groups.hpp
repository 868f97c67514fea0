// cooperative_groups for a host compiler: the barriers of a grid, a block and a cluster, and the
// way to a peer's shared memory.
#pragma once

#include "cuda/emulator/cuda.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/engine_clusters.hpp"

namespace abn::emulator {
inline namespace ABN_BUILD {
namespace cooperative_groups {

struct grid_group {
  void sync(Where where = Where::current()) const { resume(grid_barrier(where)); }
};
struct thread_block {
  void sync(Where where = Where::current()) const { resume(block_barrier(where)); }
  unsigned thread_rank() const { return rank_in_block(); }
};
inline grid_group this_grid() { return {}; }
inline thread_block this_thread_block() { return {}; }

class cluster_group {
 public:
  struct arrival_token {};
  static void sync(Where where = Where::current()) { resume(cluster_sync(where)); }
  static arrival_token barrier_arrive(Where where = Where::current()) {
    resume(cluster_arrive(where));
    return {};
  }
  static void barrier_wait(Where where = Where::current()) { resume(cluster_wait(where)); }
  static void barrier_wait(arrival_token&&, Where where = Where::current()) {
    resume(cluster_wait(where));
  }

  static unsigned block_rank() { return cluster_rank(); }
  static dim3 dim_blocks() { return cluster_shape(); }
  static unsigned num_blocks() {
    const uint3 shape = cluster_shape();
    return shape.x * shape.y * shape.z;
  }
  static dim3 block_index() {
    const uint3 shape = cluster_shape(), index = emulator::block_index();
    return {index.x % shape.x, index.y % shape.y, index.z % shape.z};
  }
  static unsigned num_threads() {
    const uint3 dim = block_dim();
    return num_blocks() * dim.x * dim.y * dim.z;
  }
  static unsigned thread_rank() {
    const uint3 dim = block_dim();
    return block_rank() * dim.x * dim.y * dim.z + rank_in_block();
  }

  template <class T>
  static T* map_shared_rank(T* address, int rank, Where where = Where::current()) {
    return static_cast<T*>(peer_address(address, static_cast<unsigned>(rank), where));
  }
  static unsigned query_shared_rank(const void* address, Where where = Where::current()) {
    return peer_rank(address, where);
  }
};
inline cluster_group this_cluster() { return {}; }

}  // namespace cooperative_groups
}  // namespace ABN_BUILD
}  // namespace abn::emulator

namespace cooperative_groups = abn::emulator::cooperative_groups;
