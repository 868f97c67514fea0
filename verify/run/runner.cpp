// Subjects, the threads that run their cases, and the order in which records are merged.
#include "verify/run/runner.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "cuda/registry.h"
#include "verify/check/family.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/isolate.hpp"

namespace abn::verify {
namespace {

std::vector<const abn_variant*> in_tree(int memory) {
  std::vector<const abn_variant*> found;
  for (std::uint32_t index = 0; const abn_variant* const variant = abn_in_tree_variant(index);
       ++index)
    if (variant->memory == memory) found.push_back(variant);
  return found;
}

/// One line on a terminal that counts up; silent elsewhere.
class Progress {
 public:
  Progress(bool wanted, std::size_t total)
      : shown_(wanted && total > 0 && isatty(STDERR_FILENO) == 1), total_(total) {}
  ~Progress() {
    if (shown_) fmt::print(stderr, "\r{:{}}\r", "", width);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void step(const char* variant) {
    const std::size_t percent = ++done_ * 100 / total_;
    if (!shown_ || percent == percent_) return;
    percent_ = percent;
    fmt::print(stderr, "\r{:>3} %  {:<{}.{}}", std::min<std::size_t>(percent, 100), variant,
               width - 7, width - 7);
    fflush(stderr);
  }

 private:
  static constexpr std::size_t width = 60;
  bool shown_;
  std::size_t total_, done_ = 0, percent_ = 101;
};

/// Takes the records of cases in any order and merges them in the order of the cases, so that
/// threads leave no trace.
class Merger {
 public:
  Merger(std::map<std::string, Record>& into, std::size_t cases)
      : into_(into), waiting_(cases), arrived_(cases, false) {}

  void take(std::size_t index, std::vector<Record> records) {
    auto& slot = waiting_[index];
    slot.insert(slot.end(), std::make_move_iterator(records.begin()),
                std::make_move_iterator(records.end()));
    arrived_[index] = true;
  }
  /// Merges what has no gap before it.
  void advance() {
    for (; next_ < waiting_.size() && arrived_[next_]; ++next_) {
      for (Record& record : waiting_[next_]) {
        const auto [at, added] = into_.try_emplace(record.id);
        if (added)
          at->second = std::move(record);
        else
          merge(at->second, record);
      }
      std::vector<Record>().swap(waiting_[next_]);
    }
  }

 private:
  std::map<std::string, Record>& into_;
  std::vector<std::vector<Record>> waiting_;
  std::vector<bool> arrived_;
  std::size_t next_ = 0;
};

abn_problem example_problem(int dtype, int layout, int mode) {
  abn_problem problem = parse_problem("n16c64s64");
  problem.dtype = dtype;
  problem.param_dtype = dtype == ABN_F64 ? ABN_F64 : ABN_F32;
  problem.layout = layout;
  problem.mode = mode;
  return problem;
}

std::string flags_text(std::uint32_t flags, std::initializer_list<const char*> names) {
  std::string text;
  for (const char* const name : names) {
    if ((flags & 1) != 0) text += (text.empty() ? "" : ", ") + std::string(name);
    flags >>= 1;
  }
  return text.empty() ? "nothing" : text;
}

int threads_of(const RunOptions& options) {
  return options.threads > 0 ? options.threads
                             : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
}

}  // namespace

std::vector<Subject> subjects_of(const DeviceChoice& device, std::span<const Plugin> plugins,
                                 bool only_plugins) {
  std::vector<Subject> subjects;
  if (!only_plugins) {
    auto variants = in_tree(device.emulator ? ABN_MEMORY_HOST : ABN_MEMORY_CUDA);
    // A build without the CUDA side knows the names of its variants from the emulator's; they are
    // then all skipped.
    if (variants.empty() && device.cuda == nullptr) variants = in_tree(ABN_MEMORY_HOST);
    for (const abn_variant* const variant : variants) {
      Subject subject;
      subject.variant = variant;
      subject.emulated = device.emulator;
      subject.device = device.emulator ? host_device() : device.cuda;
      if (subject.device == nullptr) subject.unavailable = device.unavailable;
      if (device.emulator) subject.instrumented = abn_instrumented_variant(variant->name);
      if (!device.emulator)
        for (const abn_variant* const other : in_tree(ABN_MEMORY_HOST))
          if (std::string_view(other->name) == variant->name) subject.twin = other;
      subjects.push_back(std::move(subject));
    }
  }
  for (const Plugin& plugin : plugins)
    for (const abn_variant* const variant : plugin.variants) {
      Subject subject;
      subject.variant = variant;
      subject.plugin = plugin.path;
      subject.emulated = plugin.emulated && variant->memory == ABN_MEMORY_HOST;
      subject.instrumented = subject.emulated ? instrumented_in(plugin, variant->name) : nullptr;
      subject.not_instrumented = plugin.not_instrumented;
      subject.device = variant->memory == ABN_MEMORY_HOST ? host_device() : device.cuda;
      if (subject.device == nullptr) subject.unavailable = device.unavailable;
      subjects.push_back(std::move(subject));
    }
  return subjects;
}

VariantInfo describe(const Subject& subject) {
  const abn_variant& variant = *subject.variant;
  VariantInfo info;
  info.name = variant.name;
  info.summary = variant.summary != nullptr ? variant.summary : "";
  info.memory = subject.emulated ? "emulated"
                : subject.device != nullptr && subject.device->memory() == ABN_MEMORY_HOST ? "host"
                                                                                           : "cuda";
  for (const int dtype : {ABN_F32, ABN_F16, ABN_BF16, ABN_F64})
    for (const int layout : {ABN_NCHW, ABN_NHWC}) {
      const abn_problem problem = example_problem(dtype, layout, ABN_TRAINING);
      const Claimed claimed = claims_of(variant, problem);
      if (claimed.status != ABN_OK || !claimed.nonsense.empty()) continue;
      const abn_claims& claims = claimed.claims;
      const auto add = [&](std::string name, std::string value) {
        info.claims.emplace_back(std::move(name), std::move(value));
      };
      add("claims for", to_string(problem));
      add("scheme", scheme_name(claims.scheme));
      add("statistics", statistics_name(claims.statistics));
      add("normalise", normalise_name(claims.normalise));
      add("accumulate", dtype_name(claims.accumulate));
      add("saves", flags_text(claims.saves, {"x", "z", "xhat", "mean", "variance"}));
      add("materialises", flags_text(claims.materialises, {"y", "xhat", "dy", "statistics"}));
      add("z may be x", claims.z_may_alias_x == 1 ? "yes" : "no");
      add("dx may be dz", claims.dx_may_alias_dz == 1 ? "yes" : "no");
      add("deterministic", claims.deterministic == 1 ? "yes" : "no");
      if (const std::string moves = sweeps_text(claims, false); !moves.empty())
        add("forward moves", moves);
      if (const std::string moves = sweeps_text(claims, true); !moves.empty())
        add("backward moves", moves);
      add("alignment", fmt::format("{} bytes", std::max(claims.alignment, format_of(dtype).bytes)));
      add("depth at m = 1024",
          fmt::format("{} forward, {} backward", claims.depth_statistics, claims.depth_backward));
      return info;
    }
  return info;
}

std::vector<std::string> check_ids(const Family& family, const Subject& subject) {
  std::set<std::string> ids;
  for (const int activation : {ABN_LEAKY_RELU, ABN_IDENTITY, ABN_ELU}) {
    for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64})
      for (const int layout : {ABN_NCHW, ABN_NHWC})
        for (const int mode : {ABN_TRAINING, ABN_INFERENCE, ABN_FROZEN}) {
          abn_problem problem = example_problem(dtype, layout, mode);
          if (activation != ABN_LEAKY_RELU)
            problem.activation = activation,
            problem.activation_parameter = activation == ABN_ELU ? 1 : 0;
          const Claimed claimed = claims_of(*subject.variant, problem);
          if (claimed.status == ABN_ERROR_UNSUPPORTED) continue;
          for (const CheckName& name : family.checks(subject, claimed.claims, problem))
            ids.insert(id_of(subject.variant->name, problem, name.op, name.check));
        }
    // a variant that does not know leaky ReLU has the checks of what it knows
    if (!ids.empty()) break;
  }
  return {ids.begin(), ids.end()};
}

std::vector<Record> run(const Family& family, std::span<const Subject> subjects,
                        std::span<const Case> cases, const RunOptions& options) {
  const int threads = threads_of(options);
  std::map<std::string, Record> records;
  std::mutex merging;
  Progress progress(options.progress, subjects.size() * cases.size());
  for (const Subject& subject : subjects) {
    Merger merger(records, cases.size());
    const auto take = [&](std::size_t index, std::vector<Record> made) {
      const std::lock_guard lock(merging);
      merger.take(index, std::move(made));
      progress.step(subject.variant->name);
    };
    const bool may_crash = !subject.plugin.empty() && subject.variant->memory == ABN_MEMORY_HOST;
    if (may_crash) {
      // may add to a case that has arrived: merged when all is there
      run_isolated(family, subject, cases, options, threads, take);
    } else {
      in_parallel(cases.size(), threads, [&](std::size_t index, int) {
        take(index, run_case(family, subject, cases[index], options));
        const std::lock_guard lock(merging);
        merger.advance();
      });
    }
    merger.advance();
  }
  std::vector<Record> all;
  for (auto& [id, record] : records) {
    conclude(record);
    all.push_back(std::move(record));
  }
  return all;
}

}  // namespace abn::verify
