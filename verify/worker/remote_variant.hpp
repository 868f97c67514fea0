// One variant of a plug-in, answered for by the workers of its pool: what it says of itself is
// frozen at its first answer, and what is lost is counted.
#pragma once

#include <atomic>
#include <initializer_list>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "verify/worker/entry_points.hpp"
#include "verify/worker/pool_state.hpp"

namespace abn::verify::worker {

class RemoteVariant : public Answerer {
 public:
  RemoteVariant(PoolState& pool, VariantQuestion which, VariantFacts facts);
  ~RemoteVariant() override;
  RemoteVariant(const RemoteVariant&) = delete;
  RemoteVariant& operator=(const RemoteVariant&) = delete;

  const abn_variant& variant() const { return entries_.functions.base; }
  const VariantFacts& facts() const { return facts_; }

  int claims(const abn_problem& problem, abn_claims& out) override;
  void ask_ahead(std::span<const abn_problem> problems);
  std::size_t size(const abn_problem& problem, Size what, int direction) override;
  Losses::OfVariant losses();
  void go_on_from(const Losses::OfVariant& losses);
  int forward(Entry entry, const abn_problem& problem, const abn_forward_args& a,
              const void* partial, int ranks) override;
  int backward(Entry entry, const abn_problem& problem, const abn_backward_args& a,
               const void* partial, int ranks) override;

  /// For who has its calls made, where one was lost: counts it and throws CallLost.
  [[noreturn]] void lose(const char* op, const std::string& why, bool question);

 private:
  struct Frozen {
    ClaimsAnswer answer;
    std::string failure;  // the worker did not answer
  };

  static int give(const Frozen& frozen, abn_claims& out);
  int call(const char* op, Entry entry, const abn_problem& problem, std::size_t workspace_bytes,
           const void* partial, int ranks, std::initializer_list<const void*> pointers);
  /// `who` is the subject of the sentence on what went wrong.
  template <class Answer, class Message>
  Answer ask(const char* op, const char* who, Verb verb, const Message& message);
  template <class Answer, class Message, class Prepare>
  Answer ask(const char* op, const char* who, Verb verb, const Message& message,
             const Prepare& prepare);
  CallAnswer call_together(const char* op, const CallQuestion& question, const SharedPlace& place);
  void refuse_after_many(const char* op, int lost);

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

}  // namespace abn::verify::worker
