// One buffer in a device's memory with a guard on either side, for tensors that are too large to be
// held a second time: on the host it is filled and read where it lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "verify/call/device.hpp"

namespace abn::verify::call {

class Guarded {
 public:
  /// Throws DeviceError where there is no such memory.
  Guarded(Device& device, std::size_t bytes);
  ~Guarded();
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  /// Where the judge reads and writes; on a GPU a copy, which upload() and download() move.
  std::byte* host() { return base() + guard_bytes; }
  void upload();
  /// Waits for the device.
  void download();
  void* address() const { return memory_ + guard_bytes; }  ///< for the kernel
  std::size_t bytes() const { return bytes_; }
  /// Is every byte of both guards as it was? They are whole again afterwards.
  bool guards_held();
  /// A sum over all bytes that notices any that changes.
  std::uint64_t fingerprint(int threads);

 private:
  static constexpr std::size_t guard_bytes = 4096;
  std::byte* base() { return image_.empty() ? memory_ : image_.data(); }
  void fill_guard(std::byte* guard);

  Device& device_;
  std::size_t bytes_;
  std::byte* memory_;
  std::vector<std::byte> image_;
};

}  // namespace abn::verify::call
