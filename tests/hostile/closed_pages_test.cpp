// Plug-ins that look at memory beside their buffers: the numbers are right and no guard word is
// changed, so only pages that nobody may touch tell.
#include <gtest/gtest.h>

#include "tests/command/process.hpp"

namespace {

using abn::tests::EndedShell;
using abn::tests::in_shell;

EndedShell judged(const std::string& plugin, const std::string& check) {
  return in_shell("timeout -k 1 300 ./abn-verify run '" + plugin + "/" + check +
                  "' --plugin ./plugins/" + plugin +
                  ".so --only-plugins --device emulator --quiet --seed 1 --problem "
                  "n2c3s5,f32,leaky_relu");
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

TEST(ClosedPages, AnAccessBesideABufferIsNamed) {
  const struct {
    const char *plugin, *says, *place;
  } planted[] = {
      {"reads_one_past",
       "with buffers that end at pages nobody may touch, forward reads past the end of x: x[30]",
       "x[30]"},
      {"reads_one_before",
       "with buffers that begin at pages nobody may touch, forward reads before the beginning of "
       "x: x[-1]",
       "x[-1]"},
  };
  for (const auto& [plugin, says, place] : planted) {
    const EndedShell ended = judged(plugin, "calls/f32/nchw/elsewhere");
    EXPECT_EQ(ended.code, 1) << ended.output;
    EXPECT_TRUE(has(ended.output, std::string("FAIL ") + plugin + "/calls/f32/nchw/elsewhere"))
        << ended.output;
    EXPECT_TRUE(has(ended.output, says)) << ended.output;
    EXPECT_TRUE(has(ended.output, std::string("witness   ") + place)) << ended.output;
    EXPECT_FALSE(has(ended.output, "likely")) << ended.output;
    // Nothing else can see it.
    const EndedShell others = judged(plugin, "@(forward|backward|property)/f32/nchw/*");
    EXPECT_EQ(others.code, 0) << others.output;
  }
}

TEST(ClosedPages, AWriteFarBehindABufferIsNamed) {
  const EndedShell ended = judged("writes_a_page_past", "calls/f32/nchw/elsewhere");
  EXPECT_EQ(ended.code, 1) << ended.output;
  EXPECT_TRUE(has(ended.output, "FAIL writes_a_page_past/calls/f32/nchw/elsewhere"))
      << ended.output;
}

// A load of an aligned vector harms nobody, as long as any of it lies in the buffer.
TEST(ClosedPages, RightKernelsPass) {
  for (const char* const plugin : {"correct", "reads_aligned_vectors"}) {
    const EndedShell ended = judged(plugin, "calls/f32/nchw/elsewhere");
    EXPECT_EQ(ended.code, 0) << plugin << "\n" << ended.output;
    EXPECT_TRUE(has(ended.output, "The only check passes")) << ended.output;
  }
}

}  // namespace
