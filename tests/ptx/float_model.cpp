// Floating-point forms by exact arithmetic (exact.hpp), with what their modifiers add.
#include <cmath>

#include "tests/ptx/exact.hpp"
#include "tests/ptx/form_model.hpp"

namespace abn::ptx::test {
namespace {

using Operands = std::vector<std::uint64_t>;

struct Named {
  const char* name;
  const Format* format;
  Match match;
};
constexpr Named formats[] = {{"f32", &f32, Match::as_f32},     {"f64", &f64, Match::as_f64},
                             {"f16", &f16, Match::as_f16},     {"bf16", &bf16, Match::as_bf16},
                             {"f16x2", &f16, Match::as_f16x2}, {"bf16x2", &bf16, Match::as_bf16x2}};

const Named* named(const std::string& word) {
  for (const Named& one : formats)
    if (word == one.name) return &one;
  return nullptr;
}
bool is_pair(const Named& type) { return std::string(type.name).ends_with("x2"); }

Mode mode_of(const std::string& name) {
  return has_word(name, "rz")   ? Mode::zero
         : has_word(name, "rm") ? Mode::down
         : has_word(name, "rp") ? Mode::up
                                : Mode::nearest;
}

std::uint64_t sign_of(const Format& f) { return std::uint64_t{1} << (f.bits() - 1); }
std::uint64_t one_of(const Format& f) {
  return static_cast<std::uint64_t>(-f.least + 1) << (f.precision - 1);
}
std::uint64_t flushed(const Format& f, std::uint64_t bits) {
  return is_subnormal(f, bits) ? bits & sign_of(f) : bits;
}
/// Into [0, 1], NaN to 0.
std::uint64_t clamped(const Format& f, std::uint64_t bits) {
  if (is_nan(f, bits) || (bits & sign_of(f)) != 0) return 0;
  return bits > one_of(f) ? one_of(f) : bits;
}

/// Of one number of each operand.
std::uint64_t scalar(const std::string& name, const std::string& op, const Format& f, Operands in) {
  const bool ftz = has_word(name, "ftz");
  if (ftz)
    for (std::uint64_t& one : in) one = flushed(f, one);
  if (op == "neg") return in[0] ^ sign_of(f);
  if (op == "abs") return in[0] & ~sign_of(f);
  if (op == "min" || op == "max") {
    const bool nan_a = is_nan(f, in[0]), nan_b = is_nan(f, in[1]);
    if (nan_a || nan_b)
      return has_word(name, "NaN") || (nan_a && nan_b) ? sign_of(f) - 1 : in[nan_a ? 1 : 0];
    // As integers that are ordered like the numbers, with -0 below +0.
    const auto order = [&](std::uint64_t bits) {
      const auto magnitude = static_cast<std::int64_t>(bits & (sign_of(f) - 1));
      return (bits & sign_of(f)) != 0 ? -magnitude - 1 : magnitude;
    };
    return (order(in[0]) < order(in[1])) == (op == "min") ? in[0] : in[1];
  }
  in.resize(3);
  std::uint64_t result = compute(op.c_str(), f, f, mode_of(name), in[0], in[1], in[2]);
  if (ftz) result = flushed(f, result);
  if (has_word(name, "sat")) result = clamped(f, result);
  if (has_word(name, "relu") && !is_nan(f, result) && (result & sign_of(f)) != 0) result = 0;
  return result;
}

bool compares(const std::string& compare, double a, double b) {
  const bool unordered = a != a || b != b;
  if (compare == "num") return !unordered;
  if (compare == "nan") return unordered;
  const bool also_unordered = compare.size() == 3;
  if (unordered) return also_unordered;
  const std::string ordered = compare.substr(0, 2);
  return ordered == "eq"   ? a == b
         : ordered == "ne" ? a != b
         : ordered == "lt" ? a < b
         : ordered == "le" ? a <= b
         : ordered == "gt" ? a > b
                           : a >= b;
}

FormModel comparison(const std::string& name, const std::vector<std::string>& words,
                     const Named& type) {
  const Format& f = *type.format;
  return {[name, words, &f](const Operands& in) -> std::uint64_t {
    const auto value = [&](std::uint64_t bits) {
      return value_of(f, has_word(name, "ftz") ? flushed(f, bits) : bits);
    };
    const bool holds = compares(words[1], value(in[0]), value(in[1]));
    const bool other = in.size() > 2 && in[2] != 0;
    const bool all = has_word(name, "and")   ? holds && other
                     : has_word(name, "or")  ? holds || other
                     : has_word(name, "xor") ? holds != other
                                             : holds;
    return all ? ~0U : 0U;
  }};
}

FormModel setting(const std::vector<std::string>& words, const Named& type) {
  const Format& f = *type.format;
  const bool number = words[2] != "u32", pair = is_pair(type);
  return {[words, &f, number, pair](const Operands& in) -> std::uint64_t {
    std::uint64_t result = 0;
    for (unsigned at = 0; at < (pair ? 32U : 1U); at += 16)
      if (compares(words[1], value_of(f, pair ? in[0] >> at & 0xffff : in[0]),
                   value_of(f, pair ? in[1] >> at & 0xffff : in[1])))
        result |= (number ? one_of(f) : 0xffffffffU) << at;
    return result;
  }};
}

bool property(const std::string& word, const Format& f, std::uint64_t bits) {
  const std::uint64_t magnitude = bits & (sign_of(f) - 1);
  const double value = value_of(f, bits);
  if (word == "finite") return std::isfinite(value);
  if (word == "infinite") return std::isinf(value);
  if (word == "number") return !is_nan(f, bits);
  if (word == "notanumber") return is_nan(f, bits);
  if (word == "subnormal") return is_subnormal(f, bits);
  return std::isfinite(value) && magnitude >= std::uint64_t{1} << (f.precision - 1);
}

}  // namespace

std::optional<FormModel> float_model(const std::string& name) {
  const auto words = words_of(name);
  const std::string& op = words[0];
  const Named* const type = named(words.back());
  if (type == nullptr || has_word(name, "approx") || has_word(name, "full") || op == "cvt")
    return {};
  const Format& f = *type->format;
  if (op == "setp") return comparison(name, words, *type);
  if (op == "set") return setting(words, *type);
  if (op == "testp")
    return FormModel{[word = words[1], &f](const Operands& in) -> std::uint64_t {
      return property(word, f, in[0]) ? ~0U : 0U;
    }};
  if (op == "copysign")
    return FormModel{
        [&f](const Operands& in) { return (in[0] & sign_of(f)) | (in[1] & (sign_of(f) - 1)); }};
  constexpr const char* operations[] = {"add",  "sub", "mul", "fma", "div", "rcp",
                                        "sqrt", "neg", "abs", "min", "max"};
  for (const char* const one : operations)
    if (op == one)
      return FormModel{[name, op, &f,
                        pair = is_pair(*type)](const Operands& in) -> std::optional<std::uint64_t> {
                         if (!pair) return scalar(name, op, f, in);
                         std::uint64_t result = 0;
                         for (unsigned at = 0; at < 32; at += 16) {
                           Operands halves;
                           for (const std::uint64_t both : in)
                             halves.push_back(both >> at & 0xffff);
                           result |= scalar(name, op, f, halves) << at;
                         }
                         return result;
                       },
                       type->match};
  return {};
}

std::optional<FormModel> conversion_model(const std::string& name) {
  const auto words = words_of(name);
  if (words[0] != "cvt" || words.size() < 3) return {};
  const std::string &to = words[words.size() - 2], &from = words.back();
  const Named *const target = named(to), *const source = named(from);
  if (target == nullptr && source == nullptr) return {};
  const Mode mode = mode_of(name);
  const bool ftz = has_word(name, "ftz");
  if (source == nullptr) {  // from an integer
    const bool is_signed = from[0] == 's';
    const int bits = std::stoi(from.substr(1));
    return FormModel{
        [=](const Operands& in) {
          const std::uint64_t low = bits == 64 ? in[0] : in[0] & ((std::uint64_t{1} << bits) - 1);
          const bool minus = is_signed && (low >> (bits - 1) & 1) != 0;
          const std::uint64_t all = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
          return from_integer(minus, minus ? ((~low & all) + 1) : low, *target->format, mode);
        },
        target->match};
  }
  const Format& f = *source->format;
  const auto whole = [name](double value) {
    return has_word(name, "rni")   ? std::nearbyint(value)
           : has_word(name, "rzi") ? std::trunc(value)
           : has_word(name, "rmi") ? std::floor(value)
                                   : std::ceil(value);
  };
  if (target == nullptr) {  // to an integer
    const bool is_signed = to[0] == 's';
    const int bits = std::stoi(to.substr(1));
    return FormModel{[=, &f](const Operands& in) -> std::uint64_t {
      const double value = whole(value_of(f, ftz ? flushed(f, in[0]) : in[0]));
      const double end = std::ldexp(1.0, is_signed ? bits - 1 : bits), least = is_signed ? -end : 0;
      std::uint64_t result = 0;
      if (value != value)
        result = bits == 64 || f.bits() == 64 ? std::uint64_t{1} << (bits - 1) : 0;
      else if (value >= end)
        result = (std::uint64_t{1} << (is_signed ? bits - 1 : bits - 1)) - 1 +
                 (is_signed ? 0 : std::uint64_t{1} << (bits - 1));
      else if (value <= least)
        result = is_signed ? std::uint64_t{1} << (bits - 1) : 0;
      else
        result = value < 0 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(value))
                           : static_cast<std::uint64_t>(value);
      const std::uint64_t all = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
      result &= all;
      // A register that is wider holds the sign as well.
      return is_signed && bits < 64 && (result >> (bits - 1) & 1) != 0 ? result | ~all : result;
    }};
  }
  if (is_pair(*target))
    return FormModel{
        [=, &f](const Operands& in) -> std::uint64_t {
          std::uint64_t both = 0;
          for (const std::uint64_t one : {in[0], in[1]}) {
            std::uint64_t half = compute("cvt", f, *target->format, mode, one);
            if (has_word(name, "relu") && !is_nan(*target->format, half) && (half & 0x8000) != 0)
              half = 0;
            both = both << 16 | half;
          }
          return both;
        },
        target->match};
  return FormModel{[=, &f](const Operands& in) -> std::uint64_t {
                     const std::uint64_t a = ftz ? flushed(f, in[0]) : in[0];
                     std::uint64_t result = 0;
                     if (words[1].size() == 3 && words[1][0] == 'r' && words[1][2] == 'i') {
                       const double value = whole(value_of(f, a));
                       const double positive = std::copysign(value, 1.0);
                       result = value != value
                                    ? sign_of(f) - 1
                                    : compute("cvt", f64, f, Mode::nearest,
                                              __builtin_bit_cast(std::uint64_t, positive)) |
                                          (in[0] & sign_of(f));
                     } else {
                       result = compute("cvt", f, *target->format, mode, a);
                     }
                     if (ftz && target->format == &f32) result = flushed(f32, result);
                     if (has_word(name, "sat")) result = clamped(*target->format, result);
                     if (has_word(name, "relu") && !is_nan(*target->format, result) &&
                         (result & sign_of(*target->format)) != 0)
                       result = 0;
                     return result;
                   },
                   target->match};
}

}  // namespace abn::ptx::test
