// The worker's side of what is timed: recordings of calls, made and repeated on a device that looks
// at the clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "cuda/kernel.h"
#include "verify/worker/timing_device.hpp"
#include "verify/worker/timing_protocol.hpp"

namespace abn::verify::worker {

class TimedCalls {
 public:
  /// Where so many bytes of a segment lie; throws NoMessage for what is not in one.
  using Place = std::function<std::byte*(const Spot& spot, std::uint64_t bytes)>;

  explicit TimedCalls(MakeTimingDevice make);

  // Each throws NoMessage for what it cannot have been asked; what goes wrong beside that stands in
  // the answer. What a call throws goes on as Escaped.
  RecordAnswer record(const RecordQuestion& question, const abn_variant* variant,
                      const Place& place);
  TimeAnswer time(const TimeQuestion& question);
  void forget(const ForgetQuestion& question);
  MemoryAnswer memory(const MemoryQuestion& question, const Place& place);

 private:
  TimingDevice& device(int gpu);
  Recording& recording(std::uint32_t number);

  MakeTimingDevice make_;
  std::unique_ptr<TimingDevice> device_;
  int gpu_ = -1;
  std::map<std::uint32_t, std::unique_ptr<Recording>> recordings_;
};

}  // namespace abn::verify::worker
