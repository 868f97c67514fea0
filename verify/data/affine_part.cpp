// The two endings, and the vectors of ones and zeros.
#include "verify/data/affine_part.hpp"

namespace abn::verify::data {

PartialData partial_data(std::string_view data) {
  constexpr std::string_view no_gamma = ",no_gamma", no_beta = ",no_beta";
  if (data.ends_with(no_gamma)) return {data.substr(0, data.size() - no_gamma.size()), true, false};
  if (data.ends_with(no_beta)) return {data.substr(0, data.size() - no_beta.size()), false, true};
  return {data, false, false};
}

problem::Inputs without_part(problem::Inputs inputs, const PartialData& partial) {
  if (!inputs.affine) return inputs;
  if (partial.without_gamma) inputs.gamma.assign(inputs.gamma.size(), 1), inputs.unit_scale = true;
  if (partial.without_beta) inputs.beta.assign(inputs.beta.size(), 0), inputs.zero_shift = true;
  return inputs;
}

}  // namespace abn::verify::data
