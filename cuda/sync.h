// Batch norm over a batch that is sharded over ranks: the halves of a variant (cuda/kernel.h) with
// an allgather in between. The only thing asked of the communication is that allgather, so that
// NCCL, MPI, threads or a file will do; the partials are merged by every rank in the order of the
// ranks, so that all get the same bits however the bytes travelled.
#pragma once

#include <cstddef>

#include "cuda/kernel.h"

namespace abn {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int ranks() const = 0;
  // Puts the `bytes` at `mine` of every rank into `all`, one behind the other in the order of the
  // ranks; enqueued on `stream`, which is null for variants in host memory. False if that cannot be
  // done.
  virtual bool allgather(const void* mine, void* all, std::size_t bytes, void* stream) = 0;
};

// Bytes of the buffer that sync_forward and sync_backward take, in the variant's memory and aligned
// to 16: the partials of all ranks and the rank's own.
inline std::size_t sync_bytes(const abn_split_variant& variant, const abn_problem& shard,
                              int direction, int ranks) {
  return (static_cast<std::size_t>(ranks) + 1) * variant.partial_bytes(&shard, direction);
}

// A rank whose half fails still takes part in the gathering, so that no other waits for it, and
// then says so.
template <class Local, class Apply>
int sync_halves(Communicator& communicator, std::size_t bytes, void* buffer, void* stream,
                Local local, Apply apply) {
  if (bytes == 0) return apply(buffer);
  void* const own =
      static_cast<char*>(buffer) + static_cast<std::size_t>(communicator.ranks()) * bytes;
  const int status = local(own);
  if (!communicator.allgather(own, buffer, bytes, stream)) return ABN_ERROR_COMMUNICATION;
  return status == ABN_OK ? apply(buffer) : status;
}

// All ranks call these with their shards. `buffer` has sync_bytes bytes.
inline int sync_forward(const abn_split_variant& variant, const abn_problem& shard,
                        const abn_forward_args& args, Communicator& communicator, void* buffer) {
  return sync_halves(
      communicator, variant.partial_bytes(&shard, ABN_FORWARD), buffer, args.stream,
      [&](void* own) { return variant.forward_local(&shard, &args, own); },
      [&](const void* all) {
        return variant.forward_apply(&shard, &args, all, communicator.ranks());
      });
}
inline int sync_backward(const abn_split_variant& variant, const abn_problem& shard,
                         const abn_backward_args& args, Communicator& communicator, void* buffer) {
  return sync_halves(
      communicator, variant.partial_bytes(&shard, ABN_BACKWARD), buffer, args.stream,
      [&](void* own) { return variant.backward_local(&shard, &args, own); },
      [&](const void* all) {
        return variant.backward_apply(&shard, &args, all, communicator.ranks());
      });
}

}  // namespace abn
