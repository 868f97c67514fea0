// Calls a variant for its numbers alone, as often as it takes: what gradients, properties and
// studies are made of.
//
// Every call has guarded and poisoned buffers like any other, but nothing is compared; the contract
// checks of `run` do that.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "verify/call/call.hpp"
#include "verify/call/evaluations.hpp"

namespace abn::verify::call {

/// A call that came back with another status than ABN_OK, or in which the emulator found a fault.
struct CallFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What forward wrote; vectors that the mode or the scheme does not have are empty. For an empty
/// problem all of them are.
struct ForwardNumbers {
  std::vector<double> z, xhat;  ///< N*C*S
  /// C; training only; invstd in place of variance where that is what the variant saves
  std::vector<double> mean, variance, invstd, running_mean, running_var;
};

/// What backward wrote; dgamma and dbeta are empty without an affine.
struct BackwardNumbers {
  std::vector<double> dx, dgamma, dbeta;
};

class Evaluator {
 public:
  /// `claims` are those for every problem that will be asked. The seed decides placement, poison
  /// and the first schedule.
  Evaluator(const Subject& subject, const abn_claims& claims, std::uint64_t seed)
      : subject_(subject), claims_(claims), seed_(seed) {}

  /// Throws CallFailed or DeviceError. `in_place`: z is written over x, or dx over dz, for variants
  /// that claim that they may. `schedule` > 0: another order of threads and blocks on the emulator,
  /// other poison and another placement.
  ForwardNumbers forward(const problem::Inputs& inputs, bool in_place = false,
                         std::uint64_t schedule = 0) const;
  BackwardNumbers backward(const problem::Inputs& inputs, const problem::Saved& saved,
                           bool in_place = false, std::uint64_t schedule = 0) const;

  /// What the scheme keeps for backward of what forward wrote.
  problem::Saved saved(const abn_problem& problem, const ForwardNumbers& forward) const;

  const abn_claims& claims() const { return claims_; }
  const Subject& subject() const { return subject_; }
  const Evaluations& evaluations() const { return evaluations_; }  ///< calls so far

 private:
  const Subject& subject_;
  abn_claims claims_;
  std::uint64_t seed_;
  mutable Evaluations evaluations_;
};

}  // namespace abn::verify::call
