// A variant that is timed: its buffers, its calls on each set of them, and what fills these again.
//
// A set is a row of slots in a pool that all variants share, each as large as a tensor:
//
//   forward    x (z takes its place, where it may)   z   xhat
//   backward   dz (dx takes its place, where it may)   x, z, xhat as far as they are kept   dx
#pragma once

#include <vector>

#include "verify/bench/timing_device.hpp"

namespace abn::verify::bench {

/// What the variants of one problem have in common. All tensors are full of random data.
struct SpeedData {
  abn_problem problem{};
  std::size_t tensor_bytes = 0, slot_bytes = 0;  ///< of a tensor, and rounded up to whole 256 bytes
  std::size_t channel_bytes = 0;
  DeviceBuffer x, dz;  ///< never written to
  DeviceBuffer gamma, beta, running_mean, running_var;
};
SpeedData make_speed_data(TimingDevice& device, const abn_problem& problem, bool backward,
                          std::uint64_t seed);

class TimedVariant {
 public:
  /// Runs forward once where backward needs what it keeps. Throws DeviceError.
  TimedVariant(TimingDevice& device, const SpeedData& data, const abn_variant& variant,
               const abn_claims& claims, int direction);
  int slots() const { return static_cast<int>(inputs_.size()) + outputs_; }
  /// Bytes that one call moves between memory and chip as claimed; 0 where nothing is claimed.
  double claimed_bytes() const;
  /// One call on the set at `pool`.
  int call(std::byte* pool, void* stream) const;
  /// Copies the inputs of the set to their slots.
  int fill(std::byte* pool, void* stream) const;

 private:
  int forward(std::byte* pool, void* stream) const;
  int backward(std::byte* pool, void* stream) const;
  int call_forward(const void* x, void* z, void* xhat, void* workspace, void* stream) const;

  TimingDevice& device_;
  const SpeedData& data_;
  const abn_variant& variant_;
  abn_claims claims_;
  int direction_;
  std::vector<const void*> inputs_;  ///< what each input slot is filled with
  int outputs_ = 0;                  ///< slots behind the inputs
  DeviceBuffer z_, xhat_, mean_, var_, dgamma_, dbeta_, workspace_, workspace_once_;
};

}  // namespace abn::verify::bench
