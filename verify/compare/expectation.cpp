// The names of outputs and of the terms of a bound, as check ids, JSON and failure texts spell
// them.
#include "verify/compare/expectation.hpp"

namespace abn::verify::compare {

const char* output_name(Output output) {
  static constexpr std::array<const char*, 9> names = {
      "mean", "variance", "running_mean", "running_var", "z", "xhat", "dx", "dgamma", "dbeta"};
  return names.at(static_cast<std::size_t>(output));
}

bool is_tensor(Output output) {
  return output == Output::z || output == Output::xhat || output == Output::dx;
}

const char* term_name(Term term) {
  static constexpr std::array<const char*, term_count> names = {
      "storage",     "mean",      "variance",        "arithmetic",
      "activation",  "inversion", "reduction of dy", "reduction of dy*xhat",
      "materialised"};
  return names.at(static_cast<std::size_t>(term));
}

}  // namespace abn::verify::compare
