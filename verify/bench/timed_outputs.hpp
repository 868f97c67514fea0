// Whether the calls that are timed compute what the variant computes: on fresh data, one call that
// nobody times is judged, and what the timed calls write is compared with it.
//
// A kernel may behave otherwise once it is repeated: serve an earlier result, do one call of many,
// or skip work when the data look the same. So the data change before, between and after the
// rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "verify/bench/timed_variant.hpp"
#include "verify/data/random.hpp"

namespace abn::verify::bench {

class TimedOutputs {
 public:
  /// Calls the variant on the first of the sets outside of any recording; a channel of what it
  /// wrote is judged by the oracle for the variant's claims (where it has at most 2^20 samples).
  /// `repeat` then makes the timed calls, one a set. What these wrote has to be the same in every
  /// set: bit by bit in windows drawn by `seed` where the variant claims to be deterministic, else
  /// by the oracle in a drawn set. Empty, or one sentence on what is wrong. Throws DeviceError.
  std::string wrong(TimingDevice& device, const SpeedData& data, const TimedVariant& variant,
                    const std::vector<std::byte*>& sets, const std::function<void()>& repeat,
                    std::uint64_t seed);

  /// The same of one drawn set, behind a round that was timed with the data of the last wrong().
  std::string wrong_in_round(TimingDevice& device, const SpeedData& data,
                             const TimedVariant& variant, const std::vector<std::byte*>& sets,
                             int round) const;

 private:
  std::int64_t channel(const SpeedData& data) const;

  data::Stream draw_{0};
  std::vector<std::byte> windows_;  ///< of the call that nobody timed
};

}  // namespace abn::verify::bench
