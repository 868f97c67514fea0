// The model of an H100 SXM behind occupancy.hpp.
#include "cuda/emulator/occupancy.hpp"

#include <algorithm>

#include "cuda/emulator/engine_clusters.hpp"

namespace abn::emulator {
namespace {

constexpr std::uint64_t threads_of_multiprocessor = 2048, blocks_of_multiprocessor = 32;
constexpr std::size_t shared_of_multiprocessor = 228 * 1024, shared_reserved_per_block = 1024;

// A cluster lies within one GPC. Which multiprocessors of the 8 x 18 are switched off differs from
// card to card; this split of the 132 agrees with what was seen on one: clusters of 8 blocks that
// fill a multiprocessor each occupy 120 of them.
constexpr std::uint64_t multiprocessors_of_gpc[] = {18, 18, 18, 16, 16, 16, 16, 14};

constexpr std::uint64_t all_multiprocessors() {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : multiprocessors_of_gpc) sum += count;
  return sum;
}
static_assert(all_multiprocessors() == 132);

}  // namespace

std::uint64_t blocks_per_multiprocessor(std::uint64_t threads, std::size_t shared_bytes) {
  if (threads == 0 || shared_bytes > most_shared_per_block) return 0;
  return std::min(
      {blocks_of_multiprocessor, threads_of_multiprocessor / ((threads + 31) / 32 * 32),
       std::uint64_t{shared_of_multiprocessor / (shared_bytes + shared_reserved_per_block)}});
}

std::uint64_t most_resident_blocks(std::uint64_t threads, std::size_t shared_bytes) {
  return blocks_per_multiprocessor(threads, shared_bytes) * all_multiprocessors();
}

std::uint64_t most_active_clusters(unsigned cluster_size, std::uint64_t threads,
                                   std::size_t shared_bytes) {
  if (cluster_size == 0 || cluster_size > largest_cluster) return 0;
  const std::uint64_t blocks = blocks_per_multiprocessor(threads, shared_bytes);
  std::uint64_t clusters = 0;
  for (const std::uint64_t multiprocessors : multiprocessors_of_gpc)
    clusters += multiprocessors * blocks / cluster_size;
  return clusters;
}

}  // namespace abn::emulator
