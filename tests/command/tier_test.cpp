// Less than a tier, from outside: the quick tier and --seconds say what they left out, and the seed
// of a plug-in is drawn.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/command/process.hpp"

namespace {

using namespace abn::tests;

const std::string plugin = " --plugin ./plugins/correct.so --only-plugins";
const std::string few = "./abn-verify run 'correct/forward/f32/nchw/*'" + plugin;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The number after "Seed ", or nothing.
std::string seed_of(const std::string& output) {
  const std::size_t at = output.find("Seed ");
  return at == std::string::npos ? "" : output.substr(at + 5, output.find(',', at) - at - 5);
}

TEST(Tier, QuickSaysWhatItLeftOut) {
  const Folder folder("quick");
  const std::string out = folder.file("results.json");
  const EndedShell quick = in_shell(few + " --seed 1 --tier quick --out " + out);
  EXPECT_EQ(quick.code, 0) << quick.output;
  EXPECT_TRUE(has(quick.output, "This is no pass of the smoke tier: ")) << quick.output;
  const auto json = nlohmann::json::parse(contents(out));
  EXPECT_EQ(json.at("provenance").at("tier"), "quick");
  EXPECT_TRUE(has(json.at("left_out"), "cases were left out."));
  EXPECT_TRUE(has(json.at("headline"), json.at("left_out")));
  const EndedShell report =
      in_shell("./abn-verify report " + out + " --out " + folder.file("report"));
  EXPECT_EQ(report.code, 0) << report.output;
  EXPECT_TRUE(has(contents(folder.file("report/index.html")), "This is no pass of the smoke tier"));
  const EndedShell smoke = in_shell(few + " --seed 1 --tier smoke");
  EXPECT_FALSE(has(smoke.output, "no pass")) << smoke.output;
}

TEST(Tier, QuickFindsAWrongKernel) {
  const EndedShell ended = in_shell(
      "./abn-verify run '*/forward/f32/nchw/*' --plugin ./plugins/nan_in_one.so --only-plugins "
      "--tier quick");
  EXPECT_EQ(ended.code, 1) << ended.output;
  EXPECT_TRUE(has(ended.output, "reproduce abn-verify run ")) << ended.output;
}

TEST(Tier, SecondsThatAreUsedUpAreSaid) {
  const Folder folder("seconds");
  const std::string out = folder.file("results.json");
  const EndedShell ended =
      in_shell("./abn-verify run 'correct/*'" + plugin + " --seed 1 --seconds 0.01 --out " + out);
  EXPECT_TRUE(has(ended.output, "cases were left out, as the 0.01 s were used.")) << ended.output;
  const auto json = nlohmann::json::parse(contents(out));
  EXPECT_EQ(json.at("provenance").at("tier"), "smoke, 0.01 s");
  std::size_t missed = 0;
  for (const auto& one : json.at("checks"))
    if (one.at("verdict") == "skip" &&
        one.at("reason") == "none of its cases is among those that ran")
      ++missed;
  EXPECT_GT(missed, 10u) << "of the checks that one case for each group cannot meet";
}

TEST(Tier, SecondsBelongToATier) {
  for (const char* const words :
       {" --problem n2c3s4,f32,leaky_relu --seconds 5", " --hunt 1 --seconds 5", " --seconds -1",
        " --seconds nan", " --tier quik"}) {
    const EndedShell ended = in_shell(few + words);
    EXPECT_EQ(ended.code, 2) << words << "\n" << ended.output;
  }
}

TEST(Tier, TheSeedOfAPluginIsDrawnAndPrinted) {
  const std::string one = few + " --tier quick";
  const EndedShell first = in_shell(one), second = in_shell(one);
  EXPECT_EQ(first.code, 0) << first.output;
  ASSERT_FALSE(seed_of(first.output).empty()) << first.output;
  EXPECT_NE(seed_of(first.output), seed_of(second.output));
  EXPECT_NE(seed_of(first.output), "1");
  const EndedShell fixed = in_shell(one + " --seed " + seed_of(first.output));
  EXPECT_EQ(seed_of(fixed.output), "") << fixed.output;
  EXPECT_TRUE(has(first.output, fixed.output)) << "the same verdict from the seed that was printed";
  const EndedShell in_tree =
      in_shell("./abn-verify run 'naive/forward/f32/nchw/*' --tier quick --device emulator");
  EXPECT_EQ(seed_of(in_tree.output), "") << in_tree.output;
}

}  // namespace
