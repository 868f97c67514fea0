// What nvcc's code calls before main(): fat binaries, kernels and variables are made known. PTX
// is read when a kernel of it is first launched, and whoever launches is told where it cannot be.
#include <memory>

#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/state.hpp"

using namespace abn::ptx;
using namespace abn::ptx::runtime;

namespace {

std::shared_ptr<Image>& image_of(void** handle) {
  return *reinterpret_cast<std::shared_ptr<Image>*>(handle);
}

}  // namespace

ABN_RUNTIME void** __cudaRegisterFatBinary(void* image) {
  return reinterpret_cast<void**>(
      new std::shared_ptr<Image>(std::make_shared<Image>(Image{image, nullptr})));
}

ABN_RUNTIME void __cudaRegisterFatBinaryEnd(void**) {}

ABN_RUNTIME void __cudaUnregisterFatBinary(void** handle) {
  delete reinterpret_cast<std::shared_ptr<Image>*>(handle);
}

ABN_RUNTIME char __cudaInitModule(void**) { return 1; }

ABN_RUNTIME void __cudaRegisterFunction(void** handle, const char* stub, char*, const char* name,
                                        int, void*, void*, void*, void*, int*) {
  State& all = state();
  const std::lock_guard lock(all.guard);
  Function function;
  function.name = name, function.image = image_of(handle);
  all.functions[stub] = std::move(function);
}

ABN_RUNTIME void __cudaRegisterVar(void** handle, char* host, char*, const char* name, int,
                                   std::size_t, int, int) {
  State& all = state();
  const std::lock_guard lock(all.guard);
  all.variables[host] = {image_of(handle), name};
}
