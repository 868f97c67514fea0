// Tensors that are too large to be held a second time: buffers with guards on either side, filled
// and read where they lie on the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "verify/call/device.hpp"

namespace abn::verify::call {

/// Several buffers in one piece of a device's memory: guard | buffer | guard | ... | guard.
class Guarded {
 public:
  explicit Guarded(Device& device) : device_(device) {}
  ~Guarded();
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  /// Adds a buffer, before allocate(), and returns its number.
  int add(std::string name, std::size_t bytes);
  /// Throws DeviceError or std::bad_alloc where there is no such memory.
  void allocate();
  /// Where the judge reads and writes; on a GPU a copy, which upload() and download() move.
  std::byte* host(int buffer);
  void upload();
  /// Waits for the device.
  void download();
  void* address(int buffer) const;  ///< for the kernel
  std::size_t bytes(int buffer) const;
  /// The name of a buffer beside which something was written; empty: of none. The guards are whole
  /// again afterwards.
  std::string broken_guard();
  /// A sum over all bytes of a buffer that notices any that changes.
  std::uint64_t fingerprint(int buffer, int threads);

 private:
  static constexpr std::size_t guard_bytes = 4096;
  struct Slot {
    std::string name;
    std::size_t begin, bytes;
  };
  const Slot& slot(int buffer) const { return slots_[static_cast<std::size_t>(buffer)]; }
  std::byte* base() { return image_.empty() ? memory_ : image_.data(); }

  Device& device_;
  std::vector<Slot> slots_;
  std::size_t end_ = guard_bytes;  // of the last guard
  std::byte* memory_ = nullptr;
  std::vector<std::byte> image_;
};

}  // namespace abn::verify::call
