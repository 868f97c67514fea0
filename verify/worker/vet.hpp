// Whether the variants of a plug-in can be used, by what its worker says of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "verify/worker/protocol.hpp"

namespace abn::verify::worker {

/// A function that never returns NULL would have no end.
inline constexpr std::uint32_t most_variants = 1000;
inline constexpr std::size_t longest_name = 64;

/// Throws UsageError, one sentence, for a variant that cannot be used.
void vet(const std::string& path, std::uint32_t index, const VariantFacts& facts);

/// Throws UsageError for a plug-in with none, or with no end of them.
void vet_count(const std::string& path, std::size_t variants);

}  // namespace abn::verify::worker
