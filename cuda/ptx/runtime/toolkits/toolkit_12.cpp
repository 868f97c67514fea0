// What the runtime of CUDA 12 has and that of 13 has otherwise or no more. Its headers turn
// cudaGetDeviceProperties into cudaGetDeviceProperties_v2; the plain name is that of CUDA 11.
#include "cuda/ptx/runtime/toolkits/toolkit.hpp"

namespace {
constexpr int version = 12080;
}

ABN_RUNTIME int cudaGetDeviceProperties_v2(void* to, int device) {
  return abn_ptx_device_properties(to, device, 12);
}
ABN_RUNTIME int cudaGetDeviceProperties(void* to, int device) {
  return abn_ptx_device_properties(to, device, 11);
}
ABN_RUNTIME int cudaFuncGetAttributes(void* to, const void* stub) {
  return abn_ptx_function_attributes(to, sizeof(abn::ptx::runtime::FunctionAttributes), stub);
}
ABN_RUNTIME int cudaDriverGetVersion(int* to) { return abn_ptx_version(to, version); }
ABN_RUNTIME int cudaRuntimeGetVersion(int* to) { return abn_ptx_version(to, version); }
ABN_RUNTIME int cudaThreadSynchronize() { return cudaDeviceSynchronize(); }

ABN_RUNTIME int cudaGraphInstantiate(void** to, void* graph, unsigned long long) {
  return abn_ptx_graph_instantiate(to, graph);
}
ABN_RUNTIME int cudaGraphExecUpdate(void* executable, void* graph,
                                    abn::ptx::runtime::GraphUpdateResult* to) {
  to->from_node = nullptr;
  return abn_ptx_graph_update(executable, graph, &to->result, &to->error_node);
}
ABN_RUNTIME int cudaGraphAddDependencies(void* graph, const void* const* from,
                                         const void* const* to, std::size_t count) {
  return abn_ptx_graph_add_dependencies(graph, from, to, count);
}
ABN_RUNTIME int cudaGraphAddDependencies_v2(void* graph, const void* const* from,
                                            const void* const* to, const void* edges,
                                            std::size_t count) {
  return abn_ptx_graph_add_edges(graph, from, to, edges, count);
}
ABN_RUNTIME int cudaStreamGetCaptureInfo(void* stream, int* status, std::uint64_t* id) {
  return abn_ptx_capture_info(stream, status, id, nullptr, nullptr, nullptr);
}
ABN_RUNTIME int cudaStreamGetCaptureInfo_v2(void* stream, int* status, std::uint64_t* id,
                                            void** graph, void* const** dependencies,
                                            std::size_t* count) {
  return abn_ptx_capture_info(stream, status, id, graph, dependencies, count);
}
ABN_RUNTIME int cudaStreamGetCaptureInfo_v3(void* stream, int* status, std::uint64_t* id,
                                            void** graph, void* const** dependencies,
                                            const void** edges, std::size_t* count) {
  if (edges != nullptr) *edges = nullptr;  // no edge has data of its own
  return abn_ptx_capture_info(stream, status, id, graph, dependencies, count);
}
