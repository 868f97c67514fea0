// The sizes that a tier meets on purpose, as ranges of N, C and S: what goes wrong in a kernel goes
// wrong from some size on, for sizes that are or are not a multiple of something, or for two of
// these together.
//
// Any two ranges of two of N, C and S meet in every storage type and layout, the modes taking
// turns, as far as the least numbers of both have at most `most_of_pair` elements together; what
// is large alone meets every mode, too. Case and table come from the same rows, which
// `abn-verify explain ranges` prints.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verify/data/case.hpp"

namespace abn::verify::data {

enum class Size : std::uint8_t { n, c, s };

/// Numbers of one size that a kernel may treat alike. `tried` are those that cases take.
struct Range {
  Size of;
  const char* what;
  bool (*has)(std::int64_t value);
  std::span<const std::int64_t> tried;  ///< in ascending order
};
/// All of them, those of one size together.
std::span<const Range> ranges();

/// Elements of a case in which two ranges meet, at most.
inline constexpr std::int64_t most_of_pair = 40'000;
/// Whether two ranges of different sizes meet in a tier.
bool meet(const Range& a, const Range& b);

/// What is large by itself, or as a product: few elements for what it is, met in every mode, type
/// and layout.
struct LargeSize {
  const char* what;
  Shape shape;
  bool (*has)(const abn_problem& problem);
  /// not in f64, whose exact values cost ten times those of others: exact data have it there
  /// (verify/check/exact/checks.cpp)
  bool narrow_only;
  bool training, others;  ///< the modes that meet it
};
std::span<const LargeSize> large_sizes();

/// The cases of both tables; `round` tells apart the repetitions of a tier.
void append_ranges(std::vector<Case>& cases, std::uint64_t seed, std::uint64_t round);

/// Both tables, for people.
std::string ranges_text();

}  // namespace abn::verify::data
