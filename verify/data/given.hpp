// Data in the command line itself: the numbers of a small case, so that its reproduce line needs no
// file and no recipe.
//
//   given:x=0x1p+0,-0x1.8p+1;dz=0x1p+0,0x0p+0;gamma=0x1p+0;beta=0x0p+0;running_mean=0x0p+0;
//         running_var=0x1p+0                                  in one word, without the line break
//
// Tensors have N*C*S values in the order of the problem's layout, vectors C. Left out means: dz:
// forward only; gamma and beta (both or neither): no affine; running_mean and running_var: 0 and 1.
#pragma once

#include <string>
#include <string_view>

#include "verify/problem/inputs.hpp"

namespace abn::verify::data {

inline constexpr std::string_view given_prefix = "given:";

/// The inputs as such a text; parse_given inverts it exactly but for the payload of a NaN.
std::string given_text(const problem::Inputs& inputs);

/// Throws UsageError for unknown names, wrong counts, and numbers that the tensor's type does not
/// hold.
problem::Inputs parse_given(std::string_view text, const abn_problem& problem);

}  // namespace abn::verify::data
