// What the runtime of CUDA 11 has and later ones have otherwise or no more.
#include "cuda/ptx/runtime/toolkits/toolkit.hpp"

namespace {
constexpr int version = 11080;
constexpr std::size_t attribute_bytes = 56;  // cudaFuncAttributes ends before clusters
}  // namespace

ABN_RUNTIME int cudaGetDeviceProperties(void* to, int device) {
  return abn_ptx_device_properties(to, device, 11);
}
ABN_RUNTIME int cudaFuncGetAttributes(void* to, const void* stub) {
  return abn_ptx_function_attributes(to, attribute_bytes, stub);
}
ABN_RUNTIME int cudaDriverGetVersion(int* to) { return abn_ptx_version(to, version); }
ABN_RUNTIME int cudaRuntimeGetVersion(int* to) { return abn_ptx_version(to, version); }
ABN_RUNTIME int cudaThreadSynchronize() { return cudaDeviceSynchronize(); }

ABN_RUNTIME int cudaGraphInstantiate(void** to, void* graph, void** error_node, char* log,
                                     std::size_t bytes) {
  if (error_node != nullptr) *error_node = nullptr;
  if (log != nullptr && bytes > 0) *log = '\0';
  return abn_ptx_graph_instantiate(to, graph);
}
ABN_RUNTIME int cudaGraphExecUpdate(void* executable, void* graph, void** error_node, int* result) {
  return abn_ptx_graph_update(executable, graph, result, error_node);
}
ABN_RUNTIME int cudaGraphAddDependencies(void* graph, const void* const* from,
                                         const void* const* to, std::size_t count) {
  return abn_ptx_graph_add_dependencies(graph, from, to, count);
}
ABN_RUNTIME int cudaStreamGetCaptureInfo(void* stream, int* status, std::uint64_t* id) {
  return abn_ptx_capture_info(stream, status, id, nullptr, nullptr, nullptr);
}
ABN_RUNTIME int cudaStreamGetCaptureInfo_v2(void* stream, int* status, std::uint64_t* id,
                                            void** graph, void* const** dependencies,
                                            std::size_t* count) {
  return abn_ptx_capture_info(stream, status, id, graph, dependencies, count);
}
