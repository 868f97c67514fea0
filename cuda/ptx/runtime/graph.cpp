// Graphs as data: nodes, copies, and a run from first to last.
#include "cuda/ptx/runtime/graph.hpp"

#include <algorithm>
#include <queue>
#include <set>

namespace abn::ptx::runtime {

Node* Graph::add(Work work, std::vector<Node*> after) {
  nodes.push_back(std::make_unique<Node>(Node{std::move(work), std::move(after)}));
  return nodes.back().get();
}

bool Graph::has(const Node* node) const {
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](const auto& one) { return one.get() == node; });
}

bool Graph::reaches(const Node* from, const Node* to) {
  std::vector<const Node*> open{to};
  std::set<const Node*> seen;
  while (!open.empty()) {
    const Node* const at = open.back();
    open.pop_back();
    if (at == from) return true;
    if (seen.insert(at).second) open.insert(open.end(), at->after.begin(), at->after.end());
  }
  return false;
}

std::unique_ptr<Graph> copy_of(const Graph& graph, NodeMap* nodes) {
  auto copy = std::make_unique<Graph>();
  NodeMap made;
  for (const auto& node : graph.nodes) made[node.get()] = copy->add(node->work, {});
  for (const auto& node : graph.nodes)
    for (const Node* const before : node->after) made[node.get()]->after.push_back(made.at(before));
  if (nodes != nullptr) *nodes = std::move(made);
  return copy;
}

int perform(const Graph& graph) {
  std::map<const Node*, std::size_t> numbers;
  for (const auto& node : graph.nodes) numbers.emplace(node.get(), numbers.size());
  std::vector<std::size_t> waits_for(graph.nodes.size());
  std::vector<std::vector<std::size_t>> next(graph.nodes.size());
  std::priority_queue<std::size_t> ready;  // the youngest on top
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    waits_for[i] = graph.nodes[i]->after.size();
    for (const Node* const before : graph.nodes[i]->after) next[numbers.at(before)].push_back(i);
    if (waits_for[i] == 0) ready.push(i);
  }
  while (!ready.empty()) {
    const std::size_t now = ready.top();
    ready.pop();
    if (const int error = perform(graph.nodes[now]->work); error != success) return error;
    for (const std::size_t after : next[now])
      if (--waits_for[after] == 0) ready.push(after);
  }
  return success;
}

int perform(const Work& work) {
  if (const auto* const kernel = std::get_if<KernelLaunch>(&work))
    return launch(kernel->function.image->module(), kernel->function.name, kernel->how);
  if (const auto* const copy = std::get_if<Copy>(&work)) return perform(*copy);
  if (const auto* const fill = std::get_if<Fill>(&work)) return perform(*fill);
  if (const auto* const nested = std::get_if<Nested>(&work)) return perform(*nested->graph);
  if (const auto* const call = std::get_if<HostCall>(&work)) call->function(call->data);
  return success;
}

}  // namespace abn::ptx::runtime
