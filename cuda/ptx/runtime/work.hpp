// What streams are given to do, as values: they are done at once, or kept by a graph and done
// whenever it is launched, with everything that was said of them by then.
#pragma once

#include <cstddef>
#include <memory>
#include <variant>

#include "cuda/ptx/runtime/state.hpp"

namespace abn::ptx::runtime {

struct Dim3;
struct Graph;

struct KernelLaunch {
  Function function;
  Configuration how;  ///< with its parameters
};

/// Slices of rows, pitches and slices in bytes.
struct Copy {
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t width = 0, height = 1, depth = 1;
  std::size_t to_pitch = 0, to_slice = 0, from_pitch = 0, from_slice = 0;
  int kind = 4;
};

/// Rows of elements, the pitch in bytes.
struct Fill {
  void* to = nullptr;
  unsigned value = 0;
  std::size_t element_bytes = 1, width = 0, height = 1, pitch = 0;
};

struct HostCall {
  void (*function)(void*) = nullptr;
  void* data = nullptr;
};

struct Nested {
  std::shared_ptr<const Graph> graph;
};

struct Nothing {};

using Work = std::variant<Nothing, KernelLaunch, Copy, Fill, HostCall, Nested>;

/// A launch as it is asked for, its parameters copied; 0, or an Error, which is said already.
int make_launch(const void* stub, const Dim3& grid, const Dim3& block, const Dim3& cluster,
                std::size_t shared, bool cooperative, void** arguments, KernelLaunch& to);

/// Do it now: 0 or an Error.
int perform(const Work& work);
int perform(const Copy& copy);
int perform(const Fill& fill);
/// Of a graph: what nothing orders runs the youngest first.
int perform(const Graph& graph);

}  // namespace abn::ptx::runtime
