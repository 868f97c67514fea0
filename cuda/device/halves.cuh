// The entries of abn_split_variant for a variant that knows how it partitions a problem: argument
// checks, and the sweeps of that partition.
#pragma once

#include "cuda/device/entry.cuh"
#include "cuda/device/sweeps.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace sweeps {

template <Partition (*PartitionFor)(const abn_problem&, int direction)>
struct Halves {
  static size_t partial_bytes(const abn_problem* shard, int direction) {
    return known(*shard) && shard->c > 0 ? sweeps::partial_bytes(*shard, direction) : 0;
  }
  static int forward_local(const abn_problem* shard, const abn_forward_args* args, void* partial) {
    return with_partition(*shard, *args, partial, 1, ABN_FORWARD, [&](const Partition* partition) {
      return sweeps::forward_local(partition, *shard, *args, partial);
    });
  }
  static int forward_apply(const abn_problem* shard, const abn_forward_args* args,
                           const void* partials, int32_t ranks) {
    return with_partition(*shard, *args, partials, ranks, ABN_FORWARD,
                          [&](const Partition* partition) {
                            return sweeps::forward_apply(partition, *shard, *args, partials, ranks);
                          });
  }
  static int backward_local(const abn_problem* shard, const abn_backward_args* args,
                            void* partial) {
    return with_partition(*shard, *args, partial, 1, ABN_BACKWARD, [&](const Partition* partition) {
      return sweeps::backward_local(partition, *shard, *args, partial);
    });
  }
  static int backward_apply(const abn_problem* shard, const abn_backward_args* args,
                            const void* partials, int32_t ranks) {
    return with_partition(
        *shard, *args, partials, ranks, ABN_BACKWARD, [&](const Partition* partition) {
          return sweeps::backward_apply(partition, *shard, *args, partials, ranks);
        });
  }

 private:
  template <class Args, class Call>
  static int with_partition(const abn_problem& shard, const Args& args, const void* partials,
                            int32_t ranks, int direction, Call call) {
    if (!known(shard) || shard.mode != ABN_TRAINING) return ABN_ERROR_UNSUPPORTED;
    if (shard.c == 0 || shard.s == 0) return ABN_OK;  // on all ranks
    if (partials == nullptr || ranks < 1) return ABN_ERROR_ARGUMENT;
    if (shard.n == 0) return call(nullptr);
    const Partition partition = PartitionFor(shard, direction);
    if (const int status = check(shard, args, workspace_bytes(partition, shard, direction)))
      return status;
    return call(&partition);
  }
};

// The variant with its halves.
template <class Halves>
constexpr abn_split_variant with_halves(abn_variant base) {
  base.struct_size = sizeof(abn_split_variant);
  return {base,
          Halves::partial_bytes,
          Halves::forward_local,
          Halves::forward_apply,
          Halves::backward_local,
          Halves::backward_apply};
}

}  // namespace sweeps
}  // namespace ABN_BUILD
}  // namespace abn::device
