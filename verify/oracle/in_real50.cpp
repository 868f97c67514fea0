// The oracle's slow precision: the reference in binary floating point of 50 decimal digits (168
// bits).
#include "reference/multiprecision.hpp"
#include "verify/oracle/evaluate.hpp"

namespace abn::verify::oracle {

static_assert(std::numeric_limits<reference::Real50>::digits >=
              static_cast<int>(Precision::real50));

void forward_in_real50(const ForwardInput& input, ForwardValues& out) {
  evaluate::forward<reference::Real50>(input, out);
}
void backward_in_real50(const BackwardInput& input, BackwardValues& out) {
  evaluate::backward<reference::Real50>(input, out);
}

}  // namespace abn::verify::oracle
