// The emulator's 16-bit conversions against the compiler's _Float16, against the definition of
// rounding, and against the CUDA toolkit's own on the host where there is one. The toolkit's names
// and the emulator's never meet: only half.hpp is included here.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "cuda/emulator/half.hpp"
#if __has_include(<cuda_fp16.h>)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define ABN_HAS_TOOLKIT 1
#endif

namespace {

namespace em = abn::emulator;

// The value of a 16-bit pattern with that many mantissa bits, from the definition of the format.
double value_of(std::uint16_t bits, int mantissa_bits) {
  const int exponent_bits = 15 - mantissa_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1),
            mantissa = bits & ((1 << mantissa_bits) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
  return sign * std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

// Patterns in ascending order of value have ascending magnitude, so the nearest one is next to any
// other that brackets the value. Ties go to the even pattern, and a value half a step beyond the
// largest number is infinity.
std::uint16_t nearest(double value, int mantissa_bits) {
  if (std::isnan(value)) return 0x7fff;
  const std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const std::uint16_t infinity =
      static_cast<std::uint16_t>(((1 << (15 - mantissa_bits)) - 1) << mantissa_bits);
  const double magnitude = std::abs(value);
  std::uint16_t low = 0, high = infinity;  // value_of(low) <= magnitude
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (value_of(middle, mantissa_bits) <= magnitude ? low : high) = middle;
  }
  if (std::isinf(magnitude)) return sign | infinity;
  const double below = value_of(low, mantissa_bits);
  // What would follow if the exponent went on, which for the largest number stands in for infinity.
  const double above =
      high == infinity
          ? below + (below - value_of(static_cast<std::uint16_t>(low - 1), mantissa_bits))
          : value_of(high, mantissa_bits);
  // exact: multiples of the value's last bit
  const double to_below = magnitude - below, to_above = above - magnitude;
  const bool up = to_above < to_below || (to_above == to_below && low % 2 == 1);
  return static_cast<std::uint16_t>(sign | (up ? high : low));
}

// Every value of the type, the middle of every pair of neighbours, and both neighbours of those.
template <class Wide>
std::vector<Wide> hard_values(int mantissa_bits) {
  std::vector<Wide> values;
  for (std::uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const double value = value_of(static_cast<std::uint16_t>(pattern), mantissa_bits);
    values.push_back(static_cast<Wide>(value));
    if ((pattern & 0x7fff) == 0x7fff) continue;
    const double next = value_of(static_cast<std::uint16_t>(pattern + 1), mantissa_bits);
    if (!std::isfinite(value)) continue;
    const double step =
        std::isfinite(next)
            ? next - value
            : value - value_of(static_cast<std::uint16_t>(pattern - 1), mantissa_bits);
    const Wide middle = static_cast<Wide>(value + step / 2);
    values.insert(values.end(), {middle, std::nextafter(middle, Wide(HUGE_VAL)),
                                 std::nextafter(middle, -Wide(HUGE_VAL))});
  }
  return values;
}

template <class Wide, class Bits>
std::vector<Wide> random_values() {
  std::vector<Wide> values;
  std::mt19937_64 random(20240607);
  for (int i = 0; i < 300000; ++i) {
    values.push_back(std::bit_cast<Wide>(static_cast<Bits>(random())));
    values.push_back(static_cast<Wide>(
        std::ldexp(static_cast<double>(random()) * 0x1p-64, static_cast<int>(random() % 60) - 40)));
  }
  return values;
}

bool is_nan16(std::uint16_t bits, int mantissa_bits) {
  return std::isnan(value_of(bits, mantissa_bits));
}

template <class Wide, class Bits, class Convert>
void check_rounding(int mantissa_bits, Convert convert) {
  std::vector<Wide> values = hard_values<Wide>(mantissa_bits);
  const std::vector<Wide> more = random_values<Wide, Bits>();
  values.insert(values.end(), more.begin(), more.end());
  for (const Wide value : values)
    ASSERT_EQ(convert(value), nearest(static_cast<double>(value), mantissa_bits))
        << std::hexfloat << value;
}

TEST(EmulatorHalf, EveryPatternHasItsValue) {
  for (std::uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    const auto check = [&](float got, int mantissa_bits, std::uint16_t back) {
      const double expected = value_of(bits, mantissa_bits);
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(got)) << pattern;
        ASSERT_EQ(back, 0x7fff);
      } else {
        ASSERT_EQ(std::bit_cast<std::uint64_t>(static_cast<double>(got)),
                  std::bit_cast<std::uint64_t>(expected))
            << pattern;
        ASSERT_EQ(back, bits);
      }
    };
    const float half = em::float_from_f16(bits), brain = em::float_from_bf16(bits);
    check(half, 10, em::f16_from_float(half));
    check(brain, 7, em::bf16_from_float(brain));
  }
}

TEST(EmulatorHalf, RoundsToNearestEven) {
  check_rounding<float, std::uint32_t>(10, [](float x) { return em::f16_from_float(x); });
  check_rounding<float, std::uint32_t>(7, [](float x) { return em::bf16_from_float(x); });
  check_rounding<double, std::uint64_t>(10, [](double x) { return em::f16_from_double(x); });
  check_rounding<double, std::uint64_t>(7, [](double x) { return em::bf16_from_double(x); });
}

TEST(EmulatorHalf, TheEdges) {
  EXPECT_EQ(em::f16_from_float(65519.996f), 0x7bff);
  EXPECT_EQ(em::f16_from_float(65520.0f), 0x7c00);  // half a step beyond the largest, to even
  EXPECT_EQ(em::f16_from_float(-0.0f), 0x8000);
  EXPECT_EQ(em::f16_from_float(-0x1p-25f), 0x8000);  // half the smallest, to even
  EXPECT_EQ(em::f16_from_float(0x1.000002p-25f), 0x0001);
  EXPECT_EQ(em::f16_from_double(0x1.0000000000001p-25), 0x0001);
  EXPECT_EQ(em::f16_from_double(1.0 + 0x1p-11), 0x3c00);            // a tie
  EXPECT_EQ(em::f16_from_double(1.0 + 0x1p-11 + 0x1p-50), 0x3c01);  // lost by a detour over float
  EXPECT_EQ(em::bf16_from_double(1.0 + 0x1p-8 + 0x1p-50), 0x3f81);  // likewise
  // likewise, among the subnormals
  EXPECT_EQ(em::bf16_from_double(0x1p-134 + 0x1p-180), 0x0001);
  EXPECT_EQ(em::f16_from_double(1e300), 0x7c00);
  EXPECT_EQ(em::f16_from_double(-1e-300), 0x8000);
  EXPECT_EQ(em::bf16_from_float(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(em::f16_from_float(-std::numeric_limits<float>::quiet_NaN()), 0x7fff);
  EXPECT_EQ(em::bf16_from_double(std::numeric_limits<double>::signaling_NaN()), 0x7fff);
}

#ifdef __FLT16_MANT_DIG__
__extension__ using Float16 = _Float16;

TEST(EmulatorHalf, AgreesWithTheCompilersFloat16) {
  for (std::uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    const float expected = static_cast<float>(std::bit_cast<Float16>(bits)),
                got = em::float_from_f16(bits);
    ASSERT_TRUE(std::bit_cast<std::uint32_t>(got) == std::bit_cast<std::uint32_t>(expected) ||
                (std::isnan(got) && std::isnan(expected)));
  }
  const auto agree = [](std::uint16_t got, Float16 expected) {
    const auto bits = std::bit_cast<std::uint16_t>(expected);
    return got == bits || (is_nan16(got, 10) && is_nan16(bits, 10));
  };
  for (const float x : hard_values<float>(10))
    ASSERT_TRUE(agree(em::f16_from_float(x), static_cast<Float16>(x))) << std::hexfloat << x;
  for (const float x : random_values<float, std::uint32_t>())
    ASSERT_TRUE(agree(em::f16_from_float(x), static_cast<Float16>(x))) << std::hexfloat << x;
  for (const double x : hard_values<double>(10))
    ASSERT_TRUE(agree(em::f16_from_double(x), static_cast<Float16>(x))) << std::hexfloat << x;
  for (const double x : random_values<double, std::uint64_t>())
    ASSERT_TRUE(agree(em::f16_from_double(x), static_cast<Float16>(x))) << std::hexfloat << x;
}
#endif

#ifdef ABN_HAS_TOOLKIT
template <class Half>
std::uint16_t bits_of(Half half) {
  return std::bit_cast<std::uint16_t>(half);
}

TEST(EmulatorHalf, AgreesWithTheToolkitsHostConversions) {
  const auto same_float = [](float a, float b) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
           (std::isnan(a) && std::isnan(b));
  };
  for (std::uint32_t pattern = 0; pattern < 0x10000; ++pattern) {
    const auto bits = static_cast<std::uint16_t>(pattern);
    ASSERT_TRUE(same_float(em::float_from_f16(bits), __half2float(std::bit_cast<__half>(bits))))
        << pattern;
    ASSERT_TRUE(
        same_float(em::float_from_bf16(bits), __bfloat162float(std::bit_cast<__nv_bfloat16>(bits))))
        << pattern;
  }
  const auto check = [](const auto& values) {
    for (const auto x : values) {
      if constexpr (sizeof(x) == 4) {
        ASSERT_EQ(em::f16_from_float(x), bits_of(__float2half_rn(x))) << std::hexfloat << x;
        ASSERT_EQ(em::bf16_from_float(x), bits_of(__float2bfloat16_rn(x))) << std::hexfloat << x;
      } else {
        ASSERT_EQ(em::f16_from_double(x), bits_of(__double2half(x))) << std::hexfloat << x;
        ASSERT_EQ(em::bf16_from_double(x), bits_of(__double2bfloat16(x))) << std::hexfloat << x;
      }
    }
  };
  for (const int mantissa_bits : {7, 10}) {
    check(hard_values<float>(mantissa_bits));
    check(hard_values<double>(mantissa_bits));
  }
  check(random_values<float, std::uint32_t>());
  check(random_values<double, std::uint64_t>());
}
#endif

}  // namespace
