// One problem in one direction, timed: the floors and the variants by turns.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "verify/bench/problems.hpp"
#include "verify/bench/sampling.hpp"
#include "verify/bench/timing_device.hpp"

namespace abn::verify::bench {

struct SpeedRow {
  std::string variant;
  bool measured = false, failed = false;  ///< neither: the variant does not do the problem
  std::string note;                       ///< why it was not measured, or how
  /// that one call moves between memory and chip: what the variant claims, the floor where it
  /// claims nothing
  double bytes = 0;
  bool claimed = false;
  Quantiles microseconds;                                      ///< of one call
  double launches = std::numeric_limits<double>::quiet_NaN();  ///< of kernels, a call
  /// microseconds, of a variant with a cost model
  double predicted = std::numeric_limits<double>::quiet_NaN();
};

struct SpeedGroup {
  SpeedProblem subject;
  int direction = ABN_FORWARD;
  std::string skipped;  ///< why nothing was measured
  bool failed = false;  ///< that should not have happened
  /// of one tensor, and the least that a call has to move
  double tensor_bytes = 0, floor_bytes = 0;
  int sets = 0, rounds = 0;
  Quantiles copy, scale;  ///< microseconds for 2 tensor_bytes
  std::vector<SpeedRow> rows;
};

/// A variant that is timed.
struct Contender {
  const abn_variant* variant;
  TimingDevice* device = nullptr;  ///< its worker; null: where the floors are timed
};

/// Rounds of floors and variants until `seconds` are over, within least_rounds and most_rounds. The
/// claims of a variant decide what is kept for backward and what is written in place. Throws
/// DeviceError for what fails outside of the variants.
SpeedGroup measure_speed(TimingDevice& device, const SpeedProblem& subject, int direction,
                         std::span<const Contender> contenders, double seconds, std::uint64_t seed);

/// Microseconds for one call that the cost model of the variant predicts; NaN for one without.
double predicted_microseconds(const abn_variant& variant, const abn_problem& problem,
                              int direction);

}  // namespace abn::verify::bench
