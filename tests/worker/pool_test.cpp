// The judge's side of the workers: shared memory, frozen answers, limits, and restarts.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "tests/worker/support.hpp"
#include "verify/problem/error.hpp"
#include "verify/worker/pool.hpp"
#include "verify/worker/shared_memory.hpp"

using namespace abn::tests;
using namespace abn::verify;
using namespace abn::verify::worker;

TEST(SharedMemory, EndsWhereItsSegmentEndsAndCannotBeCutOff) {
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{5000}, std::size_t{20} << 20}) {
    void* const memory = share(bytes, 1);
    const SharedPlace place = place_of_shared(static_cast<std::byte*>(memory) + bytes / 2);
    EXPECT_EQ(place.bytes, bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 256, 0u);
    EXPECT_LT(place.segment_bytes - place.begin - bytes, 256u);
    EXPECT_NE(ftruncate(place.descriptor, 0), 0) << "sealed";
    EXPECT_THROW(place_of_shared(static_cast<std::byte*>(memory) + bytes + 1), std::logic_error);
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
    ASSERT_EQ(lost_in_forward(variant), "the plug-in did not come back within 1 seconds");
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
  Pool pool(plugin_path("hostile"), impatient());
  EXPECT_EQ(pool.failure(), "");
  EXPECT_EQ(pool.end(), "");
  EXPECT_EQ(pool.printed(), "\"?[2J?]0;title?All 212 checks that ran pass\"");
}

TEST(Pool, OfManyPrintedLinesTheFirstAreKept) {
  const Saying prints("constructor:print_much");
  Pool pool(plugin_path("hostile"), impatient());
  EXPECT_EQ(pool.failure(), "");
  EXPECT_EQ(pool.end(), "");
  EXPECT_EQ(pool.printed().find("\"line 0 of too many line 1 of too many "), 0u);
  EXPECT_LT(pool.printed().size(), 400u);
}

TEST(Pool, AnExitInItsEntryIsNoPlugin) {
  const Saying exits("entry:exit0");
  Pool pool(plugin_path("hostile"), impatient());
  EXPECT_NE(pool.failure().find("ended the process with exit code 0"), std::string::npos)
      << pool.failure();
  EXPECT_TRUE(pool.variants(0).empty());
}

TEST(Pool, VariantsWithoutEndAreRefused) {
  const Saying endless("entry:endless");
  EXPECT_THROW(Pool(plugin_path("hostile"), impatient()), problem::UsageError);
}

TEST(Pool, OneThatSaysOtherwiseWhenItIsStartedAgainIsNotCalled) {
  const Saying crashes("forward:segv");
  Pool pool(plugin_path("hostile"), impatient());
  const abn_variant& variant = *pool.variants(0)[0];
  EXPECT_EQ(lost_in_forward(variant), "the plug-in crashed with signal 11 (Segmentation fault)");
  const Saying renamed("entry:other_name");
  EXPECT_EQ(lost_in_forward(variant),
            "the plug-in was started again and then says otherwise of its variants than when it "
            "was first loaded");
}

TEST(Pool, AClaimThatWritesIntoItsProblemIsLost) {
  const Saying writes("claims:empty_problem");
  Pool pool(plugin_path("hostile"), impatient());
  abn_claims claims{};
  try {
    pool.variants(0)[0]->claims(&small, &claims);
    FAIL() << "it was believed";
  } catch (const CallLost& lost) {
    EXPECT_STREQ(lost.what(), "claims() wrote into the problem that it was given");
  }
}

TEST(Pool, WhatACallDoesBesideItsWorkIsSaid) {
  const struct {
    const char *deed, *says;
  } deeds[] = {
      {"nothing:", ""},
      {"forward:change_problem", "it wrote into the problem that it was given"},
      {"forward:round_up", "it left another rounding mode behind"},
#ifdef __x86_64__
      {"forward:flush", "it left the processor flushing subnormals to zero"},
#endif
      {"forward:trap", "it left floating-point exceptions that trap behind"},
      {"forward:fork", "it left a process behind"},
      {"claims:round_up", "it left another rounding mode behind"},
  };
  for (const auto& [deed, says] : deeds) {
    const Saying does(deed);
    Pool pool(plugin_path("hostile"), impatient());
    EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), "") << deed;
    EXPECT_EQ(take_trouble(), says) << deed;
  }
}

TEST(Pool, AChildThatComesBackAnswersNothing) {
  const Saying forks("forward:fork_and_be_late");
  Pool pool(plugin_path("hostile"), {});
  constexpr int calls = 5;
  for (int i = 0; i < calls; ++i) {
    EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), "");
    EXPECT_EQ(take_trouble(), "it left a process behind");
  }
}

TEST(Pool, ArgumentsThatACallChangesAreSeen) {
  const Saying changes("forward:swap_arguments");
  Pool pool(plugin_path("hostile"), impatient());
  EXPECT_EQ(lost_in_forward(*pool.variants(0)[0]), "");
  EXPECT_EQ(take_trouble(), "it wrote into the arguments that it was given");
}

TEST(Pool, WhatAnExitLeavesBehindIsEndedAndCounted) {
  const Saying leaves("forward:sleeper_and_exit");
  Pool pool(plugin_path("hostile"), impatient());
  EXPECT_NE(lost_in_forward(*pool.variants(0)[0]), "");
  EXPECT_EQ(pool.left_over(), 1);
}
