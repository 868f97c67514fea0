// bin/plugins/mutants.so: every design of tests/mutants/correct_kernels.hpp, then every planted bug
// that data of a layer can show, which are those of `study judges`.
#include "tests/mutants/mutants.hpp"
#include "tests/mutants/correct_kernels.hpp"

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  using namespace abn::mutants;
  if (index < std::size(correct_kernels)) return &correct_kernels[index];
  std::size_t rest = index - std::size(correct_kernels);
  for (const Group& group : groups()) {
    // no problem of the study has such an activation, or such numbers
    if (group.without_inverse || group.at_ends) continue;
    if (rest < group.mutants.size()) return &variant_of(group.mutants[rest]);
    rest -= group.mutants.size();
  }
  return nullptr;
}
