// A subject: one variant with the place where it runs, and the subjects that a command line
// chooses.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "verify/call/device.hpp"
#include "verify/call/plugin.hpp"

namespace abn::verify::call {

/// One variant with the place where it runs.
struct Subject {
  const abn_variant* variant = nullptr;
  std::shared_ptr<Device> device;  ///< null: it cannot run here, for the reason `unavailable`
  std::string unavailable;
  std::string plugin;                     ///< path of its plug-in; empty for in-tree variants
  std::shared_ptr<worker::Pool> workers;  ///< who calls it; null: this process does
  /// its kernels run on the emulator: in-tree variants, and plug-ins that abn_add_kernel() built
  bool emulated = false;
  /// of an in-tree variant on a GPU: the same source on the emulator, whose bits it must have
  const abn_variant* emulator_build = nullptr;
  /// of a variant on the emulator: the same source, compiled so that the sanitiser sees its
  /// accesses
  const abn_variant* instrumented = nullptr;
  std::string not_instrumented;  ///< of a plug-in, or of host code: why there is none
  /// where --device has the one of several that this is: "ptx:high"; for reproduce lines
  std::string device_word{};
  /// the same variant on machines that make other choices of what the ISA leaves open: its outputs
  /// have to be right on each
  std::vector<Subject> alternatives{};
};

/// Of a variant and its alternatives the one whose `device_word` a command has, else itself; alone.
Subject named_in(const std::string& command, const Subject& subject);

/// The variants that a choice of device and plug-ins stands for: in-tree ones (unless only_plugins)
/// by name, host code among them whatever the device; then plug-ins in the given order. Where a GPU
/// was asked for and there is none, the subjects say so and their checks are skipped.
std::vector<Subject> subjects_of(const DeviceChoice& device, std::span<const Plugin> plugins,
                                 bool only_plugins);

}  // namespace abn::verify::call
