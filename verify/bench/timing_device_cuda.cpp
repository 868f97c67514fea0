// A GPU as a device: CUDA graphs, timed by events. Built only where the CUDA side is.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <vector>

#include "verify/bench/timing_device.hpp"
#include "verify/call/device.hpp"

namespace abn::verify::bench {
namespace {

void check(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  cudaGetLastError();
  throw call::DeviceError(
      fmt::format("{}: {} ({})", call, cudaGetErrorString(code), cudaGetErrorName(code)));
}

class GraphRecording : public Recording {
 public:
  GraphRecording(cudaStream_t stream, cudaGraph_t graph) : stream_(stream) {
    std::size_t count = 0;
    check(cudaGraphGetNodes(graph, nullptr, &count), "cudaGraphGetNodes");
    std::vector<cudaGraphNode_t> nodes(count);
    check(cudaGraphGetNodes(graph, nodes.data(), &count), "cudaGraphGetNodes");
    for (const cudaGraphNode_t node : nodes) {
      cudaGraphNodeType type{};
      check(cudaGraphNodeGetType(node, &type), "cudaGraphNodeGetType");
      launches_ += type == cudaGraphNodeTypeKernel ? 1 : 0;
    }
    check(cudaGraphInstantiateWithFlags(&executable_, graph, 0), "cudaGraphInstantiate");
    check(cudaGraphUpload(executable_, stream_), "cudaGraphUpload");
  }
  ~GraphRecording() override { cudaGraphExecDestroy(executable_); }
  void enqueue() override { check(cudaGraphLaunch(executable_, stream_), "cudaGraphLaunch"); }
  int launches() const override { return launches_; }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t executable_ = nullptr;
  int launches_ = 0;
};

/// For work that cannot be captured: the calls one after the other, with what it costs to launch
/// them.
class PlainRecording : public Recording {
 public:
  PlainRecording(cudaStream_t stream, DeviceWork work, std::string why)
      : stream_(stream), work_(std::move(work)), why_(std::move(why)) {}
  void enqueue() override {
    if (const int code = work_(stream_))
      throw call::DeviceError(fmt::format("a call returned {}", code));
  }
  int launches() const override { return -1; }
  std::string note() const override { return "not in a CUDA graph: " + why_; }

 private:
  cudaStream_t stream_;
  DeviceWork work_;
  std::string why_;
};

class CudaTimingDevice : public TimingDevice {
 public:
  explicit CudaTimingDevice(int index) : index_(index) {
    check(cudaSetDevice(index), "cudaSetDevice");
    check(cudaGetDeviceProperties(&properties_, index), "cudaGetDeviceProperties");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
  }
  ~CudaTimingDevice() override {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
    cudaStreamDestroy(stream_);
  }
  std::string name() const override { return fmt::format("cuda:{}", index_); }
  std::string describe() const override {
    return fmt::format("{}, {} multiprocessors, {:.0f} MB of second-level cache", properties_.name,
                       properties_.multiProcessorCount, properties_.l2CacheSize / 1e6);
  }
  int memory() const override { return ABN_MEMORY_CUDA; }
  double cache_bytes() const override { return properties_.l2CacheSize; }
  double free_bytes() const override {
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return static_cast<double>(free);
  }
  void* allocate(std::size_t bytes) override {
    void* pointer = nullptr;
    check(cudaMalloc(&pointer, bytes), "cudaMalloc");
    return pointer;
  }
  void release(void* pointer) noexcept override { cudaFree(pointer); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
    wait();
  }
  void download(void* to, const void* from, std::size_t bytes, std::size_t pitch,
                std::size_t rows) override {
    constexpr std::size_t most_pitch = 0x7fffffff;  // of cudaMemcpy2D
    if (rows > 1 && pitch <= most_pitch) {
      check(cudaMemcpy2DAsync(to, bytes, from, pitch, bytes, rows, cudaMemcpyDeviceToHost, stream_),
            "copy from the device");
    } else {
      for (std::size_t row = 0; row < rows; ++row)
        check(cudaMemcpyAsync(static_cast<std::byte*>(to) + row * bytes,
                              static_cast<const std::byte*>(from) + row * pitch, bytes,
                              cudaMemcpyDeviceToHost, stream_),
              "copy from the device");
    }
    wait();
  }
  int copy(void* to, const void* from, std::size_t bytes, void* stream) override {
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice,
                           static_cast<cudaStream_t>(stream));
  }

  std::unique_ptr<Recording> record(const DeviceWork& work) override {
    run(work);  // the first call may load modules and set attributes, which has no place in a graph
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
    const int code = work(stream_);
    cudaGraph_t graph = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream_, &graph);
    if (code != 0 || ended != cudaSuccess || graph == nullptr) {
      cudaGetLastError();
      if (graph != nullptr) cudaGraphDestroy(graph);
      const std::string why = ended != cudaSuccess
                                  ? cudaGetErrorString(ended)
                                  : fmt::format("a call returned {} during capture", code);
      return std::make_unique<PlainRecording>(stream_, work, why);
    }
    auto recording = std::make_unique<GraphRecording>(stream_, graph);
    cudaGraphDestroy(graph);
    return recording;
  }
  double time(Recording& before, Recording& timed) override {
    // The GPU is still busy with `before` when `timed` is enqueued, so that no gap between the two
    // is timed.
    cudaCtxResetPersistingL2Cache();  // what a kernel may have pinned there
    before.enqueue();
    check(cudaEventRecord(begin_, stream_), "cudaEventRecord");
    timed.enqueue();
    check(cudaEventRecord(end_, stream_), "cudaEventRecord");
    wait();
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin_, end_), "cudaEventElapsedTime");
    return 1e3 * static_cast<double>(milliseconds);
  }
  void run(const DeviceWork& work) override {
    if (const int code = work(stream_))
      throw call::DeviceError(fmt::format("a call returned {}", code));
    wait();
  }

 private:
  void wait() {
    check(cudaStreamSynchronize(stream_), "waiting for the device");
    check(cudaGetLastError(), "kernel launch");
  }

  int index_;
  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

}  // namespace

std::unique_ptr<TimingDevice> cuda_timing_device(int index) {
  return std::make_unique<CudaTimingDevice>(index);
}

}  // namespace abn::verify::bench
