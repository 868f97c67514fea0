// The table of the ways, their cases and their records.
#include "verify/check/calls/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "verify/check/calls/ways.hpp"
#include "verify/data/affine_part.hpp"
#include "verify/data/patterns.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/worker/pool.hpp"

namespace abn::verify::check::calls {
namespace {

constexpr const char* op = "calls";
constexpr results::CheckKind contract = results::CheckKind::contract;

struct Way {
  problem::Word word;
  Found (*look)(const CallCase& one);
};
constexpr Way ways[] = {
    {{"optional",
      "Whatever outputs are left out (NULL), those that are asked for keep their bounds, and "
      "nothing else is written; every set of them is tried, with and without gamma and beta."},
     leave_out},
    {{"workspace",
      "A workspace that is one byte too small, empty or NULL is refused with ABN_ERROR_WORKSPACE, "
      "and nothing is written."},
     shrink_workspace},
    {{"elsewhere",
      "The same call with its buffers at other addresses and alignments gives the same bits. If "
      "the variant is not deterministic, it keeps its bounds instead. A plug-in on the host also "
      "finds pages around its buffers closed: nothing beside them may be read or written."},
     move_buffers},
    {{"sequence",
      "Of a hundred calls with two sets of data at the same addresses, and of other problems in "
      "between, each gives the bits of the first with its data. If the variant is not "
      "deterministic, it keeps its bounds instead."},
     call_often},
    {{"threads",
      "Calls of several threads at once, each with data of its own, give the bits that they give "
      "alone. If the variant is not deterministic, they keep their bounds instead."},
     call_at_once},
};

const Way& way_named(std::string_view check) {
  return *std::find_if(std::begin(ways), std::end(ways),
                       [&](const Way& one) { return check == one.word.name; });
}

std::vector<CheckName> checks_of(const call::Subject&, const abn_claims&,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  if (problem::element_count(problem) == 0) return checks;
  for (const Way& one : ways) checks.push_back({op, one.word.name, contract});
  return checks;
}

std::vector<KnownCheck> known_checks() {
  std::vector<KnownCheck> all;
  for (const Way& one : ways) all.push_back({op, one.word});
  return all;
}

// For each type and layout: one that is small enough for many calls, in training; one with sums so
// long that their order shows, in which threads meet; and one in each of the other modes.
constexpr data::Shape tiny{2, 3, 5}, long_sums{2, 2, 500}, others{2, 4, 9};

std::vector<data::Case> cases_of(data::Tier tier, std::uint64_t seed) {
  const std::uint64_t rounds = tier <= data::Tier::smoke ? 1 : tier == data::Tier::full ? 4 : 16;
  constexpr std::array recipes{"standard", "mixed_gamma"};
  const data::Stream seeds = data::Stream(seed).fork(6);
  std::vector<data::Case> cases;
  std::uint64_t step = 0;
  const auto add = [&](const data::Shape& shape, int dtype, int layout, int mode) {
    const data::Stream draw = seeds.fork(++step);
    data::Case one = data::drawn_case(
        shape, dtype, layout,
        static_cast<int>(draw.below(static_cast<std::uint64_t>(problem::invertible_count), 90)),
        recipes[step % recipes.size()], draw);
    one.problem.mode = mode;
    one.problem.scale = draw.below(3, 91) == 0 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
    cases.push_back(std::move(one));
  };
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (const int dtype : problem::storage_types)
      for (const int layout : problem::layouts) {
        add(tiny, dtype, layout, ABN_TRAINING);
        add(long_sums, dtype, layout, ABN_TRAINING);
        add(others, dtype, layout, (step / 3 + round) % 2 == 0 ? ABN_FROZEN : ABN_INFERENCE);
      }
  return cases;
}

results::Record record_of(const Work& work, const CheckName& name, const Found& found) {
  if (!found.broken && !found.nothing.empty()) return skip_record(work.origin, name, found.nothing);
  results::Record record = judge::blank_record(work.origin, op, name.check, contract);
  if (!found.broken) return record;
  const call::Contract& broken = *found.broken;
  record.verdict = results::Verdict::fail;
  record.failed_cases = 1;
  record.reason = broken.reason;
  if (!found.is_unexplained)
    record.diagnosis =
        results::diagnose_contract(found.shown_by != nullptr ? found.shown_by : name.check);
  results::Witness witness = judge::blank_witness(work.origin, record.id);
  witness.where = broken.where;
  witness.reason = broken.reason;
  if (broken.compares) {
    witness.expected = broken.expected, witness.got = broken.got,
    witness.error = broken.got - broken.expected;
    witness.got_bits = broken.got_bits;
  }
  if (!found.without.empty() && !witness.reproduce.empty())
    witness.reproduce += " --without " + found.without;
  const std::size_t at = witness.reproduce.find(record.id);
  if (found.shown_by != nullptr && at != std::string::npos)
    witness.reproduce.replace(
        at, record.id.size(),
        judge::shell_word(judge::id_of(work.origin.variant, work.one.problem, op, found.shown_by)));
  record.witnesses.push_back(std::move(witness));
  return record;
}

std::vector<results::Record> records_of(const Work& work) {
  std::vector<results::Record> records;
  if (data::is_pattern_data(work.one.data)) return records;
  if (problem::element_count(work.one.problem) > most_elements) {
    for (const CheckName& name : work.wanted)
      records.push_back(
          skip_record(work.origin, name,
                      fmt::format("it makes hundreds of calls, for problems of up to {} elements",
                                  most_elements)));
    return records;
  }
  problem::Inputs inputs = data::inputs_of(work.one);
  if (inputs.dz.size() != inputs.x.size()) inputs.dz.assign(inputs.x.size(), 0.0);  // a file
  const std::vector<std::string> without = parse_without(work.options.without);
  const CallCase one{work.subject,
                     inputs,
                     work.claims,
                     work.one.data,
                     work.one.seed,
                     without,
                     work.options.moves_cases};
  // What a kernel remembers, it remembers in its process.
  std::optional<worker::OneWorker> in_worker;
  if (work.subject.workers != nullptr) in_worker.emplace(*work.subject.workers);
  for (const CheckName& name : work.wanted)
    records.push_back(record_of(work, name, confirmed(one, way_named(name.check).look)));
  return records;
}

}  // namespace

std::string recipe_of(const CallCase& one) {
  return data::is_recipe(data::partial_data(one.data).recipe) ? one.data : "standard";
}

problem::Inputs other_numbers(const CallCase& one, std::uint64_t turn) {
  if (turn == 0) return one.inputs;
  data::Case other;
  other.problem = one.inputs.problem, other.seed = one.seed + turn;
  // another recipe, for some make the same gamma of every seed
  const bool is_usual = one.data == "standard" || !data::is_recipe(one.data);
  other.data = turn % 2 == 0 || !is_usual ? "standard" : "mixed_gamma";
  return data::inputs_of(other);
}

const CheckGroup call_checks{"run", checks_of, cases_of, records_of, nullptr, "", known_checks};

}  // namespace abn::verify::check::calls
