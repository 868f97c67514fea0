// Integers by numbers of 128 bits, and logic bit by bit.
#include <algorithm>

#include "tests/ptx/form_model.hpp"

namespace abn::ptx::test {
namespace {

__extension__ using Wide = __int128;
__extension__ using UWide = unsigned __int128;
using Operands = std::vector<std::uint64_t>;

struct IntegerType {
  unsigned bits = 0;
  bool is_signed = false;
};

std::optional<IntegerType> type_of(const std::string& word) {
  if (word.size() < 2 || (word[0] != 's' && word[0] != 'u' && word[0] != 'b')) return {};
  const std::string digits = word.substr(1);
  if (digits != "8" && digits != "16" && digits != "32" && digits != "64") return {};
  return IntegerType{static_cast<unsigned>(std::stoi(digits)), word[0] == 's'};
}

std::uint64_t cut(UWide value, unsigned bits) {
  return static_cast<std::uint64_t>(bits == 64 ? value : value & ((UWide{1} << bits) - 1));
}
Wide number(std::uint64_t bits, const IntegerType& type) {
  const std::uint64_t low = cut(bits, type.bits);
  const bool minus = type.is_signed && (low >> (type.bits - 1) & 1) != 0;
  return minus ? Wide{low} - (Wide{1} << type.bits) : Wide{low};
}

bool holds(const std::string& compare, Wide a, Wide b) {
  if (compare == "eq") return a == b;
  if (compare == "ne") return a != b;
  if (compare == "lt") return a < b;
  if (compare == "le") return a <= b;
  if (compare == "gt") return a > b;
  return a >= b;
}

bool combined(const std::string& name, bool value, bool other) {
  if (has_word(name, "and")) return value && other;
  if (has_word(name, "or")) return value || other;
  if (has_word(name, "xor")) return value != other;
  return value;
}

std::optional<std::uint64_t> arithmetic(const std::string& name, const std::string& op,
                                        const IntegerType& type, const Operands& in) {
  const unsigned bits = type.bits;
  const Wide a = number(in[0], type), b = in.size() > 1 ? number(in[1], type) : 0;
  const auto product = static_cast<UWide>(a) * static_cast<UWide>(b);
  // Of unsigned 64-bit numbers the upper half must not take the product for a negative one.
  const UWide upper =
      type.is_signed ? static_cast<UWide>(static_cast<Wide>(product) >> bits) : product >> bits;
  if (op == "add" || op == "sub") {
    Wide sum = op == "add" ? a + b : a - b;
    if (has_word(name, "sat"))
      sum = std::clamp<Wide>(sum, -(Wide{1} << (bits - 1)), (Wide{1} << (bits - 1)) - 1);
    return cut(static_cast<UWide>(sum), bits);
  }
  if (op == "mul" || op == "mad") {
    const bool wide = has_word(name, "wide");
    const unsigned out = wide ? 2 * bits : bits;
    UWide value = has_word(name, "hi") ? upper : product;
    if (op == "mad") value += in[2];
    return cut(value, out);
  }
  if (op == "div" || op == "rem") {
    if (b == 0) return {};  // unspecified
    return cut(static_cast<UWide>(op == "div" ? a / b : a % b), bits);
  }
  if (op == "min") return cut(static_cast<UWide>(a < b ? a : b), bits);
  if (op == "max") return cut(static_cast<UWide>(a < b ? b : a), bits);
  if (op == "neg") return cut(static_cast<UWide>(-a), bits);
  if (op == "abs") return cut(static_cast<UWide>(a < 0 ? -a : a), bits);
  return {};
}

bool bit(std::uint64_t value, std::uint64_t at) { return at < 64 && (value >> at & 1) != 0; }

std::optional<std::uint64_t> of_bits(const std::string& name, const std::string& op,
                                     const IntegerType& type, const Operands& in) {
  const unsigned bits = type.bits;
  std::uint64_t result = 0;
  const auto build = [&](const auto& rule) {
    for (unsigned i = 0; i < bits; ++i)
      if (rule(i)) result |= std::uint64_t{1} << i;
    return result;
  };
  const std::uint64_t a = in[0], b = in.size() > 1 ? in[1] : 0;
  if (op == "and") return build([&](unsigned i) { return bit(a, i) && bit(b, i); });
  if (op == "or") return build([&](unsigned i) { return bit(a, i) || bit(b, i); });
  if (op == "xor") return build([&](unsigned i) { return bit(a, i) != bit(b, i); });
  if (op == "not") return build([&](unsigned i) { return !bit(a, i); });
  if (op == "cnot") return a == 0 ? 1 : 0;
  if (op == "brev") return build([&](unsigned i) { return bit(a, bits - 1 - i); });
  if (op == "popc") {
    for (unsigned i = 0; i < bits; ++i) result += bit(a, i) ? 1 : 0;
    return result;
  }
  if (op == "clz") {
    for (unsigned i = bits; i-- > 0 && !bit(a, i);) ++result;
    return result;
  }
  if (op == "shl") return build([&](unsigned i) { return i >= b && bit(a, i - b); });
  if (op == "shr")
    return build([&](unsigned i) {
      return i + b < bits ? bit(a, i + b) : type.is_signed && bit(a, bits - 1);
    });
  if (op == "bfi") {  // a into b
    const unsigned from = in[2] & 0xff, length = in[3] & 0xff;
    return build(
        [&](unsigned i) { return i >= from && i < from + length ? bit(a, i - from) : bit(b, i); });
  }
  if (op == "bfe") {
    const unsigned from = in[1] & 0xff, length = in[2] & 0xff;
    const bool sign = type.is_signed && length > 0 && bit(a, std::min(from + length - 1, bits - 1));
    return build(
        [&](unsigned i) { return i < length && from + i < bits ? bit(a, from + i) : sign; });
  }
  if (op == "lop3")
    return build([&](unsigned i) {
      return bit(in[3], (bit(a, i) ? 4U : 0U) + (bit(b, i) ? 2U : 0U) + (bit(in[2], i) ? 1U : 0U));
    });
  if (op == "shf") {
    const std::uint64_t by =
        has_word(name, "wrap") ? in[2] % 32 : std::min<std::uint64_t>(in[2], 32);
    const auto pair = [&](std::uint64_t i) { return i < 32 ? bit(a, i) : bit(b, i - 32); };
    return has_word(name, "l") ? build([&](unsigned i) { return pair(i + 32 - by); })
                               : build([&](unsigned i) { return i + by < 64 && pair(i + by); });
  }
  if (op == "prmt")
    return build([&](unsigned i) {
      const std::uint64_t choice = in[2] >> (i / 8 * 4) & 15, byte = choice & 7;
      const std::uint64_t at = (choice & 8) != 0 ? 7 : i % 8;
      return byte < 4 ? bit(a, 8 * byte + at) : bit(b, 8 * (byte - 4) + at);
    });
  return {};
}

}  // namespace

std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('.', at), name.size());
    words.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

bool has_word(const std::string& name, const std::string& word) {
  const auto words = words_of(name);
  return std::find(words.begin() + 1, words.end(), word) != words.end();
}

std::optional<FormModel> integer_model(const std::string& name) {
  const auto words = words_of(name);
  const std::string& op = words[0];
  if (op == "mov" || op == "selp") {
    if (name.find('{') != name.npos) return {};
    if (op == "mov") return FormModel{[](const Operands& in) { return in[0]; }};
    return FormModel{[](const Operands& in) { return in[2] != 0 ? in[0] : in[1]; }};
  }
  if (words.back() == "pred") {
    if (op == "not") return FormModel{[](const Operands& in) { return in[0] == 0 ? ~0U : 0U; }};
    if (op != "and" && op != "or" && op != "xor") return {};
    return FormModel{[name, op](const Operands& in) {
      return combined(op + "." + op, in[0] != 0, in[1] != 0) ? ~0U : 0U;
    }};
  }
  const auto type = type_of(words.back());
  if (!type) return {};
  if (op == "setp")
    return FormModel{[name, words, type](const Operands& in) {
      return combined(name, holds(words[1], number(in[0], *type), number(in[1], *type)),
                      in.size() > 2 && in[2] != 0)
                 ? ~0U
                 : 0U;
    }};
  if (op == "cvt") {
    const auto to = type_of(words[words.size() - 2]);
    if (!to || words[1].starts_with('r')) return {};
    return FormModel{[name, type, to](const Operands& in) -> std::uint64_t {
      Wide value = number(in[0], *type);
      if (has_word(name, "sat")) {
        const Wide least = to->is_signed ? -(Wide{1} << (to->bits - 1)) : Wide{0};
        const Wide most = (Wide{1} << (to->bits - (to->is_signed ? 1 : 0))) - 1;
        value = std::clamp(value, least, most);
      }
      return static_cast<std::uint64_t>(number(static_cast<std::uint64_t>(value), *to));
    }};
  }
  constexpr const char* arithmetics[] = {"add", "sub", "mul", "mad", "div",
                                         "rem", "min", "max", "neg", "abs"};
  for (const char* const one : arithmetics)
    if (op == one)
      return FormModel{
          [name, op, type](const Operands& in) { return arithmetic(name, op, *type, in); }};
  constexpr const char* others[] = {"and", "or",  "xor", "not", "cnot", "brev", "popc", "clz",
                                    "shl", "shr", "bfi", "bfe", "lop3", "shf",  "prmt"};
  for (const char* const one : others)
    if (op == one)
      return FormModel{
          [name, op, type](const Operands& in) { return of_bits(name, op, *type, in); }};
  return {};
}

}  // namespace abn::ptx::test
