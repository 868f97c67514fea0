// Plug-ins that do what no kernel should: each ends within its limits in a verdict that names what
// happened, the plug-in beside it is judged as if it were alone, and no process is left.
//
// tests/plugins/hostile.cpp is every one of them, by what HOSTILE in its environment says.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/marked_processes.hpp"

namespace {

namespace fs = std::filesystem;

/// A deed, the exit code, and what has to stand in the output; several texts are parted by '|', and
/// one of them is enough.
struct Deed {
  const char *what, *says;
  int code = 1;
};

// "with exit code 0" and the like are what the judge saw, in its own words.
constexpr Deed deeds[] = {
    {"constructor:exit0", "was being loaded and ended the process with exit code 0"},
    {"constructor:exit_at_once", "was being loaded and ended the process with exit code 0"},
    {"constructor:abort", "was being loaded and crashed with signal 6"},
    {"constructor:segv", "was being loaded and crashed with signal 11"},
    {"constructor:hang", "was being loaded and did not come back within 1 seconds"},
    {"constructor:throw", "was being loaded and"},
    {"constructor:kill_parent", "", 0},
    {"constructor:chdir", "", 0},
    {"constructor:umask", "", 0},
    {"constructor:round_up", "", 0},
    {"constructor:print", "", 0},
    {"constructor:close_files", "was being loaded and closed the socket|was being loaded and"},
    {"entry:exit0", "was being loaded and ended the process with exit code 0"},
    {"entry:segv", "was being loaded and crashed with signal 11"},
    {"entry:hang", "was being loaded and did not come back within 1 seconds"},
    {"entry:bad_name", "was being loaded and crashed with signal 11"},
    {"entry:bad_summary", "was being loaded and crashed with signal 11"},
    {"entry:bad_pointer", "was being loaded and crashed with signal 11"},
    {"entry:endless", "never returned NULL"},
    {"claims:exit0", "claims() ended the process with exit code 0"},
    {"claims:abort", "claims() crashed with signal 6"},
    {"claims:segv", "claims() crashed with signal 11"},
    {"claims:fpe", "claims() crashed with signal 8"},
    {"claims:overflow", "claims() crashed with signal 11"},
    {"claims:hang", "claims() did not come back within 1 seconds"},
    {"claims:throw",
     "claims() let an exception out of a function of C; it had printed \"an exception: "
     "a kernel's own exception\""},
    {"claims:empty_problem", "claims() wrote into the problem that it was given"},
    {"claims:ulp", "", 0},  // it claims no activation that has functions
    {"claims:bf16", "implausible claim accumulate bf16"},
    {"claims:change", "claims() answered otherwise than when it was first asked"},
    {"claims:round_up", "it left another rounding mode behind"},
    {"claims:flush", "it left the processor flushing subnormals to zero"},
    {"workspace:minus_one", "workspace_bytes() returned 18446744073709551615"},
    {"workspace:minus_8192", "workspace_bytes() returned 18446744073709543424"},
    {"workspace:exit0", "workspace_bytes() ended the process with exit code 0"},
    {"workspace:hang", "workspace_bytes() did not come back within 1 seconds"},
    {"workspace:flush", "", 0},
    {"forward:exit0", "the plug-in ended the process with exit code 0"},
    {"forward:exit_at_once", "the plug-in ended the process with exit code 0"},
    {"forward:abort", "the plug-in crashed with signal 6"},
    {"forward:segv", "the plug-in crashed with signal 11"},
    {"forward:kill", "the plug-in crashed with signal 9"},
    {"forward:overflow", "the plug-in crashed with signal 11"},
    {"forward:hang", "the plug-in did not come back within 1 seconds"},
    {"forward:spin", "the plug-in did not come back within 1 seconds"},
    {"forward:throw",
     "the plug-in let an exception out of a function of C; it had printed \"an "
     "exception: a kernel's own exception\""},
    {"forward:throw_int",
     "the plug-in let an exception out of a function of C; it had printed \"an "
     "exception of an unknown type\""},
    {"forward:thread_ends", "the plug-in crashed with signal 6|the plug-in ended"},
    {"forward:kill_group", "the plug-in crashed with signal 9"},
    {"forward:kill_parent", "", 0},
    {"forward:trace_parent", "it left a process behind|had ended"},
    {"forward:close_files", "closed the socket that it was to answer on"},
    {"forward:write_files", "the plug-in sent something else than an answer"},
    {"forward:forge", "the plug-in sent a packet that answers no question"},
    {"forward:shrink_files", "", 0},
    {"forward:fork", "it left a process behind"},
    {"forward:sleepers", "it left a process behind|processes at once"},
    {"forward:crowd", "processes at once, and may have 64"},
    {"forward:sleeper_and_exit", "the plug-in ended the process with exit code 0"},
    {"forward:allocate",  // one of its limits is met first
     "the plug-in got no more memory, and may have|the plug-in used more than|"
     "did not come back within 1"},
    {"forward:round_up", "it left another rounding mode behind"},
    {"forward:flush", "it left the processor flushing subnormals to zero"},
    {"forward:change_problem", "it wrote into the problem that it was given"},
    {"forward:change_arguments", "the plug-in crashed|it wrote into the arguments"},
    {"forward:far_write", "the plug-in crashed with signal 11"},
    {"forward:late_thread", "a thread of it wrote into the buffers after the call had returned"},
    {"forward:print", "the plug-in of hostile wrote \"?[2J?]0;title?All 212 checks", 0},
    {"backward:segv", "the plug-in crashed with signal 11"},
    {"backward:hang", "the plug-in did not come back within 1 seconds"},
    {"exit_handler:abort", "was to end and crashed with signal 6"},
    {"exit_handler:hang", "was to end and did not end within 1 seconds"},
    {"exit_handler:exit_at_once", "", 0},
    {"destructor:segv", "was to end and crashed with signal 11"},
    {"destructor:exit_at_once", "", 0},
};

fs::path folder_of_this_binary() { return fs::read_symlink("/proc/self/exe").parent_path(); }

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Ended {
  int code = 0;
  double seconds = 0;
  std::string output;
  nlohmann::json of_correct;  // records of the plug-in beside it
};

// The shadow of a sanitizer has terabytes, so that no limit can be set on memory beside it; all
// takes longer, a process is larger, and other memory lies where usually nothing is mapped.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool is_sanitized = true;
#else
constexpr bool is_sanitized = false;
#endif
constexpr int slowness = is_sanitized ? 10 : 1;

/// A command in the folder of this binary, with an end to what memory it can take.
Ended shell(const std::string& command) {
  const std::string whole = "cd '" + folder_of_this_binary().string() + "' && " +
                            (is_sanitized ? "" : "ulimit -v 4000000 && ") + command + " 2>&1";
  const auto begin = std::chrono::steady_clock::now();
  FILE* const pipe = popen(whole.c_str(), "r");
  Ended ended;
  std::array<char, 4096> chunk;
  while (const std::size_t got = fread(chunk.data(), 1, chunk.size(), pipe))
    ended.output.append(chunk.data(), got);
  const int status = pclose(pipe);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return ended;
}

/// Judges the right plug-in and the hostile one. `timeout` and the limits hold for the judge, too.
Ended run(const std::string& deed, const std::string& mark) {
  const fs::path out = fs::temp_directory_path() / (mark + ".json");
  const std::string command =
      "HOSTILE_MARK=" + mark + " HOSTILE=" + deed + " timeout -k 1 " +
      std::to_string(60 * slowness) +
      " ./abn-verify run '*/@(forward|backward|property)/f32/nchw/*' --plugin "
      "./plugins/correct.so --plugin ./plugins/hostile.so --only-plugins --seed 1 --problem "
      "n2c3s5,f32,leaky_relu "
      "--call-seconds 1 --memory " +
      std::to_string(512 * slowness) + " --out " + out.string();
  Ended ended = shell(command);
  ended.of_correct = nlohmann::json::array();
  if (const std::string text = contents(out); !text.empty()) {
    const auto results = nlohmann::json::parse(text);
    for (const auto& record : results.at("checks"))
      if (record.at("variant") == "correct") ended.of_correct.push_back(record);
  }
  fs::remove(out);
  return ended;
}

bool says(const std::string& output, std::string wanted) {
  if (wanted.empty()) return true;
  for (std::size_t at = 0; at <= wanted.size();) {
    const std::size_t end = std::min(wanted.find('|', at), wanted.size());
    if (output.find(wanted.substr(at, end - at)) != std::string::npos) return true;
    at = end + 1;
  }
  return false;
}

class Hostile : public testing::TestWithParam<Deed> {};

TEST_P(Hostile, EndsInAVerdictThatNamesIt) {
  const Deed& deed = GetParam();
  const std::string_view what = deed.what;
  if (is_sanitized && (what == "forward:allocate" || what == "forward:far_write"))
    GTEST_SKIP() << "under a sanitizer there is memory beyond every buffer";
  const std::string mark = "abn-hostile-" + std::to_string(getpid());
  static const nlohmann::json alone = run("nothing:", mark).of_correct;
  ASSERT_GT(alone.size(), 20u) << "the plug-in that is judged beside it";
  const Ended ended = run(deed.what, mark);
  // Where no process namespace keeps them apart, what kills its parent ends with it.
  const bool killed = std::string(deed.what).find(":kill_parent") != std::string::npos &&
                      says(ended.output, "crashed with signal 9");
  EXPECT_EQ(ended.code, killed ? 1 : deed.code) << ended.output.substr(0, 3000);
  EXPECT_TRUE(says(ended.output, deed.says)) << ended.output.substr(0, 3000);
  EXPECT_LT(ended.seconds, 30 * slowness);
  if (deed.code != 2) {
    EXPECT_EQ(ended.of_correct, alone) << "the plug-in beside it";
  }
  EXPECT_EQ(std::count_if(ended.output.begin(), ended.output.end(),
                          [](unsigned char c) { return c < ' ' && c != '\n'; }),
            0)
      << "control characters";
  EXPECT_TRUE(abn::tests::processes_with(mark).empty()) << "processes left behind";
}

// Verbs without records end in one sentence and exit code 2, and no deed makes it 0.
TEST(HostileVerbs, EndInASentence) {
  const std::string mark = "abn-hostile-verbs-" + std::to_string(getpid());
  const struct {
    const char *deed, *arguments, *says;
  } tries[] = {
      {"constructor:exit0", "list", "was being loaded and ended the process with exit code 0"},
      {"entry:hang", "list", "was being loaded and did not come back within 1 seconds"},
      {"forward:exit0", "study conventions hostile",
       "the plug-in ended the process with exit code 0"},
      {"forward:hang", "study conventions hostile",
       "the plug-in did not come back within 1 seconds"},
      {"constructor:exit0", "traffic --problem n2c3s5,f32,leaky_relu",
       "was being loaded and ended the process with exit code 0"},
  };
  for (const auto& [deed, arguments, wanted] : tries) {
    const Ended ended = shell("HOSTILE_MARK=" + mark + " HOSTILE=" + deed + " timeout -k 1 " +
                              std::to_string(60 * slowness) + " ./abn-verify " + arguments +
                              " --plugin ./plugins/hostile.so --call-seconds 1");
    EXPECT_EQ(ended.code, 2) << deed << " " << arguments << "\n" << ended.output;
    EXPECT_NE(ended.output.find(wanted), std::string::npos) << ended.output;
    EXPECT_EQ(ended.output.find("fault of the tool"), std::string::npos) << ended.output;
    EXPECT_TRUE(abn::tests::processes_with(mark).empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Deeds, Hostile, testing::ValuesIn(deeds), [](const auto& p) {
  std::string name = p.param.what;
  std::replace(name.begin(), name.end(), ':', '_');
  return name;
});

}  // namespace
