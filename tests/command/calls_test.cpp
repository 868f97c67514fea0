// What the checks of calls print: a command that names what was left out or which calls were made,
// and fails with the same words in a process of its own.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

namespace {

namespace fs = std::filesystem;

struct Finished {
  int code;
  std::string output;
};

Finished run_in_bin(const std::string& command) {
  const fs::path bin = fs::read_symlink("/proc/self/exe").parent_path();
  FILE* pipe = popen(("cd '" + bin.string() + "' && ./" + command + " 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> chunk;
  while (const std::size_t got = fread(chunk.data(), 1, chunk.size(), pipe))
    output.append(chunk.data(), got);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), output};
}

const std::string from_plugin = " --plugin plugins/calls.so --only-plugins --seed 1";

/// The rest of the line that begins with `key` behind `from`.
std::string line_of(const std::string& text, const std::string& key, std::size_t from) {
  const std::size_t at = text.find("\n  " + key + " ", from);
  if (at == std::string::npos) return {};
  const std::size_t begin = text.find_first_not_of(' ', at + key.size() + 3);
  return text.substr(begin, text.find('\n', begin) - begin);
}

struct Failure {
  std::string reason, because, likely, reproduce;
};

/// By check id.
std::map<std::string, Failure> failures_in(const std::string& output) {
  std::map<std::string, Failure> all;
  for (std::size_t at = output.find("FAIL "); at != std::string::npos;
       at = output.find("FAIL ", at + 1)) {
    const std::size_t begin = at + 5, end = output.find_first_of(" \n", begin);
    const std::string block = output.substr(at, output.find("\nFAIL ", at) - at);
    all[output.substr(begin, end - begin)] = {
        line_of(block, "reason", 0), line_of(block, "because", 0), line_of(block, "likely", 0),
        line_of(block, "reproduce", 0)};
  }
  return all;
}

TEST(CallsCommand, EveryFailureIsShownAgainByItsCommandWithTheSameWords) {
  const Finished ran =
      run_in_bin("abn-verify run 'calls_*/calls/f32/nchw/*' --threads 1" + from_plugin);
  EXPECT_EQ(ran.code, 1);
  const auto failures = failures_in(ran.output);
  EXPECT_GE(failures.size(), 27u) << ran.output.substr(0, 2000);
  for (const auto& [id, failure] : failures) {
    EXPECT_FALSE(failure.reason.empty()) << id;
    if (failure.reason.ends_with("made again it is not there")) continue;  // luck of threads
    ASSERT_EQ(failure.reproduce.rfind("abn-verify ", 0), 0u) << id;
    Finished again = run_in_bin(failure.reproduce);
    // Threads meet by luck, and on a busy machine seldom.
    for (int more = 0; more < 9 && again.code == 0 && id.ends_with("/threads"); ++more)
      again = run_in_bin(failure.reproduce);
    EXPECT_EQ(again.code, 1) << failure.reproduce;
    const auto replayed = failures_in(again.output);
    if (failure.reproduce.find(id) == std::string::npos) {
      // one that counts its calls may be met by any check, and is shown by the one that counts too
      EXPECT_NE(failure.reason.find("calls"), std::string::npos) << failure.reason;
      EXPECT_TRUE(failure.reproduce.find("sequence") != std::string::npos ||
                  failure.reproduce.find("/threads ") != std::string::npos)
          << failure.reproduce;
      continue;
    }
    EXPECT_FALSE(failure.likely.empty()) << id;
    ASSERT_TRUE(replayed.contains(id)) << failure.reproduce << "\n" << again.output;
    // which element of which output threads spoil is luck
    const std::string words = failure.reason.substr(
        0, id.ends_with("/threads") ? failure.reason.find(',') : std::string::npos);
    EXPECT_EQ(replayed.at(id).reason.rfind(words, 0), 0u) << failure.reason << "\n"
                                                          << replayed.at(id).reason;
    if (id.ends_with("/optional")) {
      EXPECT_NE(failure.reproduce.find(" --without "), std::string::npos) << failure.reproduce;
    }
  }
}

TEST(CallsCommand, ARightKernelPassesAndMayBeCalledWithoutWhatIsNamed) {
  const std::string called = "abn-verify run 'called/*/bf16/*'" + from_plugin;
  const Finished ran = run_in_bin(called);
  EXPECT_EQ(ran.code, 0) << ran.output.substr(0, 3000);
  const std::string one = " --problem n2c3s5,bf16,leaky_relu --data standard";
  EXPECT_EQ(run_in_bin(called + one + " --without mean,dx").code, 0);
  const Finished refused = run_in_bin(called + one + " --without dgama");
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.output.find("did you mean dgamma?"), std::string::npos) << refused.output;
}

TEST(CallsCommand, NumbersThatAreGivenAreCalledInSequenceToo) {
  const Finished ran = run_in_bin(
      "abn-verify run 'two_sweep/calls/f64/nchw/*' --problem n1c1s2,f64,identity "
      "--data given:x=1,2");
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_EQ(ran.output.find("error"), std::string::npos) << ran.output;
}

TEST(CallsCommand, AFailureThatDependsOnTheCallsBeforeNamesTheCheckThatMakesThem) {
  const Finished ran = run_in_bin(
      "abn-verify run 'calls_hundredth_call/forward/f32/nchw/*' --threads 1" + from_plugin);
  EXPECT_EQ(ran.code, 1);
  int seen = 0;
  for (const auto& [id, failure] : failures_in(ran.output)) {
    EXPECT_NE((failure.reason + failure.because).find("made again at once, gave other results"),
              std::string::npos)
        << id << ": " << failure.reason;
    EXPECT_NE(failure.reproduce.find("calls_hundredth_call/calls/f32/nchw/sequence"),
              std::string::npos)
        << failure.reproduce;
    EXPECT_EQ(run_in_bin(failure.reproduce).code, 1) << failure.reproduce;
    ++seen;
  }
  EXPECT_GT(seen, 0) << ran.output.substr(0, 2000);
}

TEST(CallsCommand, CasesOfGammaOrBetaAloneAndOfOtherTypesAreReplayed) {
  for (const auto& [variant, op, option] :
       {std::array{"calls_beta_lost_without_gamma", "forward/f32/nchw/z", ",no_gamma"},
        std::array{"calls_dz_rounded_to_dtype", "backward/bf16/nchw/dx", ",out:"}}) {
    const std::string id = std::string(variant) + "/" + op;
    const Finished ran = run_in_bin("abn-verify run '" + id + "'" + from_plugin);
    EXPECT_EQ(ran.code, 1) << id;
    const auto failures = failures_in(ran.output);
    ASSERT_TRUE(failures.contains(id)) << ran.output;
    EXPECT_NE(failures.at(id).reproduce.find(option), std::string::npos)
        << failures.at(id).reproduce;
    EXPECT_EQ(run_in_bin(failures.at(id).reproduce).code, 1) << failures.at(id).reproduce;
  }
}

}  // namespace
