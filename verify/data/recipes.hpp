// Data recipes: the inputs of a case, made from the problem, the name of a recipe and a seed, and
// from nothing else.
//
// Every number is a function of (seed, tensor, channel, sample) through a counter-based generator
// of our own, so the same case has the same bits on every machine, in every layout and with any
// number of threads. Values are rounded to their types.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "verify/problem/inputs.hpp"

namespace abn::verify::data {

struct Recipe {
  const char* name;
  const char* summary;  ///< one sentence for people
};

/// All recipes, in the order in which tiers rotate through them.
std::span<const Recipe> recipes();
/// The first of them, through which cases of activations with an inverse rotate; the next is for
/// the kinks and ends of the others, and the last comes in cases of its own
/// (verify/data/extremes.hpp).
inline constexpr std::size_t walked_recipes = 12, curve_recipes = 13;
bool is_recipe(std::string_view name);
/// Its data are at the ends of ranges: what is wrong elsewhere shows better elsewhere.
bool is_extreme(std::string_view name);
/// Its data are no harder than those of a layer: what no reasonable claim excuses.
bool is_usual(std::string_view name);

/// Inputs of a problem that passed validate(). Throws UsageError for an unknown recipe, naming the
/// nearest. An empty problem gets its C-sized vectors and empty tensors.
problem::Inputs make_inputs(const abn_problem& problem, std::string_view recipe,
                            std::uint64_t seed);

/// Channel c of make_inputs(problem, recipe, seed), as a problem of one channel: the same numbers
/// without all the others. dz stays empty where it is not wanted.
problem::Inputs make_channel(const abn_problem& problem, std::string_view recipe,
                             std::uint64_t seed, std::int64_t c, bool with_dz);

}  // namespace abn::verify::data
