// A new group of checks is one line here.
#include "verify/check/groups.hpp"

#include "verify/check/exact/family.hpp"
#include "verify/check/gradient/kernel_gradients.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/patterns.hpp"
#include "verify/check/property/property.hpp"
#include "verify/check/sanitize/family.hpp"

namespace abn::verify::check {

std::span<const Family* const> families() {
  static constexpr const Family* all[] = {
      &output_family,       &property::property_family, &pattern_family,
      &exact::exact_family, &sanitize::sanitize_family, &gradient::gradient_family};
  return all;
}

std::vector<const Family*> families_of(std::string_view verb, std::string_view flags) {
  std::vector<const Family*> found;
  for (const Family* const family : families())
    if (family->verb == verb && (*family->flags == '\0' || family->flags == flags))
      found.push_back(family);
  return found;
}

}  // namespace abn::verify::check
