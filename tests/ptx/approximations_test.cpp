// Approximate instructions: every choice keeps the bound that the ISA documents, and the low and
// the high one reach its ends.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "cuda/ptx/forms/approximation.hpp"
#include "tests/ptx/bench.hpp"
#include "tests/ptx/break_form.hpp"
#include "tests/ptx/exact.hpp"

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

/// An approximation: its exact value, and the error that the ISA's text allows.
struct Bound {
  const char* name;
  double (*exact)(double a, double b);
  double (*error)(double a, double exact);  // absolute
  double least, most;                       // of operands that are looked at
};

double ulp32(double exact) {
  const int exponent = std::max(std::ilogb(exact), -126);
  return std::ldexp(1.0, exponent - 23);
}

const Bound bounds[] = {
    {"ex2.approx.f32", [](double a, double) { return std::exp2(a); },
     [](double, double e) { return 2.5 * ulp32(e); }, -120, 120},
    {"lg2.approx.f32", [](double a, double) { return std::log2(a); },
     [](double a, double e) { return (a > 0.5 && a < 2 ? 1 : std::fabs(e)) * 0x1p-22; }, 1e-6, 1e6},
    {"rcp.approx.f32", [](double a, double) { return 1 / a; },
     [](double, double e) { return 1.5 * ulp32(e); }, 1e-6, 1e6},
    {"rsqrt.approx.f32", [](double a, double) { return 1 / std::sqrt(a); },
     [](double, double e) { return std::fabs(e) * std::exp2(-22.9); }, 1e-6, 1e6},
    {"sqrt.approx.f32", [](double a, double) { return std::sqrt(a); },
     [](double, double e) { return std::fabs(e) * 0x1p-23; }, 1e-6, 1e6},
    {"div.full.f32", [](double a, double b) { return a / b; },
     [](double, double e) { return 2.5 * ulp32(e); }, 1e-6, 1e6},
    {"div.approx.f32", [](double a, double b) { return a / b; },
     [](double, double e) { return 2.5 * ulp32(e); }, 1e-6, 1e6},
    {"sin.approx.f32", [](double a, double) { return std::sin(a); },
     [](double, double) { return std::exp2(-20.5); }, -6, 6},
    {"cos.approx.f32", [](double a, double) { return std::cos(a); },
     [](double, double) { return std::exp2(-20.5); }, -6, 6},
    {"tanh.approx.f32", [](double a, double) { return std::tanh(a); },
     [](double, double e) { return std::fabs(e) * 0x1p-11; }, -8, 8}};

/// The forms whose functions the table above covers as well: flushed ones differ in subnormals.
std::string base_name(std::string name) {
  const std::size_t at = name.find(".ftz");
  return at == name.npos ? name : name.erase(at, 4);
}

/// How far results were from exact ones, in shares of the bound.
struct Shares {
  double lowest = 0, highest = 0;
  bool kept = true;  ///< the bound
  void take(double share, double most) {
    lowest = std::min(lowest, share), highest = std::max(highest, share);
    kept = kept && std::fabs(share) <= most;  // false of NaN
  }
};

/// The highest bit of the mantissa, by which a break is larger than the bound.
unsigned bit_to_break(const Format& format) { return static_cast<unsigned>(format.precision - 2); }

Shares shares_of(const Form& form, const Bound& bound, bool broken) {
  Bench bench(form);
  if (broken) break_form(bench.loaded.program, form, bit_to_break(f32));
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> draw(bound.least, bound.most);
  Shares shares;
  for (const auto choice :
       {Approximation::nearest, Approximation::low, Approximation::high, Approximation::hashed}) {
    set_approximation(choice);
    for (int round = 0; round < 20; ++round) {
      float a[lanes], b[lanes];
      for (unsigned lane = 0; lane < lanes; ++lane) {
        a[lane] = static_cast<float>(draw(random)), b[lane] = static_cast<float>(draw(random));
        bench.put(1, 4, lane, __builtin_bit_cast(std::uint32_t, a[lane]));
        if (form.operands.size() > 2)
          bench.put(2, 4, lane, __builtin_bit_cast(std::uint32_t, b[lane]));
      }
      bench.instruction().handler(bench.warp, bench.instruction(), full_mask);
      for (unsigned lane = 0; lane < lanes; ++lane) {
        const double exact = bound.exact(a[lane], b[lane]);
        const double got = value_of(f32, bench.get(4, lane));
        shares.take((got - exact) / bound.error(a[lane], exact), 1 + 1e-9);
      }
    }
  }
  set_approximation(Approximation::nearest);
  return shares;
}

TEST(PtxApproximations, ApproximationsUseTheirBoundsAndKeepThem) {
  for (const Form& form : all_forms())
    for (const Bound& bound : bounds) {
      if (base_name(form.name) != bound.name) continue;
      const Shares shares = shares_of(form, bound, false);
      EXPECT_TRUE(shares.kept) << form.name;
      EXPECT_LT(shares.lowest, -0.5) << form.name;
      EXPECT_GT(shares.highest, 0.5) << form.name;
    }
}

/// Those of other widths.
struct Row {
  const char* name;
  const Format& format;
  double (*exact)(double);
  double bound, relative;
  unsigned bytes;
};
// Of f64 the operand and the result are cut to 32 bits: 2^-20 each, beside the assumed 2^-20.
const Row rows[] = {
    {"rcp.approx.ftz.f64", f64, [](double a) { return 1 / a; }, 0x1.8p-19, 1, 8},
    {"rsqrt.approx.ftz.f64", f64, [](double a) { return 1 / std::sqrt(a); }, 0x1.8p-19, 1, 8},
    {"ex2.approx.f16", f16, [](double a) { return std::exp2(a); }, std::exp2(-9.9) + 0x1p-11, 1, 2},
    {"ex2.approx.ftz.bf16", bf16, [](double a) { return std::exp2(a); }, 0x1.8p-7, 1, 2},
    {"tanh.approx.f16", f16, [](double a) { return std::tanh(a); }, 0x1.8p-10, 0, 2},
    {"tanh.approx.bf16", bf16, [](double a) { return std::tanh(a); }, 0x1.8p-8, 0, 2}};

Shares shares_of(const Row& row, bool broken) {
  const Form& form = *find_form(row.name);
  Bench bench(form);
  if (broken) break_form(bench.loaded.program, form, bit_to_break(row.format));
  Shares shares;
  for (const auto choice : {Approximation::low, Approximation::high, Approximation::hashed}) {
    set_approximation(choice);
    const auto operand = [&](unsigned lane) {
      return compute("cvt", f64, row.format, Mode::nearest,
                     __builtin_bit_cast(std::uint64_t, 0.26 + 0.11 * lane));
    };
    for (unsigned lane = 0; lane < lanes; ++lane) bench.put(1, row.bytes, lane, operand(lane));
    bench.instruction().handler(bench.warp, bench.instruction(), full_mask);
    for (unsigned lane = 0; lane < lanes; ++lane) {
      const double exact = row.exact(value_of(row.format, operand(lane)));
      const double got = value_of(row.format, bench.get(row.bytes, lane));
      shares.take((got - exact) / (row.bound * (row.relative != 0 ? std::fabs(exact) : 1)), 1);
    }
  }
  set_approximation(Approximation::nearest);
  return shares;
}

TEST(PtxApproximations, ApproximationsOfOtherWidths) {
  for (const Row& row : rows) {
    const Shares shares = shares_of(row, false);
    EXPECT_TRUE(shares.kept) << row.name;
    EXPECT_LT(shares.lowest, -0.25) << row.name;
    EXPECT_GT(shares.highest, 0.25) << row.name;
  }
}

TEST(PtxApproximations, WholeArgumentsOfEx2AreExact) {
  Bench bench(*find_form("ex2.approx.ftz.f32"));
  for (const auto choice : {Approximation::low, Approximation::high, Approximation::hashed}) {
    set_approximation(choice);
    for (unsigned lane = 0; lane < lanes; ++lane)
      bench.put(1, 4, lane, __builtin_bit_cast(std::uint32_t, static_cast<float>(lane) * 7 - 100));
    bench.instruction().handler(bench.warp, bench.instruction(), full_mask);
    for (unsigned lane = 0; lane < lanes; ++lane)
      EXPECT_EQ(value_of(f32, bench.get(4, lane)), std::exp2(lane * 7.0 - 100));
  }
  set_approximation(Approximation::nearest);
}

}  // namespace

namespace abn::ptx::test {

std::set<std::string> approximations_looked_at() {
  std::set<std::string> names;
  for (const Form& form : all_forms())
    for (const Bound& bound : bounds)
      if (base_name(form.name) == bound.name) names.insert(form.name);
  for (const Row& row : rows) names.insert(row.name);
  return names;
}

std::set<std::string> approximations_noticed() {
  std::set<std::string> names;
  for (const Form& form : all_forms())
    for (const Bound& bound : bounds)
      if (base_name(form.name) == bound.name && !shares_of(form, bound, true).kept)
        names.insert(form.name);
  for (const Row& row : rows)
    if (!shares_of(row, true).kept) names.insert(row.name);
  return names;
}

}  // namespace abn::ptx::test
