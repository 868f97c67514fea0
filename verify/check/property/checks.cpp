// The table of all properties, their records and their cases.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "verify/call/contract.hpp"
#include "verify/check/patterns.hpp"
#include "verify/check/property/bounded_calls.hpp"
#include "verify/data/random.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::property {
namespace {

constexpr const char* op = "property";
constexpr results::CheckKind kind = results::CheckKind::property;

/// Channels whose every finite number, and whose r, is far enough below the accumulate type's
/// largest for products of three of them: what overflows on the way to a finite result is no
/// property's business.
std::vector<bool> fit_channels(const problem::Inputs& inputs, const abn_claims& claims) {
  const abn_problem& p = inputs.problem;
  const double limit = std::sqrt(std::sqrt(problem::format_of(claims.accumulate).largest));
  std::vector<bool> fit(static_cast<std::size_t>(p.c), true);
  const auto within = [&](const std::vector<double>& values, std::size_t at) {
    return at >= values.size() || !std::isfinite(values[at]) || std::abs(values[at]) <= limit;
  };
  for (std::size_t i = 0; i < inputs.x.size(); ++i)
    if (!within(inputs.x, i) || !within(inputs.dz, i))
      fit[static_cast<std::size_t>(channel_of(p, static_cast<std::int64_t>(i)))] = false;
  for (std::size_t c = 0; c < fit.size(); ++c)
    for (const auto* vector :
         {&inputs.gamma, &inputs.beta, &inputs.running_mean, &inputs.running_var})
      if (!within(*vector, c)) fit[c] = false;
  return fit;
}

/// Takes the elements of channels that are not fit out of a finding.
void leave_out(Examination& examination, const abn_problem& problem, const std::vector<bool>& fit) {
  for (Finding& finding : examination.findings) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < finding.got.size(); ++i) {
      const std::int64_t index = finding.index[i],
                         c = finding.by_channel ? index : channel_of(problem, index);
      if (!fit[static_cast<std::size_t>(c)]) {
        ++examination.left_out;
        continue;
      }
      finding.expected.points[kept] = finding.expected.points[i];
      finding.got[kept] = finding.got[i];
      finding.index[kept] = index;
      ++kept;
    }
    finding.expected.points.resize(kept), finding.got.resize(kept), finding.index.resize(kept);
  }
}

/// What was compared with what, and how they differ: rounding explains all up to the bound, and
/// where that is 0 every bit has to agree.
std::string reason_of(const Property& property, const compare::Point& point,
                      const compare::Comparison& comparison) {
  if (comparison.passed) return {};
  const bool is_error = std::isfinite(comparison.error);
  return fmt::format("{}: {}", property.broken,
                     !is_error          ? comparison.reason
                     : point.bound == 0 ? "the bits differ"
                                        : "they differ by more than rounding explains");
}

/// The inputs of an element, or of a channel where the finding is of channels: the case's own, but
/// where the property used others.
void show_inputs(results::Witness& witness, const problem::Inputs& inputs,
                 const std::vector<Used>& used, bool tensor, std::int64_t index) {
  const std::int64_t c = tensor ? channel_of(inputs.problem, index) : index;
  const auto show = [&](const std::string& name, const std::vector<double>& values,
                        std::int64_t at) {
    if (static_cast<std::size_t>(at) < values.size())
      witness.inputs.emplace_back(name, values[static_cast<std::size_t>(at)]);
  };
  const auto is_of = [](const Used& one, std::string_view input) {
    return std::string_view(one.name).substr(0, one.name.find('(')) == input;
  };
  const auto show_used = [&](std::string_view input) {
    bool any = false;
    for (const Used& one : used) {
      if (!is_of(one, input)) continue;
      any = true;
      if (tensor || one.per != Used::Per::element)
        show(one.name, one.values,
             one.per == Used::Per::element   ? index
             : one.per == Used::Per::channel ? c
                                             : 0);
    }
    return any;
  };
  for (const auto& [name, values] : {std::pair{"x", &inputs.x}, std::pair{"dz", &inputs.dz}})
    if (!show_used(name) && tensor) show(name, *values, index);
  for (const auto& [name, values] :
       {std::pair{"gamma", &inputs.gamma}, std::pair{"beta", &inputs.beta}})
    if (!show_used(name)) show(name, *values, c);
  // of the case's own the problem tells
  for (const char* const name : {"running_mean", "running_var", "eps"}) show_used(name);
}

/// The worst element of a finding with the numbers that belong to it.
results::Witness witness_of(const judge::Origin& origin, const std::string& id,
                            const Property& property, const problem::Inputs& inputs,
                            const std::vector<Used>& used, const Finding& finding,
                            const compare::Tally& tally) {
  const auto worst = static_cast<std::size_t>(tally.worst);
  const compare::Point& point = finding.expected.points[worst];
  const compare::Output output = finding.expected.output;
  const bool tensor = !finding.by_channel;
  const std::int64_t index = finding.index[worst];
  results::Witness witness = judge::blank_witness(origin, id);
  witness.where = problem::place_of(
      inputs.problem, finding.what.empty() ? compare::output_name(output) : finding.what, tensor,
      index);
  witness.expected = point.hi, witness.expected_low = point.lo, witness.got = finding.got[worst];
  const compare::Comparison& comparison = tally.worst_comparison;
  witness.error = comparison.error, witness.bound = point.bound, witness.ratio = comparison.ratio,
  witness.ulp = comparison.ulp;
  witness.reason = reason_of(property, point, comparison);
  if (finding.what.empty()) {
    const problem::Format& format = problem::format_of(finding.expected.dtype);
    witness.got_bits =
        fmt::format("0x{:0{}x}", problem::bits_of(format, witness.got), 2 * format.bytes);
  }
  show_inputs(witness, inputs, used, tensor, index);
  return witness;
}

}  // namespace

std::span<const Property> properties() {
  static const std::vector<Property> all = [] {
    std::vector<Property> out;
    for (const auto& part : {inversion_properties(), epsilon_properties(), gradient_properties(),
                             symmetry_properties(), repetition_properties()})
      out.insert(out.end(), part.begin(), part.end());
    return out;
  }();
  return all;
}

const Property* property_named(std::string_view name) {
  for (const Property& one : properties())
    if (name == one.name) return &one;
  return nullptr;
}

results::Record examine(const Property& property, const call::Subject& subject,
                        const problem::Inputs& inputs, std::uint64_t seed,
                        const judge::Origin& origin) {
  const CheckName name{op, property.name, kind};
  Examination examination;
  try {
    const BoundedCalls calls(subject, seed);
    examination = property.examine(calls, inputs);
    leave_out(examination, inputs.problem, fit_channels(inputs, calls.claims(inputs.problem)));
  } catch (const NotSupported& reason) {
    return skip_record(origin, name, reason.what());
  }
  results::Record record = judge::blank_record(origin, op, property.name, kind);
  const Finding* worst = nullptr;
  compare::Tally tally_of_worst;
  for (const Finding& finding : examination.findings) {
    const compare::Tally tally = compare::compare_all(finding.expected, finding.got);
    record.tally += tally;
    if (tally.worst < 0) continue;
    const bool worse = worst == nullptr || (tally.failed > 0) > (tally_of_worst.failed > 0) ||
                       ((tally.failed > 0) == (tally_of_worst.failed > 0) &&
                        tally.max_ratio > tally_of_worst.max_ratio);
    if (worse) worst = &finding, tally_of_worst = tally;
  }
  if (record.tally.elements == 0)
    return skip_record(origin, name,
                       fmt::format("no element satisfies the condition ({} left out): {}",
                                   examination.left_out, property.statement));
  record.failed_cases = record.tally.failed > 0 ? 1 : 0;
  if (record.failed_cases > 0) record.verdict = results::Verdict::fail;
  if (worst != nullptr)
    record.witnesses.push_back(
        witness_of(origin, record.id, property, inputs, examination.used, *worst, tally_of_worst));
  return record;
}

namespace {

std::vector<CheckName> checks_of(const call::Subject&, const abn_claims& claims,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  if (problem::element_count(problem) == 0) return checks;
  // their relations know one type of tensors
  if (problem.out_type != 0) return checks;
  // they take the saved variance, and know no other statistic
  if ((claims.saves & ABN_SAVES_INVSTD) != 0) return checks;
  for (const Property& one : properties())
    if (one.applies(problem, claims)) checks.push_back({op, one.name, kind});
  return checks;
}

std::vector<KnownCheck> known_checks() {
  std::vector<KnownCheck> all;
  for (const Property& one : properties()) all.push_back({op, {one.name, one.statement}});
  return all;
}

// Around the widths of a vector access, a warp and a tile, and small: a property takes a dozen
// calls.
constexpr std::array shapes{data::Shape{2, 3, 5},  data::Shape{1, 5, 33}, data::Shape{4, 2, 8},
                            data::Shape{5, 9, 1},  data::Shape{3, 1, 43}, data::Shape{1, 2, 65},
                            data::Shape{2, 4, 31}, data::Shape{16, 3, 4}, data::Shape{33, 4, 1},
                            data::Shape{2, 33, 3}};

std::vector<data::Case> property_cases(data::Tier tier, std::uint64_t seed) {
  const std::uint64_t rounds = tier <= data::Tier::smoke ? 3 : tier == data::Tier::full ? 24 : 192;
  std::vector<data::Case> cases;
  const auto names = data::recipes().first(data::walked_recipes);
  const data::Stream seeds = data::Stream(seed).fork(5);
  std::uint64_t step = seeds.below(shapes.size() * names.size(), 0);
  const auto add = [&](int dtype, int layout, int activation, const char* recipe) {
    const data::Stream draw = seeds.fork(step);
    data::Case one =
        data::drawn_case(shapes[step % shapes.size()], dtype, layout, activation, recipe, draw);
    // Most properties are of training.
    const std::uint64_t mode = draw.below(6, 3);
    one.problem.mode = mode == 0 ? ABN_INFERENCE : mode == 1 ? ABN_FROZEN : ABN_TRAINING;
    one.problem.scale = draw.below(3, 4) == 0 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
    cases.push_back(std::move(one));
  };
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts)
        for (int activation = 0; activation < problem::invertible_count; ++activation, ++step)
          add(dtype, layout, activation, names[(step + round) % names.size()].name);
  // One activation without an inverse for each type, layout and round.
  const auto all = data::recipes().first(data::curve_recipes);
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts) {
        constexpr int curves = problem::activation_count - problem::invertible_count;
        add(dtype, layout, problem::invertible_count + static_cast<int>((step + round) % curves),
            all[(5 * step + round) % all.size()].name);
        ++step;
      }
  return cases;
}

std::vector<results::Record> records_of(const Work& work) {
  std::vector<results::Record> records;
  if (data::is_pattern_data(work.one.data)) return records;
  problem::Inputs inputs = judge::for_oracle(data::inputs_of(work.one));
  if (inputs.unit_scale || inputs.zero_shift) {
    for (const CheckName& name : work.wanted)
      records.push_back(skip_record(work.origin, name,
                                    "it rearranges gamma and beta together, and one is missing"));
    return records;
  }
  // a file without dz
  if (inputs.dz.size() != inputs.x.size()) inputs.dz.assign(inputs.x.size(), 0.0);
  for (const CheckName& name : work.wanted)
    records.push_back(
        examine(*property_named(name.check), work.subject, inputs, work.one.seed, work.origin));
  return records;
}

}  // namespace

const CheckGroup property_checks{"run",   checks_of, property_cases, records_of,
                                 nullptr, "",        known_checks};

}  // namespace abn::verify::check::property
