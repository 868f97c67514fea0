// UTF-8 is decoded, as a control character may be two bytes long.
#include "verify/problem/printable.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

#include "verify/problem/error.hpp"

namespace abn::verify::problem {
namespace {

struct Letter {
  std::uint32_t code;
  std::size_t bytes;  ///< 0: no UTF-8
};

/// The letter at the front of `text`, which is not empty.
Letter front_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t bytes = first >= 0xf8   ? 0
                            : first >= 0xf0 ? 4
                            : first >= 0xe0 ? 3
                            : first >= 0xc0 ? 2
                                            : 0;
  if (bytes == 0 || bytes > text.size()) return {0, 0};
  std::uint32_t code = first & (0xffU >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return {0, 0};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  // A longer form than needed would hide a control character.
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  return {code, code < least[bytes] || code > 0x10ffff ? 0 : bytes};
}

bool is_obeyed(std::uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const bool turns = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return control || turns || surrogate;
}

std::string cleaned(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Letter letter = front_of(text);
    const std::string_view bytes = text.substr(0, letter.bytes == 0 ? 1 : letter.bytes);
    if (letter.bytes == 1 && (letter.code == '\n' || letter.code == '\t'))
      out += keep_lines && letter.code == '\n' ? '\n' : ' ';
    else if (letter.bytes == 0 || is_obeyed(letter.code))
      out += '?';
    else
      out += bytes;
    text.remove_prefix(bytes.size());
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) { return cleaned(text, false); }
std::string printable_lines(std::string_view text) { return cleaned(text, true); }

void require_printable(std::string_view text, const char* what) {
  constexpr std::size_t quoted = 60;
  const std::string clean = printable(text);
  if (clean != text)
    throw UsageError(
        fmt::format("The {} \"{}{}\" holds characters that nobody can see; write it "
                    "without them",
                    what, printable(text.substr(0, quoted)), text.size() > quoted ? "..." : ""));
}

}  // namespace abn::verify::problem
