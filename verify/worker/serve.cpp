// The loop over questions, and what each of them does.
#include "verify/worker/serve.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>
#include <optional>
#include <thread>

#include "verify/worker/closed_pages.hpp"
#include "verify/worker/executor.hpp"
#include "verify/worker/float_state.hpp"
#include "verify/worker/foreign.hpp"
#include "verify/worker/invoke.hpp"
#include "verify/worker/library.hpp"
#include "verify/worker/loaded_objects.hpp"
#include "verify/worker/mapped_segments.hpp"
#include "verify/worker/packet_socket.hpp"
#include "verify/worker/protocol.hpp"
#include "verify/worker/serve_timing.hpp"
#include "verify/worker/supervise.hpp"

namespace abn::verify::worker {
namespace {

/// As they lie in memory, padding and all: both come from one answer or question.
template <class Struct>
bool same_bytes(const Struct& a, const Struct& b) {
  const auto *const x = reinterpret_cast<const std::byte*>(&a),
                    *const y = reinterpret_cast<const std::byte*>(&b);
  return std::equal(x, x + sizeof(Struct), y);
}

/// The unwinder that is linked into this program fills a table at its first exception. A plug-in
/// that throws brings an unwinder of its own, which walks through functions of this program by that
/// table and would end in abort().
void make_ready_for_exceptions() {
  try {
    throw NoMessage("none");
  } catch (const NoMessage&) {
  }
}

/// Nobody takes an answer any more.
struct Unheard : std::exception {};

class Server {
 public:
  Server(MakeAccelerator accelerator, MakeTimingDevice timing)
      : make_accelerator_(accelerator), own_(getpid()), timed_(timing) {}
  explicit Server(Host host) : host_(std::move(host)), own_(getpid()), timed_(no_timing_device) {}

  int run() {
    while (std::optional<Packet> packet = receive_packet(host_.socket)) {
      Unpacker from(packet->bytes);
      header_ = unpack_header(from);
      switch (header_.verb) {
        case Verb::load:
          answer(load(unpack<LoadQuestion>(from)));
          break;
        case Verb::variant:
          answer(facts(unpack<VariantQuestion>(from)));
          break;
        case Verb::claims:
          answer(claims(unpack<ClaimsQuestion>(from)));
          break;
        case Verb::claims_of:
          answer(claims_of(unpack<ClaimsOfQuestion>(from)));
          break;
        case Verb::size:
          answer(size(unpack<SizeQuestion>(from)));
          break;
        case Verb::map:
          segments_.map(unpack<MapQuestion>(from), packet->descriptor);
          break;
        case Verb::unmap:
          segments_.unmap(unpack<MapQuestion>(from));
          break;
        case Verb::begin:
          begin(unpack<BeginQuestion>(from));
          break;
        case Verb::end:
          unpack<MapQuestion>(from);
          send(pack_report(header_, end()));
          break;
        case Verb::call:
          answer(call(unpack<CallQuestion>(from)));
          break;
        case Verb::together:
          answer(together(unpack<TogetherQuestion>(from)));
          break;
        case Verb::record: {
          const auto question = unpack<RecordQuestion>(from);
          answer(timed_.record(question, question.calls.empty() ? nullptr : find(question.variant),
                               [this](const Spot& spot, std::uint64_t bytes) {
                                 return segments_.place(spot, bytes);
                               }));
          break;
        }
        case Verb::time:
          answer(timed_.time(unpack<TimeQuestion>(from)));
          break;
        case Verb::forget:
          timed_.forget(unpack<ForgetQuestion>(from));
          break;
        case Verb::memory:
          answer(timed_.memory(unpack<MemoryQuestion>(from),
                               [this](const Spot& spot, std::uint64_t bytes) {
                                 return segments_.place(spot, bytes);
                               }));
          break;
        case Verb::libraries:
          unpack<MapQuestion>(from);
          answer(objects_.answer());
          break;
        case Verb::quit:
          if (host_.open) return 0;
          std::exit(0);  // destructors and exit handlers of the plug-in, too
        default:
          throw NoMessage("an unknown verb");
      }
    }
    return 0;
  }

 private:
  template <class Message>
  void answer(const Message& message) {
    send(pack(header_, message));
  }
  void send(std::span<const std::byte> bytes) {
    std::fflush(stdout);
    objects_.look();
    if (getpid() != own_) _exit(0);  // a child that a call made and that came back, too
    if (send_packet(host_.socket, bytes)) return;
    if (host_.open) throw Unheard();
    _exit(cannot_answer);
  }

  LoadAnswer load(const LoadQuestion& question) {
    LoadAnswer answer;
    try {
      if (question.executed > Execution::fused) throw NoMessage("an unknown machine");
      if (host_.open) {
        objects_ = LoadedObjects();
        builds_.at(0).emplace(question.path, host_.open(question.path));
        answer.not_instrumented = question.path +
                                  " is no plug-in for the emulator, so nobody sees "
                                  "its memory accesses; leave --sanitize out";
        return answer;
      }
      executed_ = question.executed != Execution::none;
      if (executed_) Executor::instance().approximate(question.executed);
      objects_ = LoadedObjects();
      builds_.at(0).emplace(question.path, executed_);
      objects_.is_a_plugin(builds_[0]->handle());
      if (executed_) {
        Executor::instance().require_kernels_of(question.path);
        // It sees every access of the one build that there is.
        answer.emulated = 1;
        builds_.at(1).emplace(question.path, executed_);
        return answer;
      }
      const std::string beside = builds_[0]->instrumented_path();
      answer.emulated = beside.empty() ? 0 : 1;
      if (beside.empty())
        answer.not_instrumented = no_kernels_for_emulator(question.path);
      else if (!std::filesystem::exists(beside))
        answer.not_instrumented = no_instrumented_file(beside);
      else
        builds_.at(1).emplace(beside), objects_.is_a_plugin(builds_[1]->handle());
    } catch (const std::exception& refused) {
      answer.refused = std::string(refused.what()).substr(0, longest_text);
    }
    return answer;
  }

  const abn_variant* find(const VariantQuestion& which) {
    if (which.build >= builds_.size() || !builds_[which.build]) return nullptr;
    return builds_[which.build]->variant(which.index);
  }
  const abn_variant& variant(const VariantQuestion& which) {
    const abn_variant* const found = find(which);
    if (found == nullptr) throw NoMessage("no such variant");
    return *found;
  }

  VariantFacts facts(const VariantQuestion& which) {
    return find(which) == nullptr ? VariantFacts{} : builds_[which.build]->facts(which.index);
  }

  ClaimsAnswer claims(const ClaimsQuestion& question) {
    return ask_claims(variant(question.variant), question.problem.value);
  }
  ClaimsOfAnswer claims_of(const ClaimsOfQuestion& question) {
    if (question.problems.size() > most_problems) throw NoMessage("too many problems at once");
    ClaimsOfAnswer answer;
    for (const AsIs<abn_problem>& problem : question.problems) {
      const ClaimsAnswer one = ask_claims(variant(question.variant), problem.value);
      // One that did more than answer is asked about alone, where that is said.
      constexpr std::int32_t unknown = -1;
      answer.statuses.push_back(one.marks == 0 && one.trouble.empty() ? one.status : unknown);
      if (answer.statuses.back() == ABN_OK) answer.claims.push_back(one.claims);
    }
    return answer;
  }
  static ClaimsAnswer ask_claims(const abn_variant& variant, const abn_problem& asked) {
    const FloatState ours;
    abn_problem problem = asked;
    ClaimsAnswer answer;
    answer.claims.value.struct_size = sizeof(abn_claims);
    try {
      answer.status = call_foreign(variant.claims, &problem, &answer.claims.value);
    } catch (const Raised& raised) {
      answer.trouble = std::string(raised.what()).substr(0, longest_text);
    }
    answer.marks = ours.marks();
    if (!same_bytes(problem, asked)) answer.marks |= problem_written;
    return answer;
  }

  SizeAnswer size(const SizeQuestion& question) {
    const abn_variant& asked = variant(question.variant);
    const FloatState ours;
    abn_problem problem = question.problem.value;
    SizeAnswer answer;
    if (question.what == Size::workspace) {
      answer.bytes = call_foreign(asked.workspace_bytes, &problem, question.direction);
    } else {
      const abn_split_variant* const halves = abn_split_of(&asked);
      if (halves == nullptr) throw NoMessage("a variant without halves");
      answer.bytes = call_foreign(halves->partial_bytes, &problem, question.direction);
    }
    return answer;
  }

  emulator::Report end() {
    if (executed_) return Executor::instance().end();
    const emulator::Report report = session_ ? session_->take_report() : emulator::Report{};
    session_.reset();
    return report;
  }
  void begin(const BeginQuestion& question) {
    emulator::Settings settings;
    settings.schedule_seed = question.schedule_seed;
    settings.sanitize = question.sanitize != 0;
    settings.schedule = question.schedule;
    if (executed_)
      Executor::instance().begin(settings);
    else
      session_.emplace(settings);
    for (const Watched& one : question.watched) {
      const auto memory = segments_.at(question.segment);
      if (one.offset > memory->bytes || one.bytes > memory->bytes - one.offset)
        throw NoMessage("a buffer outside of its segment");
      if (one.element_bytes == 0) throw NoMessage("a buffer of elements without bytes");
      const emulator::WatchedBuffer buffer{one.name,         memory->begin + one.offset,
                                           one.bytes,        one.element_bytes,
                                           one.written != 0, one.writable != 0};
      if (executed_)
        Executor::instance().watch(buffer);
      else
        session_->watch(buffer);
    }
  }

  CallAnswer call(const CallQuestion& question);
  TogetherAnswer together(const TogetherQuestion& question);

  static std::unique_ptr<TimingDevice> no_timing_device(int) {
    throw std::runtime_error("calls are not timed here");
  }

  MakeAccelerator make_accelerator_ = nullptr;
  Host host_;
  pid_t own_;
  Header header_;
  std::array<std::optional<Library>, 2> builds_;
  MappedSegments segments_;
  std::optional<emulator::Session> session_;
  bool executed_ = false;
  std::unique_ptr<Accelerator> accelerator_;
  TimedCalls timed_;
  LoadedObjects objects_;
};

CallAnswer Server::call(const CallQuestion& question) {
  const abn_variant& asked = variant(question.variant);
  const auto memory = segments_.at(question.segment);
  if (question.begin > memory->bytes || question.bytes > memory->bytes - question.begin)
    throw NoMessage("memory outside of its segment");
  if (host_.open && question.gpu >= 0) throw NoMessage("memory of a GPU, of which there is none");
  if (host_.shared && !question.closed.empty())
    throw NoMessage("pages to close, of a process that does other things");
  abn_problem problem = question.problem.value;
  CallAnswer answer;
  std::byte* const begin = memory->begin + question.begin;
  if (!question.closed.empty() && question.gpu >= 0)
    throw NoMessage("pages to close, of a GPU's variant");
  std::optional<ClosedPages> closed;
  if (!question.closed.empty())
    closed.emplace(memory->begin, memory->bytes, question.closed, pack(header_, answer));
  if (executed_) {
    Executor::instance().allow(begin, question.bytes);
    answer.status =
        invoke(question, asked, problem, begin, Executor::instance().stream(), answer.marks);
    Executor::instance().forbid(begin, question.bytes);
    if (Executor::instance().context_in_error()) answer.marks |= context_in_error;
  } else if (question.gpu < 0) {
    lent = memory;
    try {
      answer.status = invoke(question, asked, problem, begin, nullptr, answer.marks);
    } catch (const Raised& raised) {
      answer.trouble = std::string(raised.what()).substr(0, longest_text);
    }
    lent.reset();
  } else {
    try {
      if (!accelerator_) accelerator_ = make_accelerator_(question.gpu);
      std::byte* const there = accelerator_->upload(begin, question.bytes);
      answer.status = invoke(question, asked, problem, there, accelerator_->stream(), answer.marks);
      accelerator_->download(begin, question.bytes);
    } catch (const NoMessage&) {
      throw;
    } catch (const Escaped&) {
      throw;
    } catch (const std::exception& wrong) {
      answer.trouble = std::string(wrong.what()).substr(0, longest_text);
      answer.marks |= context_in_error;  // most of these errors stay with the context
    }
  }
  closed.reset();
  if (!same_bytes(problem, question.problem.value)) answer.marks |= problem_written;
  siginfo_t info{};
  if (!host_.shared && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
    answer.marks |= children_left;
  answer.claims = ask_claims(asked, question.problem.value);
  return answer;
}

TogetherAnswer Server::together(const TogetherQuestion& question) {
  const std::size_t count = question.calls.size();
  if (count == 0 || count > most_together) throw NoMessage("a wrong number of calls at once");
  for (const CallQuestion& one : question.calls)
    if (one.gpu >= 0 || !one.closed.empty())
      throw NoMessage("calls at once, of a GPU's variant or with pages closed");
  TogetherAnswer answer;
  answer.answers.resize(count);
  std::vector<std::exception_ptr> thrown(count);
  std::barrier gate(static_cast<std::ptrdiff_t>(count));
  std::vector<std::thread> running;
  for (std::size_t i = 0; i < count; ++i)
    running.emplace_back([&, i] {
      gate.arrive_and_wait();
      try {
        answer.answers[i] = call(question.calls[i]);
      } catch (...) {
        thrown[i] = std::current_exception();
      }
    });
  for (std::thread& thread : running) thread.join();
  for (const std::exception_ptr& one : thrown)
    if (one) std::rethrow_exception(one);
  return answer;
}

}  // namespace

std::string serve(Host host) {
  try {
    Server(std::move(host)).run();
  } catch (const Unheard&) {
  } catch (const std::exception& wrong) {
    return wrong.what();
  }
  return {};
}

int serve(MakeAccelerator accelerator, MakeTimingDevice timing) {
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  make_ready_for_exceptions();
  int code = 70;
  try {
    return Server(accelerator, timing).run();
  } catch (const Escaped& escaped) {
    std::fprintf(stderr, "%s\n", escaped.what());
    code = escaped.code;
  } catch (const NoMessage& wrong) {
    std::fprintf(stderr, "a question cannot be answered: %s\n", wrong.what());
  } catch (const std::exception& wrong) {
    std::fprintf(stderr, "an exception: %s\n", wrong.what());
  } catch (...) {
    std::fprintf(stderr, "an exception of an unknown type\n");
  }
  std::fflush(nullptr);
  _exit(code);
}

}  // namespace abn::verify::worker
