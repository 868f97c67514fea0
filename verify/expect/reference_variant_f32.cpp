// Reference variants whose arithmetic is f32.
#include "verify/expect/reference_kernel.hpp"

namespace abn::verify::expect {

const ReferenceRow& reference_row_f32() {
  static const ReferenceRow row = reference_kernel::row<float, ABN_F32>(
      {"reference_f32_standard", "reference_f32_checkpoint_x", "reference_f32_checkpoint_xhat",
       "reference_f32_in_place_1", "reference_f32_in_place_2"});
  return row;
}

}  // namespace abn::verify::expect
