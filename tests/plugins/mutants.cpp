// bin/plugins/mutants.so: every correct kernel of tests/mutants/correct_kernels.hpp, then every
// planted bug that the judge has to catch.
#include "tests/mutants/mutants.hpp"
#include "tests/mutants/correct_kernels.hpp"

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  using namespace abn::mutants;
  if (index < std::size(correct_kernels)) return &correct_kernels[index];
  std::size_t rest = index - std::size(correct_kernels);
  for (const Group& group : groups()) {
    if (group.without_inverse) continue;  // no problem of the study has such an activation
    if (rest < group.mutants.size()) return &variant_of(group.mutants[rest]);
    rest -= group.mutants.size();
  }
  return nullptr;
}
