// The command line from outside: what people type, what they get on the terminal, and the exit
// code.
#include <gtest/gtest.h>
#include <unistd.h>

#include <sys/wait.h>
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace {

struct Ended {
  int code;
  std::string output;  // stdout and stderr together
};

std::filesystem::path folder_of_this_binary() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

Ended shell(const std::string& command) {
  FILE* pipe =
      popen(("cd '" + folder_of_this_binary().string() + "' && " + command + " 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> chunk;
  while (const std::size_t got = fread(chunk.data(), 1, chunk.size(), pipe))
    output.append(chunk.data(), got);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), output};
}

Ended abn(const std::string& arguments) { return shell("./abn-verify " + arguments); }

/// A folder that is gone after the test.
struct Scratch {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("abn-cli-" + std::to_string(getpid()));
  Scratch() { std::filesystem::create_directories(path); }
  ~Scratch() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name) const { return (path / name).string(); }
};

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The line of `text` that begins (after blanks) with `word`, without it.
std::string line_after(const std::string& text, const std::string& word) {
  const auto at = text.find(word);
  if (at == std::string::npos) return {};
  const auto begin = at + word.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

constexpr const char* small = "--problem n2c3s5,f32,leaky_relu --data standard --seed 3";

}  // namespace

TEST(CommandLine, HelpNamesEveryVerbAndTheExitCodes) {
  const auto help = abn("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* word : {"doctor", "list", "explain", "run", "check", "report", "77"})
    EXPECT_NE(help.output.find(word), std::string::npos) << word;
}

TEST(CommandLine, AnUnknownVerbIsRefusedAndTheNearestNamed) {
  const auto refused = abn("rnu");
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.output.find("run"), std::string::npos) << refused.output;
}

TEST(CommandLine, BadInputIsOneSentenceAndExitCodeTwo) {
  Scratch scratch;
  std::ofstream(scratch.file("text.json")) << "{\"schema\": \"something else\"}";
  std::ofstream(scratch.file("short.safetensors")) << "abc";
  const std::vector<std::string> bad = {
      "run 'nothing/*'",
      "run --problem n2c3",
      "run --problem n2c3s4,bf17",
      "run --problem n-2c3s4",
      "run --problem n4000000000c4000000000s4000000000",
      "run --problem n1c3s1,training",
      "run --problem n2c3s4,leaky_relu:0",
      "run --problem n2c3s4,elu:-1",
      "run --problem n2c3s4,eps:-1",
      "run --problem n2c3s4,leaky_relu --data nonesuch",
      "run --problem n2c3s4,leaky_relu --tier none",
      "run --device cuda:abc",
      "run --device tpu",
      "run --seed -3",
      "run --threads -1",
      "run --plugin ./no-such-file.so",
      "run --plugin ./abn-verify",
      "run --out /no/such/folder/results.json " + std::string(small),
      "check",
      "check /no/such/file.safetensors",
      "check " + scratch.file("short.safetensors"),
      "report /no/such/file.json --out " + scratch.file("r"),
      "report " + scratch.file("text.json") + " --out " + scratch.file("r"),
      "list 'nothing/*'",
  };
  for (const auto& arguments : bad) {
    const auto refused = abn(arguments);
    EXPECT_EQ(refused.code, 2) << arguments << "\n" << refused.output;
    EXPECT_GT(refused.output.size(), 20u) << arguments;
    EXPECT_LT(std::count(refused.output.begin(), refused.output.end(), '\n'), 4)
        << arguments << "\n"
        << refused.output;
  }
  EXPECT_FALSE(std::filesystem::exists(scratch.file("r")));
}

TEST(CommandLine, RunsOneCaseAndTheReportFollowsFromItsFile) {
  Scratch scratch;
  const auto ran = abn("run 'naive/*/f32/nchw/*' --device emulator " + std::string(small) +
                       " --out " + scratch.file("one.json"));
  EXPECT_EQ(ran.code, 0) << ran.output;
  const auto reported =
      abn("report " + scratch.file("one.json") + " --out " + scratch.file("report"));
  EXPECT_EQ(reported.code, 0) << reported.output;
  for (const char* name : {"index.html", "report.md", "report.csv", "results.json"})
    EXPECT_GT(contents(scratch.file(std::string("report/") + name)).size(), 100u) << name;
}

TEST(CommandLine, TheSameSeedGivesTheSameBytesWhateverTheNumberOfThreads) {
  Scratch scratch;
  const std::string run =
      "run '*/backward/bf16/nhwc/*' --device emulator --tier smoke --seed 5 --quiet";
  EXPECT_EQ(abn(run + " --threads 1 --out " + scratch.file("one.json")).code, 0);
  EXPECT_EQ(abn(run + " --threads 2 --out " + scratch.file("two.json")).code, 0);
  const std::string strip =
      "jq -S 'del(.provenance.time, .provenance.seconds, .provenance.command)' ";
  const auto one = shell(strip + scratch.file("one.json")),
             two = shell(strip + scratch.file("two.json"));
  EXPECT_EQ(one.code, 0);
  EXPECT_GT(one.output.size(), 1000u);
  EXPECT_EQ(one.output, two.output);
}

TEST(CommandLine, AGpuThatIsNotThereIsASkipAndNotAPass) {
  if (std::filesystem::exists("/dev/nvidia0")) GTEST_SKIP() << "this machine has a GPU";
  const auto skipped = abn("run 'naive/*' --device cuda:0 " + std::string(small));
  EXPECT_EQ(skipped.code, 77) << skipped.output;
}

struct Planted {
  const char *plugin, *variant;
  const char* check;  // the part of an id that has to fail
};

class PluginWithABug : public testing::TestWithParam<Planted> {};

TEST_P(PluginWithABug, FailsNamesTheCheckAndIsReproducedByThePrintedLine) {
  const auto& [plugin, variant, check] = GetParam();
  // one case: the smoke tier of a plug-in with as many variants as the mutants takes long
  const auto ran =
      abn("run '" + std::string(variant) + "/*/f32/*' --plugin ./plugins/" + plugin +
          ".so --only-plugins --problem n2c3s8,f32,leaky_relu:0.01 " + "--data standard --seed 1");
  EXPECT_EQ(ran.code, 1) << ran.output.substr(0, 3000);
  const auto at = ran.output.find(check);
  ASSERT_NE(ran.output.find("FAIL "), std::string::npos) << ran.output.substr(0, 3000);
  ASSERT_NE(at, std::string::npos) << check << "\n" << ran.output.substr(0, 3000);
  const auto failure = ran.output.substr(ran.output.find("FAIL "));
  EXPECT_NE(failure.find("witness"), std::string::npos) << failure.substr(0, 1000);
  const auto again = line_after(failure, "reproduce ");
  ASSERT_EQ(again.rfind("abn-verify ", 0), 0u) << again;
  const auto replayed = shell("./" + again);
  EXPECT_EQ(replayed.code, 1) << again << "\n" << replayed.output.substr(0, 2000);
}

INSTANTIATE_TEST_SUITE_P(
    Plugins, PluginWithABug,
    testing::Values(Planted{"mutants", "eps_outside_root", "/z"},
                    Planted{"mutants", "dx_missing_xhat_term", "/dx"},
                    Planted{"nan_in_one", "nan_in_one", "/z"},
                    Planted{"last_element_unwritten", "last_element_unwritten", "/unwritten"},
                    Planted{"input_overwritten", "input_overwritten", "/inputs"}),
    [](const auto& p) { return std::string(p.param.variant); });

TEST(CommandLine, ARightPluginPasses) {
  const auto ran = abn("run --plugin ./plugins/correct.so --only-plugins --tier smoke --seed 1");
  EXPECT_EQ(ran.code, 0) << ran.output.substr(0, 3000);
}

TEST(CommandLine, AKernelThatLeavesAnotherRoundingModeFailsForThatAndMovesNoNumber) {
  const auto ran = abn(
      "run '*/f32/*' --plugin ./plugins/leaves_rounding.so --only-plugins --tier smoke --seed 1");
  EXPECT_EQ(ran.code, 1) << ran.output.substr(0, 3000);
  EXPECT_NE(ran.output.find("it left another rounding mode behind"), std::string::npos)
      << ran.output.substr(0, 3000);
  for (std::size_t at = ran.output.find("FAIL "); at != std::string::npos;
       at = ran.output.find("\nFAIL ", at + 1)) {
    const std::string line = ran.output.substr(at, ran.output.find('\n', at + 1) - at);
    EXPECT_NE(line.find("/status"), std::string::npos) << line;
  }
}

TEST(CommandLine, AFullDiskCostsTheFileAndNotTheVerdict) {
  const auto wrong = abn("run --plugin ./plugins/nan_in_one.so --only-plugins --out /dev/full " +
                         std::string(small));
  EXPECT_EQ(wrong.code, 1) << wrong.output;
  EXPECT_NE(wrong.output.find("FAIL nan_in_one/forward/f32/nchw/z"), std::string::npos);
  const auto right =
      abn("run --plugin ./plugins/correct.so --only-plugins --out /dev/full " + std::string(small));
  EXPECT_EQ(right.code, 2) << right.output;
  EXPECT_NE(right.output.find("checks that ran pass"), std::string::npos) << right.output;
}

TEST(CommandLine, AVerdictThatNobodyCanReadIsNone) {
  EXPECT_EQ(shell("./abn-verify run --plugin ./plugins/correct.so --only-plugins " +
                  std::string(small) + " > /dev/full")
                .code,
            2);
  EXPECT_EQ(shell("./abn-verify --help > /dev/full").code, 2);
}

TEST(CommandLine, UnusablePluginsAreRefused) {
  for (const char* name : {"no_symbol", "bad_abi_version", "null_function"}) {
    const auto refused = abn("run --plugin ./plugins/" + std::string(name) + ".so --only-plugins");
    EXPECT_EQ(refused.code, 2) << name << "\n" << refused.output;
  }
}

TEST(CommandLine, APluginThatCrashesIsNeverAPass) {
  const auto ran = abn("run --plugin ./plugins/crash.so --only-plugins " + std::string(small));
  EXPECT_EQ(ran.code, 1) << ran.output;
}

TEST(CommandLine, ListGroupsByVariantAndOperationAndFitsATerminal) {
  for (const char* const arguments : {"list", "list naive", "list '*/property/*/constants'"}) {
    const auto listed = abn(arguments);
    EXPECT_EQ(listed.code, 0) << listed.output;
    for (const char* heading : {"naive (emulated)", "  property, "})
      EXPECT_NE(listed.output.find(heading), std::string::npos) << arguments << heading;
    for (std::size_t at = 0; at < listed.output.size();) {
      const std::size_t end = std::min(listed.output.find('\n', at), listed.output.size());
      EXPECT_LE(end - at, 100u) << listed.output.substr(at, end - at);
      at = end + 1;
    }
  }
  EXPECT_NE(abn("list naive").output.find("No call writes into an input."), std::string::npos);
  EXPECT_EQ(abn("list naive").output.find("two_sweep (emulated)"), std::string::npos);
  // A property of the identity alone is a check like any other.
  EXPECT_EQ(abn("list 'naive/property/f32/nchw/constants' --ids").output,
            "naive/property/f32/nchw/constants\n");
  EXPECT_EQ(abn("run naive/property/f32/nchw/constants --device emulator --quiet").code, 0);
}

TEST(CommandLine, ExplainKnowsItsWordsAndNamesTheNearest) {
  const auto all = abn("explain");
  EXPECT_EQ(all.code, 0);
  for (const char* word : {"kappa", "large_mean", "shards", "guards", "two_pass", "inconclusive",
                           "eps_outside_root", "inversion", "leaky_relu", "77"}) {
    EXPECT_NE(all.output.find(word), std::string::npos) << word;
    EXPECT_EQ(abn("explain " + std::string(word)).code, 0) << word;
  }
  EXPECT_EQ(abn("explain reduction of dy").code, 0);
  const auto unknown = abn("explain large_meen");
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.output.find("did you mean large_mean?"), std::string::npos) << unknown.output;
}

// The README is copied beside the binaries.
TEST(CommandLine, TheFailureInTheReadmeIsWhatItsOwnCommandPrints) {
  const std::string readme = contents((folder_of_this_binary() / "README.md").string());
  const auto begin = readme.find("```\nFAIL ");
  ASSERT_NE(begin, std::string::npos);
  const std::string quoted = readme.substr(begin + 4, readme.find("```", begin + 4) - begin - 4);
  const auto replayed = shell("./" + line_after(quoted, "reproduce "));
  EXPECT_EQ(replayed.code, 1) << replayed.output;
  EXPECT_EQ(replayed.output.substr(0, quoted.size()), quoted);
}

TEST(CommandLine, BenchListsRefusesAndRunsDryAndPlanTakesItsTimes) {
  const Scratch scratch;
  const std::string times = scratch.file("times.json"), plan = scratch.file("plan.json"),
                    report = scratch.file("report");
  const auto list = abn("bench --list --shapes large");
  EXPECT_EQ(list.code, 0);
  EXPECT_EQ(list.output,
            "n700c64s50176,nchw,bf16,leaky_relu:0.01\nn700c64s50176,nhwc,bf16,leaky_relu:0.01\n");
  EXPECT_EQ(abn("bench --device cuda:99").code, 77);
  const auto wrong = abn("bench --list --shapes lage");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.output.find("did you mean large"), std::string::npos) << wrong.output;
  EXPECT_EQ(abn("bench --device emulator").code, 2);
  EXPECT_EQ(abn("bench --device emulator --problem n0c3s5,leaky_relu").code, 2);
  EXPECT_EQ(abn("bench sorted --device emulator --problem n2c3s5,leaky_relu").code, 2);

  const auto dry =
      abn("bench 'auto' --device emulator --problem n2c3s5,leaky_relu --seconds 0 --out " + times);
  EXPECT_EQ(dry.code, 0) << dry.output;
  EXPECT_NE(dry.output.find("say nothing of a GPU"), std::string::npos) << dry.output;
  EXPECT_NE(dry.output.find("us predicted"), std::string::npos) << dry.output;
  const auto planned =
      abn("plan --problem n2c3s5,leaky_relu --measured " + times + " --out " + plan);
  EXPECT_EQ(planned.code, 0) << planned.output;
  EXPECT_NE(planned.output.find("Measured over predicted time"), std::string::npos)
      << planned.output;
  EXPECT_EQ(abn("plan --problem n2c3s5,leaky_relu --measured " + plan).code, 2);
  EXPECT_EQ(abn("plan --problem n2c3s5,leaky_relu --device cuda").code, 2);
  EXPECT_EQ(abn("report " + times + " " + plan + " --out " + report).code, 0);
  EXPECT_NE(contents(report + "/report.md").find("What auto chooses"), std::string::npos);
}

// How the test binaries end, of which ctest makes passes, failures and skips
// (tests/support/main.cpp).
TEST(TestMain, DISABLED_Skips) { GTEST_SKIP() << "as asked"; }
TEST(TestMain, DISABLED_Fails) { FAIL() << "as asked"; }
TEST(TestMain, DISABLED_Passes) {}

TEST(TestMain, ASkipIsNoPassAndHidesNoFailure) {
  const auto run = [](const std::string& filter) {
    return shell("./verify-tests --gtest_also_run_disabled_tests --gtest_filter='" + filter + "'")
        .code;
  };
  EXPECT_EQ(run("TestMain.DISABLED_Passes"), 0);
  EXPECT_EQ(run("TestMain.DISABLED_Skips:TestMain.DISABLED_Passes"), 77);
  EXPECT_EQ(run("TestMain.DISABLED_*"), 1);
  EXPECT_EQ(run("TestMain.Nonesuch"), 2);
}
