// "patterns:FIRST" and FIRST-LAST, read and made into inputs.
#include "verify/data/patterns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <vector>

#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::data {
namespace {

/// A hexadecimal or decimal number at the front of `text`, which is removed; false where there is
/// none.
bool take_number(std::string_view& text, std::uint64_t& value) {
  const bool hex = text.starts_with("0x");
  if (hex) text.remove_prefix(2);
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

}  // namespace

std::uint64_t pattern_count(int dtype) {
  return std::uint64_t{1} << (8 * problem::format_of(dtype).bytes);
}

bool is_pattern_data(std::string_view data) { return data.starts_with(patterns_prefix); }

std::uint64_t first_pattern(const abn_problem& problem, std::string_view data) {
  std::string_view text = data.substr(patterns_prefix.size());
  std::uint64_t first = 0;
  if (!take_number(text, first) || !text.empty())
    throw problem::UsageError(fmt::format(
        "\"{}\" does not say where to begin; write it like {}0x3c00", data, patterns_prefix));
  if (problem.dtype == ABN_F64 || problem.mode != ABN_FROZEN || problem.n != 1 || problem.s != 1)
    throw problem::UsageError(
        fmt::format("{} needs one sample a channel, frozen statistics and f16, bf16 or f32; give a "
                    "problem like "
                    "n1c65536s1,f16,elu:1,eps:{},frozen",
                    data, pattern_eps));
  const auto channels = static_cast<std::uint64_t>(problem.c);
  if (first >= pattern_count(problem.dtype) || channels > pattern_count(problem.dtype) - first)
    throw problem::UsageError(
        fmt::format("{} has no {} patterns from {:#x} on; begin earlier or take fewer channels",
                    problem::dtype_name(problem.dtype), channels, first));
  return first;
}

problem::Inputs pattern_inputs(const abn_problem& problem, std::string_view data) {
  const std::uint64_t first = first_pattern(problem, data);
  const auto channels = static_cast<std::size_t>(problem.c);
  problem::Inputs inputs;
  inputs.problem = problem;
  const problem::Format& storage = problem::format_of(problem.dtype);
  std::vector<std::byte> bytes;
  for (std::size_t c = 0; c < channels; ++c)
    for (int byte = 0; byte < storage.bytes; ++byte)
      bytes.push_back(static_cast<std::byte>((first + c) >> (8 * byte)));
  inputs.x.resize(channels);
  problem::unpack(storage, bytes.data(), inputs.x);
  const double rest = 1 - problem.eps;
  inputs.dz.assign(channels, 1);
  inputs.gamma.assign(channels, problem::round_to(problem::format_of(problem.param_dtype),
                                                  problem.scale == ABN_SCALE_ABS_EPS ? rest : 1));
  inputs.beta.assign(channels, 0);
  inputs.running_mean.assign(channels, 0);
  inputs.running_var.assign(channels,
                            problem::round_to(problem::format_of(problem.param_dtype), rest));
  return inputs;
}

PatternRange parse_pattern_range(std::string_view text) {
  PatternRange range;
  std::string_view rest = text;
  const bool good = take_number(rest, range.first) && rest.starts_with('-') &&
                    (rest.remove_prefix(1), take_number(rest, range.last)) && rest.empty();
  if (!good || range.first > range.last)
    throw problem::UsageError(fmt::format(
        "\"{}\" is not a range of bit patterns; write it like 0x3f800000-0x3fffffff", text));
  return range;
}

void cut_to(const PatternRange& range, abn_problem& problem, std::string& data) {
  const std::uint64_t first = first_pattern(problem, data),
                      last = first + static_cast<std::uint64_t>(problem.c) - 1;
  const std::uint64_t begin = std::max(first, range.first), end = std::min(last, range.last);
  if (begin == first && end == last) return;  // its text stays as it was
  problem.c = static_cast<std::int64_t>(end - begin + 1);
  data = fmt::format("{}{:#x}", patterns_prefix, begin);
}

}  // namespace abn::verify::data
