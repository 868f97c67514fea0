// A plug-in loaded in workers, which are lent to its variants.
#include "verify/worker/pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "verify/problem/error.hpp"
#include "verify/problem/printable.hpp"
#include "verify/worker/pool_state.hpp"
#include "verify/worker/remote_variant.hpp"
#include "verify/worker/vet.hpp"

namespace abn::verify::worker {
namespace {

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

}  // namespace

PoolState::PoolState() : number(next_number()) {}
PoolState::~PoolState() = default;

LoadAnswer PoolState::load_into(Worker& worker) {
  auto answer = worker.process.ask<LoadAnswer>(Verb::load, LoadQuestion{path, executed});
  if (answer.problem_bytes != sizeof(abn_problem) || answer.claims_bytes != sizeof(abn_claims))
    throw problem::UsageError(
        "abn-verify-worker is of another version than this program; install both from one build");
  return answer;
}

std::unique_ptr<Worker> PoolState::take() {
  {
    const std::lock_guard lock(guard);
    if (lost >= limits.restarts)
      throw WorkerGone(fmt::format("is not started again: {} of its workers have ended", lost));
    if (!idle.empty()) {
      auto worker = std::move(idle.back());
      idle.pop_back();
      return worker;
    }
  }
  std::unique_ptr<Worker> worker;
  try {
    worker = std::make_unique<Worker>(limits, program);
    const LoadAnswer answer = load_into(*worker);
    if (!answer.refused.empty())
      throw WorkerGone("could not be loaded again: " + problem::printable(answer.refused));
    for (std::uint32_t build = 0; build < 2; ++build)
      for (std::uint32_t index = 0; index < answerers[build].size(); ++index)
        if (worker->process.ask<VariantFacts>(Verb::variant, VariantQuestion{build, index}) !=
            answerers[build][index]->facts())
          throw WorkerGone("says otherwise of its variants than when it was first loaded");
  } catch (const WorkerGone& gone) {
    throw WorkerGone(std::string("was started again and then ") + gone.what());
  }
  return worker;
}

void PoolState::read_variants(Worker& worker, std::uint32_t build, const std::string& named) {
  for (std::uint32_t index = 0; index < most_variants; ++index) {
    auto facts = worker.process.ask<VariantFacts>(Verb::variant, VariantQuestion{build, index});
    if (facts.present == 0) break;
    vet(named, index, facts);
    answerers[build].push_back(
        std::make_unique<RemoteVariant>(*this, VariantQuestion{build, index}, std::move(facts)));
  }
  vet_count(named, answerers[build].size());
  for (const auto& answerer : answerers[build]) variants[build].push_back(&answerer->variant());
}

Pool::Pool(std::string path, const Limits& limits, Execution executed, Program program)
    : state_(std::make_unique<PoolState>()) {
  state_->path = std::move(path), state_->limits = limits, state_->executed = executed;
  state_->program = std::move(program);
  std::unique_ptr<Worker> worker;
  try {
    worker = std::make_unique<Worker>(limits, state_->program);
    const LoadAnswer answer = state_->load_into(*worker);
    if (!answer.refused.empty()) throw problem::UsageError(problem::printable(answer.refused));
    state_->emulated = answer.emulated != 0,
    state_->not_instrumented = problem::printable(answer.not_instrumented);
    state_->read_variants(*worker, 0, state_->path);
    if (state_->emulated && state_->not_instrumented.empty())
      state_->read_variants(*worker, 1, "the instrumented build of " + state_->path);
    state_->ask_for_libraries(*worker);
    state_->give(std::move(worker));
  } catch (const WorkerGone& gone) {
    for (auto& list : state_->variants) list.clear();
    for (auto& list : state_->answerers) list.clear();
    state_->failure =
        fmt::format("{} was being loaded and {}", state_->path, state_->bury(worker, gone.what()));
  }
}

Pool::~Pool() = default;

const std::string& Pool::failure() const { return state_->failure; }
std::uint64_t Pool::number() const { return state_->number; }
const Limits& Pool::limits() const { return state_->limits; }
const Program& Pool::program() const { return state_->program; }
bool Pool::emulated() const { return state_->emulated; }
const std::string& Pool::not_instrumented() const { return state_->not_instrumented; }
const std::vector<const abn_variant*>& Pool::variants(std::size_t build) const {
  return state_->variants[build];
}
std::uint32_t Pool::leaves_out(const abn_variant& variant) const {
  for (const auto& list : state_->answerers)
    for (const auto& answerer : list)
      if (&answerer->variant() == &variant) return answerer->facts().leaves_out;
  return 0;
}

void Pool::ask_ahead(const abn_variant& variant, std::span<const abn_problem> problems) {
  for (auto& list : state_->answerers)
    for (const auto& answerer : list)
      if (&answerer->variant() == &variant)
        for (; !problems.empty();
             problems = problems.subspan(std::min(problems.size(), most_problems)))
          answerer->ask_ahead(problems.first(std::min(problems.size(), most_problems)));
}

const std::vector<abn_problem>* Pool::kept_problems(const abn_variant& variant, int dtype,
                                                    int layout) {
  const std::lock_guard lock(state_->guard);
  const auto at = state_->kept.find({&variant, dtype, layout});
  return at == state_->kept.end() ? nullptr : &at->second;
}

void Pool::keep_problems(const abn_variant& variant, int dtype, int layout,
                         std::vector<abn_problem> problems) {
  const std::lock_guard lock(state_->guard);
  state_->kept.emplace(std::tuple(&variant, dtype, layout), std::move(problems));
}

void Pool::use_gpu(int index) { state_->gpu = index; }

std::string Pool::end() {
  std::vector<std::unique_ptr<Worker>> all;
  {
    const std::lock_guard lock(state_->guard);
    all.swap(state_->idle);
  }
  std::string first;
  for (auto& worker : all) {
    std::string how;
    try {
      state_->ask_for_libraries(*worker);
      how = worker->process.end();
    } catch (const WorkerGone& gone) {
      how = gone.what();
    }
    if (how.empty()) {
      const std::lock_guard lock(state_->guard);
      state_->left_over += worker->process.left_over();
      if (state_->printed.empty()) state_->printed = worker->process.printed();
    } else {
      const std::string text = state_->bury(worker, how);
      if (first.empty()) first = text;
    }
  }
  return first;
}

std::string Pool::printed() const {
  const std::lock_guard lock(state_->guard);
  return state_->printed;
}

std::vector<std::string> Pool::libraries() const {
  const std::lock_guard lock(state_->guard);
  std::vector<std::string> all(state_->libraries.begin(), state_->libraries.end());
  if (state_->unloaded) all.emplace_back("libraries that it unloaded again");
  return all;
}

Losses Pool::losses() const {
  Losses losses;
  for (const auto& list : state_->answerers)
    for (const auto& answerer : list)
      if (Losses::OfVariant own = answerer->losses(); own.lost > 0)
        losses.variants.push_back(std::move(own));
  const std::lock_guard lock(state_->guard);
  losses.workers = state_->lost;
  return losses;
}

void Pool::go_on_from(const Losses& losses) {
  for (const Losses::OfVariant& own : losses.variants)
    if (own.build < 2 && own.index < state_->answerers[own.build].size())
      state_->answerers[own.build][own.index]->go_on_from(own);
  const std::lock_guard lock(state_->guard);
  state_->lost = losses.workers;
}

int Pool::left_over() const {
  const std::lock_guard lock(state_->guard);
  return state_->left_over;
}

}  // namespace abn::verify::worker
