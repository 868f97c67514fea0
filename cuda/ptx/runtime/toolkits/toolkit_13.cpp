// What the runtime of CUDA 13 has and those before it have otherwise.
#include "cuda/ptx/runtime/toolkits/toolkit.hpp"

namespace {
constexpr int version = 13000;
}

ABN_RUNTIME int cudaGetDeviceProperties(void* to, int device) {
  return abn_ptx_device_properties(to, device, 13);
}
ABN_RUNTIME int cudaFuncGetAttributes(void* to, const void* stub) {
  return abn_ptx_function_attributes(to, sizeof(abn::ptx::runtime::FunctionAttributes), stub);
}
ABN_RUNTIME int cudaDriverGetVersion(int* to) { return abn_ptx_version(to, version); }
ABN_RUNTIME int cudaRuntimeGetVersion(int* to) { return abn_ptx_version(to, version); }

ABN_RUNTIME int cudaGraphInstantiate(void** to, void* graph, unsigned long long) {
  return abn_ptx_graph_instantiate(to, graph);
}
ABN_RUNTIME int cudaGraphExecUpdate(void* executable, void* graph,
                                    abn::ptx::runtime::GraphUpdateResult* to) {
  to->from_node = nullptr;
  return abn_ptx_graph_update(executable, graph, &to->result, &to->error_node);
}
ABN_RUNTIME int cudaGraphAddDependencies(void* graph, const void* const* from,
                                         const void* const* to, const void* edges,
                                         std::size_t count) {
  return abn_ptx_graph_add_edges(graph, from, to, edges, count);
}
ABN_RUNTIME int cudaStreamGetCaptureInfo(void* stream, int* status, std::uint64_t* id, void** graph,
                                         void* const** dependencies, const void** edges,
                                         std::size_t* count) {
  if (edges != nullptr) *edges = nullptr;  // no edge has data of its own
  return abn_ptx_capture_info(stream, status, id, graph, dependencies, count);
}
