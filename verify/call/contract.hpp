// The contract checks: what a call must leave alone, must write, and must do the same way again.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "verify/call/call.hpp"
#include "verify/problem/word.hpp"

namespace abn::verify::call {

/// The outcome of one contract check of one operation.
struct Contract {
  /// one of contract_words()
  std::string check;
  std::string reason;     ///< one sentence; empty where it held
  std::string where;      ///< "z[n 0, c 3, s 17]", "x[-2]"; empty where it held
  bool compares = false;  ///< two values were compared:
  double expected = 0, got = 0;
  std::string got_bits;
};
/// The names that `check` may have, and what each demands.
std::span<const problem::Word> contract_words();
Contract held(const char* check);
Contract broken(const char* check, std::string where, std::string reason);

/// For each judged output of a call, for each element: is it still as before the call?
using Marks = std::vector<std::vector<bool>>;

/// No byte beside a buffer is written; where there is no work, no output either.
Contract guards_contract(const std::vector<const Call*>& calls, bool empty,
                         const abn_problem& problem);

/// No byte of an input is written.
Contract inputs_contract(const std::vector<const Call*>& calls, const abn_problem& problem);

/// Two calls agree in every bit of the outputs that both have (any NaN equals any NaN); elements
/// with a mark are left out. `reason` is what a difference means.
Contract equal_bits(const char* check, const Call& first, const Call& second,
                    const abn_problem& problem, const char* reason, const Marks* unwritten);

/// Marks the elements that hold their poison after both calls, whose poisons differ.
Marks unwritten_in(const Call& first, const Call& second);
Contract unwritten_contract(const Call& first, const Marks& marks, const abn_problem& problem);
bool any_poison(const Call& call);

}  // namespace abn::verify::call
