// Every bit pattern of a storage type as data: one sample a channel, channel c holds pattern first
// + c.
//
// Frozen statistics rm = 0, rv = 1 - eps and gamma = 1 (1 - eps under abs_eps), beta = 0 make
// xhat = y = x exactly where eps is a power of two.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "verify/problem/inputs.hpp"

namespace abn::verify::data {

/// A power of two, so that 1 - eps and its sum with eps are exact in f32.
inline constexpr double pattern_eps = 0x1p-10;

/// How many there are of a storage type of at most 32 bits.
std::uint64_t pattern_count(int dtype);

inline constexpr std::string_view patterns_prefix = "patterns:";
bool is_pattern_data(std::string_view data);

/// FIRST of "patterns:FIRST", for a problem with one sample a channel, in frozen mode. Throws
/// UsageError.
std::uint64_t first_pattern(const abn_problem& problem, std::string_view data);
/// The inputs that it stands for.
problem::Inputs pattern_inputs(const abn_problem& problem, std::string_view data);

/// Bit patterns FIRST-LAST, both included, as in 0x3f800000-0x3fffffff. Throws UsageError.
struct PatternRange {
  std::uint64_t first = 0, last = 0xffffffffu;
};
PatternRange parse_pattern_range(std::string_view text);
/// Cuts a case of patterns, which meets the range, down to what lies in it.
void cut_to(const PatternRange& range, abn_problem& problem, std::string& data);

}  // namespace abn::verify::data
