// The devices on which kernels are timed, by the interface of verify/worker/timing_device.hpp, and
// buffers in their memory.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "cuda/registry.h"
#include "verify/worker/timing_device.hpp"

namespace abn::verify::bench {

using worker::DeviceWork, worker::Recording, worker::TimingDevice;

std::unique_ptr<TimingDevice> host_timing_device();

/// GPU `index`, which exists. In a build without CUDA: throws std::logic_error.
std::unique_ptr<TimingDevice> cuda_timing_device(int index);

/// Memory of a device, released at the end.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(TimingDevice& device, std::size_t bytes)
      : device_(&device), data_(bytes > 0 ? device.allocate(bytes) : nullptr) {}
  DeviceBuffer(DeviceBuffer&& other) noexcept : device_(other.device_), data_(other.data_) {
    other.data_ = nullptr;
  }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(device_, other.device_), std::swap(data_, other.data_);
    return *this;
  }
  ~DeviceBuffer() {
    if (data_ != nullptr) device_->release(data_);
  }
  void* data() const { return data_; }
  std::byte* at(std::size_t offset) const { return static_cast<std::byte*>(data_) + offset; }

 private:
  TimingDevice* device_ = nullptr;
  void* data_ = nullptr;
};

}  // namespace abn::verify::bench
