// Writing and reading "given:..." data.
#include "verify/data/given.hpp"

#include <fmt/format.h>

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/printable.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::data {
namespace {

struct Field {
  const char* name;
  std::vector<double> problem::Inputs::*values;
  bool tensor;
};
constexpr Field fields[] = {
    {"x", &problem::Inputs::x, true},
    {"dz", &problem::Inputs::dz, true},
    {"gamma", &problem::Inputs::gamma, false},
    {"beta", &problem::Inputs::beta, false},
    {"running_mean", &problem::Inputs::running_mean, false},
    {"running_var", &problem::Inputs::running_var, false},
};

/// The part of `text` up to `end`, which is removed from its front.
std::string_view next(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view part = text.substr(0, at);
  text = at == text.npos ? std::string_view() : text.substr(at + 1);
  return part;
}

double number(std::string_view text, const Field& field, const problem::Format& format) {
  const std::string word(text);
  char* end = nullptr;
  errno = 0;
  const double value = std::strtod(word.c_str(), &end);
  const bool blank_in_front = !word.empty() && std::isspace(static_cast<unsigned char>(word[0]));
  if (word.empty() || blank_in_front || end != word.c_str() + word.size())
    throw problem::UsageError(fmt::format(
        "\"{}\" in {} of --data is not a number; write it like 0x1.8p-3, 0.1875, inf or nan", word,
        field.name));
  // 1e400 is no infinity, and 1e-400 no zero.
  if (errno == ERANGE && (std::isinf(value) || value == 0))
    throw problem::UsageError(
        fmt::format("\"{}\" in {} of --data lies outside of the range of a double; write a number "
                    "of {}, or inf or 0 if that is meant",
                    word, field.name, problem::dtype_name(format.dtype)));
  if (!std::isnan(value) && problem::round_to(format, value) != value)
    throw problem::UsageError(fmt::format(
        "{} in {} of --data cannot be stored as {}; the nearest that can is {:a}", word, field.name,
        problem::dtype_name(format.dtype), problem::round_to(format, value)));
  return value;
}

const Field& field_named(std::string_view name) {
  std::vector<std::string> names;
  for (const Field& field : fields) {
    if (name == field.name) return field;
    names.emplace_back(field.name);
  }
  throw problem::UsageError(fmt::format("\"{}\" is not a tensor of --data given:; did you mean {}?",
                                        name, problem::nearest(std::string(name), names)));
}

}  // namespace

std::string given_text(const problem::Inputs& inputs) {
  std::string text(given_prefix);
  for (const Field& field : fields) {
    const std::vector<double>& values = inputs.*field.values;
    if (values.empty()) continue;
    if (text.size() > given_prefix.size()) text += ';';
    text += fmt::format("{}=", field.name);
    for (std::size_t i = 0; i < values.size(); ++i)
      text += (i > 0 ? "," : "") + (std::isfinite(values[i]) ? fmt::format("{:a}", values[i])
                                    : std::isnan(values[i])  ? "nan"
                                    : values[i] < 0          ? "-inf"
                                                             : "inf");
  }
  return text;
}

problem::Inputs parse_given(std::string_view text, const abn_problem& problem) {
  problem::require_printable(text, "data");
  problem::Inputs inputs;
  inputs.problem = problem;
  const auto elements = static_cast<std::size_t>(problem::element_count(problem)),
             channels = static_cast<std::size_t>(problem.c);
  text.remove_prefix(given_prefix.size());
  while (!text.empty()) {
    std::string_view part = next(text, ';');
    const Field& field = field_named(next(part, '='));
    std::vector<double>& values = inputs.*field.values;
    if (!values.empty())
      throw problem::UsageError(fmt::format("--data gives {} twice; give it once", field.name));
    const problem::Format& format =
        problem::format_of(field.tensor ? problem.dtype : problem.param_dtype);
    while (!part.empty()) values.push_back(number(next(part, ','), field, format));
    const std::size_t expected = field.tensor ? elements : channels;
    if (values.size() != expected)
      throw problem::UsageError(fmt::format(
          "--data gives {} values of {} and {} needs {}; give as many as the problem has",
          values.size(), field.name, problem::to_string(problem), expected));
  }
  if (inputs.x.size() != elements)
    throw problem::UsageError(
        "--data given: has no x; write given:x=... with one value an element");
  if (inputs.gamma.empty() != inputs.beta.empty())
    throw problem::UsageError("--data gives one of gamma and beta; give both or neither");
  inputs.affine = !inputs.gamma.empty();
  if (inputs.running_mean.empty()) inputs.running_mean.assign(channels, 0);
  if (inputs.running_var.empty()) inputs.running_var.assign(channels, 1);
  return inputs;
}

}  // namespace abn::verify::data
