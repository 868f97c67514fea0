// A variant that is timed: its buffers, its calls on each set of them, and what fills these again.
//
// A set is a row of slots in a pool that all variants share, each as large as a tensor:
//
//   forward    x (z takes its place, where it may)   z   xhat
//   backward   dz (dx takes its place, where it may)   x, z, xhat as far as they are kept   dx
#pragma once

#include <vector>

#include "verify/bench/timing_device.hpp"

#include "verify/compare/expectation.hpp"

namespace abn::verify::bench {

/// The numbers that were drawn, as the judge keeps them. Those of a tensor repeat from its begin.
struct Drawn {
  std::vector<double> x, dz, gamma, beta, running_mean, running_var;
};

/// What the variants of one problem have in common. All tensors are full of random data.
struct SpeedData {
  abn_problem problem{};
  Drawn drawn;
  std::size_t tensor_bytes = 0, slot_bytes = 0;  ///< of a tensor, and rounded up to whole 256 bytes
  std::size_t channel_bytes = 0;
  DeviceBuffer x, dz;  ///< never written to
  DeviceBuffer gamma, beta, running_mean, running_var;
};
SpeedData make_speed_data(TimingDevice& device, const abn_problem& problem, bool backward,
                          std::uint64_t seed);
/// Other numbers in the same places.
void draw_speed_data(TimingDevice& device, SpeedData& data, std::uint64_t seed);

/// What forward left for backward, on the device; null where nothing is kept.
struct KeptTensors {
  const void *z, *xhat, *mean, *var;
};

/// An output of a call, on the device.
struct TimedOutput {
  compare::Output which;
  const void* at;
  bool is_tensor;
};

class TimedVariant {
 public:
  /// Prepares, too. Throws DeviceError.
  TimedVariant(TimingDevice& device, const SpeedData& data, const abn_variant& variant,
               const abn_claims& claims, int direction);
  /// Runs forward where backward needs what it keeps, of the data as they are now. Throws
  /// DeviceError.
  void prepare();
  int slots() const { return static_cast<int>(inputs_.size()) + outputs_; }
  /// Bytes that one call moves between memory and chip as claimed; 0 where nothing is claimed.
  double claimed_bytes() const;
  /// One call on the set at `pool`.
  int call(std::byte* pool, void* stream) const;
  int input_slots() const { return static_cast<int>(inputs_.size()); }
  /// Copies the inputs of the set to their slots. In a worker the slots of outputs are overwritten,
  /// too, so that a call that does nothing finds no earlier result there.
  int fill(std::byte* pool, void* stream) const;

  const char* name() const { return variant_.name; }
  const abn_claims& claims() const { return claims_; }
  int direction() const { return direction_; }
  KeptTensors kept_tensors() const;
  /// What a call on the set writes and another call overwrites; running statistics move with every
  /// call and are left out.
  std::vector<TimedOutput> outputs(std::byte* pool) const;

 private:
  int forward(std::byte* pool, void* stream) const;
  int backward(std::byte* pool, void* stream) const;
  int call_forward(const void* x, void* z, void* xhat, void* workspace, void* stream) const;

  TimingDevice& device_;
  const SpeedData& data_;
  const abn_variant& variant_;
  abn_claims claims_;
  int direction_;
  bool clears_outputs_;
  std::vector<const void*> inputs_;  ///< what each input slot is filled with
  int outputs_ = 0;                  ///< slots behind the inputs
  DeviceBuffer z_, xhat_, mean_, var_, dgamma_, dbeta_, workspace_, workspace_once_;
};

}  // namespace abn::verify::bench
