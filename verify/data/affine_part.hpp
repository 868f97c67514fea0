// What a case's data leave out of the affine map: "standard,no_gamma" is the recipe standard
// without gamma, "standard,no_beta" without beta.
//
// A missing gamma is g = 1 under both scale conventions, a missing beta 0. The recipe no_affine
// leaves out both.
#pragma once

#include <string_view>

#include "verify/problem/inputs.hpp"

namespace abn::verify::data {

/// The name of a recipe, and which part of the affine map is left out.
struct PartialData {
  std::string_view recipe;
  bool without_gamma = false, without_beta = false;
};

/// Anything that does not end in one of the two is left as it is.
PartialData partial_data(std::string_view data);

/// Of inputs with an affine map: the ones or zeros that stand for what is left out, and the mark.
problem::Inputs without_part(problem::Inputs inputs, const PartialData& partial);

}  // namespace abn::verify::data
