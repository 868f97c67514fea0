// Cases: which problems, data recipes and seeds a tier runs, and which check ids a pattern selects.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verify/data/case.hpp"
#include "verify/problem/inputs.hpp"
#include "verify/problem/word.hpp"

namespace abn::verify::data {

/// The inputs of a case: the file's, or those of its recipe.
problem::Inputs inputs_of(const Case& one);

/// Bytes that this machine can still give without swapping; 0 where it does not say.
double available_memory();

/// Elements that a tensor may have in doubles: 1 GiB for each of some ten copies.
inline constexpr std::int64_t most_in_doubles = std::int64_t{1} << 27;
/// Is a case larger than that, and made by a recipe, whose channels can be made one by one? Then
/// nobody asks for its inputs as a whole (verify/check/streamed.hpp).
bool is_streamed(const Case& one);

/// Each has more than the one before. The quick tier is chosen from the smoke tier's cases for each
/// variant by itself (verify/check/chosen.hpp).
enum class Tier : std::uint8_t { quick, smoke, full, exhaustive };
Tier tier_from_name(std::string_view name);  ///< throws UsageError
const char* tier_name(Tier tier);
std::span<const problem::Word> tier_words();

/// The cases of a tier, in order; for the quick one those of smoke. For each storage type, layout,
/// activation, mode and scale convention it takes a fixed number of cases, rotating through all
/// recipes and all shapes so that each of them meets each (type, layout, mode); `seed` moves the
/// data and the pairing. Every case has a seed of its own.
std::vector<Case> cases_of(Tier tier, std::uint64_t seed);

/// Exactly one case: what --problem, --data and --seed say. `data` is a recipe (standard if empty),
/// given:... or the path of a tensor file (then `problem` may be empty, and must else be the file's
/// own). Throws UsageError.
Case replay(std::string_view problem, std::string_view data, std::uint64_t seed);

/// True where the shell pattern (*, ?, [..], @(one|other), !(this); * also matches /) matches the
/// check id.
bool matches(const std::string& pattern, const std::string& id);

/// False where the pattern begins with the name of another variant, so that no id of this one
/// matches.
bool may_match(const std::string& pattern, std::string_view variant);

/// Throws UsageError, naming the nearest id, if the pattern matches none of the ids.
void require_match(const std::string& pattern, std::span<const std::string> ids);

}  // namespace abn::verify::data
