// Rounds of steps, and the climbs that they serve.
#include "verify/run/hunt.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>

#include "verify/call/parallel.hpp"
#include "verify/check/moved.hpp"
#include "verify/check/outputs.hpp"
#include "verify/check/supported.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/hunt_step.hpp"
#include "verify/worker/interruption.hpp"

namespace abn::verify::run {
namespace {

// steps that do not know of one another; no matter how many threads take them
constexpr std::size_t round_size = 32;
constexpr int patience = 200;              // steps without gain until a climb begins again
constexpr std::uint64_t fresh_one_in = 8;  // steps that begin elsewhere anyway
constexpr results::CheckKind numbers = results::CheckKind::numbers;

/// One check of one type and layout.
struct Climb {
  std::string id;
  int dtype = 0, layout = 0;
  bool found = false;
  data::Case best;
  double ratio = -1;
  int stale = 0;
};

/// The checks of numbers that match, of every type and layout.
std::vector<Climb> climbs_of(const call::Subject& subject, const check::RunOptions& options,
                             const data::Case* start) {
  std::map<std::string, Climb> all;
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts) {
      if (start != nullptr && (start->problem.dtype != dtype || start->problem.layout != layout))
        continue;
      for (const abn_problem& problem : start != nullptr
                                            ? std::vector<abn_problem>{start->problem}
                                            : check::supported_problems(subject, dtype, layout)) {
        const problem::Claimed claimed = problem::claims_of(*subject.variant, problem);
        if (claimed.status != ABN_OK || !claimed.nonsense.empty()) continue;
        for (const check::CheckName& name :
             check::output_checks.checks(subject, claimed.claims, problem)) {
          if (name.kind != numbers) continue;
          Climb climb{judge::id_of(subject.variant->name, problem, name.op, name.check),
                      dtype,
                      layout,
                      false,
                      {},
                      -1,
                      0};
          if (data::matches(options.pattern, climb.id)) all.try_emplace(climb.id, std::move(climb));
        }
      }
    }
  std::vector<Climb> climbs;
  for (auto& [id, climb] : all) climbs.push_back(std::move(climb));
  return climbs;
}

/// A fresh case that the variant does: the same, or one near it on data of the same kind. Where
/// what it does is too large for a command line, the case as it was.
data::Case supported_case(const call::Subject& subject, data::Case fresh) {
  if (problem::claims_of(*subject.variant, fresh.problem).status != ABN_ERROR_UNSUPPORTED)
    return fresh;
  data::Case plain;
  plain.problem = fresh.problem, plain.seed = fresh.seed;
  plain = check::moved_cases(check::output_checks, subject, std::span(&plain, 1)).cases.front();
  if (problem::element_count(plain.problem) > hunt_elements) return fresh;
  const auto names = data::recipes().first(data::curve_recipes);
  return given_case(
      plain.problem,
      data::make_inputs(plain.problem, names[plain.seed % names.size()].name, plain.seed),
      plain.seed);
}

/// One variant's hunt.
class Hunter {
 public:
  Hunter(const call::Subject& subject, const check::RunOptions& options, const HuntOptions& hunt)
      : subject_(subject),
        options_(options),
        hunt_(hunt),
        climbs_(climbs_of(subject, options, hunt.start)) {
    for (std::size_t i = 0; i < climbs_.size(); ++i) by_id_[climbs_[i].id] = i;
  }

  const char* name() const { return subject_.variant->name; }
  bool has_checks() const { return !climbs_.empty(); }
  std::uint64_t steps() const { return steps_; }
  double largest() const { return largest_; }
  std::map<std::string, results::Record>& records() { return records_; }

  void keep(Keeper& keeper, bool ended) const {
    // How many there will be in all is not known under a budget of time.
    Progress progress{steps_, ended ? steps_ : std::max(hunt_.budget.steps, steps_ + 1)};
    for (const auto& [id, record] : records_) progress.records.push_back(record);
    keeper.keep(subject_, std::move(progress));
  }

  void round() {
    std::vector<data::Case> cases;
    std::vector<std::size_t> targets;
    for (std::size_t k = 0; k < round_size; ++k, ++steps_) {
      targets.push_back(static_cast<std::size_t>(steps_ % climbs_.size()));
      cases.push_back(step(climbs_[targets.back()], data::Stream(hunt_.seed).fork(steps_)));
    }
    std::vector<std::vector<results::Record>> made(cases.size());
    const int threads = options_.threads > 0
                            ? options_.threads
                            : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
    call::in_parallel(cases.size(), threads, [&](std::size_t index, int) {
      made[index] = check::run_case(check::output_checks, subject_, cases[index], options_);
    });
    if (worker::interrupted() != 0) return;  // perhaps in the middle of one
    for (std::size_t k = 0; k < cases.size(); ++k)
      learn(climbs_[targets[k]], cases[k], std::move(made[k]));
  }

 private:
  data::Case step(const Climb& climb, const data::Stream& draw) const {
    const bool pinned = hunt_.start != nullptr;
    const bool anew = !climb.found || draw.below(fresh_one_in, 0) == 0;
    if (anew && !pinned)
      return supported_case(subject_, fresh_case(climb.dtype, climb.layout, draw.fork(1)));
    const data::Case& from = pinned && anew ? *hunt_.start : climb.best;
    return changed_case(from, pinned, draw.fork(2));
  }

  void learn(const Climb& target, const data::Case& one, std::vector<results::Record> records) {
    const std::string aimed = target.id;
    bool gained = false;
    for (results::Record& record : records) {
      const auto at = by_id_.find(record.id);
      if (at != by_id_.end() && record.verdict != results::Verdict::skip &&
          record.tally.elements > 0) {
        Climb& climb = climbs_[at->second];
        const double ratio = record.tally.max_ratio;
        largest_ = std::max(largest_, ratio);
        const bool tired = record.id == aimed && climb.stale > patience;
        if (ratio > climb.ratio || tired) {
          gained |= record.id == aimed;
          climb.best = one, climb.ratio = ratio, climb.stale = 0, climb.found = true;
        }
      }
      // the errors of data that were chosen for their errors lean as they were chosen
      record.bias = {};
      const auto [merged, added] = records_.try_emplace(record.id);
      if (added)
        merged->second = std::move(record);
      else
        results::merge(merged->second, record);
    }
    if (!gained) ++climbs_[by_id_.at(aimed)].stale;
  }

  const call::Subject& subject_;
  const check::RunOptions& options_;
  const HuntOptions& hunt_;
  std::vector<Climb> climbs_;
  std::map<std::string, std::size_t> by_id_;
  std::map<std::string, results::Record> records_;
  std::uint64_t steps_ = 0;
  double largest_ = 0;
};

std::vector<results::Record> skipped(const call::Subject& subject,
                                     const check::RunOptions& options) {
  const data::Case one = fresh_case(ABN_F32, ABN_NCHW, data::Stream(0));
  return check::run_case(check::output_checks, subject, one, options);
}

}  // namespace

HuntResult hunt(std::span<const call::Subject> subjects, const check::RunOptions& options,
                const HuntOptions& hunt_options) {
  HuntResult result;
  std::map<std::string, results::Record> records;
  std::vector<Hunter> hunters;
  for (const call::Subject& subject : subjects) {
    if (subject.device == nullptr) {
      for (results::Record& record : skipped(subject, options))
        records.try_emplace(record.id, record);
      continue;
    }
    Hunter hunter(subject, options, hunt_options);
    if (hunter.has_checks()) hunters.push_back(std::move(hunter));
  }
  const HuntBudget& budget = hunt_options.budget;
  const double share = budget.seconds / static_cast<double>(hunters.size());
  for (Hunter& hunter : hunters) {
    const auto begin = std::chrono::steady_clock::now();
    const auto over = [&] {
      const std::chrono::duration<double> gone = std::chrono::steady_clock::now() - begin;
      return (budget.seconds > 0 && gone.count() >= share) ||
             (budget.steps > 0 && hunter.steps() >= budget.steps);
    };
    do {
      hunter.round();
      if (hunt_options.progress)
        hunt_options.progress(hunter.name(), hunter.steps(), hunter.largest());
      if (hunt_options.keeper != nullptr &&
          (worker::interrupted() != 0 || hunt_options.keeper->due()))
        hunter.keep(*hunt_options.keeper, false);
      worker::throw_if_interrupted();
    } while (!over());
    if (hunt_options.keeper != nullptr) hunter.keep(*hunt_options.keeper, true);
    result.steps += hunter.steps();
    for (auto& [id, record] : hunter.records()) records.try_emplace(id, std::move(record));
  }
  for (auto& [id, record] : records) {
    results::conclude(record);
    result.records.push_back(std::move(record));
  }
  return result;
}

std::string hunt_text(const HuntResult& result) {
  std::string text;
  for (const results::Record& record : result.records) {
    if (record.kind != numbers || record.witnesses.empty()) continue;
    text += fmt::format("{:<48} largest ratio {:<8.3g} of {} cases\n", record.id,
                        record.tally.max_ratio, record.cases - record.skipped_cases);
    if (!record.witnesses.front().reproduce.empty())
      text += fmt::format("  {}\n", record.witnesses.front().reproduce);
  }
  return text;
}

}  // namespace abn::verify::run
