// Frozen answers, calls that are made in a worker, and what is said where one is lost.
#include "verify/worker/remote_variant.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <type_traits>

#include "verify/problem/printable.hpp"
#include "verify/worker/interruption.hpp"
#include "verify/worker/step_recorder.hpp"

namespace abn::verify::worker {
namespace {

// No machine has more; what a careless kernel returns for "cannot" is -1.
constexpr std::uint64_t largest_size = std::uint64_t{1} << 40;

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

template <class Answer, class Message>
Answer RemoteVariant::ask(const char* op, const char* who, Verb verb, const Message& message) {
  return ask<Answer>(op, who, verb, message, [](Worker&) {});
}

template <class Answer, class Message, class Prepare>
Answer RemoteVariant::ask(const char* op, const char* who, Verb verb, const Message& message,
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
    if constexpr (std::is_same_v<Answer, CallAnswer>) {
      worker->ended = answer.touched != nowhere;
      worker->spent = worker->ended || (answer.marks & context_in_error) != 0;
      worker->counts = !answer.trouble.empty();  // a new context of a GPU takes its time
    }
    if (lent != nullptr) pool_.give(std::move(lent));
    if (own && worker != nullptr && worker->spent && session_worker == nullptr)
      pool_.give(std::move(worker));
    return answer;
  } catch (const WorkerGone& gone) {
    lose(op, fmt::format("{} {}", who, pool_.bury(worker, gone.what())), question);
  }
}

RemoteVariant::RemoteVariant(PoolState& pool, VariantQuestion which, VariantFacts facts)
    : pool_(pool), which_(which), facts_(std::move(facts)), entries_(entry_points_for(*this)) {
  abn_variant& base = entries_.functions.base;
  base.abi_version = ABN_ABI_VERSION;
  base.struct_size = facts_.has_halves != 0 ? sizeof(abn_split_variant) : sizeof(abn_variant);
  base.name = facts_.name.c_str(), base.summary = facts_.summary.c_str();
  base.memory = facts_.memory;
}

RemoteVariant::~RemoteVariant() { return_entry_points(entries_.number); }

int RemoteVariant::claims(const abn_problem& problem, abn_claims& out) {
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
    if (!frozen.answer.trouble.empty())
      frozen.failure = "claims() " + problem::printable(frozen.answer.trouble);
  } catch (const CallLost& lost) {
    frozen.failure = lost.what();
  }
  const std::lock_guard lock(guard_);
  return give(claims_.emplace(key, std::move(frozen)).first->second, out);
}

void RemoteVariant::ask_ahead(std::span<const abn_problem> problems) {
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

std::size_t RemoteVariant::size(const abn_problem& problem, Size what, int direction) {
  const auto key = std::make_pair(key_of(problem), static_cast<int>(what) * 2 + direction);
  {
    const std::lock_guard lock(guard_);
    if (const auto at = sizes_.find(key); at != sizes_.end()) return at->second;
  }
  const char* const op = direction == ABN_FORWARD ? "forward" : "backward";
  const char* const who = what == Size::workspace ? "workspace_bytes()" : "partial_bytes()";
  const std::uint64_t bytes =
      ask<SizeAnswer>(op, who, Verb::size, SizeQuestion{which_, {problem}, what, direction}).bytes;
  if (bytes > largest_size)
    throw CallLost(op, fmt::format("{} returned {}, more than any machine has; return the number "
                                   "of bytes, or 0",
                                   who, bytes));
  const std::lock_guard lock(guard_);
  return sizes_.emplace(key, bytes).first->second;
}

Losses::OfVariant RemoteVariant::losses() {
  const std::lock_guard lock(guard_);
  return {which_.build, which_.index, failures_, failed_questions_, first_failure_};
}

void RemoteVariant::go_on_from(const Losses::OfVariant& losses) {
  const std::lock_guard lock(guard_);
  failures_ = losses.lost, failed_questions_ = losses.questions;
  first_failure_ = losses.first;
}

int RemoteVariant::forward(Entry entry, const abn_problem& problem, const abn_forward_args& a,
                           const void* partial, int ranks) {
  return call("forward", entry, problem, a.workspace_bytes, partial, ranks,
              {a.x, a.z, a.xhat, a.gamma, a.beta, a.running_mean, a.running_var, a.mean, a.var,
               a.workspace});
}

int RemoteVariant::backward(Entry entry, const abn_problem& problem, const abn_backward_args& a,
                            const void* partial, int ranks) {
  return call("backward", entry, problem, a.workspace_bytes, partial, ranks,
              {a.dz, a.x, a.z, a.xhat, a.dx, a.gamma, a.beta, a.mean, a.var, a.dgamma, a.dbeta,
               a.workspace});
}

int RemoteVariant::give(const Frozen& frozen, abn_claims& out) {
  if (!frozen.failure.empty()) throw CallLost("claims", frozen.failure);
  if (frozen.answer.status == ABN_OK) out = frozen.answer.claims.value;
  return frozen.answer.status;
}

int RemoteVariant::call(const char* op, Entry entry, const abn_problem& problem,
                        std::size_t workspace_bytes, const void* partial, int ranks,
                        std::initializer_list<const void*> pointers) {
  if (steps != nullptr) {
    refuse_after_many(op, failures_);
    steps->call(*this, which_, entry, problem, workspace_bytes, pointers);
    return ABN_OK;
  }
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
  if (pool_.program.host < 0)  // else a touch of them would end more than a worker
    for (const Pages& one : closed_pages)
      question.closed.push_back(
          {place.begin + static_cast<std::uint64_t>(one.begin - place.address), one.bytes});
  const bool at_once =
      joined != nullptr && session_worker == nullptr && question.gpu < 0 && question.closed.empty();
  const auto answer = at_once ? call_together(op, question, place)
                              : ask<CallAnswer>(op, "the plug-in", Verb::call, question,
                                                [&](Worker& worker) { pool_.map(worker, place); });
  if (!answer.trouble.empty()) throw CallLost(op, problem::printable(answer.trouble));
  if (answer.touched != nowhere) {
    const auto is_in = [&](const ClosedRange& one) {
      return answer.touched >= one.begin && answer.touched - one.begin < one.bytes;
    };
    if (std::none_of(question.closed.begin(), question.closed.end(), is_in))
      throw CallLost(op, "the plug-in sent an answer that says what cannot be");
    touch = Touch{place.address + (answer.touched - place.begin), answer.access};
    return ABN_ERROR_LAUNCH;
  }
  const std::uint32_t marks = (answer.marks | answer.claims.marks) & ~context_in_error;
  if (marks != 0 && trouble.empty()) trouble = sentence_of(marks);
  const std::lock_guard lock(guard_);
  const auto first = claims_.find(key_of(problem));
  if (trouble.empty() && first != claims_.end() && first->second.failure.empty() &&
      !same(first->second.answer, answer.claims))
    trouble = "claims() answered otherwise than when it was first asked about this problem";
  return answer.status;
}

CallAnswer RemoteVariant::call_together(const char* op, const CallQuestion& question,
                                        const SharedPlace& place) {
  refuse_after_many(op, failures_);
  try {
    return joined->call(question, place);
  } catch (const WorkerGone& gone) {
    lose(op, std::string("the plug-in ") + gone.what(), false);
  }
}

void RemoteVariant::refuse_after_many(const char* op, int lost) {
  if (lost < pool_.limits.failures) return;
  const std::lock_guard lock(guard_);
  throw CallLost(op, fmt::format("not run: {} calls had been lost before, the first as {}",
                                 failures_.load(), first_failure_));
}

void RemoteVariant::lose(const char* op, const std::string& why, bool question) {
  if (interrupted() == 0) {  // else it is the run that ends, and not the plug-in's fault
    const std::lock_guard lock(guard_);
    if (failures_++ == 0) first_failure_ = why;
    failed_questions_ += question ? 1 : 0;
  }
  throw CallLost(op, why);
}

}  // namespace abn::verify::worker
