// Kernels that nobody ported (tests/ptx/strangers) are judged as nvcc compiled them: the right ones
// pass, and each planted bug fails where it bites. From the committed text everywhere, and from
// nvcc's own plug-ins where there is nvcc.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "tests/command/process.hpp"

namespace {

struct Stranger {
  const char* name;
  std::vector<const char*> failing;   ///< checks that fail at least; none of a right kernel
  std::vector<const char*> words;     ///< of the output
  std::vector<const char*> no_words;  ///< not of the output
};
void PrintTo(const Stranger& stranger, std::ostream* out) { *out << stranger.name; }

class Strangers : public testing::TestWithParam<Stranger> {};
class CompiledStrangers : public Strangers {};

void expect_judged(const Stranger& stranger, const char* ending) {
  const auto ended = abn::tests::in_shell(
      std::string("ulimit -v 12000000; timeout 200 ./abn-verify run --plugin plugins/") +
      stranger.name + ending +
      " --only-plugins --device ptx --sanitize --tier quick --seed 1 --quiet");
  EXPECT_EQ(ended.code, stranger.failing.empty() ? 0 : 1) << ended.output;
  std::set<std::string> failed;
  std::istringstream lines(ended.output);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("FAIL ")) failed.insert(line.substr(5, line.find(' ', 5) - 5));
  for (const char* const check : stranger.failing)
    EXPECT_TRUE(failed.contains(std::string(stranger.name) + "/" + check)) << check << "\n"
                                                                           << ended.output;
  for (const char* const word : stranger.words)
    EXPECT_NE(ended.output.find(word), std::string::npos) << word << "\n" << ended.output;
  for (const char* const word : stranger.no_words)
    EXPECT_EQ(ended.output.find(word), std::string::npos) << word << "\n" << ended.output;
}

TEST_P(Strangers, AreJudgedFromText) { expect_judged(GetParam(), ".so"); }

TEST_P(CompiledStrangers, AreJudged) {
  const std::string plugin = std::string("plugins/") + GetParam().name + ".ptx.so";
  if (!std::filesystem::exists(abn::tests::folder_of_this_binary() / plugin))
    GTEST_SKIP() << "the strangers were not compiled for GPUs; build where nvcc is on PATH";
  expect_judged(GetParam(), ".ptx.so");
}

constexpr const char *schedule = "(not_deterministic)", *race = "nothing orders the two";
const Stranger strangers[] = {
    {"static_shared", {}, {"checks that ran pass"}, {}},
    {"static_shared_planted_1",
     {"forward/f32/nchw/z", "backward/f32/nchw/races", "backward/f32/nchw/dx"},
     {schedule, race},
     {}},
    {"cub_reduce", {}, {"checks that ran pass"}, {}},
    {"cub_reduce_planted_1",
     {"forward/f32/nchw/z", "forward/f32/nchw/variance", "exact/f32/nchw/z"},
     {"of a channel of equal samples is not phi(beta)"},
     {"(wrong_in_place)"}},
    {"cub_reduce_planted_2", {"backward/f32/nchw/races"}, {race}, {"forward/"}},
    {"warp_atomics", {}, {"checks that ran pass"}, {}},
    {"warp_atomics_planted_1",
     {"forward/f32/nchw/mean", "backward/f32/nchw/dgamma", "backward/f32/nchw/unwritten_reads",
      "calls/f32/nchw/sequence"},
     {"of workspace[", "(depends_on_earlier_calls)"},
     {"(wrong_in_place)"}},
    {"warp_atomics_planted_2",
     {"forward/f32/nchw/mean", "backward/f32/nchw/dbeta", "exact/f32/nchw/dgamma"},
     {},
     {"(wrong_in_place)"}},
    {"half_vectors", {}, {"checks that ran pass"}, {}},
    {"half_vectors_planted_1",
     {"forward/f16/nchw/z", "forward/f16/nchw/unwritten", "backward/f16/nchw/dbeta"},
     {"(not_all_written)"},
     {}}};

// Triton's, from text alone (fixtures/ptx/triton).
const Stranger triton[] = {
    {"triton_kernel", {}, {"checks that ran pass"}, {}},
    {"triton_kernel_planted_1",
     {"forward/f32/nchw/variance", "forward/f16/nchw/z", "forward/bf16/nchw/z",
      "exact/f32/nchw/variance"},
     {},
     {"/races", "backward/"}},
    {"triton_kernel_planted_2",
     {"backward/f32/nchw/dx", "backward/f16/nchw/dx", "backward/bf16/nchw/dx"},
     {"(eps_outside_root)"},
     {"/races", "forward/"}}};

std::string name_of(const testing::TestParamInfo<Stranger>& stranger) {
  return stranger.param.name;
}
INSTANTIATE_TEST_SUITE_P(Ptx, Strangers, testing::ValuesIn(strangers), name_of);
INSTANTIATE_TEST_SUITE_P(Triton, Strangers, testing::ValuesIn(triton), name_of);
INSTANTIATE_TEST_SUITE_P(Ptx, CompiledStrangers, testing::ValuesIn(strangers), name_of);

}  // namespace
