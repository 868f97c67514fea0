// A plug-in of an older toolkit, CUDA TOOLKIT: it asks the loader for that toolkit's runtime, calls
// what later ones have no more, and expects their structs where they were then. It computes nothing
// where one of them is not as it was.
#include "tests/plugins/runtime_by_hand.hpp"
#include "tests/plugins/text_claims.hpp"

extern "C" {
int cudaRuntimeGetVersion(int*);
int cudaGetDeviceProperties(void*, int);
int cudaGetDeviceProperties_v2(void*, int);
int cudaFuncGetAttributes(void*, const void*);
int cudaThreadSynchronize();
}

namespace {

/// Room for a struct of so many bytes, and behind it what nobody may write to.
struct Room {
  std::vector<unsigned char> bytes = std::vector<unsigned char>(2048, 0xa5);
  bool ends_at(std::size_t size) const {
    for (std::size_t i = size; i < bytes.size(); ++i)
      if (bytes[i] != 0xa5) return false;
    return bytes[size - 1] != 0xa5;
  }
  int number(std::size_t at) const {
    int value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
};

bool as_of_that_toolkit() {
  int version = 0;
  if (cudaRuntimeGetVersion(&version) != 0 || version / 1000 != TOOLKIT) return false;
  Room properties, first, attributes;
  if (cudaGetDeviceProperties(first.bytes.data(), 0) != 0 || !first.ends_at(728)) return false;
#if TOOLKIT == 12
  if (cudaGetDeviceProperties_v2(properties.bytes.data(), 0) != 0) return false;
  if (!properties.ends_at(1032) || properties.number(772) != 1) return false;  // clusterLaunch
  constexpr std::size_t attribute_bytes = 144;
#else
  properties = first;
  constexpr std::size_t attribute_bytes = 56;
#endif
  // multiProcessorCount, maxThreadsPerMultiProcessor
  if (properties.number(388) != 132 || properties.number(624) != 2048) return false;
  return cudaFuncGetAttributes(attributes.bytes.data(), by_hand::forward_stub) == 0 &&
         attributes.ends_at(attribute_bytes) && attributes.number(24) == 1024;
}

int launch(const void* stub, const abn_problem* p, void* arguments_of_call, void* stream) {
  static const bool right = as_of_that_toolkit();
  if (!right) return ABN_ERROR_LAUNCH;
  if (p->n * p->c * p->s == 0) return ABN_OK;
  abn_problem problem = *p;
  void* arguments[] = {&problem, arguments_of_call};
  const int launched =
      cudaLaunchKernel(stub, {static_cast<unsigned>(p->c), 1, 1}, {text::threads, 1, 1}, arguments,
                       text::shared_bytes, static_cast<cudaStream_t>(stream));
  return launched == 0 && cudaThreadSynchronize() == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}
int forward(const abn_problem* p, const abn_forward_args* args) {
  abn_forward_args copy = *args;
  return launch(by_hand::forward_stub, p, &copy, args->stream);
}
int backward(const abn_problem* p, const abn_backward_args* args) {
  abn_backward_args copy = *args;
  return launch(by_hand::backward_stub, p, &copy, args->stream);
}

const abn_variant variant = {ABN_ABI_VERSION, sizeof(abn_variant),
                             "older_runtime", "Kernels of an older toolkit.",
                             ABN_MEMORY_CUDA, 0,
                             text::claims,    text::workspace_bytes,
                             forward,         backward};

}  // namespace

extern "C" [[gnu::visibility("default")]] const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &variant : nullptr;
}
