// Frozen answers, the lending of workers, and the count of those that were lost.
#include "verify/worker/pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <initializer_list>
#include <map>
#include <mutex>
#include <set>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "verify/problem/error.hpp"
#include "verify/worker/entry_points.hpp"
#include "verify/worker/interruption.hpp"
#include "verify/worker/library.hpp"
#include "verify/worker/shared_memory.hpp"

namespace abn::verify::worker {
namespace {

// No machine has more; what a careless kernel returns for "cannot" is -1.
constexpr std::uint64_t largest_size = std::uint64_t{1} << 40;

struct Worker {
  explicit Worker(const Limits& limits) : process(limits) {}
  Process process;
  std::set<std::uint64_t> mapped;  // segments
};

// The worker of the session that this thread has open, and what its calls did beside their work.
thread_local std::unique_ptr<Worker>* session_worker = nullptr;
thread_local std::string trouble;
// The worker that is this thread's own, and the calls that its calls are to be made with.
thread_local OneWorkerState* own_worker = nullptr;
thread_local TogetherState* joined = nullptr;

std::string key_of(const abn_problem& problem) {
  return {reinterpret_cast<const char*>(&problem), sizeof problem};
}

/// As they lie in memory, padding and all: both come from one answer or question.
template <class Struct>
bool same_bytes(const Struct& a, const Struct& b) {
  const auto *const x = reinterpret_cast<const std::byte*>(&a),
                    *const y = reinterpret_cast<const std::byte*>(&b);
  return std::equal(x, x + sizeof(Struct), y);
}

bool same(const ClaimsAnswer& a, const ClaimsAnswer& b) {
  return a.status == b.status && (a.status != ABN_OK || same_bytes(a.claims.value, b.claims.value));
}

std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

const char* sentence_of(std::uint32_t marks) {
  if ((marks & problem_written) != 0) return "it wrote into the problem that it was given";
  if ((marks & arguments_written) != 0) return "it wrote into the arguments that it was given";
  if ((marks & rounding_changed) != 0) return "it left another rounding mode behind";
  if ((marks & subnormals_flushed) != 0) return "it left the processor flushing subnormals to zero";
  if ((marks & traps_enabled) != 0) return "it left floating-point exceptions that trap behind";
  if ((marks & children_left) != 0) return "it left a process behind";
  return "";
}

}  // namespace

class Variant;

struct PoolState {
  std::string path, failure, not_instrumented;
  std::uint64_t number = next_number();
  Limits limits;
  bool emulated = false;
  int gpu = 0;
  std::vector<std::unique_ptr<Variant>> answerers[2];
  std::vector<const abn_variant*> variants[2];
  std::mutex guard;  // of what follows
  std::vector<std::unique_ptr<Worker>> idle;
  int lost = 0, left_over = 0;
  std::map<std::tuple<const abn_variant*, int, int>, std::vector<abn_problem>> kept;

  LoadAnswer load_into(Worker& worker);
  std::unique_ptr<Worker> take();
  void give(std::unique_ptr<Worker> worker);
  /// What the worker did, and what it printed; it is gone then.
  std::string bury(std::unique_ptr<Worker>& worker, const std::string& what);
  void read_variants(Worker& worker, std::uint32_t build, const std::string& named);
  void map(Worker& worker, const SharedPlace& place);
};

struct OneWorkerState {
  PoolState* pool;
  std::unique_ptr<Worker> worker;  // null: none was needed yet, or it has ended
  OneWorkerState* before;
};

/// The calls of a round, as they come in.
struct TogetherState {
  TogetherState(PoolState& of, int count) : pool(of), members(count) {}

  PoolState& pool;
  int members;
  std::unique_ptr<Worker> worker{};
  std::mutex guard{};
  std::condition_variable answered{};
  struct Entry {
    const CallQuestion* question;
    SharedPlace place;
    CallAnswer answer{};
    std::string lost{};
    bool done = false;
  };
  std::vector<Entry*> waiting{};

  /// Throws WorkerGone with what the worker did.
  CallAnswer call(const CallQuestion& question, const SharedPlace& place);
  void leave();

 private:
  void make_calls();  // with the guard held
};

/// One variant, answered for by the workers of its pool.
class Variant : public Answerer {
 public:
  Variant(PoolState& pool, VariantQuestion which, VariantFacts facts)
      : pool_(pool), which_(which), facts_(std::move(facts)), entries_(entry_points_for(*this)) {
    abn_variant& base = entries_.functions.base;
    base.abi_version = ABN_ABI_VERSION;
    base.struct_size = facts_.has_halves != 0 ? sizeof(abn_split_variant) : sizeof(abn_variant);
    base.name = facts_.name.c_str(), base.summary = facts_.summary.c_str();
    base.memory = facts_.memory;
  }
  ~Variant() override { return_entry_points(entries_.number); }
  Variant(const Variant&) = delete;
  Variant& operator=(const Variant&) = delete;

  const abn_variant& variant() const { return entries_.functions.base; }
  const VariantFacts& facts() const { return facts_; }

  int claims(const abn_problem& problem, abn_claims& out) override {
    const std::string key = key_of(problem);
    {
      const std::lock_guard lock(guard_);
      if (const auto at = claims_.find(key); at != claims_.end()) return give(at->second, out);
      if (unsupported_.count(key) != 0) return ABN_ERROR_UNSUPPORTED;
    }
    Frozen frozen;
    try {
      frozen.answer =
          ask<ClaimsAnswer>("claims", "claims()", Verb::claims, ClaimsQuestion{which_, {problem}});
      if ((frozen.answer.marks & problem_written) != 0)
        frozen.failure = "claims() wrote into the problem that it was given";
    } catch (const CallLost& lost) {
      frozen.failure = lost.what();
    }
    const std::lock_guard lock(guard_);
    return give(claims_.emplace(key, std::move(frozen)).first->second, out);
  }

  void ask_ahead(std::span<const abn_problem> problems) {
    if (stumbled_ || failed_questions_ >= pool_.limits.failures) return;
    ClaimsOfQuestion question;
    question.variant = which_;
    for (const abn_problem& problem : problems) question.problems.push_back({problem});
    std::unique_ptr<Worker> worker;
    try {
      worker = pool_.take();
      const auto answer = worker->process.ask<ClaimsOfAnswer>(Verb::claims_of, question);
      pool_.give(std::move(worker));
      const std::lock_guard lock(guard_);
      unsupported_.clear();
      auto claims = answer.claims.begin();
      if (answer.statuses.size() != problems.size()) return;
      for (std::size_t i = 0; i < problems.size(); ++i) {
        if (answer.statuses[i] == ABN_ERROR_UNSUPPORTED) unsupported_.insert(key_of(problems[i]));
        if (answer.statuses[i] != ABN_OK || claims == answer.claims.end()) continue;
        Frozen frozen;
        frozen.answer.claims = *claims++;
        claims_.emplace(key_of(problems[i]), std::move(frozen));
      }
    } catch (const WorkerGone& gone) {  // of which of them, whoever asks for one learns
      stumbled_ = true;
      pool_.bury(worker, gone.what());
    }
  }

  std::size_t size(const abn_problem& problem, Size what, int direction) override {
    const auto key = std::make_pair(key_of(problem), static_cast<int>(what) * 2 + direction);
    {
      const std::lock_guard lock(guard_);
      if (const auto at = sizes_.find(key); at != sizes_.end()) return at->second;
    }
    const char* const op = direction == ABN_FORWARD ? "forward" : "backward";
    const char* const who = what == Size::workspace ? "workspace_bytes()" : "partial_bytes()";
    const std::uint64_t bytes =
        ask<SizeAnswer>(op, who, Verb::size, SizeQuestion{which_, {problem}, what, direction})
            .bytes;
    if (bytes > largest_size)
      throw CallLost(op, fmt::format("{} returned {}, more than any machine has; return the number "
                                     "of bytes, or 0",
                                     who, bytes));
    const std::lock_guard lock(guard_);
    return sizes_.emplace(key, bytes).first->second;
  }

  Losses::OfVariant losses() {
    const std::lock_guard lock(guard_);
    return {which_.build, which_.index, failures_, failed_questions_, first_failure_};
  }
  void go_on_from(const Losses::OfVariant& losses) {
    const std::lock_guard lock(guard_);
    failures_ = losses.lost, failed_questions_ = losses.questions;
    first_failure_ = losses.first;
  }

  int forward(Entry entry, const abn_problem& problem, const abn_forward_args& a,
              const void* partial, int ranks) override {
    return call("forward", entry, problem, a.workspace_bytes, partial, ranks,
                {a.x, a.z, a.xhat, a.gamma, a.beta, a.running_mean, a.running_var, a.mean, a.var,
                 a.workspace});
  }
  int backward(Entry entry, const abn_problem& problem, const abn_backward_args& a,
               const void* partial, int ranks) override {
    return call("backward", entry, problem, a.workspace_bytes, partial, ranks,
                {a.dz, a.x, a.z, a.xhat, a.dx, a.gamma, a.beta, a.mean, a.var, a.dgamma, a.dbeta,
                 a.workspace});
  }

 private:
  struct Frozen {
    ClaimsAnswer answer;
    std::string failure;  // the worker did not answer
  };

  static int give(const Frozen& frozen, abn_claims& out) {
    if (!frozen.failure.empty()) throw CallLost("claims", frozen.failure);
    if (frozen.answer.status == ABN_OK) out = frozen.answer.claims.value;
    return frozen.answer.status;
  }

  int call(const char* op, Entry entry, const abn_problem& problem, std::size_t workspace_bytes,
           const void* partial, int ranks, std::initializer_list<const void*> pointers) {
    CallQuestion question;
    question.variant = which_, question.problem = {problem}, question.entry = entry;
    question.workspace_bytes = workspace_bytes, question.ranks = ranks;
    if (facts_.memory == ABN_MEMORY_CUDA) question.gpu = pool_.gpu;
    SharedPlace place;
    const auto add = [&](const void* pointer) {
      std::uint64_t offset = nowhere;
      if (pointer != nullptr) {
        const SharedPlace found = place_of_shared(pointer);
        if (place.address == nullptr) place = found;
        if (found.address != place.address)
          throw std::logic_error("the buffers of a call lie in more than one allocation");
        offset = place.begin +
                 static_cast<std::uint64_t>(static_cast<const std::byte*>(pointer) - place.address);
      }
      question.offsets.push_back(offset);
    };
    for (const void* const pointer : pointers) add(pointer);
    if (entry > Entry::backward) add(partial);
    question.segment = place.segment, question.begin = place.begin, question.bytes = place.bytes;
    const bool at_once = joined != nullptr && session_worker == nullptr && question.gpu < 0;
    const auto answer = at_once
                            ? call_together(op, question, place)
                            : ask<CallAnswer>(op, "the plug-in", Verb::call, question,
                                              [&](Worker& worker) { pool_.map(worker, place); });
    if (!answer.trouble.empty()) throw CallLost(op, answer.trouble);
    const std::uint32_t marks = answer.marks | answer.claims.marks;
    if (marks != 0 && trouble.empty()) trouble = sentence_of(marks);
    const std::lock_guard lock(guard_);
    const auto first = claims_.find(key_of(problem));
    if (trouble.empty() && first != claims_.end() && first->second.failure.empty() &&
        !same(first->second.answer, answer.claims))
      trouble = "claims() answered otherwise than when it was first asked about this problem";
    return answer.status;
  }

  /// `who` is the subject of the sentence on what went wrong.
  template <class Answer, class Message>
  Answer ask(const char* op, const char* who, Verb verb, const Message& message) {
    return ask<Answer>(op, who, verb, message, [](Worker&) {});
  }
  template <class Answer, class Message, class Prepare>
  Answer ask(const char* op, const char* who, Verb verb, const Message& message,
             const Prepare& prepare) {
    // What it says of itself is asked for even when it is not called any more: a run that was cut
    // off and forgot the answers has to get the same.
    const bool question = verb != Verb::call;
    refuse_after_many(op, question ? failed_questions_ : failures_);
    std::unique_ptr<Worker> lent;
    const bool own = own_worker != nullptr && own_worker->pool == &pool_;
    std::unique_ptr<Worker>& worker = session_worker != nullptr ? *session_worker
                                      : own                     ? own_worker->worker
                                                                : lent;
    try {
      if (session_worker == nullptr && worker == nullptr) worker = pool_.take();
      if (worker == nullptr) throw WorkerGone("had ended before");
      prepare(*worker);
      auto answer = worker->process.ask<Answer>(verb, message);
      if (lent != nullptr) pool_.give(std::move(lent));
      return answer;
    } catch (const WorkerGone& gone) {
      lose(op, fmt::format("{} {}", who, pool_.bury(worker, gone.what())), question);
    }
  }

  CallAnswer call_together(const char* op, const CallQuestion& question, const SharedPlace& place) {
    refuse_after_many(op, failures_);
    try {
      return joined->call(question, place);
    } catch (const WorkerGone& gone) {
      lose(op, std::string("the plug-in ") + gone.what(), false);
    }
  }

  void refuse_after_many(const char* op, int lost) {
    if (lost < pool_.limits.failures) return;
    const std::lock_guard lock(guard_);
    throw CallLost(op, fmt::format("not run: {} calls had been lost before, the first as {}",
                                   failures_.load(), first_failure_));
  }
  [[noreturn]] void lose(const char* op, const std::string& why, bool question) {
    if (interrupted() == 0) {  // else it is the run that ends, and not the plug-in's fault
      const std::lock_guard lock(guard_);
      if (failures_++ == 0) first_failure_ = why;
      failed_questions_ += question ? 1 : 0;
    }
    throw CallLost(op, why);
  }

  PoolState& pool_;
  VariantQuestion which_;
  VariantFacts facts_;
  EntryPoints entries_;
  std::atomic<int> failures_ = 0, failed_questions_ = 0;
  std::atomic<bool> stumbled_ = false;  // over one of many problems: asked about one by one then
  std::mutex guard_;                    // of what follows
  std::string first_failure_;
  std::unordered_map<std::string, Frozen> claims_;
  std::unordered_set<std::string> unsupported_;  // of those asked about ahead
  std::map<std::pair<std::string, int>, std::size_t> sizes_;
};

LoadAnswer PoolState::load_into(Worker& worker) {
  auto answer = worker.process.ask<LoadAnswer>(Verb::load, LoadQuestion{path});
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
    worker = std::make_unique<Worker>(limits);
    const LoadAnswer answer = load_into(*worker);
    if (!answer.refused.empty()) throw WorkerGone("could not be loaded again: " + answer.refused);
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

void PoolState::give(std::unique_ptr<Worker> worker) {
  const std::lock_guard lock(guard);
  idle.push_back(std::move(worker));
}

std::string PoolState::bury(std::unique_ptr<Worker>& worker, const std::string& what) {
  std::string text = what;
  const std::lock_guard lock(guard);
  if (interrupted() == 0) ++lost;
  if (worker != nullptr) {
    const std::string printed = worker->process.printed();
    if (!printed.empty()) text += "; it had printed " + printed;
    left_over += worker->process.left_over();
    worker.reset();
  }
  return text;
}

void PoolState::map(Worker& worker, const SharedPlace& place) {
  for (auto at = worker.mapped.begin(); at != worker.mapped.end();)
    if (is_shared(*at)) {
      ++at;
    } else {
      worker.process.tell(Verb::unmap, MapQuestion{*at, 0});
      at = worker.mapped.erase(at);
    }
  if (place.address == nullptr || !worker.mapped.insert(place.segment).second) return;
  worker.process.tell(Verb::map, MapQuestion{place.segment, place.segment_bytes}, place.descriptor);
}

void PoolState::read_variants(Worker& worker, std::uint32_t build, const std::string& named) {
  for (std::uint32_t index = 0; index < most_variants; ++index) {
    auto facts = worker.process.ask<VariantFacts>(Verb::variant, VariantQuestion{build, index});
    if (facts.present == 0) break;
    vet(named, index, facts);
    answerers[build].push_back(
        std::make_unique<Variant>(*this, VariantQuestion{build, index}, std::move(facts)));
  }
  vet_count(named, answerers[build].size());
  for (const auto& answerer : answerers[build]) variants[build].push_back(&answerer->variant());
}

Pool::Pool(std::string path, const Limits& limits) : state_(std::make_unique<PoolState>()) {
  state_->path = std::move(path), state_->limits = limits;
  auto worker = std::make_unique<Worker>(limits);
  try {
    const LoadAnswer answer = state_->load_into(*worker);
    if (!answer.refused.empty()) throw problem::UsageError(answer.refused);
    state_->emulated = answer.emulated != 0, state_->not_instrumented = answer.not_instrumented;
    state_->read_variants(*worker, 0, state_->path);
    if (state_->emulated && state_->not_instrumented.empty())
      state_->read_variants(*worker, 1, "the instrumented build of " + state_->path);
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
bool Pool::emulated() const { return state_->emulated; }
const std::string& Pool::not_instrumented() const { return state_->not_instrumented; }
const std::vector<const abn_variant*>& Pool::variants(std::size_t build) const {
  return state_->variants[build];
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
    const std::string how = worker->process.end();
    if (how.empty()) {
      const std::lock_guard lock(state_->guard);
      state_->left_over += worker->process.left_over();
    } else {
      const std::string text = state_->bury(worker, how);
      if (first.empty()) first = text;
    }
  }
  return first;
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

std::string take_trouble() { return std::exchange(trouble, {}); }

RemoteSession::RemoteSession(Pool& pool, const emulator::Settings& settings,
                             const std::vector<emulator::WatchedBuffer>& watched)
    : pool_(*pool.state_) {
  auto worker = std::make_unique<std::unique_ptr<Worker>>();
  try {
    if (own_worker != nullptr && own_worker->pool == &pool_)
      *worker = std::move(own_worker->worker);
    if (*worker == nullptr) *worker = pool_.take();
  } catch (const WorkerGone& gone) {
    throw CallLost("forward", fmt::format("the plug-in {}", pool_.bury(*worker, gone.what())));
  }
  BeginQuestion question;
  question.schedule_seed = settings.schedule_seed, question.sanitize = settings.sanitize ? 1 : 0;
  question.schedule = settings.schedule;
  for (const emulator::WatchedBuffer& one : watched) {
    const SharedPlace place = place_of_shared(one.data);
    pool_.map(**worker, place);
    question.segment = place.segment;
    question.watched.push_back(
        {one.name,
         place.begin +
             static_cast<std::uint64_t>(static_cast<const std::byte*>(one.data) - place.address),
         one.bytes, one.element_bytes, static_cast<std::uint8_t>(one.written ? 1 : 0),
         static_cast<std::uint8_t>(one.writable ? 1 : 0)});
  }
  (*worker)->process.tell(Verb::begin, question);
  session_worker = worker.release();
}

RemoteSession::~RemoteSession() {
  const std::unique_ptr<std::unique_ptr<Worker>> worker(std::exchange(session_worker, nullptr));
  // One whose session is still open is of no more use.
  if (*worker == nullptr || open_) return;
  if (own_worker != nullptr && own_worker->pool == &pool_)
    own_worker->worker = std::move(*worker);
  else
    pool_.give(std::move(*worker));
}

emulator::Report RemoteSession::take_report() {
  std::unique_ptr<Worker>& worker = *session_worker;
  try {
    if (worker == nullptr) throw WorkerGone("had ended before");
    emulator::Report report = worker->process.ask_report();
    open_ = false;
    return report;
  } catch (const WorkerGone& gone) {
    throw CallLost("forward", fmt::format("the plug-in {}", pool_.bury(worker, gone.what())));
  }
}

OneWorker::OneWorker(Pool& pool)
    : pool_(*pool.state_),
      state_(std::make_unique<OneWorkerState>(OneWorkerState{&pool_, nullptr, own_worker})) {
  own_worker = state_.get();
}

OneWorker::~OneWorker() {
  own_worker = state_->before;
  if (state_->worker != nullptr) pool_.give(std::move(state_->worker));
}

CallAnswer TogetherState::call(const CallQuestion& question, const SharedPlace& place) {
  Entry own{&question, place};
  std::unique_lock lock(guard);
  waiting.push_back(&own);
  if (static_cast<int>(waiting.size()) >= members) make_calls();
  answered.wait(lock, [&] { return own.done; });
  if (!own.lost.empty()) throw WorkerGone(own.lost);
  return std::move(own.answer);
}

void TogetherState::make_calls() {
  std::string lost;
  try {
    if (worker == nullptr) worker = pool.take();
    TogetherQuestion all;
    for (const Entry* const one : waiting) {
      pool.map(*worker, one->place);
      all.calls.push_back(*one->question);
    }
    auto answer = worker->process.ask<TogetherAnswer>(Verb::together, all);
    if (answer.answers.size() != waiting.size()) throw WorkerGone("answered another question");
    for (std::size_t i = 0; i < waiting.size(); ++i)
      waiting[i]->answer = std::move(answer.answers[i]);
  } catch (const WorkerGone& gone) {
    lost = pool.bury(worker, gone.what());
  }
  for (Entry* const one : waiting) one->lost = lost, one->done = true;
  waiting.clear();
  answered.notify_all();
}

void TogetherState::leave() {
  const std::lock_guard lock(guard);
  --members;
  if (!waiting.empty() && static_cast<int>(waiting.size()) >= members) make_calls();
}

Together::Together(Pool& pool, int members)
    : state_(std::make_unique<TogetherState>(*pool.state_, members)) {}

Together::~Together() {
  if (state_->worker != nullptr) state_->pool.give(std::move(state_->worker));
}

Together::Member::Member(Together& together) : state_(*together.state_) { joined = &state_; }

Together::Member::~Member() {
  joined = nullptr;
  state_.leave();
}

}  // namespace abn::verify::worker
