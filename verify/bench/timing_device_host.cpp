// The host as a device: for a run without a GPU, and for the tests of everything that happens
// around a kernel.
#include <cstring>
#include <new>
#include <stdexcept>

#include "cuda/emulator/report.h"
#include "verify/bench/timing_device.hpp"
#include "verify/call/device.hpp"
#include "verify/call/float_environment.hpp"
#include "verify/call/parallel.hpp"

namespace abn::verify::bench {
namespace {

class HostRecording final : public Recording {
 public:
  explicit HostRecording(DeviceWork work) : work_(std::move(work)) {
    emulator::Session session;  // counts the launches
    enqueue();
    const emulator::Report report = session.take_report();
    if (!report.findings.empty())
      throw call::DeviceError(report.findings.front().kind + ": " + report.findings.front().text);
    launches_ = static_cast<int>(report.launches);
  }
  void enqueue() override {
    const call::FloatEnvironment ours;
    if (const int code = work_(nullptr))
      throw call::DeviceError("a call returned " + std::to_string(code));
  }
  int launches() const override { return launches_; }

 private:
  DeviceWork work_;
  int launches_ = -1;
};

class HostTimingDevice : public TimingDevice {
 public:
  std::string name() const override { return "emulator"; }
  std::string describe() const override { return "the emulator: these times say nothing of a GPU"; }
  int memory() const override { return ABN_MEMORY_HOST; }
  double cache_bytes() const override { return 64 << 10; }  // few sets: a dry run has to be short
  double free_bytes() const override { return double{1 << 30}; }
  void* allocate(std::size_t bytes) override { return ::operator new(bytes, boundary); }
  void release(void* pointer) noexcept override { ::operator delete(pointer, boundary); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes, std::size_t pitch,
                std::size_t rows) override {
    for (std::size_t row = 0; row < rows; ++row)
      std::memcpy(static_cast<std::byte*>(to) + row * bytes,
                  static_cast<const std::byte*>(from) + row * pitch, bytes);
  }
  bool has_pace() const override { return false; }  // its floors are emulated kernels
  int copy(void* to, const void* from, std::size_t bytes, void*) override {
    std::memcpy(to, from, bytes);
    return 0;
  }
  std::unique_ptr<Recording> record(const DeviceWork& work) override {
    return std::make_unique<HostRecording>(work);
  }
  double time(Recording& before, Recording& timed) override {
    before.enqueue();
    const call::Stopwatch watch;
    timed.enqueue();
    return watch.seconds() * 1e6;
  }
  void run(const DeviceWork& work) override { HostRecording(work).launches(); }

 private:
  static constexpr std::align_val_t boundary{256};
};

}  // namespace

std::unique_ptr<TimingDevice> host_timing_device() { return std::make_unique<HostTimingDevice>(); }

#ifndef ABN_WITH_CUDA
std::unique_ptr<TimingDevice> cuda_timing_device(int) {
  throw std::logic_error("this build has no CUDA side");
}
#endif

}  // namespace abn::verify::bench
