// Cases: which problems, data recipes and seeds a tier runs, and which check ids a pattern selects.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "verify/data/random.hpp"
#include "verify/problem/inputs.hpp"
#include "verify/problem/word.hpp"

namespace abn::verify::data {

/// One problem with its data. The seed decides the data of a recipe, where buffers lie, their
/// poison and the schedules.
struct Case {
  abn_problem problem{};
  /// name of a recipe, path of a tensor file, or the numbers themselves (verify/data/given.hpp)
  std::string data = "standard";
  std::uint64_t seed = 0;
  std::shared_ptr<const problem::Inputs> given;  ///< inputs that no recipe makes
  /// of its channels a drawn sample is judged element by element (verify/judge/sample.hpp)
  bool sampled = false;
  /// one of many large cases that this project's kernels, on the emulator, leave out of the smoke
  /// tier (verify/data/ranges.hpp)
  bool not_emulated = false;
};

/// The inputs of a case: the file's, or those of its recipe.
problem::Inputs inputs_of(const Case& one);

enum class Tier : std::uint8_t { smoke, full, exhaustive };
Tier tier_from_name(std::string_view name);  ///< throws UsageError
const char* tier_name(Tier tier);
std::span<const problem::Word> tier_words();

/// The cases of a tier, in order. For each storage type, layout, activation, mode and scale
/// convention it takes a fixed number of cases, rotating through all recipes and all shapes so that
/// each of them meets each (type, layout, mode); `seed` moves the data and the pairing. Every case
/// has a seed of its own.
std::vector<Case> cases_of(Tier tier, std::uint64_t seed);

struct Shape {
  std::int64_t n, c, s;
};

/// A training case, signed gamma, f32 parameters (f64 with f64 storage), the rest drawn: slope,
/// alpha, eps and the data's seed.
Case drawn_case(const Shape& shape, int dtype, int layout, int activation, const char* recipe,
                const Stream& draw);

/// Exactly one case: what --problem, --data and --seed say. `data` is a recipe (standard if empty),
/// given:... or the path of a tensor file (then `problem` may be empty, and must else be the file's
/// own). Throws UsageError.
Case replay(std::string_view problem, std::string_view data, std::uint64_t seed);

/// True where the shell pattern (*, ?, [..], @(one|other), !(this); * also matches /) matches the
/// check id.
bool matches(const std::string& pattern, const std::string& id);

/// Throws UsageError, naming the nearest id, if the pattern matches none of the ids.
void require_match(const std::string& pattern, std::span<const std::string> ids);

}  // namespace abn::verify::data
