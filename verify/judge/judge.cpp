// Comparison and witness of one output.
#include "verify/judge/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "verify/call/contract.hpp"
#include "verify/compare/trivial_outputs.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::judge {
namespace {

constexpr float smallest_share_shown = 0.01f;

std::int64_t channel_of(const abn_problem& problem, bool tensor, std::int64_t element) {
  return tensor ? problem::channel_of(problem, element) : element;
}

/// The numbers that a reader wants beside a witness: those that its formula takes.
std::vector<std::pair<std::string, double>> shown_inputs(const problem::Inputs& inputs,
                                                         const problem::Saved& saved,
                                                         compare::Output output,
                                                         std::int64_t element) {
  std::vector<std::pair<std::string, double>> shown;
  const bool tensor = compare::is_tensor(output);
  const auto at = static_cast<std::size_t>(element),
             c = static_cast<std::size_t>(channel_of(inputs.problem, tensor, element));
  const auto show = [&](const char* name, const std::vector<double>& values, std::size_t index) {
    if (index < values.size()) shown.emplace_back(name, values[index]);
  };
  const bool backward = output == compare::Output::dx || output == compare::Output::dgamma ||
                        output == compare::Output::dbeta;
  if (tensor) {
    if (backward && !saved.z.empty())
      show("z", saved.z, at);
    else if (backward && !saved.xhat.empty())
      show("xhat", saved.xhat, at);
    else
      show("x", inputs.x, at);
    if (backward) show("dz", inputs.dz, at);
  }
  if (output != compare::Output::mean && output != compare::Output::variance &&
      output != compare::Output::invstd) {
    if (output == compare::Output::running_mean) show("running_mean", inputs.running_mean, c);
    if (output == compare::Output::running_var) show("running_var", inputs.running_var, c);
    if (tensor || backward) {
      show("gamma", inputs.gamma, c);
      show("beta", inputs.beta, c);
    }
  }
  return shown;
}

/// Sums whose exact value is nothing beside their terms, under bounds that are sharp beside those
/// terms: half of the terms left out would show, and that zeros pass is no fault of the data. (beta
/// before another batch norm has such a gradient.)
bool cancels(const compare::Expectation& expectation) {
  constexpr double sharp = 0.01;
  if (compare::is_tensor(expectation.output) ||
      expectation.channels.size() != expectation.points.size())
    return false;
  for (std::size_t c = 0; c < expectation.points.size(); ++c) {
    const double scale = expectation.channels[c].scale;
    if (!(scale > 0 && expectation.points[c].bound <= sharp * scale &&
          std::abs(expectation.points[c].hi) <= expectation.points[c].bound))
      return false;
  }
  return !expectation.points.empty();
}

/// The expectation with the bounds of the recommended class, and nothing released by the claims.
compare::Expectation as_recommended(compare::Expectation expectation) {
  for (compare::Point& point : expectation.points) {
    point.bound = point.fit_bound;
    if (point.rule == compare::Rule::anything && std::isfinite(point.hi))
      point.rule = compare::Rule::bounded;
  }
  return expectation;
}

/// The kind of a case, and what it says. One on usual data that tells nothing, and would if the
/// claims were those of the recommended class, is empty by its claims.
results::CaseKind kind_of(const Origin& origin, std::string_view op, const problem::Inputs& inputs,
                          const compare::Expectation& expectation, bool telling) {
  const abn_problem& p = origin.problem;
  results::CaseKind kind;
  kind.mode = problem::mode_name(p.mode);
  kind.activation = problem::activation_name(p.activation);
  const std::int64_t m = problem::sample_count(p);
  const auto logarithm = [](std::int64_t value) {
    return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(value))) - 1;
  };
  kind.samples = logarithm(m), kind.channels = logarithm(p.c);
  kind.least_m = kind.most_m = m, kind.least_c = kind.most_c = p.c;
  kind.cases = 1;
  kind.telling = telling ? 1 : 0;
  if (telling || expectation.method_limited || !origin.claims || !data::is_usual(origin.data))
    return kind;
  const compare::Expectation recommended = as_recommended(expectation);
  if (!compare::discriminates(recommended, compare::nulls_of(inputs, recommended))) return kind;
  kind.empty = 1;
  kind.claims = problem::beyond_recommended(*origin.claims, p, op == "backward");
  return kind;
}

/// dx of a dz that is one number in every channel: with a straight activation it is 0 by its
/// formula.
bool has_constant_dz(const problem::Inputs& inputs, const compare::Expectation& expectation) {
  if (expectation.output != compare::Output::dx || inputs.problem.mode != ABN_TRAINING ||
      inputs.dz.empty())
    return false;
  for (std::int64_t c = 0; c < inputs.problem.c; ++c) {
    bool same = true;
    const double first =
        inputs.dz[static_cast<std::size_t>(problem::sample_offset(inputs.problem, c, 0))];
    problem::for_each_sample(inputs.problem, c, [&](std::size_t, std::size_t at) {
      same = same && inputs.dz[at] == first;
    });
    if (!same) return false;
  }
  return true;
}

}  // namespace

std::string id_of(const std::string& variant, const abn_problem& problem, std::string_view op,
                  std::string_view check) {
  return fmt::format("{}/{}/{}/{}/{}", variant, op, problem::dtype_name(problem.dtype),
                     problem::layout_name(problem.layout), check);
}

results::Record blank_record(const Origin& origin, std::string_view op, std::string_view check,
                             results::CheckKind kind) {
  results::Record record;
  record.id = id_of(origin.variant, origin.problem, op, check);
  record.variant = origin.variant;
  record.op = op;
  record.dtype = problem::dtype_name(origin.problem.dtype);
  record.layout = problem::layout_name(origin.problem.layout);
  record.check = check;
  record.kind = kind;
  record.cases = 1;
  return record;
}

results::Witness blank_witness(const Origin& origin, const std::string& id) {
  results::Witness witness;
  witness.problem = problem::to_string(origin.problem);
  witness.data = origin.data;
  witness.seed = origin.seed;
  if (!origin.command_head.empty())
    witness.reproduce =
        origin.command_head + (origin.command_names_id ? id : "") + origin.command_tail;
  return witness;
}

results::Record judge(const Origin& origin, std::string_view op, const problem::Inputs& inputs,
                      const problem::Saved& saved, const compare::Expectation& expectation,
                      const std::vector<double>& got, const compare::Explain& explain,
                      std::string_view check) {
  const std::string output = compare::output_name(expectation.output);
  if (expectation.points.size() != got.size())
    throw std::logic_error(fmt::format("{} has {} expectations and {} values", output,
                                       expectation.points.size(), got.size()));
  results::Record record = blank_record(
      origin, op, check.empty() ? std::string_view(output) : check, results::CheckKind::numbers);
  const problem::Format& format = problem::format_of(expectation.dtype);
  if (!origin.sampled.empty()) record.sampled_cases = 1, record.sampled = origin.sampled;
  record.tally = compare::compare_all(expectation, got);
  record.bias = compare::bias_of(expectation, got);
  record.failed_cases = record.tally.failed > 0 ? 1 : 0;
  if (record.failed_cases > 0) record.verdict = results::Verdict::fail;
  record.discriminating_cases =
      compare::discriminates(expectation, compare::nulls_of(inputs, expectation)) ? 1 : 0;
  record.method_limited_cases = expectation.method_limited ? 1 : 0;
  if (record.discriminating_cases == 0 && cancels(expectation)) record.cancelled_cases = 1;
  if (!expectation.points.empty())
    record.kinds.push_back(
        kind_of(origin, op, inputs, expectation, record.discriminating_cases > 0));
  if (record.discriminating_cases == 0 && has_constant_dz(inputs, expectation))
    record.constant_dz_cases = 1;
  if (record.tally.worst < 0) return record;

  const std::int64_t worst = record.tally.worst;
  const bool tensor = compare::is_tensor(expectation.output);
  const compare::Point& point = expectation.points[static_cast<std::size_t>(worst)];
  const compare::Comparison& comparison = record.tally.worst_comparison;
  results::Witness witness = blank_witness(origin, record.id);
  witness.where = problem::place_of(origin.problem, output, tensor,
                                    origin.element_of ? origin.element_of(tensor, worst) : worst);
  witness.expected = point.hi, witness.expected_low = point.lo;
  witness.got = got[static_cast<std::size_t>(worst)];
  witness.got_bits =
      fmt::format("0x{:0{}x}", problem::bits_of(format, witness.got), 2 * format.bytes);
  witness.error = comparison.error, witness.bound = point.bound, witness.ratio = comparison.ratio,
  witness.ulp = comparison.ulp;
  witness.reason = comparison.reason;
  witness.inputs = shown_inputs(inputs, saved, expectation.output, worst);
  const bool stays = record.failed_cases > 0 || origin.worst == nullptr ||
                     origin.worst->may_stay(record.id, comparison.ratio);
  if (stays && point.bound > 0) {
    const compare::Shares shares = explain(expectation.output, worst);
    for (std::size_t term = 0; term < compare::term_count; ++term)
      if (shares[term] > smallest_share_shown)
        witness.terms.emplace_back(compare::term_name(static_cast<compare::Term>(term)),
                                   shares[term]);
  }
  std::stable_sort(witness.terms.begin(), witness.terms.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  const auto channel = static_cast<std::size_t>(channel_of(inputs.problem, tensor, worst));
  if (channel < expectation.channels.size()) {
    // A NaN has a sign and a payload, which differ between machines and would make files differ.
    const auto plain = [](double value) {
      return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
    };
    witness.kappa = plain(expectation.channels[channel].kappa);
    witness.beta_over_g = plain(expectation.channels[channel].beta_over_g);
  }
  // A witness that is dropped needs no lines: each costs its channel's bound once more, by terms.
  if (record.failed_cases > 0 || (origin.per_channel && stays)) {
    witness.channels = compare::channel_lines(inputs.problem, expectation, got, explain);
    if (origin.element_of)
      for (compare::ChannelLine& line : witness.channels)
        line.channel = origin.element_of(false, line.channel);
  }
  record.witnesses.push_back(std::move(witness));
  return record;
}

void add_end_to_end(results::Record& record, const abn_problem& problem,
                    const compare::Expectation& gradient, const std::vector<double>& got) {
  record.has_end_to_end = true;
  record.end_to_end = compare::compare_all(gradient, got);
  const bool tensor = compare::is_tensor(gradient.output);
  // Where y is within its error of the kink, dx may follow either branch. That excuses few
  // elements; a case with more of them measures all.
  const auto open = static_cast<std::uint64_t>(
      std::count_if(gradient.points.begin(), gradient.points.end(),
                    [](const compare::Point& point) { return point.open; }));
  const bool excused = static_cast<double>(open) <= most_open * static_cast<double>(got.size());
  if (excused) record.open_branches = open;
  // Measured against the gradient's size before anything cancels: a channel whose gradient is 0 by
  // cancellation has no size of its own.
  for (std::size_t i = 0; i < got.size(); ++i) {
    const compare::Point& point = gradient.points[i];
    if (point.rule != compare::Rule::bounded && point.rule != compare::Rule::signed_bounded)
      continue;
    if (point.open && excused) continue;
    const double scale = gradient
                             .channels[static_cast<std::size_t>(
                                 channel_of(problem, tensor, static_cast<std::int64_t>(i)))]
                             .scale;
    const double error = std::abs((got[i] - point.hi) - point.lo);
    // A gradient that the storage type cannot hold any better is no loss that working in place
    // caused.
    const double representable = problem::ulp_of(problem::format_of(gradient.dtype), point.hi) / 2;
    if (scale > 0 && error > representable)
      record.end_to_end_cost = std::max(record.end_to_end_cost, error / scale);
  }
  if (record.end_to_end_cost > unsafe_cost) record.unsafe_cases = 1;
}

problem::Inputs for_oracle(problem::Inputs inputs) {
  const auto channels = static_cast<std::size_t>(inputs.problem.c);
  if (inputs.running_mean.empty()) inputs.running_mean.assign(channels, 0);
  if (inputs.running_var.empty()) inputs.running_var.assign(channels, 0);
  return inputs;
}

std::string shell_word(const std::string& text) {
  const bool plain =
      !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char letter) {
        return std::isalnum(letter) != 0 ||
               std::string_view("_-./,:=+@%").find(static_cast<char>(letter)) !=
                   std::string_view::npos;
      });
  if (plain) return text;
  std::string quoted = "'";
  for (const char letter : text)
    quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return quoted + "'";
}

}  // namespace abn::verify::judge
