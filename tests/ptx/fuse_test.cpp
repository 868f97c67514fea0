// What a compiler may fuse, fused: which pairs become one instruction and which stay two, and the
// results of those that do, against exact arithmetic.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "cuda/ptx/forms/approximation.hpp"
#include "tests/ptx/exact.hpp"
#include "tests/ptx/form_model.hpp"
#include "tests/ptx/support.hpp"

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

/// Chosen for kernels that are loaded while it lives.
class Chosen {
 public:
  explicit Chosen(Approximation choice) { set_approximation(choice); }
  ~Chosen() { set_approximation(Approximation::nearest); }
  Chosen(const Chosen&) = delete;
  Chosen& operator=(const Chosen&) = delete;
};

/// The forms of a body with registers %f0 to %f7 of f32 and %d0 to %d7 of f64, in their order.
std::string forms_of(const std::string& body, Approximation choice = Approximation::fused) {
  const Chosen chosen(choice);
  const Loaded loaded =
      load(text_of("", ".reg .f32 %f<8>;\n.reg .f64 %d<8>;\n.reg .pred %p<2>;\n" + body));
  std::string names;
  for (const Instruction& in : loaded.program.code)
    if (in.form->name != "ret") names += (names.empty() ? "" : " ") + in.form->name;
  return names;
}

TEST(PtxFuse, AProductAndItsSumAreOne) {
  const std::string product = "mul.f32 %f2, %f0, %f1;\n";
  EXPECT_EQ(forms_of(product + "add.f32 %f4, %f2, %f3;"), "mul.f32 mul+add.f32");
  EXPECT_EQ(forms_of(product + "add.f32 %f4, %f3, %f2;"), "mul.f32 mul+add.f32");
  EXPECT_EQ(forms_of(product + "sub.f32 %f4, %f2, %f3;"), "mul.f32 mul+sub.f32");
  EXPECT_EQ(forms_of(product + "sub.f32 %f4, %f3, %f2;"), "mul.f32 sub+mul.f32");
  EXPECT_EQ(forms_of(product + "add.sat.f32 %f4, %f3, %f2;"), "mul.f32 mul+add.sat.f32");
  EXPECT_EQ(forms_of(product + "mov.f32 %f5, %f6;\n@%p0 add.f32 %f4, %f2, %f3;"),
            "mul.f32 mov.f32 mul+add.f32");
  EXPECT_EQ(forms_of("mul.f64 %d2, %d0, %d1;\nadd.f64 %d2, %d2, 0d3FF0000000000000;"),
            "mul.f64 mul+add.f64");
}

TEST(PtxFuse, WhatMayNotBeFusedIsNot) {
  const std::string product = "mul.f32 %f2, %f0, %f1;\n", sum = "add.f32 %f4, %f2, %f3;";
  EXPECT_EQ(forms_of(product + sum, Approximation::nearest), "mul.f32 add.f32");
  EXPECT_EQ(forms_of("mul.rn.f32 %f2, %f0, %f1;\n" + sum), "mul.rn.f32 add.f32");
  EXPECT_EQ(forms_of(product + "add.rn.f32 %f4, %f2, %f3;"), "mul.f32 add.rn.f32");
  EXPECT_EQ(forms_of("mul.rn.f32 %f2, %f0, %f1;\nadd.rn.f32 %f4, %f2, %f3;"),
            "mul.rn.f32 add.rn.f32");
  EXPECT_EQ(forms_of("mul.sat.f32 %f2, %f0, %f1;\n" + sum), "mul.sat.f32 add.f32");
  EXPECT_EQ(forms_of("mul.ftz.f32 %f2, %f0, %f1;\n" + sum), "mul.ftz.f32 add.f32");
  // the product or a factor is another one by then, or may be
  EXPECT_EQ(forms_of(product + "mov.f32 %f2, %f5;\n" + sum), "mul.f32 mov.f32 add.f32");
  EXPECT_EQ(forms_of(product + "mov.f32 %f1, %f5;\n" + sum), "mul.f32 mov.f32 add.f32");
  EXPECT_EQ(forms_of(product + "@%p0 mov.f32 %f1, %f5;\n" + sum), "mul.f32 mov.f32 add.f32");
  EXPECT_EQ(forms_of("mul.f32 %f2, %f2, %f1;\n" + sum), "mul.f32 add.f32");
  EXPECT_EQ(forms_of("@%p0 " + product + sum), "mul.f32 add.f32");
  EXPECT_EQ(forms_of(product + "HERE:\n" + sum + "\n@%p0 bra HERE;"), "mul.f32 add.f32 bra");
}

TEST(PtxFuse, OfTwoProductsTheFirstIsFused) {
  std::vector<Buffer> buffers{{"out", std::vector<std::uint32_t>(2), true, true}};
  const Chosen chosen(Approximation::fused);
  // (1 + 2^-12)^2 - (1 + 2^-12)^2 is the rounding error of the second product: 0 if none is fused.
  const Outcome outcome =
      run(text_of(".param .u64 out",
                  ".reg .f32 %f<8>;\n.reg .b64 %a;\nld.param.u64 %a, [out];\n"
                  "mov.f32 %f0, 0f3F800800;\nmul.f32 %f1, %f0, %f0;\nmul.f32 %f2, %f0, %f0;\n"
                  "sub.f32 %f3, %f1, %f2;\nst.global.f32 [%a], %f3;\n"
                  "mul.rn.f32 %f2, %f0, %f0;\nsub.rn.f32 %f3, %f1, %f2;\n"
                  "st.global.f32 [%a+4], %f3;"),
          buffers);
  EXPECT_EQ(finding_of(outcome), "");
  EXPECT_EQ(__builtin_bit_cast(float, buffers[0].words[0]), 0x1p-24f);
  EXPECT_EQ(buffers[0].words[1], 0U);
}

/// The fma that a fused form is, by its words, with the sign turned over where it says so.
std::uint64_t expected(const std::string& name, std::vector<std::uint64_t> operands) {
  const std::string type = words_of(name).back();
  const std::uint64_t signs = type == "f64"           ? std::uint64_t{1} << 63
                              : type.ends_with("x2")  ? 0x80008000U
                              : type.ends_with("f16") ? 0x8000U
                                                      : 0x80000000U;
  if (name.starts_with("mul+sub")) operands[2] ^= signs;
  if (name.starts_with("sub+mul")) operands[0] ^= signs;
  return *float_model("fma.rn" + name.substr(name.find('.')))->result(operands);
}

bool is_same(const std::string& name, std::uint64_t got, std::uint64_t wanted) {
  const std::string type = words_of(name).back();
  const auto agrees = [](const Format& format, std::uint64_t a, std::uint64_t b) {
    return a == b || (is_nan(format, a) && is_nan(format, b));
  };
  const Format& format = type == "f32" ? f32 : type == "f64" ? f64 : type[0] == 'f' ? f16 : bf16;
  if (!type.ends_with("x2")) return agrees(format, got, wanted);
  return agrees(format, got & 0xffff, wanted & 0xffff) && agrees(format, got >> 16, wanted >> 16);
}

/// Wrong lanes of a form on numbers of one magnitude, whose sums cancel, and on any bits.
int wrong_lanes(const Form& form, bool broken, std::string& first) {
  const unsigned bytes = form.operands[0].bytes;
  std::mt19937_64 random(20261130);
  alignas(64) std::uint64_t registers[4][lanes] = {};  // an operand of 4 bytes uses the first half
  Warp warp;
  warp.registers = reinterpret_cast<std::byte*>(registers), warp.base[0] = warp.registers;
  Instruction in;
  in.form = &form;
  for (std::uint32_t i = 0; i < 4; ++i) in.at[i].bits = i * sizeof registers[0];
  const std::uint64_t kept = bytes == 8 ? ~std::uint64_t{0} : bytes == 4 ? 0xffffffff : 0xffff;
  const std::string type = words_of(form.name).back();
  const std::uint64_t magnitude = type == "f64"    ? 0x3ff0000000000000
                                  : type == "f32"  ? 0x3f800000
                                  : type[0] == 'b' ? 0x3f803f80
                                                   : 0x3c003c00;
  const std::uint64_t free_bits = type == "f64"    ? 0x800fffffffffffff
                                  : type == "f32"  ? 0x807fffff
                                  : type[0] == 'b' ? 0x807f807f
                                                   : 0x83ff83ff;
  int wrong = 0;
  for (int round = 0; round < 48; ++round) {
    std::vector<std::vector<std::uint64_t>> operands(lanes);
    for (unsigned lane = 0; lane < lanes; ++lane)
      for (unsigned i = 1; i < 4; ++i) {
        std::uint64_t bits = random();
        if (round % 2 == 0) bits = magnitude | (bits & free_bits);
        operands[lane].push_back(bits & kept);
        std::memcpy(reinterpret_cast<std::byte*>(registers[i]) + lane * (bytes == 8 ? 8 : 4),
                    &operands[lane].back(), bytes == 8 ? 8 : 4);
      }
    form.handler(warp, in, full_mask);
    for (unsigned lane = 0; lane < lanes; ++lane) {
      std::uint64_t got = 0;
      std::memcpy(&got, reinterpret_cast<std::byte*>(registers[0]) + lane * (bytes == 8 ? 8 : 4),
                  bytes == 8 ? 8 : 4);
      if (broken) got ^= 1;
      if (is_same(form.name, got, expected(form.name, operands[lane]) & kept)) continue;
      if (wrong++ == 0) first = form.name + " in round " + std::to_string(round);
    }
  }
  return wrong;
}

TEST(PtxFuse, ResultsAreThoseOfOneRounding) {
  EXPECT_GE(all_fused_forms().size(), 24U);
  for (const Form& form : all_fused_forms()) {
    std::string first;
    EXPECT_EQ(wrong_lanes(form, false, first), 0) << first;
    EXPECT_GT(wrong_lanes(form, true, first), 0) << form.name;
  }
}

}  // namespace
