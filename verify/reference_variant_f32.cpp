// Reference variants whose arithmetic is f32.
#include "verify/reference_kernel.hpp"

namespace abn::verify {

const ReferenceRow& reference_row_f32() {
  using namespace reference_kernel;
  static const ReferenceRow row{variant<float, ABN_F32, ABN_STANDARD>("reference_f32_standard"),
                                variant<float, ABN_F32, ABN_CHECKPOINT_X>("reference_f32_checkpoint_x"),
                                variant<float, ABN_F32, ABN_CHECKPOINT_XHAT>("reference_f32_checkpoint_xhat"),
                                variant<float, ABN_F32, ABN_IN_PLACE_1>("reference_f32_in_place_1"),
                                variant<float, ABN_F32, ABN_IN_PLACE_2>("reference_f32_in_place_2")};
  return row;
}

}  // namespace abn::verify
