// The oracle's middle precision: the reference in long double, with 64 bits of mantissa where the
// platform has them; and the choice of one.
#include <limits>

#include "verify/oracle/evaluate.hpp"

namespace abn::verify::oracle {
namespace {
// Elsewhere long double is double, or slow; every channel then goes to 50 digits.
constexpr bool wide_enough =
    std::numeric_limits<long double>::digits >= static_cast<int>(Precision::long_double);
}  // namespace

void forward_in_long_double(const ForwardInput& input, ForwardValues& out) {
  evaluate::forward<long double>(input, out);
}
void backward_in_long_double(const BackwardInput& input, BackwardValues& out) {
  evaluate::backward<long double>(input, out);
}

void forward_values(Precision precision, const ForwardInput& input, ForwardValues& out) {
  if (precision == Precision::binary64) return forward_in_double(input, out);
  wide_enough&& precision == Precision::long_double ? forward_in_long_double(input, out)
                                                    : forward_in_real50(input, out);
}
void backward_values(Precision precision, const BackwardInput& input, BackwardValues& out) {
  if (precision == Precision::binary64) return backward_in_double(input, out);
  wide_enough&& precision == Precision::long_double ? backward_in_long_double(input, out)
                                                    : backward_in_real50(input, out);
}

}  // namespace abn::verify::oracle
