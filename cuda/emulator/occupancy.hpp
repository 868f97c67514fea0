// How many blocks and clusters of a launch an H100 holds at once: what bounds a cooperative launch,
// and what the choice of a kernel asks before it launches clusters. Registers are not modelled,
// since nothing here knows them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/emulator/engine.hpp"

namespace abn::emulator {

inline constexpr std::size_t most_shared_per_block = 227 * 1024;

std::uint64_t blocks_per_multiprocessor(std::uint64_t threads, std::size_t shared_bytes);
// on the whole GPU, without clusters
std::uint64_t most_resident_blocks(std::uint64_t threads, std::size_t shared_bytes);
std::uint64_t most_active_clusters(unsigned cluster_size, std::uint64_t threads,
                                   std::size_t shared_bytes);

}  // namespace abn::emulator
