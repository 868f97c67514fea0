// doctor and results say what runs where, and under which limits.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/command/process.hpp"

namespace {

using namespace abn::tests;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Doctor, SaysWhereKernelsRunAndUnderWhichLimits) {
  const EndedShell doctor = in_shell("./abn-verify doctor");
  EXPECT_EQ(doctor.code, 0) << doctor.output;
  for (const char* const line :
       {"\nin-tree      called by abn-verify itself", "\nplug-ins     called in worker processes",
        "\nlimits       a call at most 120 s", "\nconfined     "})
    EXPECT_TRUE(has(doctor.output, line)) << line << "\n" << doctor.output;
}

TEST(Doctor, ResultsAndReportSayTheSameOfEveryVariant) {
  const Folder folder("where");
  const std::string out = folder.file("results.json");
  const EndedShell ran = in_shell(
      "./abn-verify run '@(naive|correct)/forward/f32/nchw/*' --plugin ./plugins/correct.so "
      "--device emulator --call-seconds 7 --memory 999 --problem n2c3s5,f32,leaky_relu --seed 1 "
      "--out " +
      out);
  EXPECT_EQ(ran.code, 0) << ran.output;
  std::string in_tree, plugin;
  const auto json = nlohmann::json::parse(contents(out));
  for (const auto& variant : json.at("variants")) {
    if (variant.at("name") == "naive") in_tree = variant.at("process");
    if (variant.at("name") == "correct") plugin = variant.at("process");
  }
  EXPECT_EQ(in_tree, "called by abn-verify itself");
  EXPECT_TRUE(has(plugin, "worker processes: a call at most 7 s, a worker at most 999 MB"))
      << plugin;
  ASSERT_EQ(in_shell("./abn-verify report " + out + " --out " + folder.file("report")).code, 0);
  const std::string page = contents(folder.file("report/index.html"));
  EXPECT_TRUE(has(page, "a worker at most 999 MB"));
  EXPECT_TRUE(has(page, "seed 1"));
}

}  // namespace
