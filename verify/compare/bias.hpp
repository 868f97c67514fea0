// Do the errors of a check lean to one side, even where each of them is below its bound?
//
// Rounding to nearest errs as often up as down, and as often away from zero as towards it; a store
// that cuts off, or a conversion that rounds down, does not, and training adds up what each step
// loses. Errors within a case hang together (one mean, one root for all of a channel), so a case is
// one observation: the mean of its errors in ulp, each limited to `most_ulp` lest a few outweigh
// all others. Of k cases with the mean b and the standard deviation s, t = b sqrt(k)/s is
// Student's; a lean is named where |b| >= `least_lean` ulp, k >= `least_cases` and |t| >=
// `least_t`, which chance reaches once in 2e7 checks (15 degrees of freedom).
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "verify/compare/expectation.hpp"

namespace abn::verify::compare {

/// Means of cases: their sum, and that of their squares.
struct Lean {
  double sum = 0, squares = 0;
  Lean& operator+=(const Lean& other) { return sum += other.sum, squares += other.squares, *this; }
};

struct Bias {
  static constexpr double most_ulp = 1, least_lean = 0.05, least_t = 10;
  static constexpr std::uint64_t least_cases = 16;
  std::uint64_t cases = 0;  ///< with an element whose exact value is finite and not 0
  Lean up, outward;         ///< towards +infinity; away from zero

  Bias& operator+=(const Bias& other) {
    return cases += other.cases, up += other.up, outward += other.outward, *this;
  }
};

/// The observation that one case makes.
Bias bias_of(const Expectation& expectation, std::span<const double> got);

/// "errors lean towards zero, 0.48 ulp on average over 96 cases"; empty where none does.
std::string bias_text(const Bias& bias);

}  // namespace abn::verify::compare
