// Memory that a worker sees, as a device: what the kernels of plug-ins are given.
#include <cstring>

#include "verify/call/device.hpp"
#include "verify/worker/shared_memory.hpp"

namespace abn::verify::call {
namespace {

/// The judge copies into shared memory and out of it; what is compared are its copies.
class WorkerDevice : public Device {
 public:
  WorkerDevice(std::shared_ptr<Device> kernels, std::uint64_t owner)
      : kernels_(std::move(kernels)), owner_(owner) {}
  std::string name() const override { return kernels_->name(); }
  std::string describe() const override { return kernels_->describe(); }
  int memory() const override { return kernels_->memory(); }
  void* allocate(std::size_t bytes) override { return worker::share(bytes, owner_); }
  void release(void* pointer) noexcept override { worker::unshare(pointer); }
  void upload(void* to, const std::byte* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void download(std::byte* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void synchronise() override {}  // the worker has done it before it answered
  void* stream() override { return nullptr; }

 private:
  std::shared_ptr<Device> kernels_;
  std::uint64_t owner_;
};

}  // namespace

std::shared_ptr<Device> worker_device(std::shared_ptr<Device> kernels, std::uint64_t owner) {
  return std::make_shared<WorkerDevice>(std::move(kernels), owner);
}

}  // namespace abn::verify::call
