// The cost model's candidates in words.
#include "cuda/plan.h"

#include <cmath>

#include "cuda/device/cost.cuh"

namespace abn {
namespace {

using namespace device;

std::string name_of(const cost::Candidate& one, const abn_problem& problem) {
  const std::string slices = std::to_string(one.tiling.partition.slices);
  switch (one.way) {
    case cost::Way::block:
      return "one sweep, a block alone";
    case cost::Way::cluster:
      return "one sweep, clusters of " + slices;
    case cost::Way::grid:
      return one.tiling.fits ? "one sweep, groups of " + slices : "one sweep";
    default:
      return problem.mode == ABN_TRAINING ? "two sweeps" : "one sweep, nothing kept";
  }
}

std::string reason_of(const cost::Candidate& one, const Machine& machine) {
  switch (one.limit) {
    case cost::Limit::capacity:
      return "a channel does not fit the shared memory of the GPU";
    case cost::Limit::barriers:
      return "waits at barriers longer than it moves bytes";
    case cost::Limit::launches:
      return "launches and latency take longer than the bytes";
    case cost::Limit::few_blocks:
      return "blocks for " + std::to_string(std::min(one.blocks, one.in_flight)) + " of " +
             std::to_string(machine.processors) + " processors";
    default:
      return "memory bandwidth";
  }
}

}  // namespace

std::vector<PlanRow> plan_rows(const abn_problem& problem, int direction, const Machine& machine) {
  if (!known(problem) || empty(problem) ||
      (direction == ABN_BACKWARD && problem.mode == ABN_INFERENCE))
    return {};
  const cost::Candidates candidates = cost::candidates_of(problem, direction, machine);
  std::vector<PlanRow> rows;
  for (int i = 0; i < candidates.count; ++i) {
    const cost::Candidate& one = candidates.all[static_cast<std::size_t>(i)];
    PlanRow row;
    row.kernel = name_of(one, problem);
    row.possible = one.possible;
    row.chosen = i == candidates.best;
    row.why = reason_of(one, machine);
    if (one.possible) {
      row.tensor_sizes = one.bytes / cost::tensor_bytes(problem);
      row.bytes = one.bytes;
      row.launches = one.launches;
      row.blocks = one.blocks;
      row.in_flight = one.in_flight;
      row.waves = std::ceil(static_cast<double>(one.blocks) / static_cast<double>(one.in_flight));
      row.barriers = one.barriers;
      row.shared_bytes = one.shared_bytes;
      row.microseconds = one.microseconds;
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace abn
