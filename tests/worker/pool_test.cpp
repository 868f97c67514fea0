// The judge's side of the workers: shared memory, frozen answers, limits, and restarts.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "verify/problem/problem.hpp"
#include "verify/worker/pool.hpp"
#include "verify/worker/shared_memory.hpp"

using namespace abn::verify;
using namespace abn::verify::worker;

namespace {

std::string plugin_path(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "plugins" /
          (name + ".so"))
      .string();
}

/// HOSTILE for the workers that are started while it lives.
struct Saying {
  explicit Saying(const char* deed) { setenv("HOSTILE", deed, 1); }
  ~Saying() { unsetenv("HOSTILE"); }
};

Limits impatient() {
  Limits limits;
  limits.call_seconds = 1;
  return limits;
}

const abn_problem small = problem::parse_problem("n2c3s5,f32,leaky_relu");

/// One forward call with everything in one allocation: its status.
int call_forward(const abn_variant& variant) {
  constexpr std::size_t each = 256, count = 10;
  auto* const memory = static_cast<std::byte*>(share(each * count, 1));
  std::memset(memory, 0, each * count);
  const auto at = [&](std::size_t which) { return memory + which * each; };
  abn_forward_args args{};
  args.struct_size = sizeof args;
  args.x = at(0), args.z = at(1), args.gamma = at(2), args.beta = at(3);
  args.mean = at(4), args.var = at(5), args.workspace = at(6);
  int status = -1;
  try {
    status = variant.forward(&small, &args);
  } catch (...) {
    unshare(memory);
    throw;
  }
  unshare(memory);
  return status;
}

std::string lost_in_forward(const abn_variant& variant) {
  try {
    call_forward(variant);
  } catch (const CallLost& lost) {
    return lost.what();
  }
  return {};
}

}  // namespace

TEST(SharedMemory, EndsWhereItsSegmentEndsAndCannotBeCutOff) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{5000}, std::size_t{20} << 20}) {
    void* const memory = share(bytes, 1);
    const SharedPlace place = place_of_shared(static_cast<std::byte*>(memory) + bytes / 2);
    EXPECT_EQ(place.bytes, bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 256, 0u);
    EXPECT_LT(place.segment_bytes - place.begin - bytes, 256u);
    EXPECT_NE(ftruncate(place.descriptor, 0), 0) << "sealed";
    unshare(memory);
  }
  int elsewhere = 0;
  EXPECT_THROW(place_of_shared(&elsewhere), std::logic_error);
}

TEST(SharedMemory, LargeSegmentsAreGivenBack) {
  void* const memory = share(std::size_t{40} << 20, 1);
  const std::uint64_t segment = place_of_shared(memory).segment;
  EXPECT_TRUE(is_shared(segment));
  unshare(memory);
  EXPECT_FALSE(is_shared(segment));
}

TEST(SharedMemory, IsNeverThatOfAnotherPlugin) {
  void* const first = share(1000, 1);
  const std::uint64_t segment = place_of_shared(first).segment;
  unshare(first);
  void* const other = share(1000, 2);
  EXPECT_NE(place_of_shared(other).segment, segment);
  void* const own = share(1000, 1);
  EXPECT_EQ(place_of_shared(own).segment, segment) << "kept for the next call";
  unshare(other), unshare(own);
}

TEST(Pool, AVariantIsCalledInAnotherProcess) {
  Pool pool(plugin_path("correct"), {});
  ASSERT_EQ(pool.variants(0).size(), 1u) << pool.failure();
  const abn_variant& variant = *pool.variants(0)[0];
  EXPECT_STREQ(variant.name, "correct");
  abn_claims claims{};
  claims.struct_size = sizeof claims;
  EXPECT_EQ(variant.claims(&small, &claims), ABN_OK);
  EXPECT_EQ(claims.depth_backward, 10);
  EXPECT_EQ(variant.workspace_bytes(&small, ABN_FORWARD), 0u);
  EXPECT_EQ(call_forward(variant), ABN_OK);
  EXPECT_EQ(take_trouble(), "");
  EXPECT_EQ(pool.end(), "");
  EXPECT_EQ(pool.left_over(), 0);
}

TEST(Pool, ThreadsCallAtOnce) {
  Pool pool(plugin_path("correct"), {});
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) right += call_forward(*pool.variants(0)[0]) == ABN_OK ? 1 : 0;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 200);
}

TEST(Pool, AHangIsCutOffAndTheVariantIsGivenUpAfterThree) {
  const Saying hangs("forward:hang");
  Pool pool(plugin_path("hostile"), impatient());
  const abn_variant& variant = *pool.variants(0)[0];
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(lost_in_forward(variant), "the plug-in did not come back within 1 seconds");
  EXPECT_EQ(lost_in_forward(variant),
            "not run: 3 calls had been lost before, the first as the plug-in did not come back "
            "within 1 seconds");
}

TEST(Pool, AnotherOneGoesOnFromWhatItHasLost) {
  const Saying crash("forward:segv");
  Pool first(plugin_path("hostile"), {});
  EXPECT_TRUE(first.losses().variants.empty());
  for (int i = 0; i < 2; ++i) EXPECT_THROW(call_forward(*first.variants(0).front()), CallLost);
  const Losses losses = first.losses();
  EXPECT_EQ(losses.workers, 2);
  ASSERT_EQ(losses.variants.size(), 1u);
  EXPECT_EQ(losses.variants[0].lost, 2);
  Pool second(plugin_path("hostile"), {});
  second.go_on_from(losses);
  const auto why = [&] {
    try {
      call_forward(*second.variants(0).front());
    } catch (const CallLost& lost) {
      return std::string(lost.what());
    }
    return std::string();
  };
  EXPECT_EQ(why(), "the plug-in crashed with signal 11 (Segmentation fault)");
  EXPECT_EQ(why(),
            "not run: 3 calls had been lost before, the first as " + losses.variants[0].first);
  EXPECT_EQ(second.losses().workers, 3);
}

TEST(Pool, RestartsAreBoundedForThePlugin) {
  const Saying crashes("forward:segv");
  Limits limits = impatient();
  limits.failures = 1000, limits.restarts = 2;
  Pool pool(plugin_path("hostile"), limits);
  const abn_variant& variant = *pool.variants(0)[0];
  for (int i = 0; i < 2; ++i)
    EXPECT_NE(lost_in_forward(variant).find("signal 11"), std::string::npos);
  EXPECT_NE(lost_in_forward(variant).find("is not started again: 2 of its workers have ended"),
            std::string::npos);
}

TEST(Pool, ClaimsAreFrozenAtTheFirstAnswer) {
  const Saying changes("claims:change");
  Pool pool(plugin_path("hostile"), impatient());
  const abn_variant& variant = *pool.variants(0)[0];
  abn_claims first{}, second{};
  EXPECT_EQ(variant.claims(&small, &first), ABN_OK);
  EXPECT_EQ(variant.claims(&small, &second), ABN_OK);
  EXPECT_EQ(first.depth_backward, second.depth_backward);
  EXPECT_EQ(call_forward(variant), ABN_OK);
  EXPECT_EQ(take_trouble(),
            "claims() answered otherwise than when it was first asked about this problem");
}

TEST(Pool, WhatIsPrintedIsKeptWithoutControlCharacters) {
  const Saying prints("constructor:print");
  Pool loaded(plugin_path("hostile"), impatient());
  EXPECT_EQ(loaded.failure(), "");
  const Saying exits("entry:exit0");
  Pool pool(plugin_path("hostile"), impatient());
  EXPECT_NE(pool.failure().find("ended the process with exit code 0"), std::string::npos)
      << pool.failure();
  EXPECT_TRUE(pool.variants(0).empty());
}

TEST(Pool, WhatAnExitLeavesBehindIsEndedAndCounted) {
  const Saying leaves("forward:sleeper_and_exit");
  Pool pool(plugin_path("hostile"), impatient());
  EXPECT_NE(lost_in_forward(*pool.variants(0)[0]), "");
  EXPECT_EQ(pool.left_over(), 1);
}
