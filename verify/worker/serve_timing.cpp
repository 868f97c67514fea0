// Recordings, made of the steps that the judge named.
#include "verify/worker/serve_timing.hpp"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "verify/worker/foreign.hpp"

namespace abn::verify::worker {
namespace {

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
};

// A call that forks comes back twice, and a loop of such calls would double the processes at each.
bool forked = false;

constexpr std::size_t forward_pointers = 10, backward_pointers = 12;

/// What a recording does, with addresses of this process.
struct Work {
  std::vector<Copy> copies;
  std::vector<std::array<std::byte*, backward_pointers>> calls;
  const abn_variant* variant = nullptr;
  abn_problem problem{};
  Entry entry{};
  std::size_t workspace_bytes = 0;

  int make(TimingDevice& device, void* stream) const {
    int code = 0;
    for (std::size_t i = 0; i < copies.size() && code == 0; ++i)
      code = device.copy(copies[i].to, copies[i].from, copies[i].bytes, stream);
    for (std::size_t i = 0; i < calls.size() && code == 0; ++i) {
      code = entry == Entry::forward ? forward(calls[i], stream) : backward(calls[i], stream);
      if (forked) _exit(0);
    }
    return code;
  }

 private:
  template <class Pointers>
  int forward(const Pointers& at, void* stream) const {
    abn_forward_args a{};
    a.struct_size = sizeof a, a.workspace_bytes = workspace_bytes, a.stream = stream;
    a.x = at[0], a.z = at[1], a.xhat = at[2], a.gamma = at[3], a.beta = at[4];
    a.running_mean = at[5], a.running_var = at[6], a.mean = at[7], a.var = at[8];
    a.workspace = at[9];
    abn_problem own = problem;
    return call_foreign(variant->forward, &own, &a);
  }
  template <class Pointers>
  int backward(const Pointers& at, void* stream) const {
    abn_backward_args a{};
    a.struct_size = sizeof a, a.workspace_bytes = workspace_bytes, a.stream = stream;
    a.dz = at[0], a.x = at[1], a.z = at[2], a.xhat = at[3], a.dx = at[4];
    a.gamma = at[5], a.beta = at[6], a.mean = at[7], a.var = at[8];
    a.dgamma = at[9], a.dbeta = at[10], a.workspace = at[11];
    abn_problem own = problem;
    return call_foreign(variant->backward, &own, &a);
  }
};

std::byte* address(const Spot& spot, std::uint64_t bytes, bool on_gpu,
                   const TimedCalls::Place& place) {
  if (spot.offset == nowhere) return nullptr;
  if (!on_gpu) return place(spot, bytes);
  if (spot.segment != 0) throw NoMessage("a place that is none of the GPU's");
  return reinterpret_cast<std::byte*>(spot.offset);
}

Work work_of(const RecordQuestion& question, const abn_variant* variant,
             const TimedCalls::Place& place) {
  const bool on_gpu = question.gpu >= 0;
  if (question.copies.size() > most_steps || question.calls.size() > most_steps)
    throw NoMessage("a recording of too many steps");
  if (!question.calls.empty() && (variant == nullptr || question.entry > Entry::backward))
    throw NoMessage("a recording of calls that there are none of");
  Work work;
  for (const CopyStep& one : question.copies)
    work.copies.push_back({address(one.to, one.bytes, on_gpu, place),
                           address(one.from, one.bytes, on_gpu, place), one.bytes});
  for (const auto& pointers : question.calls) {
    if (pointers.size() !=
        (question.entry == Entry::forward ? forward_pointers : backward_pointers))
      throw NoMessage("a wrong number of arguments");
    auto& call = work.calls.emplace_back();
    for (std::size_t i = 0; i < pointers.size(); ++i)
      call[i] = address(pointers[i], 0, on_gpu, place);
  }
  work.variant = variant, work.problem = question.problem.value, work.entry = question.entry;
  work.workspace_bytes = question.workspace_bytes;
  return work;
}

/// What went wrong in it, as far as that is an answer; empty where nothing did.
template <class Attempt>
std::string trouble_in(const Attempt& attempt) {
  try {
    attempt();
  } catch (const NoMessage&) {
    throw;
  } catch (const Escaped&) {
    throw;
  } catch (const std::exception& wrong) {
    return std::string(wrong.what()).substr(0, longest_text);
  }
  siginfo_t info{};
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) return "it left a process behind";
  return {};
}

}  // namespace

TimedCalls::TimedCalls(MakeTimingDevice make) : make_(make) {
  pthread_atfork(nullptr, nullptr, [] { forked = true; });
}

TimingDevice& TimedCalls::device(int gpu) {
  if (device_ == nullptr) device_ = make_(gpu), gpu_ = gpu;
  if (gpu != gpu_) throw NoMessage("calls are timed on two devices");
  return *device_;
}

Recording& TimedCalls::recording(std::uint32_t number) {
  const auto at = recordings_.find(number);
  if (at == recordings_.end()) throw NoMessage("no such recording");
  return *at->second;
}

RecordAnswer TimedCalls::record(const RecordQuestion& question, const abn_variant* variant,
                                const Place& place) {
  RecordAnswer answer;
  const Work work = work_of(question, variant, place);
  answer.trouble = trouble_in([&] {
    TimingDevice& on = device(question.gpu);
    const auto made = [work, &on](void* stream) { return work.make(on, stream); };
    if (question.number == 0) return on.run(made);
    std::unique_ptr<Recording> kept = on.record(made);
    answer.launches = kept->launches();
    answer.note = kept->note().substr(0, longest_text);
    recordings_[question.number] = std::move(kept);
  });
  return answer;
}

TimeAnswer TimedCalls::time(const TimeQuestion& question) {
  Recording &before = recording(question.before), &timed = recording(question.timed);
  TimeAnswer answer;
  answer.trouble = trouble_in([&] {
    constexpr double nanoseconds = 1e3;  // of a microsecond
    answer.nanoseconds = static_cast<std::uint64_t>(nanoseconds * device_->time(before, timed));
  });
  return answer;
}

void TimedCalls::forget(const ForgetQuestion& question) {
  if (question.number == 0)
    recordings_.clear();
  else
    recordings_.erase(question.number);
}

MemoryAnswer TimedCalls::memory(const MemoryQuestion& question, const Place& place) {
  using Deed = MemoryQuestion::Deed;
  if (question.gpu < 0) throw NoMessage("memory of no GPU");
  if (question.rows > most_steps || question.bytes > std::uint64_t{1} << 48)
    throw NoMessage("more memory than there is");
  MemoryAnswer answer;
  void* const there = reinterpret_cast<void*>(question.address);
  answer.trouble = trouble_in([&] {
    TimingDevice& on = device(question.gpu);
    if (question.deed == Deed::allocate)
      answer.address = reinterpret_cast<std::uint64_t>(on.allocate(question.bytes));
    else if (question.deed == Deed::release)
      on.release(there);
    else if (question.deed == Deed::upload)
      on.upload(there, place(question.host, question.bytes), question.bytes);
    else
      on.download(place(question.host, question.bytes * question.rows), there, question.bytes,
                  question.pitch, question.rows);
  });
  return answer;
}

}  // namespace abn::verify::worker
