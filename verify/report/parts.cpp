// Escaping, numbers and orders that the HTML page, its plots and the Markdown share.
#include "verify/report/parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <tuple>

namespace abn::verify::report {
namespace {

constexpr double saturated_ulp = 1 << 20;  // Comparison::ulp ends there

/// Length of the UTF-8 sequence at the start of `text`, 0 if it is none (overlong forms and
/// surrogates included).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned first = byte(0);
  std::size_t length = first < 0x80                    ? 1
                       : first >= 0xc2 && first < 0xe0 ? 2
                       : first >= 0xe0 && first < 0xf0 ? 3
                       : first >= 0xf0 && first < 0xf5 ? 4
                                                       : 0;
  for (std::size_t i = 1; i < length; ++i)
    if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
  if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
  if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
  return length;
}

/// Position of `word` in a list of the usual words; unusual ones come behind, in alphabetical
/// order.
template <std::size_t Count>
std::tuple<std::size_t, std::string_view> rank(const std::array<std::string_view, Count>& usual,
                                               std::string_view word) {
  const auto found = std::find(usual.begin(), usual.end(), word);
  return {static_cast<std::size_t>(found - usual.begin()),
          found == usual.end() ? word : std::string_view{}};
}

constexpr std::array<std::string_view, 7> ops{"forward",  "backward", "sync",    "exact",
                                              "patterns", "gradient", "property"};
constexpr std::array<std::string_view, 10> outputs{
    "mean", "variance", "invstd", "running_mean", "running_var",
    "xhat", "z",        "dx",     "dgamma",       "dbeta"};
constexpr std::array<std::string_view, 4> dtypes{"f16", "bf16", "f32", "f64"};
constexpr std::array<std::string_view, 2> layouts{"nchw", "nhwc"};

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (length > 1) {
      out += text.substr(0, length);
    } else {
      switch (c) {
        case '&':
          out += "&amp;";
          break;
        case '<':
          out += "&lt;";
          break;
        case '>':
          out += "&gt;";
          break;
        case '"':
          out += "&quot;";
          break;
        case '\'':
          out += "&#39;";
          break;
        case '\n':
        case '\t':
          out += c;
          break;
        default:
          if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += "\xef\xbf\xbd";
          else
            out += c;
      }
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string anchor(std::string_view id) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:-";
  std::string out;
  for (const char c : id) {
    if (plain.find(c) != std::string_view::npos)
      out += c;
    else
      out += fmt::format("~{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string show_ratio(double ratio) {
  if (std::isnan(ratio)) return "NaN";
  if (std::isinf(ratio)) return "∞";
  std::string text = fmt::format("{:.{}g}", ratio, ratio < 0.1 ? 2 : 3);
  if (text == "1" && ratio != 1) text = fmt::format("{:.6g}", ratio);
  if (text == "1" && ratio != 1) text = ratio > 1 ? ">1" : "<1";
  return text;
}

std::string show_ulp(double ulp) {
  if (std::isnan(ulp)) return "NaN";
  if (ulp == 0) return "0";
  if (ulp >= saturated_ulp) return "≥ 2^20";
  if (ulp <= -saturated_ulp) return "≤ −2^20";
  return fmt::format("{}{:.{}g}", ulp < 0 ? "−" : "+", std::fabs(ulp),
                     std::fabs(ulp) < 0.1 ? 2 : 3);
}

std::string show_percent(double fraction) {
  if (std::isnan(fraction)) return "NaN";
  if (std::isinf(fraction)) return "∞";
  const double percent = 100 * fraction;
  if (percent == 0) return "0 %";
  if (percent < 0.01) return "< 0.01 %";
  if (percent >= 1e6) return "> 10⁶ %";
  return percent >= 99.5 ? fmt::format("{:.0f} %", percent) : fmt::format("{:.2g} %", percent);
}

std::string show_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string show_plural(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", show_count(count), noun, count == 1 ? "" : "s");
}

std::string show_decimal(double value) {
  return std::isnan(value) ? "NaN" : fmt::format("{:.17g}", value);
}

std::string show_hex(double value) {
  return std::isfinite(value) ? fmt::format("{:a}", value) : show_decimal(value);
}

const char* glyph(results::Verdict verdict) {
  switch (verdict) {
    case results::Verdict::pass:
      return "✓";
    case results::Verdict::fail:
      return "✗";
    case results::Verdict::inconclusive:
      return "?";
    case results::Verdict::skip:
      return "–";
    case results::Verdict::error:
      return "!";
  }
  return "!";
}

bool needs_attention(results::Verdict verdict) {
  return severity(verdict) >= severity(results::Verdict::inconclusive);
}

bool is_contract(const results::Record& record) {
  return record.kind == results::CheckKind::contract;
}

bool has_numbers(const results::Record& record) {
  return !is_contract(record) && record.tally.elements > 0;
}

double ranking_ratio(const results::Record& record) {
  return std::isnan(record.tally.max_ratio) ? std::numeric_limits<double>::infinity()
                                            : record.tally.max_ratio;
}

bool is_property(const results::Record& record) {
  return record.kind == results::CheckKind::property;
}

bool has_types(const results::Record& record) {
  return std::find(dtypes.begin(), dtypes.end(), record.dtype) != dtypes.end();
}

bool is_method_limited(const results::Record& record) {
  return record.verdict == results::Verdict::pass && has_numbers(record) &&
         record.discriminating_cases == 0 && record.method_limited_cases > 0;
}

std::vector<const results::Record*> reading_order(const results::Results& results) {
  std::vector<const results::Record*> order;
  for (const results::Record& record : results.records) order.push_back(&record);
  const auto key = [](const results::Record& r) {
    return std::tuple(std::string_view(r.variant), rank(ops, r.op), is_contract(r),
                      is_contract(r) ? rank(outputs, "") : rank(outputs, r.check),
                      rank(dtypes, r.dtype), rank(layouts, r.layout), std::string_view(r.check),
                      std::string_view(r.id));
  };
  std::stable_sort(
      order.begin(), order.end(),
      [&](const results::Record* a, const results::Record* b) { return key(*a) < key(*b); });
  return order;
}

std::vector<const results::Record*> attention_order(const results::Results& results) {
  std::vector<const results::Record*> order;
  for (const results::Record& record : results.records)
    if (needs_attention(record.verdict)) order.push_back(&record);
  const auto key = [](const results::Record& r) {
    return std::tuple(-severity(r.verdict), -ranking_ratio(r), std::string_view(r.id));
  };
  std::stable_sort(
      order.begin(), order.end(),
      [&](const results::Record* a, const results::Record* b) { return key(*a) < key(*b); });
  return order;
}

}  // namespace abn::verify::report
