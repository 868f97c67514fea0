// The cost model behind `auto`: how long each way of doing a problem takes on a nominal GPU. Host
// code; no allocation.
//
// A kernel is a stream of bytes between memory and blocks. Bytes flow at the memory's rate, or at
// that of the processors that have a block, whichever is less; the last wave has fewer of those. To
// the stream come launches, the first load's latency, and the barriers that nothing hides: with one
// group in flight each of them, with several the first. The model need not be right to the
// microsecond, only rank the candidates; none of its predictions is a measurement.
#pragma once

#include <algorithm>
#include <array>

#include "cuda/device/resident.cuh"
#include "cuda/device/sweeps.cuh"
#include "cuda/plan.h"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cost {

enum class Way { two_sweeps, block, cluster, grid };
// what most of the time goes into, or why it cannot be done
enum class Limit { memory, launches, few_blocks, barriers, capacity };

struct Candidate {
  Way way = Way::two_sweeps;
  SmemTiling tiling{};  // of the ways that keep one; for the sweeps its partition alone
  bool possible = false;
  double bytes = 0, microseconds = 0;
  int launches = 0, barriers = 0;
  int64_t blocks = 0, in_flight = 0;
  double shared_bytes = 0;
  Limit limit = Limit::memory;
};

// Estimates, in units of the time of whole, aligned 512-byte rows.
constexpr double two_sweep_efficiency = 0.92, one_sweep_efficiency = 0.90;
constexpr double columns_128 = 1.07, columns_64 = 1.15;  // contiguous bytes of a pixel
constexpr double ragged_access = 2.0;                    // a warp that goes element by element
constexpr int warp = 32;
constexpr int registers_of_processor = 65536, registers_of_thread = 128;

inline double tensor_bytes(const abn_problem& p) {
  const double element = p.dtype == ABN_F64 ? 8 : p.dtype == ABN_F32 ? 4 : 2;
  return element * static_cast<double>(p.n) * static_cast<double>(p.c) * static_cast<double>(p.s);
}

inline int64_t blocks_of_processor(const Machine& machine, int threads, double shared_bytes) {
  const int64_t by_registers = registers_of_processor / (registers_of_thread * threads);
  const auto by_shared =
      static_cast<int64_t>((machine.shared_of_processor + 1024) / (shared_bytes + 1024));
  return std::min(by_registers, by_shared);
}

// Clusters of a GPU whose processors are in groups of 16 to 18, none of which a cluster may leave.
inline int64_t clusters_of(const Machine& machine, int64_t blocks, int64_t size) {
  constexpr int of_group = 16;
  int64_t clusters = 0;
  for (int left = machine.processors; left > 0; left -= of_group)
    clusters += std::min(left, of_group) * blocks / size;
  return clusters;
}

// Microseconds for so many bytes, spread evenly over the blocks, when `in_flight` blocks run at
// once.
inline double stream(const Machine& machine, double bytes, double efficiency, int64_t blocks,
                     int64_t in_flight) {
  const auto rate = [&](int64_t running) {
    const auto busy = static_cast<double>(std::min<int64_t>(running, machine.processors));
    return std::min(machine.bandwidth * efficiency, busy * machine.processor_bandwidth);
  };
  const int64_t last = blocks % in_flight, full = blocks - last;
  const double each = bytes / static_cast<double>(blocks);
  double seconds = static_cast<double>(full) * each / rate(in_flight);
  if (last > 0) seconds += static_cast<double>(last) * each / rate(last);
  return seconds * 1e6;
}

// How much longer runs take whose vectors are not all whole: 1 to ragged_access.
inline double ragged(const Partition& partition) {
  if (partition.layout == ABN_NHWC) return partition.c % partition.lanes == 0 ? 1 : ragged_access;
  if (partition.s % partition.lanes == 0) return 1;
  return 1 + (ragged_access - 1) * std::min(1.0, static_cast<double>(2 * warp) /
                                                     static_cast<double>(partition.vectors));
}

inline void name_limit(Candidate& one, double memory, double fixed, double waiting,
                       const Machine& machine) {
  one.microseconds = memory + fixed + waiting;
  one.limit = waiting > memory && waiting > fixed                        ? Limit::barriers
              : fixed > memory                                           ? Limit::launches
              : std::min(one.blocks, one.in_flight) < machine.processors ? Limit::few_blocks
                                                                         : Limit::memory;
}

inline Candidate by_two_sweeps(const abn_problem& p, int direction, const Machine& machine) {
  Candidate one;
  Partition& partition = one.tiling.partition;
  partition = partition_of(p);
  one.possible = true;
  const bool backward = direction == ABN_BACKWARD, once = p.mode != ABN_TRAINING,
             merges = partition.slices > 1 && (backward || !once);
  const double size = tensor_bytes(p), read = backward ? 2 : 1;
  one.blocks = partition.units();
  one.in_flight =
      std::min(one.blocks,
               machine.processors * blocks_of_processor(machine, partition.threads(), 16 * 1024.0));
  one.launches = (once ? 1 : 2) + (merges ? 1 : 0);
  // The second sweep goes backwards and meets the end of the first one in the cache.
  const double cached = once ? 0 : std::min(read * size, backward ? 32e6 : machine.cache_bytes);
  one.bytes = (once ? read + 1 : 2 * read + 1) * size - cached;
  const double memory =
      stream(machine, one.bytes, two_sweep_efficiency, one.blocks, one.in_flight) *
          ragged(partition) +
      cached / machine.cache_bandwidth * 1e6;
  name_limit(one, memory, one.launches * (machine.launch + machine.start), 0, machine);
  return one;
}

inline Candidate by_one_sweep(const abn_problem& p, int direction, Way way,
                              const Machine& machine) {
  Candidate one;
  one.way = way;
  one.tiling = smem_tiling_of(p, direction);
  const SmemTiling& tiling = one.tiling;
  if (!tiling.fits) {
    one.limit = Limit::capacity;
    return one;
  }
  const bool backward = direction == ABN_BACKWARD;
  const int64_t slices = tiling.partition.slices;
  one.shared_bytes = static_cast<double>(resident::shared_bytes(tiling, p, direction));
  one.blocks = tiling.units();
  one.launches = 1;
  one.bytes = (backward ? 3 : 2) * tensor_bytes(p);
  const int64_t of_processor = blocks_of_processor(machine, tiling.threads(), one.shared_bytes);
  const int64_t groups = way == Way::block     ? machine.processors * of_processor
                         : way == Way::cluster ? clusters_of(machine, of_processor, slices)
                                               : machine.processors * of_processor / slices;
  const int64_t together = way == Way::block ? 1 : slices;
  one.in_flight = std::min(one.blocks, groups * together);
  if (one.in_flight == 0) {
    one.limit = Limit::capacity;
    return one;
  }
  one.possible = true;

  double width = 1;
  if (tiling.partition.layout == ABN_NHWC && tiling.row_vectors > 0)
    width = tiling.row_vectors >= smem_columns ? columns_128 : columns_64;
  double memory =
      stream(machine, one.bytes, one_sweep_efficiency, one.blocks, one.in_flight) * width;
  double waiting = 0;
  if (way != Way::block) {
    const double parts = static_cast<double>(tiling.pack) * static_cast<double>(slices);
    const bool shared_out = parts > static_cast<double>(most_parts_of_all);
    one.barriers = shared_out ? 2 : 1;
    // no other group works while this one waits
    const bool lonely = groups == 1 || tiling.groups == 1;
    const double rounds = lonely ? static_cast<double>(tiling.groups) : 1;
    waiting = rounds * one.barriers *
              (way == Way::cluster ? machine.cluster_barrier : machine.grid_barrier);
    if (way == Way::grid) waiting += machine.grid_barrier;  // before the first
    const double part = p.dtype == ABN_F64 ? 32 : 16;
    memory += (shared_out ? 1 + 1.0 / static_cast<double>(slices) : 1) * part * parts *
              static_cast<double>(shared_out ? tiling.groups : one.blocks) /
              machine.cache_bandwidth * 1e6;
  }
  name_limit(one, memory, machine.launch + machine.start, waiting, machine);
  return one;
}

struct Candidates {
  std::array<Candidate, 3> all;
  int count = 0, best = 0;
  const Candidate& chosen() const { return all[static_cast<std::size_t>(best)]; }
};

// The one sweep first, so that a tie goes to it.
inline Candidates candidates_of(const abn_problem& p, int direction, const Machine& machine) {
  Candidates out;
  const auto add = [&](const Candidate& one) {
    out.all[static_cast<std::size_t>(out.count++)] = one;
  };
  const bool crosses_blocks = smem_tiling_of(p, direction).partition.slices > 1 &&
                              (direction == ABN_BACKWARD || p.mode == ABN_TRAINING);
  if (crosses_blocks) {
    if (smem_tiling_of(p, direction).partition.slices <= resident::largest_cluster)
      add(by_one_sweep(p, direction, Way::cluster, machine));
    add(by_one_sweep(p, direction, Way::grid, machine));
  } else {
    add(by_one_sweep(p, direction, Way::block, machine));
  }
  add(by_two_sweeps(p, direction, machine));
  out.best = out.count - 1;
  for (int i = out.count - 2; i >= 0; --i) {
    const Candidate& one = out.all[static_cast<std::size_t>(i)];
    if (one.possible && one.microseconds <= out.chosen().microseconds) out.best = i;
  }
  return out;
}

}  // namespace cost
}  // namespace ABN_BUILD
}  // namespace abn::device
