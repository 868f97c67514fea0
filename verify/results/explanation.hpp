// What explains the failures of a check: hypotheses with what speaks for each, over all calls that
// were looked at.
//
// Only what explains all of the calls, or all but one of six, remains, and of that the best is
// named: a change of the formula before lost digits, one that touches all channels before one that
// touches some, then the one of more bits. Two that are as good are both named; more are none. What
// no hypothesis explains is not named: a wrong name costs a reader more than none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verify/problem/word.hpp"

namespace abn::verify::results {

/// A hypothesis and how well it explains the calls that failed.
struct Explanation {
  std::string name, sentence;
  std::uint64_t cases = 0;    ///< calls that it explains
  std::uint64_t partial = 0;  ///< of them, those with channels that it did not touch
  bool by_marks = false;      ///< followed from the kernel's own numbers
  double bits = 0;            ///< see above, over all elements of channels that failed
  double numbers = 0;         ///< failed elements that gave bits of their own
  bool by_contract = false;   ///< what a broken contract check says by itself
};

/// What became of the calls that were looked at; a commutative monoid.
struct Diagnosis {
  /// calls in which something failed that a hypothesis could be held against
  std::uint64_t cases = 0;
  std::vector<Explanation> explanations;  ///< ordered by name
  Diagnosis& operator+=(const Diagnosis& other);
  /// Is what is likely also certain: one hypothesis, of the formula, that explains every one of at
  /// least two calls, in all channels?
  bool sure() const;
  /// The one that explains all of them best, or two that are as good, or nothing.
  std::vector<Explanation> likely() const;
};

/// What a broken contract check says by itself: the check, and the known mistake.
struct ContractMistake {
  const char* check;
  problem::Word mistake;
};
std::span<const ContractMistake> contract_mistakes();

/// What a broken contract check says by itself; no explanation for a check that has no name here.
Diagnosis diagnose_contract(const std::string& check);

/// A few calls are looked at, and more while two hypotheses explain them equally well.
inline constexpr std::uint64_t enough_calls = 6, most_calls = 24;
inline bool has_enough(const Diagnosis& diagnosis) {
  return diagnosis.cases >= most_calls ||
         (diagnosis.cases >= enough_calls && diagnosis.likely().size() != 2);
}

/// "matches the reference with eps outside the root (eps_outside_root)", or "resembles" where it is
/// not sure; empty where nothing is likely.
std::string diagnosis_text(const Diagnosis& diagnosis);

}  // namespace abn::verify::results
