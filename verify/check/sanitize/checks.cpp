// From what was observed of a case to its records, and the cases.
#include "verify/check/sanitize/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "verify/call/evaluator.hpp"
#include "verify/check/sanitize/observe.hpp"
#include "verify/check/sanitize/traffic.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::sanitize {
namespace {

constexpr results::CheckKind kind = results::CheckKind::contract;
/// In the order of Fault.
constexpr std::array<problem::Word, 4> faults{{
    {"races",
     "No two accesses of one place, at least one of them a write, happen without an order between "
     "them: within a block or between blocks, in shared or global memory, copies included."},
    {"unwritten_reads",
     "No thread reads what nobody wrote: of an output, the workspace or shared memory."},
    {"bounds",
     "Every access lies in a buffer of the call or in the shared memory of its block, is aligned, "
     "and writes no input."},
    {"barriers", "All threads that a barrier or a shuffle waits for reach it."},
}};
constexpr problem::Word traffic_check{
    "traffic",
    "The loads and stores of every tensor are as many as the variant claims, and no 32-byte sector "
    "is touched in vain where it claims that."};

std::vector<CheckName> checks_of(const call::Subject&, const abn_claims&,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  if (problem::element_count(problem) == 0) return checks;
  for (const char* const op : {"forward", "backward"}) {
    if (std::string_view(op) == "backward" && problem.mode == ABN_INFERENCE) continue;
    for (const problem::Word& fault : faults) checks.push_back({op, fault.name, kind});
    checks.push_back({op, traffic_check.name, kind});
  }
  return checks;
}

std::vector<KnownCheck> known_checks() {
  std::vector<KnownCheck> all;
  for (const char* const op : {"forward", "backward"}) {
    for (const problem::Word& fault : faults) all.push_back({op, fault});
    all.push_back({op, traffic_check});
  }
  return all;
}

std::string place(const emulator::Finding& finding) {
  std::string text = finding.kernel;
  if (!finding.file.empty()) text += fmt::format(" at {}:{}", finding.file, finding.line);
  if (!finding.buffer.empty()) text += fmt::format(", {}[{}]", finding.buffer, finding.element);
  return text;
}

results::Record fault_record(const judge::Origin& origin, const CheckName& name,
                             const Observed& observed) {
  const std::vector<Sighting>& all = observed.sightings;
  const auto belongs = [&](const Sighting& one) {
    return std::string_view(faults[static_cast<std::size_t>(fault_of(one.finding.kind))].name) ==
           name.check;
  };
  const auto count = std::count_if(all.begin(), all.end(), belongs);
  results::Record record = judge::blank_record(origin, name.op, name.check, name.kind);
  if (count == 0) {
    if (observed.complete) return record;
    return skip_record(
        origin, name,
        "a launch was ended by what another check reports, so the rest of it was not seen");
  }
  record.verdict = results::Verdict::fail;
  record.failed_cases = 1;
  for (const Sighting& one : all) {
    if (!belongs(one)) continue;
    results::Witness witness = judge::blank_witness(origin, record.id);
    witness.where = place(one.finding);
    witness.reason = fmt::format("{}, {} ({})", one.finding.kind, one.finding.text, one.schedule);
    record.witnesses.push_back(std::move(witness));
  }
  const emulator::Finding& first = std::find_if(all.begin(), all.end(), belongs)->finding;
  record.reason = count == 1
                      ? fmt::format("{} in {}", first.kind, place(first))
                      : fmt::format("{} in {}, and {} more", first.kind, place(first), count - 1);
  constexpr std::size_t shown = 3;
  if (record.witnesses.size() > shown) record.witnesses.resize(shown);
  return record;
}

results::Record traffic_record(const judge::Origin& origin, const CheckName& name,
                               const Observed& observed, const abn_claims& claims, bool backward) {
  if (observed.traffic.empty())
    return skip_record(origin, name,
                       "a launch was ended by what another check reports, so its traffic was not "
                       "counted to the end");
  results::Record record = judge::blank_record(origin, name.op, name.check, name.kind);
  std::size_t first = 0;
  for (std::vector<results::BufferTraffic> buffers : observed.traffic) {
    add_claims(buffers, claims, backward);
    const auto addresses = std::span(observed.addresses).subspan(first, buffers.size());
    first += buffers.size();
    std::string where;
    const std::string wrong =
        wrong_traffic(buffers, addresses, claims, origin.problem, backward, where);
    if (record.traffic.empty())
      record.traffic.push_back(
          {problem::mode_name(origin.problem.mode), problem::to_string(origin.problem),
           static_cast<std::uint64_t>(problem::element_count(origin.problem)), std::move(buffers)});
    if (wrong.empty() || record.failed_cases > 0) continue;
    record.verdict = results::Verdict::fail;
    record.failed_cases = 1;
    record.reason = wrong;
    results::Witness witness = judge::blank_witness(origin, record.id);
    witness.where = where;
    witness.reason = wrong;
    record.witnesses.push_back(std::move(witness));
  }
  if (problem::claims_traffic(claims, backward)) return record;
  results::Record unclaimed =
      skip_record(origin, name,
                  fmt::format("the variant does not claim how often its {} moves each tensor; set "
                              "the sweeps of abn_claims "
                              "(cuda/kernel.h), abn-verify traffic shows what they are",
                              name.op));
  unclaimed.traffic = std::move(record.traffic);
  return unclaimed;
}

results::Record error_record(const judge::Origin& origin, const CheckName& name,
                             const std::string& reason) {
  results::Record record = judge::blank_record(origin, name.op, name.check, name.kind);
  record.verdict = results::Verdict::error;
  record.failed_cases = 1;
  record.reason = reason;
  results::Witness witness = judge::blank_witness(origin, record.id);
  witness.where = name.op;
  witness.reason = reason;
  record.witnesses.push_back(std::move(witness));
  return record;
}

/// What the scheme keeps for backward, from the plain build; empty where that did not come back
/// well, for the reason `why`.
std::optional<problem::Saved> saved_by(const call::Subject& subject, const problem::Inputs& inputs,
                                       const abn_claims& claims, std::uint64_t seed,
                                       std::string& why) {
  const call::Evaluator evaluator(subject, claims, seed);
  try {
    return evaluator.saved(inputs.problem, evaluator.forward(inputs));
  } catch (const call::CallFailed& wrong) {
    why = fmt::format("forward did not come back well ({}), so there is nothing to go back from",
                      wrong.what());
    return std::nullopt;
  }
}

std::vector<results::Record> records_of(const Work& work) {
  std::vector<results::Record> records;
  const problem::Inputs inputs = data::inputs_of(work.one);
  for (const char* const op : {"forward", "backward"}) {
    std::vector<CheckName> names;
    std::copy_if(work.wanted.begin(), work.wanted.end(), std::back_inserter(names),
                 [&](const CheckName& name) { return std::string_view(name.op) == op; });
    if (names.empty()) continue;
    const bool backward = std::string_view(op) == "backward";
    std::optional<problem::Saved> saved;
    if (backward) {
      std::string why = inputs.dz.size() != inputs.x.size() ? "the file has no dz" : "";
      if (why.empty()) saved = saved_by(work.subject, inputs, work.claims, work.one.seed, why);
      if (!saved) {
        for (const CheckName& name : names) records.push_back(skip_record(work.origin, name, why));
        continue;
      }
    }
    const Observed observed = observe(work.subject, inputs, work.claims, work.one.seed,
                                      saved ? &*saved : nullptr, usual_schedules);
    for (const CheckName& name : names)
      records.push_back(!observed.trouble.empty()
                            ? error_record(work.origin, name, observed.trouble)
                        : std::string_view(name.check) == traffic_check.name
                            ? traffic_record(work.origin, name, observed, work.claims, backward)
                            : fault_record(work.origin, name, observed));
  }
  return records;
}

// Ragged and whole windows, one element and one channel, several blocks a channel, and one channel
// of several slices.
constexpr std::array shapes{data::Shape{2, 3, 5},  data::Shape{2, 32, 16}, data::Shape{1, 1, 77},
                            data::Shape{3, 5, 49}, data::Shape{40, 9, 1},  data::Shape{2, 64, 9},
                            data::Shape{4, 2, 64}, data::Shape{1, 33, 2}};
constexpr std::array long_shapes{data::Shape{2, 2, 4100}, data::Shape{1, 3, 5001}};

// Within six rounds every type, layout and mode meets every activation, each of them once at least
// with signed gamma, and six shapes.
std::vector<data::Case> sanitize_cases(data::Tier tier, std::uint64_t seed) {
  std::vector<data::Case> cases;
  const auto names = data::recipes().first(data::walked_recipes);
  const data::Stream seeds = data::Stream(seed).fork(7);
  constexpr std::size_t combinations = 4 * 2 * 3;
  std::size_t step = 0, turn = seeds.below(shapes.size(), 0);
  const auto add = [&](const data::Shape& shape, int dtype, int layout, int mode) {
    // on by one less than a whole turn for each round, so that every combination meets all of them
    const int activation =
        static_cast<int>((step + 3 * (step / combinations)) % problem::invertible_count);
    data::Case one = data::drawn_case(shape, dtype, layout, activation,
                                      names[step % names.size()].name, seeds.fork(step));
    one.problem.mode = mode;
    one.problem.scale =
        (step + step / combinations) % 4 == 3 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
    cases.push_back(std::move(one));
    ++step;
  };
  const std::size_t rounds = tier <= data::Tier::smoke ? 6 : tier == data::Tier::full ? 24 : 96;
  // combinations are a multiple of the shapes: on to others
  for (std::size_t round = 0; round < rounds; ++round, turn += 3)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts)
        for (const int mode : problem::modes)
          add(shapes[turn++ % shapes.size()], dtype, layout, mode);
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts) {
      const bool all = tier > data::Tier::smoke;
      if (all || (dtype + layout) % 2 == 0)
        add(long_shapes[step % long_shapes.size()], dtype, layout, ABN_TRAINING);
      if (all) add(long_shapes[step % long_shapes.size()], dtype, layout, ABN_FROZEN);
    }
  // Those without an inverse, in combinations of their own.
  for (std::size_t round = 0; 6 * round < rounds; ++round)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts)
        for (const int mode : problem::modes) {
          constexpr int curves = problem::activation_count - problem::invertible_count;
          add(shapes[turn++ % shapes.size()], dtype, layout, mode);
          problem::set_activation(
              cases.back().problem,
              problem::invertible_count + static_cast<int>((step + round) % curves), 0);
        }
  return cases;
}

}  // namespace

std::string not_sanitisable(const call::Subject& subject) {
  if (subject.instrumented != nullptr) return {};
  if (!subject.not_instrumented.empty()) return subject.not_instrumented;
  if (!subject.plugin.empty())
    return fmt::format(
        "the instrumented build of {} has no variant {}; build both files of the plug-in from the "
        "same sources",
        subject.plugin, subject.variant->name);
  return fmt::format(
      "this program has no instrumented build of {}; end its file in ABN_REGISTER_VARIANT, and the "
      "build makes one (cuda/README.md)",
      subject.variant->name);
}

std::vector<MovedBy> moved_by(const call::Subject& subject, const data::Case& one,
                              const abn_claims& claims) {
  constexpr int out_of_place_and_in_place = 2;
  const problem::Inputs inputs = data::inputs_of(one);
  std::vector<MovedBy> all;
  for (const bool backward : {false, true}) {
    if (backward && (one.problem.mode == ABN_INFERENCE || inputs.dz.size() != inputs.x.size()))
      continue;
    MovedBy moved;
    moved.op = backward ? "backward" : "forward";
    std::optional<problem::Saved> saved;
    if (backward) saved = saved_by(subject, inputs, claims, one.seed, moved.trouble);
    Observed observed;
    if (moved.trouble.empty()) {
      observed = observe(subject, inputs, claims, one.seed, saved ? &*saved : nullptr,
                         out_of_place_and_in_place);
      moved.trouble = observed.trouble;
    }
    if (moved.trouble.empty() && observed.traffic.empty()) {
      const emulator::Finding& finding = observed.sightings.front().finding;
      moved.trouble = fmt::format("a finding ended the launch: {} in {}, {}", finding.kind,
                                  finding.kernel, finding.text);
    }
    std::size_t first = 0;
    for (std::size_t i = 0; i < observed.traffic.size(); ++i) {
      MovedBy call = moved;
      call.in_place = i > 0;
      call.buffers = observed.traffic[i];
      call.launches = observed.launches[i];
      for (const LaunchCounts& launch : call.launches) {
        call.instructions += launch.instructions, call.divergences += launch.divergences;
        call.replays += launch.replays;
      }
      add_claims(call.buffers, claims, backward);
      std::string where;
      call.wrong = wrong_traffic(call.buffers,
                                 std::span(observed.addresses).subspan(first, call.buffers.size()),
                                 claims, one.problem, backward, where);
      first += call.buffers.size();
      all.push_back(std::move(call));
    }
    if (observed.traffic.empty()) all.push_back(std::move(moved));
  }
  return all;
}

const CheckGroup sanitize_checks{"run",           checks_of,     sanitize_cases, records_of,
                                 not_sanitisable, " --sanitize", known_checks};

}  // namespace abn::verify::check::sanitize
