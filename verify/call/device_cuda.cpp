// A GPU as a device, through the CUDA runtime. Built only where the CUDA side is.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include "verify/call/device.hpp"

namespace abn::verify::call {
namespace {

void check(cudaError_t code, const char* call) {
  if (code != cudaSuccess)
    throw DeviceError(
        fmt::format("{}: {} ({})", call, cudaGetErrorString(code), cudaGetErrorName(code)));
}

std::string version_text(int version) {
  return version <= 0 ? std::string() : fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

class CudaDevice : public Device {
 public:
  explicit CudaDevice(int index) : index_(index) {
    check(cudaGetDeviceProperties(&properties_, index), "cudaGetDeviceProperties");
    select();
    // creates the context, so that a failure to do so is seen here
    check(cudaFree(nullptr), "cudaFree");
  }

  std::string name() const override { return fmt::format("cuda:{}", index_); }
  std::string describe() const override {
    return fmt::format("{}, {:.0f} GiB, {} multiprocessors, sm_{}{}", properties_.name,
                       static_cast<double>(properties_.totalGlobalMem) / (1 << 30),
                       properties_.multiProcessorCount, properties_.major, properties_.minor);
  }
  int memory() const override { return ABN_MEMORY_CUDA; }

  void* allocate(std::size_t bytes) override {
    select();
    void* pointer = nullptr;
    check(cudaMalloc(&pointer, bytes), "cudaMalloc");
    return pointer;
  }
  // a failure is an earlier call's, and was reported there
  void release(void* pointer) noexcept override { cudaFree(pointer); }
  void upload(void* to, const std::byte* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, own_stream()),
          "copy to the device");
  }
  void download(std::byte* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, own_stream()),
          "copy from the device");
    check(cudaStreamSynchronize(own_stream()), "copy from the device");
  }
  void synchronise() override {
    check(cudaStreamSynchronize(own_stream()), "waiting for the kernel");
    check(cudaGetLastError(), "kernel launch");
  }
  void* stream() override { return own_stream(); }

 private:
  void select() const { check(cudaSetDevice(index_), "cudaSetDevice"); }

  /// A stream of this thread's own, for threads that run cases side by side. It does not wait for
  /// the default stream.
  cudaStream_t own_stream() const {
    struct Owned {
      cudaStream_t stream = nullptr;
      int device = -1;
      ~Owned() {
        if (stream != nullptr) cudaStreamDestroy(stream);
      }
    };
    thread_local Owned owned;
    if (owned.device != index_) {
      select();
      if (owned.stream != nullptr) cudaStreamDestroy(owned.stream);
      owned.stream = nullptr;
      check(cudaStreamCreateWithFlags(&owned.stream, cudaStreamNonBlocking), "cudaStreamCreate");
      owned.device = index_;
    }
    return owned.stream;
  }

  int index_;
  cudaDeviceProp properties_{};
};

/// The number of GPUs; 0 and a reason where there is no driver or no device. Throws for every other
/// failure.
int device_count(std::string& unavailable) {
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorInsufficientDriver || code == cudaErrorNoDevice ||
      code == cudaErrorStubLibrary) {
    cudaGetLastError();
    int driver = 0;
    cudaDriverGetVersion(&driver);
    unavailable =
        code == cudaErrorInsufficientDriver && driver > 0
            ? fmt::format(
                  "the driver supports CUDA {} only and this build needs {}; update the driver",
                  version_text(driver), version_text(CUDART_VERSION))
            : "this machine has no NVIDIA driver or no GPU; use --device emulator";
    return 0;
  }
  check(code, "cudaGetDeviceCount");
  if (count == 0) unavailable = "this machine has no GPU; use --device emulator";
  return count;
}

}  // namespace

CudaStatus cuda_status() {
  CudaStatus status;
  status.built = true;
  status.runtime = version_text(CUDART_VERSION);
  int driver = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess) status.driver = version_text(driver);
  const int count = device_count(status.unavailable);
  for (int index = 0; index < count; ++index)
    status.devices.push_back(CudaDevice(index).describe());
  return status;
}

std::shared_ptr<Device> cuda_device(int index, std::string& unavailable) {
  const int count = device_count(unavailable);
  if (index >= count) {
    if (count > 0)
      unavailable = fmt::format("there is no cuda:{}; this machine has {} GPU{}, numbered from 0",
                                index, count, count == 1 ? "" : "s");
    return nullptr;
  }
  return std::make_shared<CudaDevice>(index);
}

}  // namespace abn::verify::call
