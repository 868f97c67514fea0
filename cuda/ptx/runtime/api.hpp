// The types of the CUDA runtime's interface, as far as the stand-in reads them: their layout is
// that of the toolkit's public headers, against which a test holds it where there is a toolkit.
#pragma once

#include <cstddef>
#include <cstdint>

#define ABN_RUNTIME extern "C" [[gnu::visibility("default")]]

namespace abn::ptx::runtime {

struct Dim3 {
  unsigned x, y, z;
};

enum : int { attribute_cooperative = 2, attribute_cluster = 4 };
struct LaunchAttribute {
  int id;
  char pad[4];
  union {
    char bytes[64];
    int cooperative;
    Dim3 cluster;
  } value;
};
struct LaunchConfig {
  Dim3 grid, block;
  std::size_t dynamic_shared;
  void* stream;
  const LaunchAttribute* attributes;
  unsigned count;
};

struct FunctionAttributes {
  std::size_t shared_bytes, const_bytes, local_bytes;
  int most_threads, registers, ptx_version, binary_version, cache_mode, most_dynamic_shared,
      carveout, cluster_must_be_set, cluster_width, cluster_height, cluster_depth,
      cluster_scheduling, non_portable_cluster, reserved[16];
};

struct KernelNodeParams {
  const void* function;
  Dim3 grid, block;
  unsigned shared;
  void **arguments, **extra;
};
struct MemsetParams {
  void* to;
  std::size_t pitch;
  unsigned value, element_bytes;
  std::size_t width, height;
};
struct Position {
  std::size_t x, y, z;
};
struct PitchedPointer {
  void* data;
  std::size_t pitch, width, height;
};
struct Memcpy3dParams {
  void* from_array;
  Position from_position;
  PitchedPointer from;
  void* to_array;
  Position to_position;
  PitchedPointer to;
  Position extent;
  int kind;
};
struct GraphUpdateResult {
  int result;
  void *error_node, *from_node;
};

}  // namespace abn::ptx::runtime
