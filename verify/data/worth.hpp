// Which cases of many to run first, where there is no time for all of them.
//
// A mistake of a kernel mostly needs two things to come together before it shows: a type and a
// mode, a layout and a size, an activation and a recipe (Kuhn, Wallace and Gallo, "Software fault
// interactions and implications for software testing", 2004: 70 to 97 % of the faults of the
// programs that they looked at). So a case is worth as many pairs of properties as no case before
// it had, for what it costs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "verify/data/case.hpp"

namespace abn::verify::data {

/// The indices of all cases, most worth first: the greedy cover of all pairs of their properties
/// (type and layout, mode, activation, data recipe, scale convention, types of parameters and of z,
/// and the magnitudes of eps, momentum, sizes and number of samples), and once all pairs are
/// covered, the next cover of what is left. Equal worth goes by the order of the cases. Where only
/// the first `most` are wanted, the others follow in the order of the cases, which takes less time.
std::vector<std::size_t> order_of_worth(std::span<const Case> cases,
                                        std::size_t most = static_cast<std::size_t>(-1));

}  // namespace abn::verify::data
