// A new group of checks is one line here.
#include "verify/check/groups.hpp"

#include "verify/check/calls/checks.hpp"
#include "verify/check/exact/checks.hpp"
#include "verify/check/gradient/kernel_gradients.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/patterns.hpp"
#include "verify/check/property/property.hpp"
#include "verify/check/sanitize/checks.hpp"
#include "verify/check/sync/checks.hpp"

namespace abn::verify::check {

std::span<const CheckGroup* const> groups() {
  static constexpr const CheckGroup* all[] = {&output_checks,
                                              &property::property_checks,
                                              &pattern_checks,
                                              &exact::exact_checks,
                                              &sync::sync_checks,
                                              &calls::call_checks,
                                              &sanitize::sanitize_checks,
                                              &gradient::gradient_checks};
  return all;
}

std::vector<const CheckGroup*> groups_of(std::string_view verb, std::string_view flags) {
  std::vector<const CheckGroup*> found;
  for (const CheckGroup* const group : groups())
    if (group->verb == verb && (*group->flags == '\0' || group->flags == flags))
      found.push_back(group);
  return found;
}

}  // namespace abn::verify::check
