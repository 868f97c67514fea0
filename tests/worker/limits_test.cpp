// What holds a worker: its memory, its processes, the descriptors that it has, and its end with all
// that came of it, in a namespace of its own and without one.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "tests/support/marked_processes.hpp"
#include "tests/worker/support.hpp"
#include "verify/worker/supervise.hpp"

using namespace abn::tests;
using namespace abn::verify::worker;

namespace {

namespace fs = std::filesystem;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif

/// From now on nobody gives this thread, and what it starts, a namespace; false where the system
/// knows no filter of its calls.
bool forbid_namespaces() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unshare, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// In a thread whose workers get a namespace, or none.
template <class Body>
void each_way(const Body& body) {
  std::thread(body, "with what the system permits").join();
  std::thread([&] {
    if (!forbid_namespaces()) return;
    ASSERT_FALSE(can_confine());
    body("without a namespace");
  }).join();
}

Limits limits_of(std::uint64_t megabytes) {
  Limits limits;
  limits.memory = megabytes << 20;
  limits.call_seconds = 20;
  return limits;
}

}  // namespace

TEST(WorkerLimits, AProcessGetsNoMoreMemoryThanItMayHave) {
  if (is_sanitized) GTEST_SKIP() << "no limit can be set beside the shadow of a sanitizer";
  const Saying allocates("forward:allocate");
  Pool pool(plugin_path("hostile"), limits_of(256));
  EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]),
            "the plug-in got no more memory, and may have 256 MB; it had printed \"an exception: "
            "std::bad_alloc\"");
}

TEST(WorkerLimits, AllOfItsProcessesTogetherUseNoMoreEither) {
  if (is_sanitized) GTEST_SKIP() << "a process is larger beside a sanitizer";
  each_way([](const char* way) {
    const Saying allocates("forward:allocate_in_many");
    Pool pool(plugin_path("hostile"), limits_of(96));
    EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), "the plug-in used more than 96 MB of memory")
        << way;
  });
}

TEST(WorkerLimits, ProcessesAtOnceAreCounted) {
  const Saying many("forward:crowd");
  Limits limits = limits_of(0);
  limits.processes = 20;
  Pool pool(plugin_path("hostile"), limits);
  const std::string why = lost_in_forward(*pool.variants(0)[0]);
  EXPECT_NE(why.find("processes at once, and may have 20"), std::string::npos) << why;
}

TEST(WorkerLimits, NothingOfItIsLeft) {
  const std::string mark = "abn-limits-" + std::to_string(getpid());
  const Saying marked(mark, "HOSTILE_MARK");
  for (const char* const deed : {"forward:sleeper_and_exit", "forward:crowd"})
    each_way([&](const char* way) {
      const Saying leaves(deed);
      {
        Limits limits = limits_of(0);
        limits.call_seconds = 2;
        Pool pool(plugin_path("hostile"), limits);
        EXPECT_NE(lost_in_forward(*pool.variants(0)[0]), "") << deed << ", " << way;
      }
      EXPECT_TRUE(processes_with(mark).empty()) << deed << ", " << way;
    });
}

TEST(WorkerLimits, WhereThereIsANamespaceItSignalsNobodyOutside) {
  if (!can_confine()) GTEST_SKIP() << "this system gives a process no namespace of its own";
  const Saying kills("forward:kill_parent");
  Pool pool(plugin_path("hostile"), limits_of(0));
  // One whose parent is gone may still answer, and is ended soon.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), "");
  EXPECT_EQ(pool.end(), "");
}

// Standard input and output and the socket of the questions: nothing through which it could see
// what the judge keeps, or speak to another worker's supervisor.
TEST(WorkerLimits, ItHoldsNoDescriptorOfTheJudge) {
  const Saying lists("forward:list_files");
  const Pool other(plugin_path("correct"), limits_of(0));
  std::vector<void*> memory;  // the first descriptors have numbers that the worker uses itself
  constexpr std::uint64_t owners = 6;
  for (std::uint64_t owner = 100; owner < 100 + owners; ++owner)
    memory.push_back(share(1000, owner));
  Pool pool(plugin_path("hostile"), limits_of(0));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), "");
  for (void* const one : memory) unshare(one);
  EXPECT_EQ(pool.end(), "");
  EXPECT_EQ(pool.printed(), "\"0 1 2 3 0 1 2 3\"");
}
