// Comparison of the images before and after calls.
#include "verify/call/contract.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "verify/problem/problem.hpp"

namespace abn::verify::call {
namespace {

bool is_tensor_buffer(const std::string& name) {
  constexpr const char* tensors[] = {"x", "z", "xhat", "dz", "dx"};
  return std::find(std::begin(tensors), std::end(tensors), name) != std::end(tensors);
}

/// Updated buffers hold values before the call and no poison.
bool is_poisoned(compare::Output output) {
  return output != compare::Output::running_mean && output != compare::Output::running_var;
}

bool same_value(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) ||
         std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

/// The buffer of an output that may have been left out of a call; -1 then.
int buffer_of(const Call& call, compare::Output output) {
  for (const auto& [which, buffer] : call.outputs)
    if (which == output) return buffer;
  return -1;
}

}  // namespace

std::span<const problem::Word> contract_words() {
  static constexpr problem::Word words[] = {
      {"status", "Every call returns ABN_OK, and no call crashes."},
      {"guards",
       "No call writes a byte beside its buffers. If N*C*S is 0, it writes nothing at all."},
      {"inputs", "No call writes into an input."},
      {"unwritten", "Every element of every output that was asked for is written."},
      {"alias",
       "A call in place, with z over x or dx over dz, gives the bits of a call out of place. If "
       "the "
       "variant is not deterministic, its numbers have to keep their bounds instead."},
      {"schedule",
       "A second call gives the same bits, although threads and blocks run in another order and "
       "memory that nobody wrote holds other bytes."},
      {"repeat",
       "A second call gives the same bits, although memory that nobody wrote holds other bytes."},
      {"again", "The second call of a variant that is not deterministic keeps its bounds, too."},
      {"emulator", "A GPU and the emulator give the same bits from the same source."},
  };
  return words;
}

Contract held(const char* check) {
  Contract contract;
  contract.check = check;
  return contract;
}

Contract broken(const char* check, std::string where, std::string reason) {
  Contract contract;
  contract.check = check;
  contract.where = std::move(where);
  contract.reason = std::move(reason);
  return contract;
}

Contract guards_contract(const std::vector<const Call*>& calls, bool empty,
                         const abn_problem& problem) {
  for (const Call* call : calls) {
    const auto guards = call->arena->broken_guards();
    if (!guards.empty()) {
      const Change& change = guards.front();
      return broken("guards", fmt::format("{}[{}]", change.buffer, change.element),
                    fmt::format("{} bytes {} {} were written", change.bytes,
                                change.element < 0 ? "before" : "behind", change.buffer));
    }
    if (!empty) continue;
    const auto written = call->arena->written();
    if (!written.empty())
      return broken(
          "guards",
          problem::place_of(problem, written.front().buffer,
                            is_tensor_buffer(written.front().buffer), written.front().element),
          fmt::format("{} was written although there is no work: N*C*S is 0",
                      written.front().buffer));
  }
  return held("guards");
}

Contract inputs_contract(const std::vector<const Call*>& calls, const abn_problem& problem) {
  for (const Call* call : calls) {
    const auto changes = call->arena->changed_inputs();
    if (changes.empty()) continue;
    const Change& change = changes.front();
    return broken(
        "inputs",
        problem::place_of(problem, change.buffer, is_tensor_buffer(change.buffer), change.element),
        fmt::format("{} is read only here and {} of its bytes were changed", change.buffer,
                    change.bytes));
  }
  return held("inputs");
}

Contract equal_bits(const char* check, const Call& first, const Call& second,
                    const abn_problem& problem, const char* reason, const Marks* unwritten) {
  for (std::size_t i = 0; i < first.outputs.size(); ++i) {
    const auto [output, buffer] = first.outputs[i];
    const int other = buffer_of(second, output);
    if (other < 0) continue;
    const std::vector<double> a = first.arena->values(buffer), b = second.arena->values(other);
    for (std::size_t e = 0; e < a.size(); ++e) {
      if (same_value(a[e], b[e]) || (unwritten != nullptr && (*unwritten)[i][e])) continue;
      const problem::Format& format = first.arena->format(buffer);
      Contract contract =
          broken(check,
                 problem::place_of(problem, compare::output_name(output),
                                   compare::is_tensor(output), static_cast<std::int64_t>(e)),
                 reason);
      contract.expected = a[e], contract.got = b[e], contract.compares = true;
      contract.got_bits =
          fmt::format("{:#0{}x}", problem::bits_of(format, b[e]), 2 + 2 * format.bytes);
      return contract;
    }
  }
  return held(check);
}

Marks unwritten_in(const Call& first, const Call& second) {
  Marks all;
  for (std::size_t i = 0; i < first.outputs.size(); ++i) {
    const auto [output, buffer] = first.outputs[i];
    const std::size_t count = first.arena->bytes(buffer).size() /
                              static_cast<std::size_t>(first.arena->format(buffer).bytes);
    std::vector<bool> marks(count, false);
    const int other = buffer_of(second, output);
    if (is_poisoned(output) && other >= 0)
      for (std::size_t e = 0; e < count; ++e)
        marks[e] = first.arena->holds_poison(buffer, e) && second.arena->holds_poison(other, e);
    all.push_back(std::move(marks));
  }
  return all;
}

bool any_poison(const Call& call) {
  for (const auto& [output, buffer] : call.outputs) {
    if (!is_poisoned(output)) continue;
    const std::size_t count = call.arena->bytes(buffer).size() /
                              static_cast<std::size_t>(call.arena->format(buffer).bytes);
    for (std::size_t e = 0; e < count; ++e)
      if (call.arena->holds_poison(buffer, e)) return true;
  }
  return false;
}

Contract unwritten_contract(const Call& first, const Marks& marks, const abn_problem& problem) {
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const auto at = std::find(marks[i].begin(), marks[i].end(), true);
    if (at == marks[i].end()) continue;
    const compare::Output output = first.outputs[i].first;
    const auto count = std::count(marks[i].begin(), marks[i].end(), true);
    return broken("unwritten",
                  problem::place_of(problem, compare::output_name(output),
                                    compare::is_tensor(output), at - marks[i].begin()),
                  fmt::format("{} of {} elements of {} still hold what was there before the call",
                              count, marks[i].size(), compare::output_name(output)));
  }
  return held("unwritten");
}

}  // namespace abn::verify::call
