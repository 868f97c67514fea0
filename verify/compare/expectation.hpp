// What the oracle says of a kernel's outputs: per element the exact value, an error bound with its
// terms, and the rule of comparison.
//
// This header is the one contract between the oracle (which makes expectations), the comparison (a
// pure function of one point and one stored value, which knows no operation) and the records; it
// contains data only.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cuda/kernel.h"
#include "verify/problem/word.hpp"

namespace abn::verify::compare {

/// The outputs that are judged; the last part of a check id.
enum class Output : std::uint8_t {
  mean,
  variance,
  invstd,
  running_mean,
  running_var,
  z,
  xhat,
  dx,
  dgamma,
  dbeta
};
// "mean", "variance", "invstd", "running_mean", "running_var", "z", "xhat", "dx", "dgamma", "dbeta"
const char* output_name(Output output);
std::span<const problem::Word> output_words();  ///< in the order of the enumerators
/// dx, dgamma, dbeta: an output of backward
bool is_gradient(Output output);
// z, xhat, dx: N*C*S elements in storage type; else C elements in parameter type
bool is_tensor(Output output);

/// The sources of error that a bound adds up.
enum class Term : std::uint8_t {
  storage,
  mean,
  variance,
  arithmetic,
  activation,
  inversion,
  sum_dy,
  sum_dy_xhat,
  materialised
};
inline constexpr std::size_t term_count = 9;
// "storage", "mean", "variance", "arithmetic", "activation", "inversion", "reduction of dy",
// "reduction of dy*xhat", "materialised"
const char* term_name(Term term);
std::span<const problem::Word> term_words();  ///< in the order of the enumerators

enum class Rule : std::uint8_t {
  /// finite got with |got - exact| <= bound; an exact value beyond the format's range by more than
  /// the bound must be the infinity
  bounded,
  same_class,     ///< exact is NaN or an infinity: got must be of the same class
  any_nonfinite,  ///< got must be NaN or an infinity, whichever (reductions over non-finite data)
  any_finite,     ///< got must be finite, whatever its value (dgamma where g = 0)
  /// nothing is demanded: the operation defines no result here (dbeta of ELU from a z that is NaN)
  anything,
  /// bounded, and a zero got must carry the sign bit of exact (leaky ReLU's z, where the backward
  /// reads the sign)
  signed_bounded,
};

/// Each term's part of a bound, adding up to 1 (all 0 where the bound is 0).
using Shares = std::array<float, term_count>;

/// One element: exact value = hi + lo, unevaluated (about 106 bits), and its absolute bound, the
/// sum of its terms.
struct Point {
  double hi = 0, lo = 0;
  double bound = 0;  ///< for what the variant declares
  /// twice the bound of the recommended class (two_pass, direct, a tree of 256 lanes, f32 or wider)
  double fit_bound = 0;
  Rule rule = Rule::bounded;
  /// the true gradient only: y is within its error of the kink, so either branch of the activation
  /// is right
  bool open = false;
};

/// What a reader needs to understand a channel's errors.
struct ChannelFacts {
  /// sqrt(1 + mean^2/variance), condition number of the variance; infinity for a constant channel
  double kappa = 1;
  double beta_over_g = 0;    ///< |beta|/|g|, amplification of the in-place inversion
  double sum_condition = 1;  ///< sum|dy| / |sum dy|, backward only
  /// size of a gradient before anything cancels: |g| r max|dy| for dx, sum|dy xhat| for dgamma,
  /// sum|dy| for dbeta, with |dy| at least u|dz|
  double scale = 0;
};

/// One output of one problem.
struct Expectation {
  Output output;
  int dtype = ABN_F32;        ///< type in which the output is stored
  std::vector<Point> points;  ///< layout order for tensors, channel order else
  std::vector<ChannelFacts> channels;
  std::vector<Shares> shares{};  ///< of each point's bound, where they were asked for; else empty
  /// the bound exceeds the signal because of the in-place method itself, not because of the data
  bool method_limited = false;
};

/// What a kernel wrote of one output, in the order of Expectation::points.
struct Stored {
  Output output;
  std::vector<double> values;
};

/// The entry of one output in a list of expectations, of stored outputs or of whatever else has a
/// member `output`; null where there is none.
template <class List>
auto find_output(List& list, Output output) {
  const auto at =
      std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.output == output; });
  return at == list.end() ? nullptr : &*at;
}

}  // namespace abn::verify::compare
