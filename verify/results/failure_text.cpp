// What a failed check prints: what failed by how much, its witness, the dominating terms of the
// bound, and a command that replays it.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <string>

#include "verify/results/results.hpp"

namespace abn::verify::results {
namespace {

/// A value as the exact hex float that a C compiler or Python reads back.
std::string hex(double value) {
  return std::isfinite(value) ? fmt::format("{:a}", value)
         : std::isnan(value)  ? "nan"
         : value < 0          ? "-inf"
                              : "inf";
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string numbers(const Record& record, const Witness& witness) {
  std::string text = fmt::format("  witness   {}", witness.where);
  for (const auto& [name, value] : witness.inputs) text += fmt::format("  {}={}", name, hex(value));
  text += fmt::format("  expected {}  got {}", hex(witness.expected), hex(witness.got));
  if (!witness.got_bits.empty()) text += fmt::format(" ({})", witness.got_bits);
  if (!witness.reason.empty()) text += fmt::format("\n  because   {}", witness.reason);
  text += "\n  bound     ";
  for (const auto& [name, share] : witness.terms)
    text += fmt::format("{} {:.0f} %, ", name, 100 * share);
  if (witness.terms.empty()) text += fmt::format("{:.3g}, ", witness.bound);
  text.resize(text.size() - 2);
  // two results of the kernel: their bounds add up, and no one source dominates
  if (record.kind == CheckKind::property) return text + "\n";
  text += fmt::format("; kappa {:.3g}", witness.kappa);
  if (record.op == "backward") text += fmt::format(", |beta|/|g| {:.3g}", witness.beta_over_g);
  return text + "\n";
}

}  // namespace

std::string failure_text(const Record& record) {
  std::string text = fmt::format("{} {}", upper(verdict_name(record.verdict)), record.id);
  const bool with_numbers = record.kind != CheckKind::contract && record.tally.elements > 0;
  if (with_numbers)
    text += fmt::format("   ratio {:.3g}   ({} of {} elements, p99 {:.2g}, NaN or infinity {})",
                        record.tally.max_ratio, record.tally.failed, record.tally.elements,
                        record.tally.p99_ratio(), record.tally.nonfinite_got);
  text += "\n";
  if (!record.reason.empty()) text += fmt::format("  reason    {}\n", record.reason);
  if (const std::string likely = diagnosis_text(record.diagnosis); !likely.empty())
    text += fmt::format("  likely    {}\n", likely);
  if (record.witnesses.empty()) return text;
  const Witness& witness = record.witnesses.front();
  if (with_numbers) {
    text += numbers(record, witness);
  } else {
    if (!witness.where.empty()) text += fmt::format("  witness   {}\n", witness.where);
    if (!witness.reason.empty() && witness.reason != record.reason)
      text += fmt::format("  because   {}\n", witness.reason);
  }
  if (!witness.reproduce.empty()) text += fmt::format("  reproduce {}\n", witness.reproduce);
  return text;
}

}  // namespace abn::verify::results
