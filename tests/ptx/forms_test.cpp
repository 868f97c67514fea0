// Every form of the table against a second opinion: functions of one lane against a model on edges
// and random operands, under full and partial masks; all others in kernels of form_kernels.cpp, and
// approximations in approximations_test.cpp. A form that nothing looks at fails, and so does a form
// whose results may be broken without a test that sees it.
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "tests/ptx/bench.hpp"
#include "tests/ptx/exact.hpp"
#include "tests/ptx/form_kernels.hpp"
#include "tests/ptx/form_model.hpp"
#include "tests/ptx/support.hpp"

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

/// Operands that find mistakes: edges of every format and of integers, small numbers, any bits.
class Draws {
 public:
  std::uint64_t bits(unsigned bytes) {
    static constexpr std::uint64_t edges64[] = {0,
                                                1,
                                                2,
                                                0x8000000000000000,
                                                0x7fffffffffffffff,
                                                0xffffffffffffffff,
                                                0x7ff0000000000000,
                                                0xfff0000000000000,
                                                0x7ff8000000000000,
                                                0x3ff0000000000000,
                                                0xbff0000000000000,
                                                0x000fffffffffffff,
                                                0x0010000000000000,
                                                0x7fefffffffffffff,
                                                0x41dfffffffc00000,
                                                0x43e0000000000000,
                                                0xc3e0000000000000,
                                                0x3fe0000000000000,
                                                0x4004000000000000};
    static constexpr std::uint64_t edges32[] = {
        0,          1,          2,          31,         32,         33,         0x80000000,
        0x7fffffff, 0xffffffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x3f800000, 0xbf800000,
        0x007fffff, 0x00800000, 0x80800001, 0x7f7fffff, 0x3f000000, 0x40200000, 0x477fe000,
        0x477ff000, 0x38800000, 0x33000000, 0x3f801000, 0x3f808000, 0x4f000000, 0xcf000000,
        0x3c003c00, 0x7c00fc00, 0x00010001, 0x03ff0400};
    static constexpr std::uint64_t edges16[] = {0,      1,      2,      0x8000, 0x7fff, 0xffff,
                                                0x7c00, 0xfc00, 0x3c00, 0x3f80, 0x7f80, 0x03ff,
                                                0x0400, 0x7bff, 0x7f7f, 0x0080, 0x007f, 0x3800};
    const std::uint64_t any = random_();
    if (bytes == 0) return (any & 1) != 0 ? 0xffffffffU : 0;
    const unsigned way = any >> 60 & 7;
    std::uint64_t value = random_();
    if (way < 3)
      value = bytes == 8   ? edges64[value % std::size(edges64)]
              : bytes == 4 ? edges32[value % std::size(edges32)]
                           : edges16[value % std::size(edges16)];
    else if (way == 3)
      value %= 70;                    // counts of bits
    else if (way == 4 && bytes == 4)  // numbers of one magnitude, which cancel
      value = 0x3f800000 | (value & 0x807fffff);
    else if (way == 4 && bytes == 8)
      value = 0x3ff0000000000000 | (value & 0x800fffffffffffff);
    return bytes == 8 ? value : value & (bytes == 4 ? 0xffffffff : 0xffff);
  }
  std::uint64_t any() { return random_(); }

 private:
  std::mt19937_64 random_{20261130};
};

/// How many lanes are wrong. `broken`: with the lowest bit of every result turned over.
int wrong_lanes(const Form& form, const FormModel& model, bool broken, std::string* first) {
  Bench bench(form);
  Draws draws;

  const unsigned result_bytes = register_bytes(form.operands[0]);
  const std::uint64_t kept = result_bytes == 8   ? ~std::uint64_t{0}
                             : result_bytes == 2 ? 0xffff
                                                 : 0xffffffff;
  const std::uint64_t untouched = 0x55aa55aa & kept;  // what lanes hold that take no part
  constexpr int rounds = 24;
  int wrong = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::uint32_t mask = round % 3 == 2 ? static_cast<std::uint32_t>(draws.any()) : full_mask;
    std::vector<std::vector<std::uint64_t>> operands(lanes);
    for (unsigned lane = 0; lane < lanes; ++lane) {
      for (std::size_t i = 1; i < form.operands.size(); ++i) {
        const unsigned bytes = register_bytes(form.operands[i]);
        operands[lane].push_back(draws.bits(bytes));
        bench.put(i, bytes, lane, operands[lane].back());
      }
      bench.put(0, result_bytes, lane, untouched);
    }
    bench.instruction().handler(bench.warp, bench.instruction(), mask);
    for (unsigned lane = 0; lane < lanes; ++lane) {
      std::uint64_t got = bench.get(result_bytes, lane);
      std::optional<std::uint64_t> wanted = untouched;
      if ((mask >> lane & 1) != 0) {
        wanted = model.result(operands[lane]);
        if (broken) got ^= 1;
      }
      if (!wanted || same(model.match, got, *wanted & kept)) continue;
      if (wrong++ == 0 && first != nullptr) {
        std::ostringstream text;
        text << form.name << std::hex;
        for (const std::uint64_t one : operands[lane]) text << " " << one;
        text << " gave " << got << ", not " << (*wanted & kept) << " in lane " << std::dec << lane;
        *first = text.str();
      }
    }
  }
  return wrong;
}

TEST(PtxForms, FunctionsOfOneLaneAgreeWithTheirModels) {
  std::size_t models = 0, seen_when_broken = 0;
  for (const Form& form : all_forms()) {
    const std::optional<FormModel> model = model_of(form);
    if (!model) continue;
    ++models;
    std::string first;
    EXPECT_EQ(wrong_lanes(form, *model, false, &first), 0) << first;
    const bool seen = wrong_lanes(form, *model, true, nullptr) > 0;
    EXPECT_TRUE(seen) << form.name << " may be broken and no test sees it";
    seen_when_broken += seen ? 1 : 0;
  }
  EXPECT_GT(models, 500U);
  RecordProperty("models", static_cast<int>(models));
  RecordProperty("broken_and_seen", static_cast<int>(seen_when_broken));
}

TEST(PtxForms, AllOthersAreMetInKernels) {
  for (const FormKernel& kernel : form_kernels()) {
    std::vector<Buffer> buffers{{"out", kernel.before, true, true}};
    const Outcome outcome = run(kernel.text, buffers, kernel.how);
    EXPECT_EQ(finding_of(outcome), "") << kernel.text;
    EXPECT_EQ(buffers[0].words, kernel.after) << kernel.text;
  }
  std::size_t known = 0, met = 0;
  const std::set<std::string> approximations = approximations_looked_at();
  for (const Form& form : all_forms()) {
    ++known;
    const bool looked_at = model_of(form).has_value() || approximations.contains(form.name) ||
                           forms_met().contains(form.name);
    met += looked_at ? 1 : 0;
    EXPECT_TRUE(looked_at) << form.name << " is known and no test meets it";
  }
  std::printf("forms known: %zu, met in tests: %zu\n", known, met);
}

}  // namespace
