// Host memory as a device, and the choice of a device by name.
#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <new>

#include "verify/call/device.hpp"
#include "verify/problem/error.hpp"

namespace abn::verify::call {
namespace {

class HostDevice : public Device {
 public:
  std::string name() const override { return "emulator"; }
  std::string describe() const override {
    return "emulator: one fiber a CUDA thread, on this processor";
  }
  int memory() const override { return ABN_MEMORY_HOST; }
  void* allocate(std::size_t bytes) override { return ::operator new(bytes, boundary); }
  void release(void* pointer) noexcept override { ::operator delete(pointer, boundary); }
  void upload(void* to, const std::byte* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void download(std::byte* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void synchronise() override {}
  void* stream() override { return nullptr; }

 private:
  static constexpr std::align_val_t boundary{256};
};

}  // namespace

std::shared_ptr<Device> host_device() {
  static const auto device = std::make_shared<HostDevice>();
  return device;
}

#ifndef ABN_WITH_CUDA
CudaStatus cuda_status() {
  CudaStatus status;
  status.unavailable = "this build has no CUDA side; build it where nvcc is on PATH";
  return status;
}

std::shared_ptr<Device> cuda_device(int, std::string& unavailable) {
  unavailable = cuda_status().unavailable;
  return nullptr;
}
#endif

DeviceChoice choose_device(std::string_view text) {
  DeviceChoice choice;
  choice.asked = text;
  if (text == "emulator") {
    choice.unavailable = "the emulator was asked for; use --device auto or cuda:0 for a GPU";
    return choice;
  }
  constexpr struct {
    std::string_view name;
    worker::Execution execution;
  } executors[] = {{"ptx", worker::Execution::nearest},
                   {"ptx:low", worker::Execution::low},
                   {"ptx:high", worker::Execution::high},
                   {"ptx:hashed", worker::Execution::hashed},
                   {"ptx:fused", worker::Execution::fused}};
  const bool all = text == "ptx:all";
  for (const auto& row : executors)
    if (text == row.name || all) {
      choice.executed = row.execution;
      if (all)
        for (const auto& other : executors)
          if (other.execution != choice.executed) choice.others.emplace_back(other.name);
      choice.unavailable = "its compiled kernels were to run here; use --device cuda:0 for a GPU";
      return choice;
    }
  if (text == "auto") {
    choice.cuda = cuda_device(0, choice.unavailable);
    choice.emulator = choice.cuda == nullptr;
    return choice;
  }
  constexpr std::string_view prefix = "cuda:";
  int index = -1;
  const char* const end = text.data() + text.size();
  if (text.starts_with(prefix)) {
    const auto parsed = std::from_chars(text.data() + prefix.size(), end, index);
    if (parsed.ec != std::errc{} || parsed.ptr != end) index = -1;
  }
  if (index < 0)
    throw problem::UsageError(fmt::format(
        "\"{}\" is not a device; use auto, emulator, ptx or cuda:N with the number of a GPU, "
        "for example cuda:0",
        text));
  choice.emulator = false;
  choice.cuda_index = index;
  choice.cuda = cuda_device(index, choice.unavailable);
  return choice;
}

}  // namespace abn::verify::call
