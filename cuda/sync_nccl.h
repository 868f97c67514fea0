// A communicator of sync.h over NCCL, for variants in CUDA memory: one allgather of bytes on the
// caller's stream. The merge is ours, so NCCL's algorithm cannot change a bit.
#pragma once

#include <nccl.h>

#include "cuda/sync.h"

namespace abn {

// The NCCL communicator stays the caller's, and outlives this.
class NcclCommunicator : public Communicator {
 public:
  explicit NcclCommunicator(ncclComm_t communicator) : communicator_(communicator) {
    if (ncclCommCount(communicator_, &ranks_) != ncclSuccess) ranks_ = 0;
  }
  int ranks() const override { return ranks_; }
  bool allgather(const void* mine, void* all, std::size_t bytes, void* stream) override {
    return ranks_ > 0 && ncclAllGather(mine, all, bytes, ncclUint8, communicator_,
                                       static_cast<cudaStream_t>(stream)) == ncclSuccess;
  }

 private:
  ncclComm_t communicator_;
  int ranks_ = 0;
};

}  // namespace abn
