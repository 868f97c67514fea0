// bin/plugins/mutants.so: every right kernel of tests/mutants/twins.hpp, then every planted bug
// that the judge has to catch.
#include "tests/mutants/mutants.hpp"
#include "tests/mutants/twins.hpp"

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  using namespace abn::mutants;
  if (index < std::size(twins)) return &twins[index];
  std::size_t rest = index - std::size(twins);
  for (const Group& group : groups()) {
    if (rest < group.mutants.size()) return &variant_of(group.mutants[rest]);
    rest -= group.mutants.size();
  }
  return nullptr;
}
