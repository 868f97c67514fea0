// Reference variants whose arithmetic is f64.
#include "verify/expect/reference_kernel.hpp"

namespace abn::verify::expect {

const ReferenceRow& reference_row_f64() {
  static const ReferenceRow row = reference_kernel::row<double, ABN_F64>(
      {"reference_f64_standard", "reference_f64_checkpoint_x", "reference_f64_checkpoint_xhat",
       "reference_f64_in_place_1", "reference_f64_in_place_2"});
  return row;
}

}  // namespace abn::verify::expect
