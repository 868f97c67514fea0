// The reader: what it makes of PTX as compilers write it, and planted errors, each of which is
// refused with its line, its kernel and what to do.
#include <gtest/gtest.h>

#include <array>

#include "cuda/ptx/read/parser.hpp"
#include "tests/ptx/support.hpp"

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

TEST(PtxReader, ReadsDeclarations) {
  const auto module = parse_module(
      "// comment\n.version 9.0\n.target sm_90\n.address_size 64\n"
      ".file 1 \"kernel.cu\"\n"
      ".const .align 4 .b8 table[8] = {1, 2, 3, 4, 0xff, 0, 0, 7};\n"
      ".extern .shared .align 16 .b8 arena[];\n"
      ".visible .entry first(.param .u32 n, .param .align 8 .b8 s[24], .param .u64 .ptr .align 1 "
      "p)\n.maxntid 128, 2\n.minnctapersm 2\n{ /* } */ ret; }\n"
      ".entry second()\n.reqnctapercluster 4\n{\nret;\n}\n");
  ASSERT_EQ(module->kernels.size(), 2U);
  const Kernel& first = module->kernels[0];
  ASSERT_EQ(first.parameters.size(), 3U);
  EXPECT_EQ(first.parameters[1].offset, 8U);
  EXPECT_EQ(first.parameters[2].offset, 32U);
  EXPECT_EQ(first.parameter_bytes, 40U);
  EXPECT_EQ(first.most_threads, 256U);
  EXPECT_EQ(module->kernels[1].required_cluster[0], 4U);
  EXPECT_EQ(module->files.at(1), "kernel.cu");
  ASSERT_EQ(module->variables.size(), 2U);
  EXPECT_EQ(module->variables[0].content, (std::vector<std::uint8_t>{1, 2, 3, 4, 255, 0, 0, 7}));
  EXPECT_TRUE(module->variables[1].external);
}

TEST(PtxReader, ReadsInstructions) {
  const auto module = parse_module(
      text_of("",
              ".reg .pred %p<3>;\n.reg .b32 %r<4>;\n.loc 1 77 3\n@!%p1 mov.u32 %r1, -5;\n"
              "$L_1:\nsetp.lt.s32 %p1|%p2, %r1, 0f3F800000;\nld.v2.u32 {%r1, _}, [%r2+-4];"));
  const Body body = parse_body(module->kernels.at(0));
  ASSERT_EQ(body.statements.size(), 5U);  // with the ret behind them
  EXPECT_EQ(body.statements[0].guard, "%p1");
  EXPECT_TRUE(body.statements[0].guard_negated);
  EXPECT_EQ(body.statements[0].source.line, 77U);
  EXPECT_EQ(static_cast<std::int64_t>(body.statements[0].operands[1].bits), -5);
  EXPECT_EQ(body.statements[1].label, "$L_1");
  EXPECT_EQ(body.statements[2].operands[0].second, "%p2");
  EXPECT_EQ(body.statements[2].operands[2].bits, 0x3f800000U);
  EXPECT_EQ(body.statements[3].operands[0].parts.size(), 2U);
  EXPECT_EQ(static_cast<std::int64_t>(body.statements[3].operands[1].bits), -4);
}

TEST(PtxReader, InlinedLinesAreThoseOfTheKernelThatTheyAreIn) {
  const auto module = parse_module(text_of(
      "",
      ".reg .b32 %r<4>;\n.loc 1 10 3\nmov.u32 %r1, 0;\n"
      ".loc 2 20 5, function_name $L_a, inlined_at 1 10 3\nmov.u32 %r1, 1;\n"
      ".loc 3 30 7, function_name $L_b, inlined_at 2 20 5\nmov.u32 %r1, 2;\n"
      ".loc 1 11 3\n.loc 3 30 7, function_name $L_b+4, inlined_at 1 11 3\nmov.u32 %r1, 3;"));
  const Body body = parse_body(module->kernels.at(0));
  const auto lines = [&](std::size_t i) {
    const Statement& one = body.statements.at(i);
    return std::array<unsigned, 4>{one.source.file, one.source.line, one.outermost.file,
                                   one.outermost.line};
  };
  EXPECT_EQ(lines(0), (std::array<unsigned, 4>{1, 10, 1, 10}));
  EXPECT_EQ(lines(1), (std::array<unsigned, 4>{2, 20, 1, 10}));
  EXPECT_EQ(lines(2), (std::array<unsigned, 4>{3, 30, 1, 10}));
  EXPECT_EQ(lines(3), (std::array<unsigned, 4>{3, 30, 1, 11}));
}

TEST(PtxReader, InlinePtxHasNamesOfItsOwn) {
  std::vector<Buffer> buffers{{"out", std::vector<std::uint32_t>(32), true, true}};
  const std::string half =
      "{\n.reg .pred p;\nsetp.eq.u32 p, %r1, 3;\n@p bra DONE;\nadd.u32 %r2, %r2, 1;\nDONE:\n}\n";
  const Outcome outcome =
      run(text_of(".param .u64 out",
                  ".reg .b32 %r<4>;\n.reg .b64 %rd<4>;\nld.param.u64 %rd1, [out];\n"
                  "mov.u32 %r1, %tid.x;\nmov.u32 %r2, 0;\n" +
                      half + half +
                      "mul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd1, %rd1, %rd2;\n"
                      "st.global.u32 [%rd1], %r2;"),
          buffers);
  EXPECT_EQ(finding_of(outcome), "");
  for (unsigned i = 0; i < 32; ++i) EXPECT_EQ(buffers[0].words[i], i == 3 ? 0U : 2U) << i;
}

TEST(PtxReader, AScalarOfAnAccessMayStandInBraces) {  // as Triton writes it
  std::vector<Buffer> buffers{{"out", std::vector<std::uint32_t>(32, 40), true, true}};
  const std::string registers = ".reg .b32 %r<4>;\n.reg .b64 %rd<4>;\n";
  const Outcome outcome =
      run(text_of(".param .u64 out",
                  registers + "ld.param.u64 %rd1, [out];\nmov.u32 %r1, %tid.x;\n"
                              "mul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd1, %rd1, %rd2;\n"
                              "ld.global.b32 { %r2 }, [ %rd1 + 0 ];\nadd.u32 %r2, %r2, %r1;\n"
                              "st.global.b32 [ %rd1 + 0 ], { %r2 };"),
          buffers);
  EXPECT_EQ(finding_of(outcome), "");
  for (unsigned i = 0; i < 32; ++i) EXPECT_EQ(buffers[0].words[i], 40 + i) << i;
  EXPECT_NE(refusal(text_of("", registers + "add.u32 {%r1}, %r2, %r3;")).find("brackets"),
            std::string::npos);
}

struct Planted {
  const char *name, *body, *what;
};

class PtxRefusals : public testing::TestWithParam<Planted> {};

TEST_P(PtxRefusals, NameLineKernelAndRemedy) {
  const std::string registers =
      ".reg .pred %p<3>;\n.reg .b16 %h<3>;\n.reg .b32 %r<4>;\n.reg .b64 %d<4>;\n";
  const std::string why = refusal(text_of("", registers + GetParam().body));
  EXPECT_NE(why.find(GetParam().what), why.npos) << why;
  EXPECT_NE(why.find("PTX line "), why.npos) << why;
  EXPECT_NE(why.find("; "), why.npos) << why;
}

INSTANTIATE_TEST_SUITE_P(
    All, PtxRefusals,
    testing::Values(
        Planted{"form", "frobnicate.b32 %r1, %r2;", "the instruction frobnicate.b32 is not known"},
        Planted{"modifier", "add.rn.bf32 %r1, %r2, %r3;", "add.rn.bf32 is not known"},
        Planted{"few", "add.s32 %r1, %r2;", "too few operands"},
        Planted{"many", "add.s32 %r1, %r2, %r3, %r1;", "too many operands"},
        Planted{"undeclared", "add.s32 %r1, %r2, %r9;", "\"%r9\" is neither a register nor"},
        Planted{"width", "add.s32 %r1, %r2, %d1;", "takes 32 bits and %d1 has 64 bits"},
        Planted{"narrow", "add.s64 %d1, %d2, %r1;", "takes 64 bits and %r1 has 32 bits"},
        Planted{"predicate", "selp.b32 %r1, %r2, %r3, %r1;", "takes a predicate and %r1 has"},
        Planted{"address", "ld.global.u32 %r1, [%r2];", "for memory that has 64"},
        Planted{"no_address", "ld.global.u32 %r1, %d2;", "wants an address in brackets"},
        Planted{"vector", "ld.global.v4.u32 {%r1, %r2}, [%d1];", "wants {4 values}"},
        Planted{"label", "bra NOWHERE;", "there is no label NOWHERE"},
        Planted{"guard", "@%r1 ret;", "%r1 guards an instruction and is not a predicate"},
        Planted{"result", "add.s32 5, %r1, %r2;", "a result is a constant"},
        Planted{"sink", "add.s32 %r1, %r2, _;", "'_' stands where a value is read"},
        Planted{"pair", "add.s32 %r1|%p1, %r2, %r3;", "has one result and not a pair"},
        Planted{"twice", ".reg .b32 %r1;", "is declared twice"},
        Planted{"constant", "add.f64 %d1, %d2, 0f3F800000;", "a constant of 32 bits"},
        Planted{"directive", ".branchtargets L;", "the directive \".branchtargets\" is not known"},
        Planted{"number", "mov.u32 %r1, 0x12g4;", "is not a number"},
        Planted{"semicolon", "add.s32 %r1, %r2 %r3;", "',' is missing"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(PtxReader, WholeTextsAreRefused) {
  EXPECT_NE(refusal("").find("no .version"), std::string::npos);
  EXPECT_NE(refusal(".version 9.0\n.entry k() {").find("'}' is missing"), std::string::npos);
  EXPECT_NE(refusal(".version 9.0\n/* x").find("a comment has no end"), std::string::npos);
  EXPECT_NE(refusal(".version 9.0\n.address_size 32\n").find("-m64"), std::string::npos);
  EXPECT_NE(refusal(".version 9.0\n.func f() {}\n").find("__forceinline__"), std::string::npos);
}

}  // namespace
