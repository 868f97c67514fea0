// What is timed runs in a worker, too: a plug-in that exits, crashes, hangs or forks in a call that
// is timed costs its own row, and the judge never loads it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/command/process.hpp"
#include "tests/support/marked_processes.hpp"

namespace {

using namespace abn::tests;

struct TimedDeed {
  const char *what, *says;
  int code = 1;
};

constexpr TimedDeed deeds[] = {
    {"constructor:exit0", "was being loaded and ended the process with exit code 0", 2},
    {"entry:hang", "was being loaded and did not come back within 1 seconds", 2},
    {"claims:segv", "hostile          claims() crashed with signal 11"},
    {"workspace:exit0", "forward: workspace_bytes() ended the process with exit code 0"},
    {"forward:exit0", "forward: the plug-in ended the process with exit code 0"},
    {"forward:segv", "forward: the plug-in crashed with signal 11"},
    {"forward:hang", "forward: the plug-in did not come back within 1 seconds"},
    {"forward:throw", "forward: the plug-in let an exception out of a function of C"},
    {"forward:forge", "forward: the plug-in sent a packet that answers no question"},
    {"forward:write_files", "forward: the plug-in sent something else than an answer"},
    {"forward:fork", "it left a process behind|processes at once, and may have 64"},
    {"forward:round_up", "its time is no time: z"},
    {"forward:kill_group", "forward: the plug-in crashed with signal 9"},
    {"backward:segv", "backward: the plug-in crashed with signal 11"},
    {"backward:hang", "backward: the plug-in did not come back within 1 seconds"},
    {"nothing:", " us (", 0},
};

std::string bench(const std::string& deed, const std::string& mark) {
  return "HOSTILE_MARK=" + mark + " HOSTILE=" + deed +
         " timeout -k 1 300 ./abn-verify bench '@(hostile|correct)' --plugin ./plugins/hostile.so "
         "--plugin ./plugins/correct.so --only-plugins --device emulator --seconds 0 --seed 1 "
         "--problem n2c3s40,f32,leaky_relu --call-seconds 1";
}

class TimedHostile : public testing::TestWithParam<TimedDeed> {};

TEST_P(TimedHostile, CostsItsOwnRow) {
  const TimedDeed& deed = GetParam();
  const std::string mark = "abn-timed-hostile-" + std::to_string(getpid());
  const EndedShell ended = in_shell(bench(deed.what, mark));
  EXPECT_EQ(ended.code, deed.code) << ended.output;
  const std::string says = deed.says;  // one of two texts, where there is a '|'
  const std::size_t bar = std::min(says.find('|'), says.size());
  EXPECT_TRUE(ended.output.find(says.substr(0, bar)) != std::string::npos ||
              (bar < says.size() && ended.output.find(says.substr(bar + 1)) != std::string::npos))
      << ended.output;
  EXPECT_EQ(ended.output.find("fault of the tool"), std::string::npos) << ended.output;
  if (deed.code != 2) {
    std::size_t rows = 0;
    const char* const row = "\n  correct ";
    for (std::size_t at = ended.output.find(row); at != std::string::npos;
         at = ended.output.find(row, at + 1))
      if (ended.output.find(" us (", at) < ended.output.find('\n', at + 1)) ++rows;
    EXPECT_EQ(rows, 2u) << "forward and backward of the plug-in beside it: " << ended.output;
  }
  EXPECT_TRUE(processes_with(mark).empty()) << "processes left behind";
}

INSTANTIATE_TEST_SUITE_P(Deeds, TimedHostile, testing::ValuesIn(deeds), [](const auto& p) {
  std::string name = p.param.what;
  for (char& letter : name)
    if (letter == ':') letter = '_';
  return name;
});

TEST(TimedPlugin, IsNeverInTheJudgesMemory) {
  const Folder folder("timed-plugin");
  const std::string mark = "abn-timed-plugin-" + std::to_string(getpid());
  setenv("HOSTILE", "forward:hang", 1), setenv("HOSTILE_MARK", mark.c_str(), 1);
  const Judge judge(
      {"bench", "hostile", "--plugin", "./plugins/hostile.so", "--only-plugins", "--device",
       "emulator", "--problem", "n2c3s40,f32,leaky_relu", "--call-seconds", "30"},
      folder.file("output"));
  unsetenv("HOSTILE"), unsetenv("HOSTILE_MARK");
  EXPECT_TRUE(comes_true([&] { return !processes_with(mark, "", "plugins/hostile.so").empty(); }))
      << judge.output();
  const std::string maps =
      contents("/proc/" + std::to_string(judge.process()) + "/maps");  // it still waits
  EXPECT_NE(maps.find("abn-verify"), std::string::npos);
  EXPECT_EQ(maps.find("hostile.so"), std::string::npos) << maps;
}

}  // namespace
