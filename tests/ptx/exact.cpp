// Numbers as an integer times a power of two, and a flag for what lies beyond its last bit.
#include "tests/ptx/exact.hpp"

#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <string_view>

namespace abn::ptx::test {
namespace {

using Integer = boost::multiprecision::cpp_int;

enum class Kind : std::uint8_t { finite, infinite, nan };

struct Number {
  Kind kind = Kind::finite;
  bool negative = false;
  Integer whole = 0;  // magnitude
  int power = 0;
  bool more = false;  // the magnitude is a little larger
};

std::uint64_t sign_bit(const Format& f) { return std::uint64_t{1} << (f.bits() - 1); }
std::uint64_t infinity(const Format& f) {
  return (sign_bit(f) - 1) >> (f.precision - 1) << (f.precision - 1);
}

Number number_of(const Format& f, std::uint64_t bits) {
  Number n;
  n.negative = (bits & sign_bit(f)) != 0;
  const std::uint64_t magnitude = bits & (sign_bit(f) - 1);
  if (magnitude > infinity(f)) n.kind = Kind::nan;
  if (magnitude == infinity(f)) n.kind = Kind::infinite;
  const int exponent = static_cast<int>(magnitude >> (f.precision - 1));
  const std::uint64_t unit = std::uint64_t{1} << (f.precision - 1);
  n.whole = (magnitude & (unit - 1)) + (exponent > 0 ? unit : 0);
  n.power = f.least - (f.precision - 1) + (exponent > 0 ? exponent - 1 : 0);
  return n;
}

std::uint64_t round_to(const Format& f, Mode mode, const Number& n) {
  const std::uint64_t sign = n.negative ? sign_bit(f) : 0;
  if (n.kind == Kind::nan) return sign_bit(f) - 1;
  if (n.kind == Kind::infinite) return sign | infinity(f);
  if (n.whole == 0) return sign;
  const int top = static_cast<int>(msb(n.whole)) + n.power;
  const int ulp = std::max(top, f.least) - (f.precision - 1);
  Integer kept, lost;
  bool half_up = false, inexact = n.more;
  if (ulp > n.power) {
    const unsigned cut = static_cast<unsigned>(ulp - n.power);
    kept = n.whole >> cut;
    lost = n.whole - (kept << cut);
    const Integer half = Integer{1} << (cut - 1);
    half_up = lost > half || (lost == half && (n.more || (kept & 1) != 0));
    inexact = inexact || lost != 0;
  } else {
    kept = n.whole << static_cast<unsigned>(n.power - ulp);
  }
  const bool up = mode == Mode::nearest ? half_up
                  : mode == Mode::down  ? inexact && n.negative
                  : mode == Mode::up    ? inexact && !n.negative
                                        : false;
  if (up) ++kept;
  // Exponent and significand as one number, so that a carry moves up.
  Integer encoded = kept;
  if (top >= f.least) encoded += Integer{top - f.least} << (f.precision - 1);
  const bool overflow = encoded >= infinity(f);
  if (!overflow) return sign | static_cast<std::uint64_t>(encoded);
  const bool to_infinity = mode == Mode::nearest || (mode == Mode::down && n.negative) ||
                           (mode == Mode::up && !n.negative);
  return sign | (to_infinity ? infinity(f) : infinity(f) - 1);
}

Number nan() {
  Number n;
  n.kind = Kind::nan;
  return n;
}

Number product(const Number& a, const Number& b) {
  if (a.kind == Kind::nan || b.kind == Kind::nan) return nan();
  Number n;
  n.negative = a.negative != b.negative;
  if (a.kind == Kind::infinite || b.kind == Kind::infinite) {
    const Number& other = a.kind == Kind::infinite ? b : a;
    if (other.kind == Kind::finite && other.whole == 0) return nan();
    n.kind = Kind::infinite;
    return n;
  }
  n.whole = a.whole * b.whole, n.power = a.power + b.power;
  return n;
}

Number sum(const Number& a, const Number& b, Mode mode) {
  if (a.kind == Kind::nan || b.kind == Kind::nan) return nan();
  if (a.kind == Kind::infinite && b.kind == Kind::infinite)
    return a.negative == b.negative ? a : nan();
  if (a.kind == Kind::infinite) return a;
  if (b.kind == Kind::infinite) return b;
  Number n;
  n.power = std::min(a.power, b.power);
  const auto scaled = [&](const Number& x) {
    const Integer moved = x.whole << static_cast<unsigned>(x.power - n.power);
    return x.negative ? Integer(-moved) : moved;
  };
  const Integer total = scaled(a) + scaled(b);
  n.whole = abs(total);
  n.negative = total < 0;
  if (total == 0) n.negative = a.negative == b.negative ? a.negative : mode == Mode::down;
  return n;
}

Number quotient(const Number& a, const Number& b) {
  if (a.kind == Kind::nan || b.kind == Kind::nan) return nan();
  const bool zero_a = a.kind == Kind::finite && a.whole == 0,
             zero_b = b.kind == Kind::finite && b.whole == 0;
  if ((a.kind == Kind::infinite && b.kind == Kind::infinite) || (zero_a && zero_b)) return nan();
  Number n;
  n.negative = a.negative != b.negative;
  if (a.kind == Kind::infinite || zero_b) n.kind = Kind::infinite;
  if (n.kind == Kind::infinite || zero_a || b.kind == Kind::infinite) return n;
  constexpr unsigned extra = 128;
  const Integer wide = a.whole << extra;
  n.whole = wide / b.whole, n.more = wide % b.whole != 0;
  n.power = a.power - b.power - static_cast<int>(extra);
  return n;
}

Number root(const Number& a) {
  if (a.kind == Kind::nan) return a;
  if (a.kind == Kind::finite && a.whole == 0) return a;
  if (a.negative) return nan();
  if (a.kind == Kind::infinite) return a;
  Number n;
  unsigned extra = 256;
  if ((a.power - static_cast<int>(extra)) % 2 != 0) ++extra;
  const Integer wide = a.whole << extra;
  n.whole = boost::multiprecision::sqrt(wide);
  n.more = n.whole * n.whole != wide;
  n.power = (a.power - static_cast<int>(extra)) / 2;
  return n;
}

}  // namespace

std::uint64_t compute(const char* operation, const Format& from, const Format& to, Mode mode,
                      std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  const std::string_view name = operation;
  const Number x = number_of(from, a), y = number_of(from, b), z = number_of(from, c);
  Number result;
  if (name == "add") {
    result = sum(x, y, mode);
  } else if (name == "sub") {
    Number other = y;
    other.negative = !other.negative;
    result = sum(x, other, mode);
  } else if (name == "mul") {
    result = product(x, y);
  } else if (name == "fma") {
    result = sum(product(x, y), z, mode);
  } else if (name == "div") {
    result = quotient(x, y);
  } else if (name == "rcp") {
    Number one;
    one.whole = 1;
    result = quotient(one, x);
  } else if (name == "sqrt") {
    result = root(x);
  } else {
    result = x;
  }
  return round_to(to, mode, result);
}

std::uint64_t from_integer(bool negative, std::uint64_t magnitude, const Format& to, Mode mode) {
  Number n;
  n.negative = negative, n.whole = magnitude;
  return round_to(to, mode, n);
}

bool is_nan(const Format& f, std::uint64_t bits) {
  return (bits & (sign_bit(f) - 1)) > infinity(f);
}
bool is_subnormal(const Format& f, std::uint64_t bits) {
  const std::uint64_t magnitude = bits & (sign_bit(f) - 1);
  return magnitude != 0 && magnitude < std::uint64_t{1} << (f.precision - 1);
}
double value_of(const Format& f, std::uint64_t bits) {
  const Number n = number_of(f, bits);
  if (n.kind == Kind::infinite) return n.negative ? -INFINITY : INFINITY;
  if (n.kind == Kind::nan) return NAN;
  const double magnitude = std::ldexp(static_cast<double>(n.whole), n.power);
  return n.negative ? -magnitude : magnitude;
}

}  // namespace abn::ptx::test
