// Functions of one operand on every bit pattern that it can have, against their models: all of 16
// bits always, and of f32 one in so many thousand.
//
//   ./ptx-tests --gtest_filter='PtxEveryPattern.*'                             one in a million
//   ABN_TIER=full ABN_SEED=N ./ptx-tests --gtest_filter='PtxEveryPattern.*'    one in a thousand,
//                                     which of them says the seed: all are ten days of one core
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <thread>

#include "tests/ptx/bench.hpp"
#include "tests/ptx/form_model.hpp"

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

/// The type that a form reads: the last word of its name.
bool reads_f32(const Form& form) { return words_of(form.name).back() == "f32"; }

std::vector<const Form*> unary_forms(unsigned bytes) {
  std::vector<const Form*> forms;
  for (const Form& form : all_forms())
    if (form.operands.size() == 2 && model_of(form) && form.operands[1].bytes == bytes &&
        !form.operands[1].wider && (bytes == 2 || reads_f32(form)))
      forms.push_back(&form);
  return forms;
}

/// The first pattern, of every `step`th from `first` up to `last`, whose result is not the model's;
/// empty where there is none. `broken`: with the lowest bit of each result turned over.
std::string first_wrong(const Form& form, std::uint64_t first, std::uint64_t last,
                        std::uint64_t step, bool broken = false) {
  const FormModel model = *model_of(form);
  Bench bench(form);
  const unsigned read = register_bytes(form.operands[1]), bytes = register_bytes(form.operands[0]);
  const std::uint64_t kept = bytes == 8 ? ~std::uint64_t{0} : bytes == 2 ? 0xffff : 0xffffffff;
  for (std::uint64_t next = first; next <= last;) {
    std::uint64_t operands[lanes];
    for (unsigned lane = 0; lane < lanes; ++lane, next += step)
      bench.put(1, read, lane, operands[lane] = std::min(next, last));
    bench.instruction().handler(bench.warp, bench.instruction(), full_mask);
    for (unsigned lane = 0; lane < lanes; ++lane) {
      const auto wanted = model.result({operands[lane]});
      const std::uint64_t got = bench.get(bytes, lane) ^ (broken ? 1 : 0);
      if (wanted && !same(model.match, got, *wanted & kept)) {
        std::ostringstream text;
        text << form.name << std::hex << " " << operands[lane] << " gave " << got << ", not "
             << (*wanted & kept);
        return text.str();
      }
    }
  }
  return {};
}

TEST(PtxEveryPattern, OfSixteenBits) {
  const std::vector<const Form*> forms = unary_forms(2);
  EXPECT_GT(forms.size(), 75U);
  for (const Form* const form : forms) {
    EXPECT_EQ(first_wrong(*form, 0, 0xffff, 1), "");
    EXPECT_NE(first_wrong(*form, 0, 0xffff, 1, true), "") << form->name;
  }
  std::printf("%zu forms, all 65536 patterns\n", forms.size());
}

TEST(PtxEveryPattern, OfF32) {
  const char* const tier = std::getenv("ABN_TIER");
  const bool full = tier != nullptr && std::string(tier) == "full";
  const std::uint64_t step = full ? 1021 : 1048573;  // primes: low bits take every value
  const char* const seed = std::getenv("ABN_SEED");
  const std::uint64_t offset =
      full && seed != nullptr ? std::strtoull(seed, nullptr, 10) % step : 0;
  const std::vector<const Form*> forms = unary_forms(4);
  EXPECT_GT(forms.size(), 100U);
  // A part is the patterns with one sign and exponent; the threads take parts by turns.
  constexpr std::size_t parts = 512;
  constexpr std::uint64_t part = (std::uint64_t{1} << 32) / parts;
  std::atomic<std::size_t> next = 0;
  std::mutex reporting;
  const auto work = [&] {
    for (std::size_t i = next++; i < forms.size() * parts; i = next++) {
      const std::uint64_t first = i % parts * part;
      const std::string wrong =
          first_wrong(*forms[i / parts], first + offset, first + part - 1, step);
      const std::lock_guard lock(reporting);
      EXPECT_EQ(wrong, "");
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < std::max(1U, std::thread::hardware_concurrency()); ++i)
    threads.emplace_back(work);
  threads.clear();
  std::printf("%zu forms, one pattern in %llu from the %lluth on\n", forms.size(),
              static_cast<unsigned long long>(step), static_cast<unsigned long long>(offset));
}

}  // namespace
