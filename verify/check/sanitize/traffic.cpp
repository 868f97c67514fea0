// The comparison of counted bytes and sectors with the claims.
//
// Bytes. A tensor of S bytes that is loaded k times gives k*S bytes loaded: an integer, and exact,
// for a kernel that loads each element k times and no element beside its own has nothing to round.
// In place both tensors of the pair are one buffer and their claims add up.
//
// Sectors. Lanes that access neighbouring elements fill every sector between the two ends of what
// they access together, so a request of b bytes touches at most b/32 + 1 if runs of neighbouring
// elements (the s samples of an image and channel, the c channels of a pixel) are whole sectors.
// Where they are not, up to b/32 + 2; and the elements of the 16 bytes at either end of a run may
// each be a request's own.
#include "verify/check/sanitize/traffic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::sanitize {
namespace {

constexpr std::uint64_t wide = 16;  // bytes of the widest access

/// The claims for a buffer by its watched name, "x", "z" or "x = z".
abn_sweeps sweeps_of(std::string_view name, const abn_claims& claims, bool backward) {
  if (const auto at = name.find(" = "); at != name.npos) {
    const abn_sweeps first = sweeps_of(name.substr(0, at), claims, backward),
                     second = sweeps_of(name.substr(at + 3), claims, backward);
    return {static_cast<std::int16_t>(first.loads + second.loads),
            static_cast<std::int16_t>(first.stores + second.stores)};
  }
  if (name == "dz") return claims.sweeps_dz;
  if (name == "dx") return claims.sweeps_dx;
  if (backward) return claims.sweeps_kept;
  return name == "x" ? claims.sweeps_x : name == "z" ? claims.sweeps_z : claims.sweeps_xhat;
}

std::uint64_t element_bytes(const abn_problem& problem) {
  return static_cast<std::uint64_t>(problem::format_of(problem.dtype).bytes);
}

std::string times(double count) { return count == 1 ? "once" : fmt::format("{:.6g} times", count); }

/// "" or what is wrong with the loads (or stores) of one tensor.
std::string wrong_way(const results::BufferTraffic& buffer, bool store, bool coalesced,
                      const abn_problem& problem) {
  const std::uint64_t moved = store ? buffer.stored : buffer.loaded;
  const auto claimed =
      static_cast<std::uint64_t>(store ? buffer.claimed_stores : buffer.claimed_loads);
  const char* const verb = store ? "stored" : "loaded";
  if (moved != claimed * buffer.bytes)
    return fmt::format("{} was {} {} ({} bytes of {}), and {} is claimed", buffer.buffer, verb,
                       times(static_cast<double>(moved) / static_cast<double>(buffer.bytes)), moved,
                       buffer.bytes, claimed == 0 ? "never" : times(static_cast<double>(claimed)));
  const std::uint64_t requests = store ? buffer.store_requests : buffer.load_requests;
  const std::uint64_t sectors = store ? buffer.store_sectors : buffer.load_sectors;
  if (!coalesced || moved == 0) return {};
  const std::uint64_t most =
      (moved + sector_bytes - 1) / sector_bytes + sector_slack(problem, requests, claimed);
  if (sectors <= most) return {};
  return fmt::format(
      "{} was {} in {} sectors of {} bytes, where coalesced requests touch at most {}",
      buffer.buffer, verb, sectors, sector_bytes, most);
}

}  // namespace

void add_claims(std::vector<results::BufferTraffic>& buffers, const abn_claims& claims,
                bool backward) {
  if (!problem::claims_traffic(claims, backward)) return;
  for (results::BufferTraffic& buffer : buffers) {
    if (!buffer.tensor) continue;
    const abn_sweeps sweeps = sweeps_of(buffer.buffer, claims, backward);
    buffer.claimed_loads = sweeps.loads, buffer.claimed_stores = sweeps.stores;
  }
}

std::uint64_t sector_slack(const abn_problem& problem, std::uint64_t requests,
                           std::uint64_t sweeps) {
  const std::uint64_t element = element_bytes(problem);
  const bool nchw = problem.layout == ABN_NCHW;
  const auto length = static_cast<std::uint64_t>(nchw ? problem.s : problem.c);
  if (length * element % sector_bytes == 0) return requests;
  const auto runs = static_cast<std::uint64_t>(problem.n * (nchw ? problem.c : problem.s));
  return 2 * requests + 2 * runs * sweeps * (wide / element);
}

std::string wrong_traffic(const std::vector<results::BufferTraffic>& buffers,
                          std::span<const std::uint64_t> addresses, const abn_claims& claims,
                          const abn_problem& problem, bool backward, std::string& where) {
  // A tensor in disguise: once channels are long, statistics and the partial sums of slices are far
  // smaller than half a tensor.
  constexpr std::int64_t long_channel = 4096;
  std::uint64_t tensor = 0;
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const results::BufferTraffic& buffer = buffers[i];
    if (!buffer.tensor || buffer.claimed_loads < 0) continue;
    tensor = buffer.bytes;
    where = buffer.buffer;
    for (const bool store : {false, true})
      if (std::string wrong = wrong_way(
              buffer, store, claims.coalesced == 1 && addresses[i] % sector_bytes == 0, problem);
          !wrong.empty())
        return wrong;
  }
  for (const results::BufferTraffic& buffer : buffers) {
    if (buffer.buffer != "workspace" || tensor == 0 ||
        problem::sample_count(problem) < long_channel || 2 * buffer.stored <= tensor)
      continue;
    where = buffer.buffer;
    return fmt::format(
        "{} bytes were stored in the workspace, {:.2g} times the size of a tensor: sweeps that no "
        "claim counts",
        buffer.stored, static_cast<double>(buffer.stored) / static_cast<double>(tensor));
  }
  where = backward ? "backward" : "forward";
  return {};
}

double tensor_sweeps(const std::vector<results::BufferTraffic>& buffers) {
  double sweeps = 0;
  for (const results::BufferTraffic& buffer : buffers)
    if (buffer.tensor && buffer.bytes > 0)
      sweeps +=
          static_cast<double>(buffer.loaded + buffer.stored) / static_cast<double>(buffer.bytes);
  return sweeps;
}

double sector_sweeps(const std::vector<results::BufferTraffic>& buffers) {
  double sweeps = 0;
  for (const results::BufferTraffic& buffer : buffers)
    if (buffer.tensor && buffer.bytes > 0)
      sweeps += static_cast<double>((buffer.load_sectors + buffer.store_sectors) * sector_bytes) /
                static_cast<double>(buffer.bytes);
  return sweeps;
}

}  // namespace abn::verify::check::sanitize
