// What a runtime function does that toolkits of several versions have under one name and with
// different parameters or structs. libabn_ptx.so has all functions that are the same everywhere; a
// small library for each version, libabn_ptx_12.so for example, has that version's name for the
// loader, and the functions that are its own, which end here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/ptx/runtime/api.hpp"

extern "C" {
/// The GPU's properties as cudaDeviceProp of that version lays them out; of 11, its first fields.
[[gnu::visibility("default")]] int abn_ptx_device_properties(void* to, int device, int toolkit);
/// The first `bytes` of cudaFuncAttributes, which later versions have only made longer.
[[gnu::visibility("default")]] int abn_ptx_function_attributes(void* to, std::size_t bytes,
                                                               const void* stub);
/// The version of runtime and driver, as 12080.
[[gnu::visibility("default")]] int abn_ptx_version(int* to, int version);

/// Of a stream in a capture: its status, and where it is active also the capture's id, graph, and
/// the nodes that the stream's next one comes after. Null: not asked for.
[[gnu::visibility("default")]] int abn_ptx_capture_info(void* stream, int* status,
                                                        std::uint64_t* id, void** graph,
                                                        void* const** dependencies,
                                                        std::size_t* count);
[[gnu::visibility("default")]] int abn_ptx_graph_instantiate(void** to, void* graph);
/// Takes over what the nodes of a graph of the same form do: `result` is a
/// cudaGraphExecUpdateResult, with the node at which the forms differ.
[[gnu::visibility("default")]] int abn_ptx_graph_update(void* executable, void* graph, int* result,
                                                        void** error_node);
[[gnu::visibility("default")]] int abn_ptx_graph_add_dependencies(void* graph,
                                                                  const void* const* from,
                                                                  const void* const* to,
                                                                  std::size_t count);
/// The same with cudaGraphEdgeData of 8 bytes for each; only zeros, the default, are known here.
[[gnu::visibility("default")]] int abn_ptx_graph_add_edges(void* graph, const void* const* from,
                                                           const void* const* to, const void* edges,
                                                           std::size_t count);
int cudaDeviceSynchronize();
}
