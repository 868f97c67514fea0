// SIGINT, SIGTERM and SIGHUP: the first ends a run in order, a second one at once; and a worker
// that somebody kills costs the run nothing but a record.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/command/process.hpp"
#include "tests/support/marked_processes.hpp"
#include "verify/results/journal.hpp"

namespace {

using namespace abn::tests;
using namespace abn::verify;

std::vector<std::string> list_of_cases(const std::string& out) {
  return {"run",      "@(naive|two_sweep)/@(forward|backward)/*",
          "--cases",  "fixtures/hunted/naive.tsv",
          "--device", "emulator",
          "--out",    out,
          "--quiet"};
}

/// Processes in whose environment the mark is.
class Interrupted : public testing::TestWithParam<int> {};

TEST_P(Interrupted, SaysWhatRanAndHowToGoOnAndIsGoneOnWith) {
  const Folder folder("interrupted-" + std::to_string(GetParam()));
  const std::string out = folder.file("results.json"), journal = out + ".journal";
  ASSERT_EQ(Judge(list_of_cases(out), folder.file("printed")).wait(), 0);
  const std::string unbroken = timeless(out);
  fs::remove(out);
  // Until one comes in the middle of a part.
  int code = 0;
  std::string printed;
  std::uint64_t done = 0;
  for (int tries = 0; tries < 40 && done == 0; ++tries) {
    for (const std::string& left : {out, journal}) fs::remove(left);
    Judge judge(list_of_cases(out), folder.file("printed"));
    EXPECT_TRUE(comes_true([&] { return fs::exists(journal) || !judge.runs(); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(10 + 10 * tries));
    judge.end(GetParam());
    code = judge.wait(), printed = judge.output();
    if (code != 128 + GetParam()) continue;
    for (const auto& [part, standing] :
         results::journal_from_text(contents(journal), journal).standings)
      if (standing.done < standing.of) done = standing.done;
  }
  ASSERT_GT(done, 0u) << "a part's first cases are kept";
  ASSERT_EQ(code, 128 + GetParam()) << printed;
  EXPECT_NE(printed.find("Unfinished: the run was cut off when "), std::string::npos) << printed;
  EXPECT_NE(printed.find("abn-verify run --resume " + out + " goes on from there"),
            std::string::npos)
      << printed;
  EXPECT_FALSE(fs::exists(out));
  EXPECT_EQ(in_shell("./abn-verify run --resume " + out).code, 0);
  EXPECT_TRUE(timeless(out) == unbroken);
}

INSTANTIATE_TEST_SUITE_P(
    Signals, Interrupted, testing::Values(SIGINT, SIGTERM, SIGHUP), [](const auto& p) {
      return std::string(p.param == SIGINT ? "Int" : p.param == SIGTERM ? "Term" : "Hup");
    });

TEST(InterruptedWorkers, EndWithTheRunThoughAKernelHangs) {
  const Folder folder("interrupted-hang");
  const std::string mark = "abn-interrupted-" + std::to_string(getpid());
  setenv("HOSTILE_MARK", mark.c_str(), 1);
  setenv("HOSTILE", "forward:hang", 1);
  Judge judge({"run", "hostile/forward/f32/nchw/*", "--plugin", "./plugins/hostile.so",
               "--only-plugins", "--problem", "n2c3s5,f32,leaky_relu", "--call-seconds", "500",
               "--out", folder.file("results.json")},
              folder.file("printed"));
  unsetenv("HOSTILE");
  EXPECT_TRUE(comes_true([&] { return fs::exists(folder.file("results.json.journal")); }));
  EXPECT_FALSE(processes_with(mark, "abn-verify-worker").empty());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto begin = std::chrono::steady_clock::now();
  judge.end(SIGINT);
  EXPECT_EQ(judge.wait(), 130) << judge.output();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  EXPECT_NE(judge.output().find("Unfinished: "), std::string::npos) << judge.output();
  EXPECT_EQ(judge.output().find("ERROR"), std::string::npos) << "that is no fault of the kernel";
  EXPECT_TRUE(comes_true([&] { return processes_with(mark, "abn-verify-worker").empty(); }));
  unsetenv("HOSTILE_MARK");
}

TEST(InterruptedTwice, EndsAtOnce) {
  const Folder folder("interrupted-twice");
  const std::string out = folder.file("results.json"), journal = out + ".journal";
  // One case that takes minutes on the emulator, which cannot be ended in its middle.
  Judge judge({"run", "naive/forward/f32/nchw/z", "--device", "emulator", "--problem",
               "n64c256s3136,f32,leaky_relu", "--data", "standard", "--out", out},
              folder.file("printed"));
  ASSERT_TRUE(comes_true([&] { return fs::exists(journal); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  judge.end(SIGTERM);
  judge.end(SIGTERM);  // timeout(1) sends two; they are one wish
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  EXPECT_TRUE(judge.runs());
  judge.end(SIGTERM);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(judge.wait(), 128 + SIGTERM);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_NO_THROW(results::journal_from_text(contents(journal), journal));
  EXPECT_FALSE(fs::exists(out));
}

TEST(InterruptedHunt, KeepsWhatItFoundAndSaysThatItCannotBeResumed) {
  const Folder folder("interrupted-hunt");
  const std::string out = folder.file("results.json"), journal = out + ".journal";
  Judge judge({"run", "naive/forward/f32/nchw/*", "--device", "emulator", "--hunt", "500", "--out",
               out, "--quiet"},
              folder.file("printed"));
  ASSERT_TRUE(comes_true([&] { return fs::exists(journal); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  judge.end(SIGTERM);
  EXPECT_EQ(judge.wait(), 143) << judge.output();
  EXPECT_NE(judge.output().find("It cannot be resumed"), std::string::npos) << judge.output();
  const EndedShell refused = in_shell("./abn-verify run --resume " + out);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.output.find("is of a hunt"), std::string::npos) << refused.output;
  EXPECT_EQ(in_shell("./abn-verify report " + out + " --out " + folder.file("report")).code, 1);
}

TEST(KilledWorker, CostsARecordAndTheRestIsWhole) {
  const Folder folder("killed-worker");
  const std::string out = folder.file("results.json"), journal = out + ".journal",
                    mark = "abn-killed-worker-" + std::to_string(getpid());
  setenv("HOSTILE_MARK", mark.c_str(), 1);
  Judge judge({"run", "*", "--plugin", "./plugins/correct.so", "--only-plugins", "--cases",
               "fixtures/hunted/naive.tsv", "--threads", "1", "--out", out, "--quiet"},
              folder.file("printed"));
  unsetenv("HOSTILE_MARK");
  EXPECT_TRUE(comes_true([&] { return fs::exists(journal) || !judge.runs(); }));
  for (const pid_t worker : processes_with(mark, "abn-verify-worker")) kill(worker, SIGKILL);
  const int code = judge.wait();
  EXPECT_TRUE(code == 0 || code == 1) << judge.output();  // 0: it was about to end
  const auto results = results::results_from_json(contents(out));
  EXPECT_EQ(results::exit_code(results), code);
  EXPECT_EQ(code == 1, judge.output().find("ERROR") != std::string::npos) << judge.output();
  EXPECT_GT(results.records.size(), 10u);
  EXPECT_TRUE(results.unfinished.empty());
  EXPECT_FALSE(fs::exists(journal));
  EXPECT_TRUE(processes_with(mark, "abn-verify").empty());
}

}  // namespace
