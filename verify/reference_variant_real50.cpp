// Reference variants whose arithmetic is 50 decimal digits.
#include "reference/multiprecision.hpp"
#include "verify/reference_kernel.hpp"

namespace abn::verify {

const ReferenceRow& reference_row_real50() {
  using namespace reference_kernel;
  static const ReferenceRow row{variant<reference::Real50, ABN_F64, ABN_STANDARD>("reference_digits50_standard"),
                                variant<reference::Real50, ABN_F64, ABN_CHECKPOINT_X>("reference_digits50_checkpoint_x"),
                                variant<reference::Real50, ABN_F64, ABN_CHECKPOINT_XHAT>("reference_digits50_checkpoint_xhat"),
                                variant<reference::Real50, ABN_F64, ABN_IN_PLACE_1>("reference_digits50_in_place_1"),
                                variant<reference::Real50, ABN_F64, ABN_IN_PLACE_2>("reference_digits50_in_place_2")};
  return row;
}

}  // namespace abn::verify
