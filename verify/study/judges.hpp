// `study judges`: the same right kernels and the same planted bugs before the rules of other
// projects and before this one's.
//
// Every rule judges the same outputs: those of the first call of forward and of backward, on the
// same data, against the same exact values. Backward is compared with the exact gradient at what
// the kernel itself stored, so that no rule is charged with what working in place costs. A rule
// catches a bug if it refuses any output in any problem of a grade; a right kernel that it refuses
// is a false alarm.
//
// A bug that changes no bit on some data cannot be caught there. It counts as visible in a grade if
// in any of its problems an output differs in a bit from that of a right kernel with the same
// claims, or if no right kernel has its claims.
//
// Kernels may remember earlier calls. Each therefore meets the problems of a grade in one order and
// in a thread of its own, so that what it remembers is the same for any number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "verify/run/runner.hpp"
#include "verify/study/judges_data.hpp"
#include "verify/study/study.hpp"

namespace abn::verify::study {

/// Right kernels are known by the beginning of their names; all others have a bug.
inline constexpr const char* right_kernel_prefix = "twin_";
bool is_right_kernel(const abn_variant& variant);

/// The rules of judge_rules(), and behind them two of this project: its bounds, and its bounds with
/// the contract checks of a run.
std::size_t rule_count();
const char* rule_name(std::size_t rule);
inline std::size_t own_rule() { return rule_count() - 2; }

/// What became of one kernel.
struct Verdicts {
  bool visible = false;       ///< for a kernel with a bug
  int cases = 0;              ///< problems that it supports
  std::vector<int> refusals;  ///< for each rule: the cases with an output that it refused
};

/// All kernels on the problems of one grade in one storage type; in the order of `kernels`. Throws
/// std::runtime_error if a kernel cannot be called.
std::vector<Verdicts> verdicts_of(Grade grade, int dtype, std::span<const call::Subject> kernels,
                                  std::uint64_t seed, int threads);

/// Throws UsageError unless there are right kernels and others among the kernels, all of which can
/// run here.
Study judges_study(std::span<const call::Subject> kernels, std::uint64_t seed, int threads,
                   const std::function<void(std::size_t, std::size_t)>& progress = {});

/// The plug-in that the build puts beside the program: the right kernels and the planted bugs of
/// tests/mutants. Throws UsageError where there is none.
std::string planted_bugs_beside_program();

/// The rows of the detail table for one grade and storage type: what a part of the study is
/// compared by.
std::vector<std::vector<Cell>> detail_rows(Grade grade, int dtype,
                                           std::span<const call::Subject> kernels,
                                           std::span<const Verdicts> verdicts);

}  // namespace abn::verify::study
