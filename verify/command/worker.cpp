// The program abn-verify-worker, in which plug-ins run: abn-verify starts it, nobody else has to.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "verify/bench/timing_device.hpp"
#include "verify/call/device.hpp"
#include "verify/worker/serve.hpp"
#include "verify/worker/supervise.hpp"

namespace {

using namespace abn::verify;

/// A GPU's memory and stream, as the judge's own calls of CUDA variants have them.
class Gpu : public worker::Accelerator {
 public:
  explicit Gpu(int index) {
    std::string unavailable;
    device_ = call::cuda_device(index, unavailable);
    if (device_ == nullptr) throw std::runtime_error(unavailable);
  }
  ~Gpu() override {
    if (memory_ != nullptr) device_->release(memory_);
  }
  std::byte* upload(const std::byte* from, std::size_t bytes) override {
    if (bytes > capacity_) {
      if (memory_ != nullptr) device_->release(memory_);
      memory_ = nullptr, capacity_ = 0;
      memory_ = device_->allocate(bytes);
      capacity_ = bytes;
    }
    device_->upload(memory_, from, bytes);
    return static_cast<std::byte*>(memory_);
  }
  void* stream() override { return device_->stream(); }
  void download(std::byte* to, std::size_t bytes) override {
    device_->synchronise();
    device_->download(to, memory_, bytes);
  }

 private:
  std::shared_ptr<call::Device> device_;
  void* memory_ = nullptr;
  std::size_t capacity_ = 0;
};

int serve() {
  return worker::serve(
      [](int index) -> std::unique_ptr<worker::Accelerator> {
        return std::make_unique<Gpu>(index);
      },
      [](int index) {
        return index < 0 ? bench::host_timing_device() : bench::cuda_timing_device(index);
      });
}

char* const* program = nullptr;

/// The worker becomes the program that main was told of, which serves in its place.
int become_program() {
  execvp(program[0], program);
  std::fprintf(stderr, "%s cannot be started (%s)\n", program[0], strerror(errno));
  constexpr int not_found = 127;  // as in shells
  return not_found;
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__)
/// Under AddressSanitizer a signal that a plug-in raises still ends the process as that signal.
extern "C" const char* __asan_default_options() {
  return "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0:"
         "use_sigaltstack=0";
}
#endif

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("abn-verify-worker runs the plug-ins of abn-verify; start that instead\n", stderr);
    return 2;
  }
  const std::uint64_t memory = std::strtoull(argv[1], nullptr, 10);
  const int processes = std::atoi(argv[2]);
  if (argc == 3) return worker::supervise(memory, processes, serve);
  program = argv + 3;
  return worker::supervise(memory, processes, become_program, false);
}
