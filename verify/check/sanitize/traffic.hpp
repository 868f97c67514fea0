// What a call moved, held against what the variant claims and against the least that any kernel can
// move.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verify/call/subject.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::check::sanitize {

/// Writes the sweeps that the claims say for this operation into the tensors; nothing where it
/// claims none.
void add_claims(std::vector<results::BufferTraffic>& buffers, const abn_claims& claims,
                bool backward);

/// One sentence for the first buffer that was not moved as claimed, which `where` is then the name
/// of; empty if there is none. `addresses` are those of the buffers.
std::string wrong_traffic(const std::vector<results::BufferTraffic>& buffers,
                          std::span<const std::uint64_t> addresses, const abn_claims& claims,
                          const abn_problem& problem, bool backward, std::string& where);

/// Tensor sizes that have to cross memory if nothing is moved twice: forward reads x and writes z,
/// backward reads dz and one tensor that was kept and writes dx, with any statistics.
inline double floor_sweeps(bool backward) { return backward ? 3 : 2; }

/// Those that did: loads and stores of all tensors. By sectors: what a GPU's caches are asked for.
double tensor_sweeps(const std::vector<results::BufferTraffic>& buffers);
double sector_sweeps(const std::vector<results::BufferTraffic>& buffers);

inline constexpr std::uint64_t sector_bytes = 32;

/// How many sectors the requests of one tensor may touch beyond those that its bytes fill, if
/// neighbouring lanes access neighbouring elements: what lies at the ends of requests and of runs.
std::uint64_t sector_slack(const abn_problem& problem, std::uint64_t requests,
                           std::uint64_t sweeps);

}  // namespace abn::verify::check::sanitize
