// Reference variants whose arithmetic is 50 decimal digits.
#include "reference/multiprecision.hpp"
#include "verify/expect/reference_kernel.hpp"

namespace abn::verify::expect {

const ReferenceRow& reference_row_real50() {
  static const ReferenceRow row = reference_kernel::row<reference::Real50, ABN_F64>(
      {"reference_digits50_standard", "reference_digits50_checkpoint_x",
       "reference_digits50_checkpoint_xhat", "reference_digits50_in_place_1",
       "reference_digits50_in_place_2"});
  return row;
}

}  // namespace abn::verify::expect
