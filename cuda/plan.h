// Which kernel `auto` takes for a problem, and why: every candidate with the bytes that it moves,
// its blocks, launches and barriers, and the time that the cost model predicts. Plain C++ on the
// host: needs no GPU, and gives the same answer on all of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/kernel.h"

namespace abn {

// The GPU that the model has in mind: an H100 SXM. Rates in bytes a second, times in microseconds.
// Where a figure is not a published measurement it is an estimate, and marked so.
struct Machine {
  int processors = 132;
  // bytes that blocks can have, 1 KiB of each is the system's
  double shared_of_processor = 227 * 1024;
  double bandwidth = 3.0e12;                // reads and writes together
  double cache_bytes = 36e6;                // of the L2 cache that are served at full speed
  double cache_bandwidth = 7.0e12;          // (estimate)
  double processor_bandwidth = 64 * 1.7e9;  // of one processor alone: 64 bytes a clock (estimate)
  double launch = 1.35;                     // a node of a graph
  // from the first load of a kernel to its first store (estimate)
  double start = 1.0;
  double grid_barrier = 1.2;
  double cluster_barrier = 0.3;  // (estimate)
};

struct PlanRow {
  std::string kernel;     // "two sweeps", "one sweep, cluster of 4", ...
  bool possible = false;  // on that machine
  bool chosen = false;
  double tensor_sizes = 0;  // moved between memory and chip, in sizes of one tensor
  double bytes = 0;         // the same
  int launches = 0;
  std::int64_t blocks = 0;     // with work of their own
  std::int64_t in_flight = 0;  // of those, at once
  double waves = 0;
  int barriers = 0;         // of a group, one after the other
  double shared_bytes = 0;  // of a block
  double microseconds = 0;  // predicted
  std::string why;          // what the time goes into, or what stands against it
};

// The candidates of a problem in the order in which they are tried; exactly one is chosen, unless
// there is no work. `direction` is ABN_FORWARD or ABN_BACKWARD.
std::vector<PlanRow> plan_rows(const abn_problem& problem, int direction,
                               const Machine& machine = {});

}  // namespace abn
