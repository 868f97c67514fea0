// The planted defects of tests/plugins/planted.cu as nvcc compiled them: each is found by the check
// that the emulator finds it by, and the kernel without a defect by none. Only where there is nvcc.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "tests/command/process.hpp"

namespace {

TEST(PtxPlanted, DefectsOfCompiledKernelsAreFound) {
  if (!std::filesystem::exists(abn::tests::folder_of_this_binary() / "plugins/planted.ptx.so"))
    GTEST_SKIP() << "planted.cu was not compiled for GPUs; build where nvcc is on PATH";
  const auto ended = abn::tests::in_shell(
      "ulimit -v 12000000; timeout 200 ./abn-verify run --plugin plugins/planted.ptx.so "
      "--only-plugins --device ptx --only-sanitize --seed 1 --quiet");
  EXPECT_EQ(ended.code, 1) << ended.output;
  std::set<std::string> failed;
  std::istringstream lines(ended.output);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("FAIL ")) failed.insert(line.substr(5, line.find(' ', 5) - 5));
  const std::pair<const char*, const char*> planted[] = {
      {"race", "races"},           {"unwritten", "unwritten_reads"}, {"overrun", "bounds"},
      {"input_written", "bounds"}, {"divergence", "barriers"},       {"traffic", "traffic"},
      {"scattered", "traffic"}};
  for (const auto& [defect, check] : planted)
    EXPECT_TRUE(failed.contains(std::string("planted_") + defect + "/forward/f32/nchw/" + check))
        << defect << "\n"
        << ended.output;
  for (const std::string& id : failed) EXPECT_FALSE(id.starts_with("planted_none/")) << id;
}

}  // namespace
