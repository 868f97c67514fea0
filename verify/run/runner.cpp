// Subjects, the threads that run their cases, and the order in which records are merged.
#include "verify/run/runner.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

#include "verify/call/parallel.hpp"
#include "verify/check/chosen.hpp"
#include "verify/check/supported.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/worker/interruption.hpp"

namespace abn::verify::run {
namespace {

/// One line on a terminal that counts up; silent elsewhere.
class Percentage {
 public:
  Percentage(bool wanted, std::size_t total)
      : shown_(wanted && total > 0 && isatty(STDERR_FILENO) == 1), total_(total) {}
  ~Percentage() {
    if (shown_) std::fputs(fmt::format("\r{:{}}\r", "", width).c_str(), stderr);
  }
  Percentage(const Percentage&) = delete;
  Percentage& operator=(const Percentage&) = delete;

  void step(const char* variant) {
    const std::size_t percent = ++done_ * 100 / total_;
    if (!shown_ || percent == percent_) return;
    percent_ = percent;
    const std::string line = fmt::format(
        "\r{:>3} %  {:<{}.{}}", std::min<std::size_t>(percent, 100), variant, width - 7, width - 7);
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
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
  /// The sum of the first `done` of them is in `into` already.
  Merger(std::map<std::string, results::Record>& into, std::size_t cases, std::size_t done)
      : into_(into), waiting_(cases), arrived_(cases, false), next_(done) {}

  std::size_t done() const { return next_; }

  void take(std::size_t index, std::vector<results::Record> records) {
    auto& slot = waiting_[index];
    slot.insert(slot.end(), std::make_move_iterator(records.begin()),
                std::make_move_iterator(records.end()));
    arrived_[index] = true;
  }
  /// Merges what has no gap before it.
  void advance() {
    for (; next_ < waiting_.size() && arrived_[next_]; ++next_) {
      for (results::Record& record : waiting_[next_]) {
        const auto [at, added] = into_.try_emplace(record.id);
        if (added)
          at->second = std::move(record);
        else
          results::merge(at->second, record);
      }
      std::vector<results::Record>().swap(waiting_[next_]);
    }
  }

 private:
  std::map<std::string, results::Record>& into_;
  std::vector<std::vector<results::Record>> waiting_;
  std::vector<bool> arrived_;
  std::size_t next_;
};

/// f32 first, by which a variant is described where it has it, then the others.
std::vector<int> types_by_habit() {
  std::vector<int> types{ABN_F32};
  for (const int dtype : problem::storage_types)
    if (dtype != types.front()) types.push_back(dtype);
  return types;
}

std::string flags_text(std::uint32_t flags, std::initializer_list<const char*> names) {
  std::string text;
  for (const char* const name : names) {
    if ((flags & 1) != 0) text += (text.empty() ? "" : ", ") + std::string(name);
    flags >>= 1;
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace

results::VariantInfo describe(const call::Subject& subject) {
  const abn_variant& variant = *subject.variant;
  results::VariantInfo info;
  info.name = variant.name;
  info.summary = variant.summary != nullptr ? variant.summary : "";
  info.memory = subject.emulated ? "emulated"
                : subject.device != nullptr && subject.device->memory() == ABN_MEMORY_HOST ? "host"
                                                                                           : "cuda";
  info.process =
      subject.workers == nullptr ? "called by abn-verify itself"
      : subject.workers->program().host >= 0
          ? "called in the Python process that asked for the verdict"
          : "called in worker processes: " + worker::limits_text(subject.workers->limits());
  for (const int dtype : types_by_habit())
    for (const int layout : problem::layouts) {
      const std::vector<abn_problem> problems = check::supported_problems(subject, dtype, layout);
      if (problems.empty()) continue;
      const abn_problem& problem = problems.front();
      const problem::Claimed claimed = problem::claims_of(variant, problem);
      if (claimed.status != ABN_OK || !claimed.nonsense.empty()) continue;
      const abn_claims& claims = claimed.claims;
      const auto add = [&](std::string name, std::string value) {
        info.claims.emplace_back(std::move(name), std::move(value));
      };
      add("claims for", problem::to_string(problem));
      add("scheme", problem::scheme_name(claims.scheme));
      add("statistics", problem::statistics_name(claims.statistics));
      add("normalise", problem::normalise_name(claims.normalise));
      add("accumulate", problem::accumulate_name(claims.accumulate));
      add("saves", flags_text(claims.saves, {"x", "z", "xhat", "mean", "variance",
                                             "inverse standard deviation"}));
      add("materialises",
          flags_text(claims.materialises, {"y", "xhat", "dy", "statistics", "activation"}));
      add("z may be x", claims.z_may_alias_x == 1 ? "yes" : "no");
      add("dx may be dz", claims.dx_may_alias_dz == 1 ? "yes" : "no");
      add("deterministic", claims.deterministic == 1 ? "yes" : "no");
      if (const std::string moves = problem::sweeps_text(claims, false); !moves.empty())
        add("forward moves", moves);
      if (const std::string moves = problem::sweeps_text(claims, true); !moves.empty())
        add("backward moves", moves);
      add("alignment",
          fmt::format("{} bytes", std::max(claims.alignment, problem::format_of(dtype).bytes)));
      add(fmt::format("depth at m = {}", problem::sample_count(problem)),
          fmt::format("{} forward, {} backward", claims.depth_statistics, claims.depth_backward));
      add("function_ulp", fmt::format("{:g}", claims.function_ulp));
      add("kink", problem::kink_name(claims.kink));
      add("running variance", problem::running_variance_name(claims.running_variance));
      add("gamma or beta alone", claims.affine_apart == 1 ? "yes" : "no");
      add("other types of z and dz",
          flags_text(claims.other_out_types, {"f16", "bf16", "f32", "f64"}));
      add("coalesced", claims.coalesced == 1 ? "yes" : "no");
      return info;
    }
  return info;
}

std::vector<results::Record> run(const check::CheckGroup& group,
                                 std::span<const call::Subject> subjects,
                                 std::span<const data::Case> given,
                                 const check::RunOptions& given_options, Keeper* keeper,
                                 Budget* budget) {
  results::WorstRatios worst;
  check::RunOptions options = given_options;
  options.worst = &worst;
  const int threads = call::thread_count(options.threads);
  std::map<std::string, results::Record> records;
  std::mutex merging;
  const auto may_match = [&](const call::Subject& subject) {
    return data::may_match(options.pattern, subject.variant->name);
  };
  std::size_t calls = 0;
  for (const call::Subject& subject : subjects)
    if (may_match(subject))
      calls += given.size() * (group.on_alternatives ? 1 + subject.alternatives.size() : 1);
  Percentage percentage(options.progress, calls);
  for (const call::Subject& subject : subjects) {
    worker::throw_if_interrupted();
    if (!may_match(subject)) continue;
    const check::ChosenCases chosen = check::chosen_cases(group, subject, given, options);
    const std::vector<data::Case>& cases = chosen.cases;
    const std::size_t machines = group.on_alternatives ? 1 + subject.alternatives.size() : 1;
    const std::size_t count = machines * cases.size();
    std::map<std::string, results::Record> own;
    std::size_t before = 0;
    if (keeper != nullptr) {
      Progress found = keeper->before(subject, count);
      before = static_cast<std::size_t>(found.done);
      for (results::Record& record : found.records) own[record.id] = std::move(record);
    }
    Merger merger(own, count, before);
    const auto subject_at = [&](std::size_t index) -> const call::Subject& {
      const std::size_t which = index / cases.size();
      return which == 0 ? subject : subject.alternatives[which - 1];
    };
    const auto keep = [&] {
      Progress progress{merger.done(), count};
      for (const auto& [id, record] : own) progress.records.push_back(record);
      keeper->keep(subject, std::move(progress));
    };
    std::size_t no_time = 0;
    if (budget != nullptr) budget->begin_part(count);
    call::in_parallel(count - before, threads, [&](std::size_t index, int) {
      if (worker::interrupted() != 0) return;
      if (budget != nullptr && index > 0 && budget->is_used_up()) {
        const std::lock_guard lock(merging);
        merger.take(before + index, {});
        ++no_time;
        percentage.step(subject.variant->name);
        return merger.advance();
      }
      auto made = check::run_case(group, subject_at(before + index),
                                  cases[(before + index) % cases.size()], options);
      if (worker::interrupted() != 0) return;  // perhaps in the middle of it
      const std::lock_guard lock(merging);
      merger.take(before + index, std::move(made));
      percentage.step(subject.variant->name);
      merger.advance();
      if (keeper != nullptr && merger.done() < count && keeper->due()) keep();
    });
    if (keeper != nullptr && (merger.done() > before || count == 0)) keep();
    worker::throw_if_interrupted();
    if (budget != nullptr && !own.empty())
      budget->count(count - no_time, chosen.left_out + no_time);
    for (auto& [id, record] : own) {
      const auto [at, added] = records.try_emplace(id);
      if (added)
        at->second = std::move(record);
      else
        results::merge(at->second, record);
    }
  }
  std::vector<results::Record> all;
  for (auto& [id, record] : records) {
    results::conclude(record);
    all.push_back(std::move(record));
  }
  return all;
}

}  // namespace abn::verify::run
