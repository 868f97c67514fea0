// Runs variants over cases: guarded and poisoned buffers, the calls, the contract checks, the
// comparison with the oracle.
//
// A case is run at least twice, with different poison and (on the emulator) different schedules,
// out of place and where the variant claims it in place; the numbers of the first run are judged
// and the bits of the others must equal them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "verify/call/device.hpp"
#include "verify/call/plugin.hpp"
#include "verify/data/cases.hpp"
#include "verify/results/results.hpp"

namespace abn::verify {

/// One variant with the place where it runs.
struct Subject {
  const abn_variant* variant = nullptr;
  std::shared_ptr<Device> device;  ///< null: it cannot run here, for the reason `unavailable`
  std::string unavailable;
  std::string plugin;  ///< path of its plug-in; empty for in-tree variants
  /// its kernels run on the emulator: in-tree variants, and plug-ins that abn_add_kernel() built
  bool emulated = false;
  /// of an in-tree variant on a GPU: the same source on the emulator, whose bits it must have
  const abn_variant* twin = nullptr;
  /// of a variant on the emulator: the same source, compiled so that the sanitiser sees its
  /// accesses
  const abn_variant* instrumented = nullptr;
  std::string not_instrumented;  ///< of a plug-in: why there is none
};

/// The variants that a choice of device and plug-ins stands for: in-tree ones (unless only_plugins)
/// by name, then plug-ins in the given order. Where a GPU was asked for and there is none, the
/// subjects say so and their checks are skipped.
std::vector<Subject> subjects_of(const DeviceChoice& device, std::span<const Plugin> plugins,
                                 bool only_plugins);

/// What a variant says of itself, for list and report; claims are those for n16c64s64 in f32 (or
/// the first type that it supports).
VariantInfo describe(const Subject& subject);

struct Family;

/// The ids of all checks that a family has for a variant, sorted: every type and layout that it
/// supports.
std::vector<std::string> check_ids(const Family& family, const Subject& subject);

struct RunOptions {
  std::string pattern = "*";  ///< glob on check ids
  int threads = 0;            ///< 0: one a core
  bool progress = false;      ///< percentages on stderr, if it is a terminal
  /// look for what explains failed numbers; takes far longer than to find them
  bool diagnose = false;
  /// witnesses of numbers show their channels also where nothing failed
  bool per_channel = false;
  std::string device = "auto";  ///< as given, for reproduce lines
};

/// Runs every case of every subject that has a check of this family matching the pattern; none is
/// no error. The records are concluded, ordered by id and the same for any number of threads.
std::vector<Record> run(const Family& family, std::span<const Subject> subjects,
                        std::span<const Case> cases, const RunOptions& options);

}  // namespace abn::verify
