// Loading of the stand-in. Its libraries for the toolkits' versions are found by their sonames when
// a plug-in asks for the CUDA runtime, so they have to be there before.
#include "verify/worker/executor.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "verify/problem/error.hpp"

namespace abn::verify::worker {
namespace {

constexpr const char* library_name = "libabn_ptx.so";
constexpr const char* toolkit_names[] = {"libabn_ptx_11.so", "libabn_ptx_12.so",
                                         "libabn_ptx_13.so"};

bool has_kernels_for_gpus(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  return bytes.find(".nv_fatbin") != bytes.npos;
}

}  // namespace

Executor& Executor::instance() {
  static Executor only;
  return only;
}

Executor::Executor() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") == 0 || __builtin_cpu_supports("fma") == 0)
    throw problem::UsageError(
        "--device ptx needs a processor with AVX2 and FMA; use --device emulator on this one");
#endif
  std::error_code error;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  const auto load = [&](const char* name) {
    for (const auto& path : {folder / name, folder / "../lib/abn-verify" / name})
      if (std::filesystem::exists(path, error))
        if (void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) return library;
    throw problem::UsageError(
        fmt::format("{} is missing beside abn-verify-worker or cannot be loaded, and --device ptx "
                    "needs it; build the target abn-verify",
                    name));
  };
  library_ = load(library_name);
  for (const char* const name : toolkit_names) load(name);
  begin_ = reinterpret_cast<decltype(begin_)>(find("abn_ptx_begin"));
  watch_ = reinterpret_cast<decltype(watch_)>(find("abn_ptx_watch"));
  end_ = reinterpret_cast<decltype(end_)>(find("abn_ptx_end"));
  allow_ = reinterpret_cast<decltype(allow_)>(find("abn_ptx_allow"));
  forbid_ = reinterpret_cast<decltype(forbid_)>(find("abn_ptx_forbid"));
  approximate_ = reinterpret_cast<decltype(approximate_)>(find("abn_ptx_set_approximation"));
  context_error_ = reinterpret_cast<decltype(context_error_)>(find("abn_ptx_context_error"));
  count_ = reinterpret_cast<decltype(count_)>(find("abn_ptx_kernels"));
}

void* Executor::find(const char* name) const {
  void* const symbol = dlsym(library_, name);
  if (symbol == nullptr)
    throw problem::UsageError(
        fmt::format("{} has no {}; install it and abn-verify from one build", library_name, name));
  return symbol;
}

void Executor::require_kernels_of(const std::string& path) {
  if (count_() == 0 && has_kernels_for_gpus(path))
    throw problem::UsageError(
        fmt::format("{} brings a CUDA runtime of its own, which --device ptx cannot stand in for; "
                    "link it with nvcc -cudart shared (CMake: CUDA_RUNTIME_LIBRARY Shared)",
                    path));
}

void Executor::approximate(Execution where) {
  approximate_(where == Execution::low      ? ABN_PTX_LOW
               : where == Execution::high   ? ABN_PTX_HIGH
               : where == Execution::hashed ? ABN_PTX_HASHED
               : where == Execution::fused  ? ABN_PTX_FUSED
                                            : ABN_PTX_NEAREST);
}

void Executor::begin(const emulator::Settings& settings) {
  begin_(settings.schedule_seed, settings.sanitize ? 1 : 0);
}
void Executor::watch(const emulator::WatchedBuffer& buffer) {
  watch_(buffer.name.c_str(), buffer.data, buffer.bytes, buffer.element_bytes,
         buffer.written ? 1 : 0, buffer.writable ? 1 : 0);
}
emulator::Report Executor::end() {
  emulator::Report report;
  end_(&report);
  return report;
}
void Executor::allow(const void* data, std::size_t bytes) { allow_(data, bytes); }
void Executor::forbid(const void* data, std::size_t bytes) { forbid_(data, bytes); }
void* Executor::stream() {
  constexpr unsigned waits_for_none = 1;
  if (stream_ == nullptr)
    reinterpret_cast<int (*)(void**, unsigned)>(find("cudaStreamCreateWithFlags"))(&stream_,
                                                                                   waits_for_none);
  return stream_;
}
bool Executor::context_in_error() const { return context_error_() != 0; }

}  // namespace abn::verify::worker
