// No number and no size of a message is believed: the worker ends at a question that cannot be, and
// the judge takes no answer but the one to its question.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>

#include "verify/problem/problem.hpp"
#include "verify/worker/pool.hpp"
#include "verify/worker/process.hpp"
#include "verify/worker/shared_memory.hpp"
#include "verify/worker/timing_protocol.hpp"

using namespace abn::verify;
using namespace abn::verify::worker;

namespace {

constexpr std::uint64_t minus_one = ~std::uint64_t{0};
constexpr std::uint64_t memory_bytes = 4096;
constexpr std::uint64_t number_of_segment = 5;

std::string path_of_plugin(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "plugins" /
          (name + ".so"))
      .string();
}

const abn_problem tiny = problem::parse_problem("n2c3s5,f32,leaky_relu");

/// HOSTILE for the workers that are started while it lives.
struct Doing {
  explicit Doing(const char* deed) { setenv("HOSTILE", deed, 1); }
  ~Doing() { unsetenv("HOSTILE"); }
};

/// A worker with a right plug-in and a segment of memory, asked without a pool between.
class Questions : public testing::Test {
 protected:
  Questions() : worker_(Limits{}) {
    worker_.ask<LoadAnswer>(Verb::load, LoadQuestion{path_of_plugin("correct")});
    map(memory_bytes);
  }
  ~Questions() override { close(memory_); }

  void map(std::uint64_t bytes) {
    worker_.tell(Verb::map, MapQuestion{number_of_segment, bytes}, memory_);
  }
  CallQuestion call() const {
    CallQuestion question;
    question.problem.value = tiny;
    question.segment = number_of_segment, question.bytes = memory_bytes;
    question.offsets.assign(10, 0);  // everything over everything: nobody looks at the numbers
    question.offsets[2] = nowhere;   // xhat
    return question;
  }
  /// What the worker says of a question with which it ends.
  std::string refusal(const std::function<void()>& ask) {
    try {
      ask();
    } catch (const WorkerGone& gone) {
      return std::string(gone.what()) + ": " + worker_.printed();
    }
    return "answered";
  }
  std::string refusal_of(const CallQuestion& question) {
    return refusal([&] { worker_.ask<CallAnswer>(Verb::call, question); });
  }

  Process worker_;
  int memory_ = [] {
    const int memory = memfd_create("tensors", MFD_CLOEXEC);
    return ftruncate(memory, memory_bytes) == 0 ? memory : -1;
  }();
};

const std::string ended = "ended the process with exit code 70: \"a question cannot be answered: ";

}  // namespace

TEST_F(Questions, ARightOneIsAnswered) {
  EXPECT_EQ(worker_.ask<CallAnswer>(Verb::call, call()).status, ABN_OK);
}

TEST_F(Questions, ACallOfSizeMinusOneIsRefused) {
  CallQuestion question = call();
  question.bytes = minus_one;
  EXPECT_EQ(refusal_of(question), ended + "memory outside of its segment\"");
}

TEST_F(Questions, ACallThatBeginsBehindItsSegmentIsRefused) {
  CallQuestion question = call();
  question.begin = memory_bytes + 1, question.bytes = 0;
  EXPECT_EQ(refusal_of(question), ended + "memory outside of its segment\"");
}

TEST_F(Questions, AnArgumentOutsideOfTheMemoryOfTheCallIsRefused) {
  CallQuestion question = call();
  question.offsets[1] = memory_bytes + 1;
  EXPECT_EQ(refusal_of(question), ended + "an argument outside of its memory\"");
}

TEST_F(Questions, AnArgumentInFrontOfTheMemoryOfTheCallIsRefused) {
  CallQuestion question = call();
  question.begin = 256, question.bytes = memory_bytes - 256;
  EXPECT_EQ(refusal_of(question), ended + "an argument outside of its memory\"");
}

TEST_F(Questions, ACallWithTooFewArgumentsIsRefused) {
  CallQuestion question = call();
  question.offsets.pop_back();
  EXPECT_EQ(refusal_of(question), ended + "too few arguments\"");
}

TEST_F(Questions, ASegmentThatNobodyMappedIsRefused) {
  CallQuestion question = call();
  question.segment = number_of_segment + 1;
  EXPECT_EQ(refusal_of(question), ended + "no such segment\"");
}

TEST_F(Questions, AVariantOrBuildThatThereIsNotIsRefused) {
  CallQuestion question = call();
  question.variant.index = 1;
  EXPECT_EQ(refusal_of(question), ended + "no such variant\"");
}

TEST_F(Questions, ABuildThatThereIsNotIsRefused) {
  CallQuestion question = call();
  question.variant.build = 2;
  EXPECT_EQ(refusal_of(question), ended + "no such variant\"");
}

TEST_F(Questions, ASegmentIsNoLargerThanItsMemory) {
  for (const std::uint64_t bytes : {minus_one, std::uint64_t{0}, memory_bytes + 1}) {
    Process fresh{Limits{}};
    fresh.tell(Verb::map, MapQuestion{number_of_segment, bytes}, memory_);
    std::string why;
    try {
      fresh.ask<VariantFacts>(Verb::variant, VariantQuestion{});
    } catch (const WorkerGone& gone) {
      why = std::string(gone.what()) + ": " + fresh.printed();
    }
    EXPECT_EQ(why, ended + "a segment of a size that its memory has not\"") << bytes;
  }
}

TEST_F(Questions, AWatchedBufferLiesInItsSegment) {
  BeginQuestion question;
  question.segment = number_of_segment;
  question.watched.push_back({"x", 8, minus_one, 4, 1, 1});
  worker_.tell(Verb::begin, question);
  EXPECT_EQ(refusal([&] { worker_.ask_report(); }), ended + "a buffer outside of its segment\"");
}

TEST_F(Questions, PagesToCloseAreSomeOfTheSegment) {
  for (const ClosedRange range : {ClosedRange{1, memory_bytes},
                                  {0, 100},
                                  {0, 0},
                                  {memory_bytes, memory_bytes},
                                  {0, minus_one - 4095}}) {
    Process fresh{Limits{}};
    fresh.ask<LoadAnswer>(Verb::load, LoadQuestion{path_of_plugin("correct")});
    fresh.tell(Verb::map, MapQuestion{number_of_segment, memory_bytes}, memory_);
    CallQuestion question = call();
    question.closed.push_back(range);
    std::string why;
    try {
      fresh.ask<CallAnswer>(Verb::call, question);
    } catch (const WorkerGone& gone) {
      why = std::string(gone.what()) + ": " + fresh.printed();
    }
    EXPECT_EQ(why, ended + "pages to close that are none of its segment\"")
        << range.begin << " " << range.bytes;
  }
}

TEST_F(Questions, ATouchOfAClosedPageIsTheAnswer) {
  CallQuestion question = call();
  question.closed.push_back({0, memory_bytes});
  const CallAnswer answer = worker_.ask<CallAnswer>(Verb::call, question);
  EXPECT_LT(answer.touched, memory_bytes);
  EXPECT_EQ(refusal_of(call()), "ended the process with exit code 0: ") << "it has ended with that";
}

TEST_F(Questions, CallsAtOnceAreCounted) {
  TogetherQuestion question;
  EXPECT_EQ(refusal([&] { worker_.ask<TogetherAnswer>(Verb::together, question); }),
            ended + "a wrong number of calls at once\"");
}

TEST_F(Questions, ProblemsAtOnceAreCounted) {
  ClaimsOfQuestion question;
  question.problems.resize(most_problems + 1);
  EXPECT_EQ(refusal([&] { worker_.ask<ClaimsOfAnswer>(Verb::claims_of, question); }),
            ended + "too many problems at once\"");
}

TEST(Answers, OneWithAnotherNumberIsNotTaken) {
  const Doing forges("forward:forge");
  Pool pool(path_of_plugin("hostile"), {});
  auto* const memory = static_cast<std::byte*>(share(memory_bytes, 1));
  abn_forward_args args{};
  args.struct_size = sizeof args;
  args.x = args.z = memory;
  std::string why;
  try {
    pool.variants(0)[0]->forward(&tiny, &args);
  } catch (const CallLost& lost) {
    why = lost.what();
  }
  unshare(memory);
  EXPECT_EQ(why, "the plug-in sent a packet that answers no question");
}

TEST(Answers, ASizeThatNoMachineHasIsNotTaken) {
  for (const auto& [deed, bytes] : {std::pair{"workspace:minus_one", "18446744073709551615"},
                                    {"workspace:minus_8192", "18446744073709543424"}}) {
    const Doing answers(deed);
    Pool pool(path_of_plugin("hostile"), {});
    std::string why;
    try {
      pool.variants(0)[0]->workspace_bytes(&tiny, ABN_FORWARD);
    } catch (const CallLost& lost) {
      why = lost.what();
    }
    EXPECT_EQ(why, std::string("workspace_bytes() returned ") + bytes +
                       ", more than any machine has; return the number of bytes, or 0");
  }
}

/// Recordings: steps lie in segments, calls have all arguments, numbers are known.
class Timed : public Questions {
 protected:
  static RecordQuestion recording() {
    RecordQuestion question;
    question.number = 1, question.problem.value = tiny;
    question.calls.assign(3, std::vector<Spot>(10, Spot{number_of_segment, 0}));
    question.copies.push_back({{number_of_segment, 0}, {number_of_segment, 64}, 64});
    return question;
  }
  std::string refusal_of(const RecordQuestion& question) {
    return refusal([&] { worker_.ask<RecordAnswer>(Verb::record, question); });
  }
};

TEST_F(Timed, ARightRecordingIsTimed) {
  EXPECT_EQ(worker_.ask<RecordAnswer>(Verb::record, recording()).trouble, "");
  EXPECT_EQ(worker_.ask<TimeAnswer>(Verb::time, TimeQuestion{1, 1}).trouble, "");
}

TEST_F(Timed, ACopyBeyondItsSegmentIsRefused) {
  RecordQuestion question = recording();
  question.copies[0].bytes = memory_bytes;
  EXPECT_EQ(refusal_of(question), ended + "a place outside of its segment\"");
}

TEST_F(Timed, ASegmentThatNobodyMappedIsRefused) {
  RecordQuestion question = recording();
  question.calls[2][1].segment = number_of_segment + 1;
  EXPECT_EQ(refusal_of(question), ended + "no such segment\"");
}

TEST_F(Timed, ACallWithTooFewArgumentsIsRefused) {
  RecordQuestion question = recording();
  question.calls[1].pop_back();
  EXPECT_EQ(refusal_of(question), ended + "a wrong number of arguments\"");
}

TEST_F(Timed, AVariantThatThereIsNotIsRefused) {
  RecordQuestion question = recording();
  question.variant.index = 1;
  EXPECT_EQ(refusal_of(question), ended + "a recording of calls that there are none of\"");
}

TEST_F(Timed, StepsAreCounted) {
  RecordQuestion question;
  question.copies.resize(most_steps + 1);
  EXPECT_EQ(refusal_of(question), ended + "a recording of too many steps\"");
}

TEST_F(Timed, ARecordingThatIsForgottenIsRefused) {
  worker_.ask<RecordAnswer>(Verb::record, recording());
  worker_.tell(Verb::forget, ForgetQuestion{1});
  EXPECT_EQ(refusal([&] {
              worker_.ask<TimeAnswer>(Verb::time, TimeQuestion{1, 1});
            }),
            ended + "no such recording\"");
}

TEST_F(Timed, MemoryOfNoGpuIsRefused) {
  MemoryQuestion question;
  question.gpu = -1;
  EXPECT_EQ(refusal([&] { worker_.ask<MemoryAnswer>(Verb::memory, question); }),
            ended + "memory of no GPU\"");
}
