// Claims, invocation, expectations, comparison: the output_case that a case goes along.
#include "verify/check/outputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include "verify/call/invocation.hpp"
#include "verify/check/calls/checks.hpp"
#include "verify/check/cases_of_claims.hpp"
#include "verify/check/streamed.hpp"
#include "verify/expect/expect.hpp"
#include "verify/judge/diagnosis/diagnosis.hpp"
#include "verify/judge/kink.hpp"
#include "verify/judge/sample.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check {
namespace {

constexpr results::CheckKind numbers = results::CheckKind::numbers;
constexpr results::CheckKind contract = results::CheckKind::contract;

/// What was never written differs from call to call too; the other checks then say nothing of their
/// own.
bool is_cause(const call::Operation& operation, const call::Contract& outcome) {
  return outcome.check == "unwritten" ||
         std::none_of(operation.contracts.begin(), operation.contracts.end(),
                      [](const call::Contract& one) {
                        return one.check == "unwritten" && !one.reason.empty();
                      });
}

results::Record contract_record(const judge::Origin& origin, const CheckName& name,
                                const call::Contract& outcome, bool is_cause) {
  results::Record record = judge::blank_record(origin, name.op, name.check, name.kind);
  if (outcome.reason.empty()) return record;
  record.verdict = results::Verdict::fail;
  record.failed_cases = 1;
  record.reason = outcome.reason;
  if (is_cause) record.diagnosis = results::diagnose_contract(name.check);
  results::Witness witness = judge::blank_witness(origin, record.id);
  witness.where = outcome.where;
  witness.reason = outcome.reason;
  if (outcome.compares) {
    witness.expected = outcome.expected, witness.got = outcome.got,
    witness.error = outcome.got - outcome.expected;
    witness.got_bits = outcome.got_bits;
    witness.reason += fmt::format(" ({:a} and {:a})", outcome.expected, outcome.got);
  }
  record.witnesses.push_back(std::move(witness));
  return record;
}

/// A second call of a variant without a claim to determinism: its numbers have to keep the bound
/// that the others are judged by.
call::Contract by_bound(const char* check, const std::vector<compare::Stored>& outputs,
                        const std::vector<compare::Expectation>& expectations,
                        const judge::Origin& origin) {
  const char* const call = std::string_view(check) == "alias" ? "in place" : "in the second call";
  for (const compare::Expectation& expectation : expectations)
    for (const compare::Stored& stored : outputs) {
      if (stored.output != expectation.output) continue;
      const compare::Tally tally = compare::compare_all(expectation, stored.values);
      if (tally.failed == 0) continue;
      call::Contract outcome = call::broken(
          check,
          problem::place_of(origin.problem, compare::output_name(stored.output),
                            compare::is_tensor(stored.output),
                            origin.element_of
                                ? origin.element_of(compare::is_tensor(stored.output), tally.worst)
                                : tally.worst),
          fmt::format("{}, {} of {} elements of {} are above their bound", call, tally.failed,
                      tally.elements, compare::output_name(stored.output)));
      outcome.compares = true;
      outcome.expected = expectation.points[static_cast<std::size_t>(tally.worst)].hi;
      outcome.got = stored.values[static_cast<std::size_t>(tally.worst)];
      return outcome;
    }
  return call::held(check);
}

const compare::Expectation* find(const std::vector<compare::Expectation>& expectations,
                                 std::string_view check) {
  const auto at = std::find_if(
      expectations.begin(), expectations.end(),
      [&](const compare::Expectation& one) { return check == compare::output_name(one.output); });
  return at == expectations.end() ? nullptr : &*at;
}

/// A GPU and the emulator round every operation alike, so the same source gives the same bits (any
/// NaN equals any NaN). Activations with an exponential are left out: exp, expm1 and log1p come
/// from two libraries.
bool has_equal_bits(const call::Subject& subject, const abn_problem& problem) {
  return subject.emulator_build != nullptr && !problem::activation_of(problem).needs_functions();
}

call::Contract equal_to_emulator(const call::Operation& gpu, const call::Operation& emulated,
                                 const abn_problem& problem) {
  for (const compare::Stored& one : gpu.outputs) {
    const compare::Stored* const other = compare::find_output(emulated.outputs, one.output);
    if (other == nullptr)
      return call::broken("emulator", compare::output_name(one.output),
                          "the emulator did not give this output");
    for (std::size_t i = 0; i < one.values.size(); ++i) {
      const double a = one.values[i], b = other->values[i];
      if ((std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b)))
        continue;
      call::Contract outcome = call::broken(
          "emulator",
          problem::place_of(problem, compare::output_name(one.output),
                            compare::is_tensor(one.output), static_cast<std::int64_t>(i)),
          "the GPU and the emulator, which run the same source, differ");
      outcome.compares = true;
      outcome.expected = b, outcome.got = a;
      return outcome;
    }
  }
  return call::held("emulator");
}

/// Everything that one case needs on its way.
struct OutputCase {
  const judge::Origin origin;
  const problem::Inputs inputs;
  const problem::Inputs exact;  ///< as the oracle takes them
  const abn_claims declared;
  const call::Invocation invocation;
  const bool diagnosed;

  void add_operation(std::vector<results::Record>& records, const std::vector<CheckName>& wanted,
                     std::string_view op) const {
    std::vector<CheckName> names;
    std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(names),
                 [&](const CheckName& name) { return op == name.op; });
    if (names.empty()) return;
    const bool backward = op == "backward";
    const call::Operation& operation = backward ? invocation.backward : invocation.forward;
    if (!operation.called) {
      const std::string reason =
          invocation.forward.usable
              ? "the file has no dz"
              : "forward did not come back well, so there is nothing to go back from";
      for (const CheckName& name : names) records.push_back(skip_record(origin, name, reason));
      return;
    }
    const auto is_numeric = [](const CheckName& name) { return name.kind == numbers; };
    const bool judged =
        operation.usable && (std::any_of(names.begin(), names.end(), is_numeric) ||
                             !operation.aliased.empty() || !operation.repeated.empty());
    std::vector<compare::Expectation> expected, gradient;
    abn_claims claims = declared;
    if (judged) {
      if (backward) claims = judge::with_kink(exact, invocation.saved, declared, operation.outputs);
      expected = backward ? expect::expect_backward(exact, invocation.saved, claims)
                          : expect::expect_forward(exact, claims);
      if (backward && problem::is_in_place(claims))
        gradient = expect::expect_gradient(exact, claims);
    }
    const auto explain = [&](compare::Output output, std::int64_t element) {
      return expect::shares_of(exact, backward ? &invocation.saved : nullptr, claims, output,
                               element);
    };
    const std::size_t first = records.size();
    // A call that did not come back well fails its status; whoever left that check out hears of it
    // from those that were asked for.
    const auto is_status = [](const auto& check) {
      return std::string_view(check.check) == "status";
    };
    const auto status =
        std::find_if(operation.contracts.begin(), operation.contracts.end(), is_status);
    const bool unheard = !operation.usable && status != operation.contracts.end() &&
                         std::none_of(names.begin(), names.end(), is_status);
    for (const CheckName& name : names) {
      if (is_numeric(name) && unheard) {
        call::Contract outcome = *status;
        outcome.check = name.check;
        results::Record record = contract_record(origin, name, outcome, false);
        record.verdict = results::Verdict::error;
        records.push_back(std::move(record));
        continue;
      }
      if (is_numeric(name)) {
        const compare::Expectation* const expectation = find(expected, name.check);
        const compare::Stored* const got =
            expectation != nullptr ? compare::find_output(operation.outputs, expectation->output)
                                   : nullptr;
        // an empty problem, an output that this case has not, or a call whose status failed
        if (got == nullptr) continue;
        results::Record record =
            judge::judge(origin, op, inputs, invocation.saved, *expectation, got->values, explain);
        if (const compare::Expectation* const truth = find(gradient, name.check))
          judge::add_end_to_end(record, inputs.problem, *truth, got->values);
        records.push_back(std::move(record));
        continue;
      }
      const auto made =
          std::find_if(operation.contracts.begin(), operation.contracts.end(),
                       [&](const call::Contract& one) { return one.check == name.check; });
      if (made != operation.contracts.end())
        records.push_back(contract_record(origin, name, *made, is_cause(operation, *made)));
      else if (std::string_view(name.check) == "alias" && !operation.aliased.empty())
        // What is wrong out of place, too, is not wrong because of the place.
        records.push_back(contract_record(
            origin, name, by_bound(name.check, operation.aliased, expected, origin),
            by_bound(name.check, operation.outputs, expected, origin).reason.empty()));
      else if (std::string_view(name.check) == "again" && !operation.repeated.empty())
        records.push_back(contract_record(
            origin, name, by_bound(name.check, operation.repeated, expected, origin), true));
    }
    if (diagnosed)
      explain_failures(std::span(records).subspan(first),
                       {exact, backward ? &invocation.saved : nullptr, claims, backward, expected,
                        operation.outputs});
  }

  /// All outputs of a call speak together, and what they say belongs to each that failed.
  static void explain_failures(std::span<results::Record> records,
                               const judge::diagnosis::Evidence& evidence) {
    const auto failed = [](const results::Record& record) {
      return record.kind == numbers && record.tally.failed > 0;
    };
    if (std::none_of(records.begin(), records.end(), failed)) return;
    const results::Diagnosis diagnosis = judge::diagnosis::diagnose(evidence);
    for (results::Record& record : records)
      if (failed(record)) record.diagnosis = diagnosis;
  }
};

bool has_same_bits(const std::vector<compare::Stored>& a, const std::vector<compare::Stored>& b) {
  const auto same = [](double x, double y) {
    return (std::isnan(x) && std::isnan(y)) || (x == y && std::signbit(x) == std::signbit(y));
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const auto& one, const auto& two) {
    return std::equal(one.values.begin(), one.values.end(), two.values.begin(), two.values.end(),
                      same);
  });
}

/// Which contracts are broken, not where.
bool has_same_contracts(const std::vector<call::Contract>& a,
                        const std::vector<call::Contract>& b) {
  return std::all_of(a.begin(), a.end(), [&](const call::Contract& one) {
    return std::any_of(b.begin(), b.end(), [&](const call::Contract& other) {
      return one.check == other.check && one.reason.empty() == other.reason.empty();
    });
  });
}

bool is_same(const call::Operation& a, const call::Operation& b) {
  return has_same_bits(a.outputs, b.outputs) && has_same_contracts(a.contracts, b.contracts);
}

/// A failure that is not there when the very same calls are made again is one of the calls before
/// them: its case alone would not show it. It says so, and names the check that makes many calls.
void note_earlier_calls(const Work& work, const OutputCase& output_case,
                        std::span<results::Record> records) {
  const auto failed = [](const results::Record& record) {
    return record.verdict == results::Verdict::fail;
  };
  if (work.claims.deterministic != 1 || judge::is_sampled(work.one) ||
      std::none_of(records.begin(), records.end(), failed))
    return;
  const call::Invocation& first = output_case.invocation;
  const call::Invocation again = call::invoke(work.subject, output_case.inputs, work.claims,
                                              work.one.seed, first.backward.called);
  if (is_same(first.forward, again.forward) && is_same(first.backward, again.backward)) return;
  const bool is_small = problem::element_count(work.one.problem) <= calls::most_elements;
  const std::string sequence =
      judge::id_of(work.origin.variant, work.one.problem, "calls", "sequence");
  for (results::Record& record : records) {
    if (!failed(record)) continue;
    record.reason += record.reason.empty() ? "" : "; ";
    record.reason +=
        "the same calls, made again at once, gave other results: they depend on the calls before";
    for (results::Witness& witness : record.witnesses) {
      witness.reason += "; the same calls, made again at once, gave other results";
      const std::size_t at = witness.reproduce.find(record.id);
      if (at != std::string::npos && is_small)
        witness.reproduce.replace(at, record.id.size(), sequence);
    }
  }
}

/// The checks that a problem of this mode has, for a variant that makes these claims.
std::vector<CheckName> checks_of(const call::Subject& subject, const abn_claims& claims,
                                 const abn_problem& problem) {
  std::vector<CheckName> checks;
  const auto add_contracts = [&](const char* op, bool may_alias) {
    if (may_alias) checks.push_back({op, "alias", contract});
    checks.push_back({op, "guards", contract});
    checks.push_back({op, "inputs", contract});
    checks.push_back(
        {op, claims.deterministic == 1 ? call::repetition_check(subject) : "again", contract});
    if (subject.emulator_build != nullptr) checks.push_back({op, "emulator", contract});
    checks.push_back({op, "status", contract});
    checks.push_back({op, "unwritten", contract});
  };
  checks.push_back({"forward", "z", numbers});
  if ((claims.saves & ABN_SAVES_XHAT) != 0) checks.push_back({"forward", "xhat", numbers});
  const char* const spread = (claims.saves & ABN_SAVES_INVSTD) != 0 ? "invstd" : "variance";
  if (problem.mode == ABN_TRAINING)
    for (const char* statistic : {"mean", spread, "running_mean", "running_var"})
      checks.push_back({"forward", statistic, numbers});
  add_contracts("forward", claims.z_may_alias_x == 1);
  if (problem.mode == ABN_INFERENCE) return checks;
  for (const char* gradient : {"dx", "dgamma", "dbeta"})
    checks.push_back({"backward", gradient, numbers});
  add_contracts("backward", claims.dx_may_alias_dz == 1);
  return checks;
}

std::vector<results::Record> records_of(const Work& work) {
  const call::Subject& subject = work.subject;
  const data::Case& one = work.one;
  const abn_claims& claims = work.claims;
  if (data::is_streamed(one)) return streamed_records(work);
  const auto any = [&](auto&& holds) {
    return std::any_of(work.wanted.begin(), work.wanted.end(), holds);
  };
  const bool with_backward =
      any([](const CheckName& name) { return std::string_view(name.op) == "backward"; });
  problem::Inputs inputs = data::inputs_of(one);
  call::Invocation invocation = call::invoke(subject, inputs, claims, one.seed, with_backward);
  const bool compares_emulator =
      any([](const CheckName& name) { return std::string_view(name.check) == "emulator"; });
  if (compares_emulator && !one.not_emulated && has_equal_bits(subject, one.problem)) {
    call::Subject emulated = subject;
    emulated.variant = subject.emulator_build, emulated.device = call::host_device(),
    emulated.emulated = true, emulated.emulator_build = nullptr;
    const call::Invocation on_emulator =
        call::invoke(emulated, inputs, claims, one.seed, with_backward);
    invocation.forward.contracts.push_back(
        equal_to_emulator(invocation.forward, on_emulator.forward, one.problem));
    if (invocation.backward.called)
      invocation.backward.contracts.push_back(
          equal_to_emulator(invocation.backward, on_emulator.backward, one.problem));
  }
  judge::Origin origin = work.origin;
  if (judge::is_sampled(one)) {
    const judge::Sample sample = judge::sample_of(one);
    inputs = judge::reduced(sample, inputs);
    invocation.saved = judge::reduced(sample, invocation.saved);
    for (call::Operation* const operation : {&invocation.forward, &invocation.backward})
      for (auto* const outputs : {&operation->outputs, &operation->repeated, &operation->aliased})
        judge::reduce(sample, *outputs);
    origin.sampled = sample.text();
    origin.element_of = [sample](bool tensor, std::int64_t element) {
      return sample.element_of(tensor, element);
    };
  }
  problem::Inputs exact = judge::for_oracle(inputs);
  const OutputCase output_case{std::move(origin),     std::move(inputs),
                               std::move(exact),      claims,
                               std::move(invocation), work.options.diagnose};
  std::vector<results::Record> records;
  output_case.add_operation(records, work.wanted, "forward");
  output_case.add_operation(records, work.wanted, "backward");
  note_earlier_calls(work, output_case, records);
  return records;
}

std::vector<KnownCheck> known_checks() {
  std::vector<KnownCheck> all;
  const auto outputs = compare::output_words();
  for (std::size_t i = 0; i < outputs.size(); ++i)
    all.push_back({compare::is_gradient(static_cast<compare::Output>(i)) ? "backward" : "forward",
                   outputs[i]});
  for (const char* const op : {"forward", "backward"})
    for (const problem::Word& word : call::contract_words()) all.push_back({op, word});
  return all;
}

}  // namespace

const CheckGroup output_checks{"run",        checks_of, data::cases_of,  records_of, nullptr, "",
                               known_checks, nullptr,   cases_of_claims, true,       104,     true};

}  // namespace abn::verify::check
