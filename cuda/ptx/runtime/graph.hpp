// Graphs: work and what has to be done before it.
//
// Nodes that no path of the graph orders may run in any order on a GPU. Here the one that was added
// last goes first: whoever forgot a dependency had the order of the calls in mind, so this is the
// order that shows it.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "cuda/ptx/runtime/work.hpp"

namespace abn::ptx::runtime {

struct Node {
  Work work;
  std::vector<Node*> after;
};

struct Graph {
  std::vector<std::unique_ptr<Node>> nodes;

  Node* add(Work work, std::vector<Node*> after);
  bool has(const Node* node) const;
  /// Does a path lead from one to the other, or are they the same?
  static bool reaches(const Node* from, const Node* to);
};

using NodeMap = std::map<const Node*, Node*>;
/// `nodes`, if wanted: which node of the copy belongs to which of the graph.
std::unique_ptr<Graph> copy_of(const Graph& graph, NodeMap* nodes);

/// What a graph was instantiated to; later changes of the graph do not reach it.
struct Executable {
  std::shared_ptr<Graph> graph;
  NodeMap of_original;
};

/// A graph that the program holds from now on: its handle.
Graph* keep(std::unique_ptr<Graph> graph);

}  // namespace abn::ptx::runtime
