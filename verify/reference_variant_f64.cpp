// Reference variants whose arithmetic is f64.
#include "verify/reference_kernel.hpp"

namespace abn::verify {

const ReferenceRow& reference_row_f64() {
  using namespace reference_kernel;
  static const ReferenceRow row{variant<double, ABN_F64, ABN_STANDARD>("reference_f64_standard"),
                                variant<double, ABN_F64, ABN_CHECKPOINT_X>("reference_f64_checkpoint_x"),
                                variant<double, ABN_F64, ABN_CHECKPOINT_XHAT>("reference_f64_checkpoint_xhat"),
                                variant<double, ABN_F64, ABN_IN_PLACE_1>("reference_f64_in_place_1"),
                                variant<double, ABN_F64, ABN_IN_PLACE_2>("reference_f64_in_place_2")};
  return row;
}

}  // namespace abn::verify
