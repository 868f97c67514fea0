// Every form of the table against a second opinion: functions of one lane against a model on edges
// and random operands, under full and partial masks; all others in kernels of form_kernels.cpp, and
// approximations in approximations_test.cpp. A form that nothing looks at fails, and so does a form
// that may be broken (break_form.hpp) without a test that notices. The last test prints the counts.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "tests/ptx/bench.hpp"
#include "tests/ptx/break_form.hpp"
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

/// How many lanes are wrong. `broken`: of the form as break_form() breaks it.
int wrong_lanes(const Form& form, const FormModel& model, bool broken, std::string* first) {
  Bench bench(form);
  if (broken) break_form(bench.loaded.program, form);
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
      const std::uint64_t got = bench.get(result_bytes, lane);
      std::optional<std::uint64_t> wanted = untouched;
      if ((mask >> lane & 1) != 0) wanted = model.result(operands[lane]);
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

/// The forms whose breaks some test has noticed.
std::set<std::string>& noticed() {
  static std::set<std::string> names;
  return names;
}

TEST(PtxForms, FunctionsOfOneLaneAgreeWithTheirModels) {
  std::size_t models = 0;
  for (const Form& form : all_forms()) {
    const std::optional<FormModel> model = model_of(form);
    if (!model) continue;
    ++models;
    std::string first;
    EXPECT_EQ(wrong_lanes(form, *model, false, &first), 0) << first;
    if (wrong_lanes(form, *model, true, nullptr) > 0) noticed().insert(form.name);
  }
  EXPECT_GT(models, 500U);
}

/// What is wrong about a kernel's run; "" if it does what it should.
std::string complaint_of(const FormKernel& kernel, const Form* broken) {
  std::vector<Buffer> buffers{{"out", kernel.before, true, true}};
  How how = kernel.how;
  how.broken = broken;
  const Outcome outcome = run(kernel.text, buffers, how);
  const std::string finding = finding_of(outcome);
  if (kernel.finding.empty() ? !finding.empty() : !finding.starts_with(kernel.finding + ":"))
    return "found: \"" + finding + "\"";
  return buffers[0].words == kernel.after ? "" : "other words than expected";
}

TEST(PtxForms, AllOthersAreMetInKernels) {
  const std::vector<FormKernel> kernels = form_kernels();
  std::map<std::string, std::vector<const FormKernel*>> kernels_of;
  for (const FormKernel& kernel : kernels) {
    EXPECT_EQ(complaint_of(kernel, nullptr), "") << kernel.text;
    std::set<std::string> names;
    for (const Instruction& in : load(kernel.text).program.code) names.insert(in.form->name);
    for (const std::string& name : names) kernels_of[name].push_back(&kernel);
  }
  for (const Form& form : all_forms()) {
    if (!has_effect(form) || noticed().contains(form.name)) continue;
    for (const FormKernel* const kernel : kernels_of[form.name])
      if (!complaint_of(*kernel, &form).empty()) {
        noticed().insert(form.name);
        break;
      }
  }
}

/// Names of forms, a line each, that a run with ABN_PTX_FORMS in its environment has met.
std::set<std::string> forms_of_a_run() {
  std::set<std::string> names;
  const char* const path = std::getenv("ABN_PTX_FORMS_OF_RUN");
  std::ifstream file(path == nullptr ? "" : path);
  for (std::string name; std::getline(file, name);) names.insert(name);
  return names;
}

TEST(PtxForms, EachIsMetAndItsBreakIsNoticed) {
  const std::set<std::string> approximations = approximations_looked_at();
  noticed().merge(approximations_noticed());
  std::size_t known = 0, met = 0, with_effect = 0, seen = 0, in_run = 0;
  const std::set<std::string> of_run = forms_of_a_run();
  for (const Form& form : all_forms()) {
    ++known;
    const bool looked_at = model_of(form).has_value() || approximations.contains(form.name) ||
                           forms_met().contains(form.name);
    met += looked_at ? 1 : 0;
    EXPECT_TRUE(looked_at) << form.name << " is known and no test meets it";
    in_run += of_run.contains(form.name) ? 1 : 0;
    if (!has_effect(form)) continue;
    ++with_effect;
    seen += noticed().contains(form.name) ? 1 : 0;
    EXPECT_TRUE(noticed().contains(form.name)) << form.name << " may be broken and no test notices";
  }
  for (const std::string& name : of_run)
    EXPECT_TRUE(find_form(name) != nullptr || find_fused_form(name) != nullptr)
        << name << ", which the run met, is not known";
  std::printf("forms known: %zu, met in tests: %zu; broken one at a time: %zu, noticed: %zu\n",
              known, met, with_effect, seen);
  if (!of_run.empty()) std::printf("forms met in the run: %zu\n", in_run);
}

}  // namespace
