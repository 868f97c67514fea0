// The GPU that the stand-in says it is: an H100 SXM, as the emulator's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace abn::ptx::runtime {

inline constexpr std::uint64_t nominal_multiprocessors = 132;
inline constexpr std::size_t nominal_shared_per_block = 227 * 1024;

std::uint64_t blocks_at_once(std::uint64_t threads,
                             std::size_t shared_bytes);  ///< a multiprocessor
std::uint64_t clusters_at_once(std::uint64_t size, std::uint64_t threads, std::size_t shared_bytes);

}  // namespace abn::ptx::runtime
