// The numbers of one case with what a kernel makes of them in a first, usual call, and the
// comparison of any other call with that.
//
// Whatever way a kernel is called in, its results keep their bounds; those of a deterministic one
// have the bits of the first call where nothing was left out. Where the first call itself does not
// keep its bounds, only bits can be compared: what is wrong there is for the checks of forward and
// backward to say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "verify/call/contract.hpp"
#include "verify/compare/compare.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::check::calls {

enum class Direction : std::uint8_t { forward, backward };

class DataSet {
 public:
  /// Makes the first call of both directions. Throws DeviceError.
  DataSet(const call::Subject& subject, problem::Inputs inputs, const abn_claims& claims,
          std::uint64_t seed);

  /// Empty, or why there is nothing to compare with: how the first call went wrong.
  const std::string& fault() const { return fault_; }
  /// Both first calls came back, whatever they wrote.
  bool is_complete() const { return complete_; }
  bool has_backward() const { return inputs_.problem.mode != ABN_INFERENCE; }
  std::vector<Direction> directions() const;
  const problem::Inputs& inputs() const { return inputs_; }
  const abn_claims& claims() const { return claims_; }
  /// What the first call wrote.
  const std::vector<compare::Stored>& first(Direction direction) const {
    return direction == Direction::forward ? forward_ : backward_;
  }

  /// Why a way that compares bits where it can has nothing to compare with; empty: it has.
  std::string obstacle() const;

  /// Is every output of a call within its bounds?
  bool keeps_bounds(const call::Call& call) const;

  /// Settings of a call like the first: the same poison and schedule.
  call::CallSettings settings() const;
  call::Call call(Direction direction, const call::CallSettings& settings) const;

  /// How the results of a call differ from what they have to be, or nothing. `bits`: they have to
  /// be those of the first call, if the variant is deterministic. `what` begins the reason.
  std::optional<call::Contract> wrong_in(const char* check, Direction direction,
                                         const call::Call& call, bool bits,
                                         const std::string& what) const;

 private:
  void first_forward();
  void first_backward();
  const compare::Expectation* expected(compare::Output output) const;
  /// Elements of the output that are not within their bounds; the worst of them.
  compare::Tally tally(compare::Output output, const std::vector<double>& values) const;

  const call::Subject& subject_;
  const problem::Inputs inputs_;
  const abn_claims claims_;
  const std::uint64_t seed_;
  problem::Saved saved_;
  std::vector<compare::Stored> forward_, backward_;
  std::vector<compare::Expectation> expected_;  ///< of both directions
  std::string fault_;
  bool complete_ = false;
};

/// Do two data sets have the same z, or the same dx, bit for bit, although their numbers differ?
bool has_equal_results(const DataSet& a, const DataSet& b);

}  // namespace abn::verify::check::calls
