// The entry points of graphs: made node by node or by a capture, instantiated, launched, changed.
#include <algorithm>
#include <set>

#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/graph.hpp"
#include "cuda/ptx/runtime/stream.hpp"
#include "cuda/ptx/runtime/toolkits/toolkit.hpp"

using namespace abn::ptx::runtime;

namespace {

/// Handles that the program holds.
std::set<const void*>& graphs() {
  static auto* const all = new std::set<const void*>;
  return *all;
}
std::set<const void*>& executables() {
  static auto* const all = new std::set<const void*>;
  return *all;
}

Graph* graph_of(void* handle) {
  return graphs().contains(handle) ? static_cast<Graph*>(handle) : nullptr;
}
Executable* executable_of(void* handle) {
  return executables().contains(handle) ? static_cast<Executable*>(handle) : nullptr;
}

/// A node of the graph after those that are named.
int add(void** to, void* handle, const void* const* after, std::size_t count, Work work) {
  const std::lock_guard lock(state().guard);
  Graph* const graph = graph_of(handle);
  if (graph == nullptr || (count > 0 && after == nullptr)) return remember(invalid_value);
  std::vector<Node*> before;
  for (std::size_t i = 0; i < count; ++i) {
    auto* const node = static_cast<Node*>(const_cast<void*>(after[i]));
    if (!graph->has(node) || std::count(before.begin(), before.end(), node) > 0)
      return remember(invalid_value);
    before.push_back(node);
  }
  *to = graph->add(std::move(work), std::move(before));
  return remember(success);
}

int launch_of(const KernelNodeParams& params, KernelLaunch& to) {
  if (params.extra != nullptr) return not_supported;
  return make_launch(params.function, params.grid, params.block, {1, 1, 1}, params.shared, false,
                     params.arguments, to);
}

int fill_of(const MemsetParams& params, Fill& to) {
  if (params.element_bytes != 1 && params.element_bytes != 2 && params.element_bytes != 4)
    return invalid_value;
  to.to = params.to, to.value = params.value, to.element_bytes = params.element_bytes;
  to.width = params.width, to.height = params.height, to.pitch = params.pitch;
  return success;
}

/// Of pitched memory; arrays are not known here.
int copy_of_params(const Memcpy3dParams& params, Copy& to) {
  if (params.from_array != nullptr || params.to_array != nullptr) return not_supported;
  const auto place = [](const PitchedPointer& at, const Position& position) {
    return static_cast<std::byte*>(at.data) + (position.z * at.height + position.y) * at.pitch +
           position.x;
  };
  to.to = place(params.to, params.to_position), to.from = place(params.from, params.from_position);
  to.width = params.extent.x, to.height = params.extent.y, to.depth = params.extent.z;
  to.to_pitch = params.to.pitch, to.to_slice = params.to.pitch * params.to.height;
  to.from_pitch = params.from.pitch, to.from_slice = params.from.pitch * params.from.height;
  to.kind = params.kind;
  return success;
}

Copy copy_of_bytes(void* to, const void* from, std::size_t bytes, int kind) {
  Copy copy;
  copy.to = to, copy.from = from, copy.width = bytes, copy.kind = kind;
  return copy;
}

/// The node of an executable that belongs to a node of the graph from which it was made.
Node* node_in(void* executable, void* node) {
  Executable* const one = executable_of(executable);
  if (one == nullptr) return nullptr;
  const auto at = one->of_original.find(static_cast<const Node*>(node));
  return at == one->of_original.end() ? nullptr : at->second;
}

/// Gives a node other work of the same kind.
int change(Node* node, const Work& work) {
  if (node == nullptr || node->work.index() != work.index()) return remember(invalid_value);
  node->work = work;
  return remember(success);
}

}  // namespace

Graph* abn::ptx::runtime::keep(std::unique_ptr<Graph> graph) {
  graphs().insert(graph.get());
  return graph.release();
}

ABN_RUNTIME int cudaGraphCreate(void** graph, unsigned flags) {
  const std::lock_guard lock(state().guard);
  if (flags != 0) return remember(invalid_value);
  *graph = keep(std::make_unique<Graph>());
  return remember(success);
}
ABN_RUNTIME int cudaGraphDestroy(void* handle) {
  const std::lock_guard lock(state().guard);
  if (graphs().erase(handle) == 0) return remember(invalid_value);
  delete static_cast<Graph*>(handle);
  return remember(success);
}
ABN_RUNTIME int cudaGraphClone(void** clone, void* handle) {
  const std::lock_guard lock(state().guard);
  const Graph* const graph = graph_of(handle);
  if (graph == nullptr) return remember(invalid_value);
  *clone = keep(copy_of(*graph, nullptr));
  return remember(success);
}

ABN_RUNTIME int cudaGraphAddKernelNode(void** node, void* graph, const void* const* after,
                                       std::size_t count, const KernelNodeParams* params) {
  const std::lock_guard lock(state().guard);
  KernelLaunch launch;
  const int error = launch_of(*params, launch);
  return error == success ? add(node, graph, after, count, std::move(launch)) : remember(error);
}
ABN_RUNTIME int cudaGraphAddMemsetNode(void** node, void* graph, const void* const* after,
                                       std::size_t count, const MemsetParams* params) {
  Fill fill;
  const int error = fill_of(*params, fill);
  return error == success ? add(node, graph, after, count, fill) : remember(error);
}
ABN_RUNTIME int cudaGraphAddMemcpyNode(void** node, void* graph, const void* const* after,
                                       std::size_t count, const Memcpy3dParams* params) {
  Copy copy;
  const int error = copy_of_params(*params, copy);
  return error == success ? add(node, graph, after, count, copy) : remember(error);
}
ABN_RUNTIME int cudaGraphAddMemcpyNode1D(void** node, void* graph, const void* const* after,
                                         std::size_t count, void* to, const void* from,
                                         std::size_t bytes, int kind) {
  return add(node, graph, after, count, copy_of_bytes(to, from, bytes, kind));
}
ABN_RUNTIME int cudaGraphAddHostNode(void** node, void* graph, const void* const* after,
                                     std::size_t count, const HostCall* call) {
  return add(node, graph, after, count, *call);
}
ABN_RUNTIME int cudaGraphAddEmptyNode(void** node, void* graph, const void* const* after,
                                      std::size_t count) {
  return add(node, graph, after, count, Nothing{});
}
ABN_RUNTIME int cudaGraphAddChildGraphNode(void** node, void* graph, const void* const* after,
                                           std::size_t count, void* child) {
  const std::lock_guard lock(state().guard);
  const Graph* const one = graph_of(child);
  if (one == nullptr || child == graph) return remember(invalid_value);
  return add(node, graph, after, count, Nested{copy_of(*one, nullptr)});
}

int abn_ptx_graph_add_dependencies(void* handle, const void* const* from, const void* const* to,
                                   std::size_t count) {
  const std::lock_guard lock(state().guard);
  Graph* const graph = graph_of(handle);
  if (graph == nullptr) return remember(invalid_value);
  for (std::size_t i = 0; i < count; ++i) {
    auto* const before = static_cast<Node*>(const_cast<void*>(from[i]));
    auto* const after = static_cast<Node*>(const_cast<void*>(to[i]));
    if (!graph->has(before) || !graph->has(after) || Graph::reaches(after, before) ||
        std::count(after->after.begin(), after->after.end(), before) > 0)
      return remember(invalid_value);
    after->after.push_back(before);
  }
  return remember(success);
}

int abn_ptx_graph_add_edges(void* graph, const void* const* from, const void* const* to,
                            const void* edges, std::size_t count) {
  constexpr std::size_t edge_bytes = 8;
  const auto* const bytes = static_cast<const unsigned char*>(edges);
  if (bytes != nullptr &&
      std::any_of(bytes, bytes + count * edge_bytes, [](unsigned char byte) { return byte != 0; }))
    return remember(not_supported);
  return abn_ptx_graph_add_dependencies(graph, from, to, count);
}

ABN_RUNTIME int cudaGraphGetNodes(void* handle, void** nodes, std::size_t* count) {
  const std::lock_guard lock(state().guard);
  const Graph* const graph = graph_of(handle);
  if (graph == nullptr) return remember(invalid_value);
  if (nodes != nullptr)
    for (std::size_t i = 0; i < *count; ++i)
      nodes[i] = i < graph->nodes.size() ? graph->nodes[i].get() : nullptr;
  *count = nodes == nullptr ? graph->nodes.size() : std::min(*count, graph->nodes.size());
  return remember(success);
}
ABN_RUNTIME int cudaGraphNodeGetType(void* node, int* type) {
  // By the places of Work: an empty node, a kernel, a copy, a set, a call, a graph.
  constexpr int types[] = {5, 0, 1, 2, 3, 4};
  *type = types[static_cast<Node*>(node)->work.index()];
  return remember(success);
}
ABN_RUNTIME int cudaGraphKernelNodeSetParams(void* node, const KernelNodeParams* params) {
  const std::lock_guard lock(state().guard);
  KernelLaunch launch;
  const int error = launch_of(*params, launch);
  return error == success ? change(static_cast<Node*>(node), launch) : remember(error);
}

int abn_ptx_graph_instantiate(void** to, void* handle) {
  const std::lock_guard lock(state().guard);
  const Graph* const graph = graph_of(handle);
  if (graph == nullptr) return remember(invalid_value);
  auto* const made = new Executable;
  made->graph = copy_of(*graph, &made->of_original);
  executables().insert(made);
  *to = made;
  return remember(success);
}
ABN_RUNTIME int cudaGraphInstantiateWithFlags(void** to, void* graph, unsigned long long) {
  return abn_ptx_graph_instantiate(to, graph);
}
ABN_RUNTIME int cudaGraphUpload(void* executable, void*) {
  const std::lock_guard lock(state().guard);
  return remember(executable_of(executable) == nullptr ? invalid_value : success);
}
ABN_RUNTIME int cudaGraphLaunch(void* executable, void* stream) {
  const std::lock_guard lock(state().guard);
  const Executable* const one = executable_of(executable);
  // A capture keeps it as it is now; a launch at once need not copy it.
  if (one == nullptr) return remember(invalid_value);
  const Stream* const at = stream_of(stream);
  const bool captured = at != nullptr && at->capture != nullptr;
  return enqueue(stream, Nested{captured ? copy_of(*one->graph, nullptr) : one->graph});
}
ABN_RUNTIME int cudaGraphExecDestroy(void* handle) {
  const std::lock_guard lock(state().guard);
  if (executables().erase(handle) == 0) return remember(invalid_value);
  delete static_cast<Executable*>(handle);
  return remember(success);
}

ABN_RUNTIME int cudaGraphExecKernelNodeSetParams(void* executable, void* node,
                                                 const KernelNodeParams* params) {
  const std::lock_guard lock(state().guard);
  KernelLaunch launch;
  const int error = launch_of(*params, launch);
  return error == success ? change(node_in(executable, node), launch) : remember(error);
}
ABN_RUNTIME int cudaGraphExecMemsetNodeSetParams(void* executable, void* node,
                                                 const MemsetParams* params) {
  const std::lock_guard lock(state().guard);
  Fill fill;
  const int error = fill_of(*params, fill);
  return error == success ? change(node_in(executable, node), fill) : remember(error);
}
ABN_RUNTIME int cudaGraphExecMemcpyNodeSetParams(void* executable, void* node,
                                                 const Memcpy3dParams* params) {
  const std::lock_guard lock(state().guard);
  Copy copy;
  const int error = copy_of_params(*params, copy);
  return error == success ? change(node_in(executable, node), copy) : remember(error);
}
ABN_RUNTIME int cudaGraphExecMemcpyNodeSetParams1D(void* executable, void* node, void* to,
                                                   const void* from, std::size_t bytes, int kind) {
  const std::lock_guard lock(state().guard);
  return change(node_in(executable, node), copy_of_bytes(to, from, bytes, kind));
}

int abn_ptx_graph_update(void* executable, void* handle, int* result, void** error_node) {
  enum { updated = 0, failed = 1, topology_changed = 2, type_changed = 3 };
  const std::lock_guard lock(state().guard);
  Executable* const one = executable_of(executable);
  const Graph* const graph = graph_of(handle);
  *result = failed, *error_node = nullptr;
  if (one == nullptr || graph == nullptr) return remember(invalid_value);
  NodeMap nodes;
  std::unique_ptr<Graph> copy = copy_of(*graph, &nodes);
  const auto& old = one->graph->nodes;
  const auto refuse = [&](int why, void* node) {
    *result = why, *error_node = node;
    return remember(graph_update_failure);
  };
  if (old.size() != graph->nodes.size()) return refuse(topology_changed, nullptr);
  std::map<const Node*, std::size_t> old_numbers, new_numbers;
  for (std::size_t i = 0; i < old.size(); ++i)
    old_numbers[old[i].get()] = i, new_numbers[copy->nodes[i].get()] = i;
  for (std::size_t i = 0; i < old.size(); ++i) {
    std::set<std::size_t> before, before_now;
    for (const Node* const node : old[i]->after) before.insert(old_numbers.at(node));
    for (const Node* const node : copy->nodes[i]->after) before_now.insert(new_numbers.at(node));
    if (before != before_now) return refuse(topology_changed, graph->nodes[i].get());
    if (old[i]->work.index() != copy->nodes[i]->work.index())
      return refuse(type_changed, graph->nodes[i].get());
  }
  for (std::size_t i = 0; i < old.size(); ++i) old[i]->work = std::move(copy->nodes[i]->work);
  *result = updated;
  return remember(success);
}
