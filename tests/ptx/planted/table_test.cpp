// Every planted defect on both machines: the emulator, and the executor of what nvcc compiled. Each
// is found on every schedule by the kind of finding that the table of the kernels names, and right
// kernels have no finding; what the executor finds otherwise, or cannot find, is listed here with
// its reason. What was found is held against fixtures/ptx/planted/table.md, which
//
//   ABN_PLANTED_TABLE=FILE planted-tests --gtest_filter=PlantedOnBothMachines.*
//
// writes anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "tests/command/process.hpp"
#include "tests/cuda/planted_scene.hpp"
#include "tests/ptx/planted/executed_scene.hpp"

namespace abn::tests {
namespace {

using emulator::Finding;

constexpr std::uint64_t seeds = 20;

/// What the executor finds in place of the kind that the emulator names, on every schedule; null
/// where it is nothing.
struct Otherwise {
  const char* name;
  const char* found;
  const char* reason;
};
constexpr const char polls[] =
    "compiled, such a wait is a loop of polls, and nobody can tell for what";
constexpr const char returned[] =
    "no defect of what is compiled: PTX waits for threads that have not returned";
const Otherwise otherwise[] = {
    {"load: more bytes announced", emulator::endless_loop, polls},
    {"load: beyond shared memory", emulator::out_of_bounds, "found where it lands"},
    {"load: mbarrier in global memory", emulator::cluster_peer,
     "its address, cut to 32 bits, is one of another block"},
    {"block that stays away", emulator::endless_loop, polls},
    {"cluster: skipped by a warp", nullptr, returned},
    {"cluster: skipped by a block", nullptr, returned},
    {"cluster: skipped by a thread", nullptr, returned},
    {"cluster: mapped twice", emulator::cluster_peer_left,
     "`mapa` takes any address of the cluster; found is that no barrier stands behind the access"},
    {"mbarrier: too many arrivals", nullptr,
     "lanes of a warp arrive at once here, so that these two count in the next phase"},
    {"mbarrier: too few arrivals", emulator::endless_loop, polls},
    {"copies of padding", emulator::unwritten_read,
     "a right kernel: compiled, nothing tells padding that is copied from a member that is read"},
};

const Otherwise* exception_for(const Planted& one) {
  const auto found =
      std::find_if(std::begin(otherwise), std::end(otherwise),
                   [&](const Otherwise& each) { return std::strcmp(each.name, one.name) == 0; });
  return found == std::end(otherwise) ? nullptr : found;
}

std::vector<Finding> on_emulator(const Planted& one, std::uint64_t seed) {
  Lines lines;
  marked = &lines;
  EmulatedScene scene({.schedule_seed = seed,
                       .spin_limit = 100000,
                       .schedule = emulator::Schedule::any,
                       .sanitize = true});
  one.run(scene);
  marked = nullptr;
  return scene.session().take_report().findings;
}

std::vector<Finding> on_executor(const Planted& one, std::uint64_t seed) {
  ExecutedScene scene(seed);
  one.run(scene);
  return scene.findings();
}

/// The kinds of one machine on all seeds; checks that each seed has the expected one and that no
/// other is named. Where nothing orders a write and a read, the read may come first; a misuse that
/// is not marked by its line may bring races and unwritten reads with it.
template <class Run>
std::string found_by(const Planted& one, const char* machine, const char* kind, const Run& run) {
  std::set<std::string> others;
  const auto may_be = [&](const Finding& finding) {
    const bool reads = finding.kind == emulator::unwritten_read;
    const bool races = finding.kind == emulator::data_race;
    return kind != nullptr &&
           (finding.kind == kind || (reads && kind == std::string(emulator::data_race)) ||
            (!one.marked && (reads || races)));
  };
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    SCOPED_TRACE(std::string(machine) + ", seed " + std::to_string(seed));
    const std::vector<Finding> findings = run(one, seed);
    const bool found =
        kind != nullptr && std::any_of(findings.begin(), findings.end(),
                                       [&](const Finding& each) { return each.kind == kind; });
    EXPECT_EQ(found, kind != nullptr) << (kind == nullptr ? "nothing is wrong" : kind);
    for (const Finding& finding : findings) {
      EXPECT_TRUE(may_be(finding)) << finding.kind << ": " << finding.text;
      if (one.buffer != nullptr && finding.kind == kind && !finding.buffer.empty()) {
        EXPECT_EQ(finding.buffer, one.buffer) << finding.text;
      }
    }
    if (testing::Test::HasFailure()) break;  // one seed says it
  }
  return kind == nullptr ? "nothing" : kind;
}

TEST(PlantedOnBothMachines, AreFoundByTheSameKind) {
  std::string defects, right;
  int planted_defects = 0, twins = 0, executed_alike = 0;
  for (const Planted& one : planted(Compiler::gnu)) {
    SCOPED_TRACE(one.name);
    const Otherwise* const other = exception_for(one);
    const std::string emulated = found_by(one, "emulator", one.kind, on_emulator);
    const std::string executed =
        found_by(one, "executor", other == nullptr ? one.kind : other->found, on_executor);
    const std::string row = "| " + std::string(one.name) + " | " + emulated + " | " +
                            (executed == emulated ? "the same" : executed) + " | " +
                            (other == nullptr ? "" : other->reason) + " |\n";
    (one.kind == nullptr ? right : defects) += row;
    ++(one.kind == nullptr ? twins : planted_defects);
    executed_alike += one.kind != nullptr && executed == emulated ? 1 : 0;
  }
  const auto count = [](int number) { return std::to_string(number); };
  const std::string head =
      "| planted | by the emulator | by the executor | why |\n|---|---|---|---|\n";
  const std::string table =
      "# What the two machines find\n\nOn each of " + count(seeds) +
      " schedules, as `planted-tests` measures it (`tests/ptx/planted/table_test.cpp`). Of " +
      count(planted_defects) + " defects\nthe executor finds " + count(executed_alike) +
      " by the kind of finding that the emulator names.\n\n" + head + defects + "\nThe " +
      count(twins) + " kernels that look like them and are right:\n\n" + head + right;
  if (const char* const file = std::getenv("ABN_PLANTED_TABLE")) std::ofstream(file) << table;
  EXPECT_EQ(table, contents("fixtures/ptx/planted/table.md"));
}

}  // namespace
}  // namespace abn::tests
