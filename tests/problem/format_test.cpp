// The storage formats: rounding, spacing and bits, exhaustively where there are only 65,536 values.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "verify/problem/format.hpp"

using namespace abn::verify;
using namespace abn::verify::problem;

namespace {

constexpr double inf = std::numeric_limits<double>::infinity();

double value_of_bits(int dtype, std::uint16_t bits) {
  double value = 0;
  unpack(format_of(dtype), reinterpret_cast<const std::byte*>(&bits), {&value, 1});
  return value;
}

double by_hardware(int dtype, std::uint16_t bits) {  // an engine that is not ours
  if (dtype == ABN_F16) return static_cast<double>(std::bit_cast<_Float16>(bits));
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

bool same(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

}  // namespace

class SixteenBits : public testing::TestWithParam<int> {};

TEST_P(SixteenBits, EveryPatternUnpacksAsTheHardwareDoesAndPacksBack) {
  const Format& format = format_of(GetParam());
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const double value = value_of_bits(GetParam(), static_cast<std::uint16_t>(bits));
    ASSERT_TRUE(same(value, by_hardware(GetParam(), static_cast<std::uint16_t>(bits)))) << bits;
    ASSERT_EQ(bits_of(format, value), bits) << "a NaN keeps its payload, too";
    ASSERT_TRUE(same(round_to(format, value), value)) << bits;
  }
}

TEST_P(SixteenBits, RoundsHalfwayToEvenAndItsNeighboursToTheNearest) {
  const Format& format = format_of(GetParam());
  for (unsigned bits = 0; bits < 0x7fffu; ++bits) {
    const double low = value_of_bits(GetParam(), static_cast<std::uint16_t>(bits)),
                 high = value_of_bits(GetParam(), static_cast<std::uint16_t>(bits + 1));
    if (std::isnan(high)) break;
    ASSERT_EQ(next_above(format, low), high) << bits;
    ASSERT_EQ(next_above(format, -high), std::isinf(high) ? -format.largest : -low) << bits;
    if (std::isinf(high)) break;
    const double half = low + (high - low) / 2, even = bits % 2 == 0 ? low : high;
    ASSERT_EQ(round_to(format, half), even) << bits;
    ASSERT_EQ(round_to(format, std::nextafter(half, 0)), half == 0 ? 0 : low) << bits;
    ASSERT_EQ(round_to(format, std::nextafter(half, inf)), high) << bits;
    ASSERT_EQ(round_to(format, -half), -even) << bits;
    ASSERT_EQ(high - low, ulp_of(format, low)) << bits;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, SixteenBits,
                         testing::Values(static_cast<int>(ABN_F16), static_cast<int>(ABN_BF16)),
                         [](const auto& p) { return p.param == ABN_F16 ? "f16" : "bf16"; });

TEST(Formats, OverflowBeginsHalfAnUlpAboveTheLargest) {
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32}) {
    const Format& format = format_of(dtype);
    const double threshold = format.largest + ulp_of(format, format.largest) / 2;
    EXPECT_EQ(round_to(format, threshold), inf);
    EXPECT_EQ(round_to(format, -threshold), -inf);
    EXPECT_EQ(round_to(format, std::nextafter(threshold, 0)), format.largest);
  }
}

TEST(Formats, SingleAgreesWithTheHardware) {
  EXPECT_TRUE(rc::check("round, ulp and next of f32 are those of float", [] {
    const auto value = std::bit_cast<double>(*rc::gen::arbitrary<std::uint64_t>());
    const auto shrunk =
        std::ldexp(std::isfinite(value) ? std::frexp(value, std::array<int, 1>{}.data()) : value,
                   *rc::gen::inRange(-160, 130));
    const Format& f32 = format_of(ABN_F32);
    const float single = static_cast<float>(shrunk);
    RC_ASSERT(same(round_to(f32, shrunk), single));
    if (std::isfinite(single))
      RC_ASSERT(next_above(f32, single) ==
                std::nextafter(single, std::numeric_limits<float>::infinity()));
  }));
}

TEST(Formats, UlpIsTheStepToTheNeighbourFartherFromZero) {
  EXPECT_TRUE(
      rc::check("ulp of f64 and f32 against nextafter, over all exponents and the subnormals", [] {
        const auto bits = *rc::gen::arbitrary<std::uint64_t>();
        // 2046 would step to infinity
        const auto exponent = static_cast<std::uint64_t>(*rc::gen::inRange(0, 2046));
        const double value = std::bit_cast<double>((bits & 0x000fffffffffffffu) | exponent << 52);
        const double step = std::nextafter(value, inf) - value;
        RC_ASSERT(ulp_of(format_of(ABN_F64), value) == step);
        RC_ASSERT(ulp_of(format_of(ABN_F64), -value) == step);
        const auto single_exponent = static_cast<std::uint32_t>(*rc::gen::inRange(0, 254));
        const float single = std::bit_cast<float>(static_cast<std::uint32_t>(bits & 0x007fffffu) |
                                                  single_exponent << 23);
        const double single_step =
            static_cast<double>(std::nextafter(single, std::numeric_limits<float>::infinity())) -
            static_cast<double>(single);
        RC_ASSERT(ulp_of(format_of(ABN_F32), single) == single_step);
      }));
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64}) {
    const Format& format = format_of(dtype);
    EXPECT_EQ(ulp_of(format, 0), format.smallest_subnormal);
    EXPECT_EQ(ulp_of(format, -0.0), format.smallest_subnormal);
    EXPECT_EQ(ulp_of(format, std::numeric_limits<double>::denorm_min()), format.smallest_subnormal);
    EXPECT_EQ(ulp_of(format, 1), 2 * format.unit_roundoff);
    EXPECT_TRUE(std::isnan(ulp_of(format, inf)) && std::isnan(ulp_of(format, std::nan(""))));
  }
}

TEST(Formats, TheNextValueAboveAnyDoubleIsOneOfTheFormat) {
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32}) {
    const Format& format = format_of(dtype);
    for (const double below :
         {-inf, -std::numeric_limits<double>::max(), -1e39, std::nextafter(-format.largest, -inf)})
      EXPECT_EQ(next_above(format, below), -format.largest) << below;
    EXPECT_EQ(next_above(format, format.largest), inf);
    EXPECT_EQ(next_above(format, 1e39), inf);
    EXPECT_EQ(next_above(format, std::nextafter(1.0, 2.0)), 1 + 2 * format.unit_roundoff);
    EXPECT_EQ(next_above(format, std::nextafter(1.0, 0.0)), 1);
    EXPECT_EQ(next_above(format, std::numeric_limits<double>::denorm_min()),
              format.smallest_subnormal);
  }
}

TEST(Formats, WhatRoundsToZeroKeepsItsSign) {
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32})
    for (const double tiny : {1e-60, 0.0}) {
      EXPECT_TRUE(same(round_to(format_of(dtype), -tiny), -0.0)) << dtype;
      EXPECT_TRUE(same(round_to(format_of(dtype), tiny), 0.0)) << dtype;
    }
}

TEST(Formats, ANaNOfSinglePrecisionKeepsItsPayload) {
  const Format& format = format_of(ABN_F32);
  for (const std::uint32_t bits :
       {0x7f800001u, 0xff800001u, 0x7fc00000u, 0xffffffffu, 0x7fa5a5a5u}) {
    double value = 0;
    unpack(format, reinterpret_cast<const std::byte*>(&bits), {&value, 1});
    EXPECT_TRUE(std::isnan(value));
    EXPECT_EQ(bits_of(format, value), bits);
  }
  EXPECT_EQ(bits_of(format, std::bit_cast<double>(0x7ff0000000000001u)), 0x7fc00000u)
      << "a payload that is lost leaves a NaN";
}

TEST(Formats, HalfIsRoundedOnceAndNotByWayOfSingle) {
  const Format& half = format_of(ABN_F16);
  // single drops the 2^-40, and the tie then goes to the even 1
  const double above_a_tie = 1 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(round_to(half, above_a_tie), 1 + 0x1p-10);
  EXPECT_EQ(round_to(half, static_cast<float>(above_a_tie)), 1);
}

TEST(Formats, PackAndUnpackKeepEveryKindOfValue) {
  const std::vector<double> values{
      0.0, -0.0, 1.0, -1.5, inf, -inf, std::numeric_limits<double>::quiet_NaN()};
  for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64}) {
    const Format& format = format_of(dtype);
    auto all = values;
    all.insert(all.end(), {format.largest, format.smallest_subnormal, -format.smallest_subnormal});
    std::vector<std::byte> bytes(all.size() * static_cast<std::size_t>(format.bytes));
    std::vector<double> back(all.size());
    pack(format, all, bytes.data());
    unpack(format, bytes.data(), back);
    for (std::size_t i = 0; i < all.size(); ++i)
      EXPECT_TRUE(same(all[i], back[i])) << format.dtype << " " << i;
  }
}
