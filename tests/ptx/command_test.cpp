// --device ptx from outside: kernels from text are judged and sanitised, planted mistakes that the
// emulator cannot see are found, and what cannot be run is refused in one sentence.
#include <gtest/gtest.h>

#include "tests/command/process.hpp"

namespace {

using abn::tests::in_shell;

constexpr const char* one_case =
    " --only-plugins --problem n4c3s49,f32,nchw,leaky_relu:0.01 --data standard --quiet";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

TEST(PtxCommand, KernelsFromTextAreJudged) {
  const auto ended = in_shell(std::string("ulimit -v 8000000; timeout 100 ./abn-verify run "
                                          "--plugin plugins/text_kernel.so --device ptx") +
                              one_case);
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_TRUE(contains(ended.output, " pass")) << ended.output;
}

TEST(PtxCommand, TheirAccessesAreSeenAndTheirTrafficIsAsClaimed) {
  const auto ended = in_shell(
      "ulimit -v 8000000; timeout 100 ./abn-verify run 'text_kernel/*/f32/*' --plugin "
      "plugins/text_kernel.so --device ptx --only-plugins --only-sanitize --problem "
      "n4c3s49,f32,nchw,leaky_relu:0.01 --data standard --quiet");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_TRUE(contains(ended.output, " pass")) << ended.output;
}

TEST(PtxCommand, InstructionsAreCounted) {
  const auto ended = in_shell(
      "timeout 100 ./abn-verify traffic --plugin plugins/text_kernel.so --only-plugins --device "
      "ptx --problem n4c3s49,f32,nchw,leaky_relu:0.01");
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_TRUE(contains(ended.output, "instructions of warps, ")) << ended.output;
  EXPECT_TRUE(contains(ended.output, "the memory's pace on an H100 leaves 306")) << ended.output;
  EXPECT_TRUE(contains(ended.output, "leaves 459")) << ended.output;
}

TEST(PtxCommand, AnOperandOfTheWrongWidthIsRefusedByItsLine) {
  const auto ended = in_shell(std::string("timeout 100 ./abn-verify run --plugin "
                                          "plugins/text_kernel_broken.so --device ptx") +
                              one_case);
  EXPECT_EQ(ended.code, 1) << ended.output;
  EXPECT_TRUE(contains(ended.output,
                       "PTX line 247 of kernel forward_kernel: an address of 32 bits "
                       "in register %r1 for memory that has 64"))
      << ended.output;
}

TEST(PtxCommand, FastMathIsSeenInTheNumbers) {
  // Compiled with -use_fast_math, whose instructions flush subnormals; sources do not show that.
  const auto fast = in_shell(
      "timeout 100 ./abn-verify run 'text_kernel/*/f32/nchw/z' --plugin "
      "plugins/text_kernel_fast.so --only-plugins --device ptx --quiet --problem "
      "n8c4s64,f32,nchw,leaky_relu:0.01 --data subnormals");
  EXPECT_EQ(fast.code, 1) << fast.output;
  const auto exact = in_shell(
      "timeout 100 ./abn-verify run 'text_kernel/*/f32/nchw/z' --plugin "
      "plugins/text_kernel.so --only-plugins --device ptx --quiet --problem "
      "n8c4s64,f32,nchw,leaky_relu:0.01 --data subnormals");
  EXPECT_EQ(exact.code, 0) << exact.output;
}

TEST(PtxCommand, WhatCannotRunIsRefusedWithTheRemedy) {
  const auto own =
      in_shell("./abn-verify run --plugin plugins/own_runtime.so --only-plugins --device ptx");
  EXPECT_EQ(own.code, 2) << own.output;
  EXPECT_TRUE(contains(own.output, "link it with nvcc -cudart shared")) << own.output;
  const auto word = in_shell("./abn-verify run naive --device ptx:middle");
  EXPECT_EQ(word.code, 2) << word.output;
  EXPECT_TRUE(contains(word.output, "\"ptx:middle\" is not a device")) << word.output;
  const auto gpu =
      in_shell("./abn-verify traffic naive --device cuda:0 --problem n4c3s49,identity");
  EXPECT_EQ(gpu.code, 2) << gpu.output;
  EXPECT_TRUE(contains(gpu.output, "use --device emulator or ptx")) << gpu.output;
}

}  // namespace
