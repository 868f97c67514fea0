// The table of reference variants.
#include "verify/expect/reference_variant.hpp"

#include "verify/expect/reference_kernel.hpp"

namespace abn::verify::expect {

const abn_variant& reference_variant(ReferenceArithmetic arithmetic, int scheme) {
  const ReferenceRow& row = arithmetic == ReferenceArithmetic::f32   ? reference_row_f32()
                            : arithmetic == ReferenceArithmetic::f64 ? reference_row_f64()
                                                                     : reference_row_real50();
  return row.at(static_cast<std::size_t>(scheme));
}

std::span<const abn_variant* const> reference_variants() {
  static const auto all = [] {
    std::array<const abn_variant*, 3 * std::tuple_size_v<ReferenceRow>> table{};
    std::size_t next = 0;
    for (const auto arithmetic :
         {ReferenceArithmetic::f32, ReferenceArithmetic::f64, ReferenceArithmetic::digits50})
      for (int scheme = ABN_STANDARD; scheme <= ABN_IN_PLACE_2; ++scheme)
        table[next++] = &reference_variant(arithmetic, scheme);
    return table;
  }();
  return all;
}

}  // namespace abn::verify::expect
