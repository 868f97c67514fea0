// The table of planted defects: each is reported under its own name, at its line and in its buffer,
// on every seed; kernels that only look like them are not; and g++ and clang++ agree.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/cuda/planted_scene.hpp"

namespace abn::tests {
namespace {

using emulator::Finding;

constexpr std::uint64_t seeds = 20;
constexpr std::uint64_t short_spin_limit = 100000;  // so that twenty endless loops end in a moment

std::string list_of(const std::set<unsigned>& lines) {
  std::string text;
  for (const unsigned line : lines) text += (text.empty() ? "" : ", ") + std::to_string(line);
  return text;
}

// What was found on one seed, for a comparison of compilers: kinds and lines, which do not depend
// on the schedule alone.
std::vector<Finding> run(const Planted& one, std::uint64_t seed, emulator::Schedule schedule,
                         Lines& lines) {
  marked = &lines;
  EmulatedScene scene({.schedule_seed = seed,
                       .spin_limit = short_spin_limit,
                       .schedule = schedule,
                       .sanitize = true});
  one.run(scene);
  marked = nullptr;
  return scene.session().take_report().findings;
}

void expect_found(const Planted& one, const std::vector<Finding>& findings, const Lines& lines) {
  const auto expected = [&one](const Finding& finding) { return finding.kind == one.kind; };
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), expected))
      << "not found; the defect is at " << lines.file << " lines " << list_of(lines.lines);
  for (const Finding& finding : findings) {
    // Where nothing orders a write and a read, the read may come first: that too is true, and at
    // the same line. A misuse without a marked line brings more of its like.
    const bool unwritten = finding.kind == emulator::unwritten_read;
    const bool raced = one.kind == std::string(emulator::data_race);
    EXPECT_TRUE(expected(finding) || (unwritten && (raced || !one.marked)) ||
                (!one.marked && finding.kind == emulator::data_race))
        << finding.kind << ": " << finding.text;
    if (!one.marked) continue;
    EXPECT_TRUE(lines.lines.contains(finding.line))
        << finding.text << "; the defect is at lines " << list_of(lines.lines);
    EXPECT_EQ(finding.file, lines.file) << finding.text;
    EXPECT_TRUE(one.buffer == nullptr || finding.buffer == one.buffer) << finding.text;
    if (finding.kind != emulator::data_race) continue;
    EXPECT_TRUE(lines.lines.contains(finding.other.line))
        << finding.text << "; the defect is at lines " << list_of(lines.lines);
    EXPECT_EQ(finding.other.file, lines.file) << finding.text;
    const bool same_thread = std::equal(finding.block, finding.block + 3, finding.other.block) &&
                             std::equal(finding.thread, finding.thread + 3, finding.other.thread);
    // which is not in step with its thread
    const bool of_a_copy = finding.text.find("asynchronous copy") != std::string::npos;
    EXPECT_TRUE(!same_thread || of_a_copy) << finding.text;
  }
}

void expect_table(Compiler compiler, emulator::Schedule schedule) {
  int defects = 0;
  for (const Planted& one : planted(compiler)) {
    SCOPED_TRACE(one.name);
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      Lines lines;
      const std::vector<Finding> findings = run(one, seed, schedule, lines);
      if (one.kind)
        expect_found(one, findings, lines);
      else
        for (const Finding& finding : findings)
          ADD_FAILURE() << "a false " << finding.kind << ": " << finding.text;
      if (testing::Test::HasFailure()) break;  // one seed says it
    }
    if (one.kind) ++defects;
  }
  std::printf("%d planted defects and %d right kernels on %d seeds each\n", defects,
              static_cast<int>(planted(compiler).size()) - defects, static_cast<int>(seeds));
  EXPECT_GE(defects, 20);
}

TEST(SanitizerPlanted, FoundByEveryRandomSchedule) {
  expect_table(Compiler::gnu, emulator::Schedule::random);
}
TEST(SanitizerPlanted, FoundByEveryAdversarialSchedule) {
  for (const auto schedule : {emulator::Schedule::thread_ahead, emulator::Schedule::block_behind,
                              emulator::Schedule::reversed, emulator::Schedule::last_block_first,
                              emulator::Schedule::any})
    expect_table(Compiler::gnu, schedule);
}

TEST(SanitizerCompilers, ClangsBuildIsFoundToo) {
  if (planted(Compiler::clang).empty())
    GTEST_SKIP() << "no clang++ was there when this was built: its findings are not compared";
  ASSERT_EQ(planted(Compiler::clang).size(), planted(Compiler::gnu).size());
  expect_table(Compiler::clang, emulator::Schedule::random);
}

// What is right stays without a word on many more schedules.
TEST(SanitizerPlanted, NoFalseAlarmOnRightKernels) {
  constexpr std::uint64_t many = 200;
  int kernels = 0;
  for (const Planted& one : planted(Compiler::gnu)) {
    if (one.kind) continue;
    ++kernels;
    SCOPED_TRACE(one.name);
    for (std::uint64_t seed = 0; seed < many; ++seed) {
      Lines lines;
      for (const Finding& finding : run(one, seed, emulator::Schedule::any, lines))
        ADD_FAILURE() << "seed " << seed << ", a false " << finding.kind << ": " << finding.text;
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GE(kernels, 20);
}

// Which kind, where and in which buffer: the same from both compilers, over all seeds together.
TEST(SanitizerCompilers, BothFindTheSame) {
  if (planted(Compiler::clang).empty())
    GTEST_SKIP() << "no clang++ was there when this was built: its findings are not compared";
  for (const Planted& one : planted(Compiler::gnu)) {
    if (!one.marked) continue;
    SCOPED_TRACE(one.name);
    const auto other = std::find_if(
        planted(Compiler::clang).begin(), planted(Compiler::clang).end(),
        [&one](const Planted& theirs) { return std::strcmp(theirs.name, one.name) == 0; });
    ASSERT_NE(other, planted(Compiler::clang).end());
    std::set<std::string> found[2];
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
      Lines lines;
      for (const Finding& finding : run(one, seed, emulator::Schedule::any, lines))
        found[0].insert(finding.kind + " at " + std::to_string(finding.line) + " in " +
                        finding.buffer);
      for (const Finding& finding : run(*other, seed, emulator::Schedule::any, lines))
        found[1].insert(finding.kind + " at " + std::to_string(finding.line) + " in " +
                        finding.buffer);
    }
    EXPECT_EQ(found[0], found[1]);
  }
}

}  // namespace
}  // namespace abn::tests
