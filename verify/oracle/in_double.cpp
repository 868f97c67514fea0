// The oracle's fast precision: the reference in double, for accumulate types that are so much
// narrower that its error does not count.
#include "verify/oracle/evaluate.hpp"

namespace abn::verify::oracle {

void forward_in_double(const ForwardInput& input, ForwardValues& out) {
  evaluate::forward<double>(input, out);
}
void backward_in_double(const BackwardInput& input, BackwardValues& out) {
  evaluate::backward<double>(input, out);
}

}  // namespace abn::verify::oracle
