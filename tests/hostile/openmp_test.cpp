// A right plug-in with a runtime of threads of its own, which is judged like any other: whether its
// threads begin when it is loaded or in a call, few or many, and leave nothing behind.
#include <gtest/gtest.h>

#include "tests/command/process.hpp"
#include "tests/support/marked_processes.hpp"

namespace {

using namespace abn::tests;

TEST(OpenMP, APluginWithThreadsOfItsOwnIsJudged) {
  if (!fs::exists(folder_of_this_binary() / "plugins/openmp.so"))
    GTEST_SKIP() << "the compiler has no OpenMP; install its runtime, such as libgomp1";
  const Folder folder("openmp");
  const std::string mark = "abn-openmp-" + std::to_string(getpid());
  const auto judged = [&](const std::string& plugin, const std::string& threads,
                          const std::string& limits) {
    return in_shell("HOSTILE_MARK=" + mark + " OMP_NUM_THREADS=" + threads +
                    " OMP_DYNAMIC=false timeout -k 1 300 ./abn-verify run --plugin ./plugins/" +
                    plugin + ".so --only-plugins --device emulator --tier quick --seed 1 --quiet" +
                    limits + " --out " + folder.file(plugin + threads));
  };
  const auto verdicts = [&](const std::string& name) {
    std::map<std::string, std::string> all;
    const auto results = nlohmann::json::parse(contents(folder.file(name)));
    for (const auto& record : results.at("checks")) {
      const std::string id = record.at("id");
      all[id.substr(id.find('/'))] = record.at("verdict");
    }
    return all;
  };
  // Its bits are the sample's, so its verdicts are, too.
  const EndedShell sample = judged("correct", "1", "");
  ASSERT_EQ(sample.code, 0) << sample.output;
  const auto expected = verdicts("correct1");
  ASSERT_GT(expected.size(), 20u);
  for (const auto& [threads, limits] : {std::pair{"1", ""}, {"4", ""}, {"48", " --memory 4096"}}) {
    const EndedShell ended = judged("openmp", threads, limits);
    EXPECT_EQ(ended.code, 0) << threads << " threads\n" << ended.output.substr(0, 3000);
    EXPECT_EQ(verdicts("openmp" + std::string(threads)), expected) << threads << " threads";
    EXPECT_TRUE(processes_with(mark).empty()) << threads << " threads";
  }
}

}  // namespace
