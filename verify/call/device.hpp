// Where a variant's pointers live: host memory (plug-ins, and kernels on the emulator) or a GPU's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/kernel.h"
#include "verify/worker/execution.hpp"

namespace abn::verify::call {

/// A call to a device's runtime failed: the case that made it is an error, never a pass.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Memory, copies and one stream a thread. All members may be called from several threads at once
/// and throw DeviceError.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;           ///< "emulator" or "cuda:0": what --device takes
  virtual std::string describe() const = 0;       ///< for people: model, memory, compute capability
  virtual int memory() const = 0;                 ///< ABN_MEMORY_HOST or ABN_MEMORY_CUDA
  virtual void* allocate(std::size_t bytes) = 0;  ///< at least 256-byte aligned; bytes > 0
  virtual void release(void* pointer) noexcept = 0;
  virtual void upload(void* to, const std::byte* from, std::size_t bytes) = 0;
  virtual void download(std::byte* to, const void* from, std::size_t bytes) = 0;
  /// waits for this thread's stream; throws if anything on it failed
  virtual void synchronise() = 0;
  virtual void* stream() = 0;  ///< this thread's stream; null on the host
};

std::shared_ptr<Device> host_device();

/// Memory that the workers of one plug-in see, `owner`, for kernels whose own memory is that of
/// `kernels`.
std::shared_ptr<Device> worker_device(std::shared_ptr<Device> kernels, std::uint64_t owner);

/// What this machine offers for CUDA, for doctor and provenance.
struct CudaStatus {
  bool built = false;                ///< this build has the CUDA side
  std::string runtime, driver;       ///< versions, "12.8"; empty where unknown
  std::vector<std::string> devices;  ///< one description a device
  /// why there is no device, one sentence; empty where there is one
  std::string unavailable;
};
CudaStatus cuda_status();

/// GPU `index`, or null where there is no driver, no such device or no CUDA side in this build;
/// `unavailable` then says so. Throws DeviceError for every other failure.
std::shared_ptr<Device> cuda_device(int index, std::string& unavailable);

/// What --device asked for.
struct DeviceChoice {
  std::string asked;     ///< "auto", "emulator", "ptx", "ptx:low", "ptx:all" or "cuda:N"
  bool emulator = true;  ///< kernels run on this processor: on the emulator, or as compiled
  /// as compiled, on the executor (cuda/ptx)
  worker::Execution executed = worker::Execution::none;
  /// "ptx:all": what else the ISA leaves open, each by its word
  std::vector<std::string> others{};
  std::shared_ptr<Device> cuda;  ///< the GPU, where one is used
  int cuda_index = 0;            ///< its number
  std::string unavailable;       ///< why `cuda` is null, one sentence
};

/// auto takes cuda:0 where there is one and the emulator else. Throws UsageError for other words.
DeviceChoice choose_device(std::string_view text);

}  // namespace abn::verify::call
