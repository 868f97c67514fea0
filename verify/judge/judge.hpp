// From one output to its record: the comparison, the witness, and for in-place schemes what they
// cost end to end.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verify/problem/inputs.hpp"
#include "verify/results/results.hpp"
#include "verify/results/witnesses_kept.hpp"

namespace abn::verify::judge {

/// Whose record it is, and how a reader gets it again.
struct Origin {
  std::string variant;
  abn_problem problem{};
  std::string data;
  std::uint64_t seed = 0;
  /// what reproduces it; without a head there is no such line
  std::string command_head, command_tail;
  bool command_names_id = true;  ///< the check id goes between head and tail
  bool per_channel = false;      ///< channel by channel also where nothing failed
  /// what is judged, for cases that its claims leave empty
  std::optional<abn_claims> claims{};
  /// where the inputs are a sample of the case's: the element of the case that one of theirs is,
  /// of a tensor or of a vector; and what was sampled, in words
  std::function<std::int64_t(bool tensor, std::int64_t element)> element_of{};
  std::string sampled{};
  /// of a run of many cases: then only witnesses that may stay show the terms of their bound
  results::WorstRatios* worst = nullptr;
};

/// variant/op/dtype/layout/check
std::string id_of(const std::string& variant, const abn_problem& problem, std::string_view op,
                  std::string_view check);

/// The record of one case, with nothing in it yet. op is "forward" or "backward".
results::Record blank_record(const Origin& origin, std::string_view op, std::string_view check,
                             results::CheckKind kind);

/// A witness with its problem, data, seed and reproduce line.
results::Witness blank_witness(const Origin& origin, const std::string& id);

/// Compares every element of one output with its expectation. `saved` is shown beside a witness of
/// backward. `check` names the record where it is not the output's own. Throws std::logic_error if
/// the sizes differ.
results::Record judge(const Origin& origin, std::string_view op, const problem::Inputs& inputs,
                      const problem::Saved& saved, const compare::Expectation& expectation,
                      const std::vector<double>& got, const compare::Explain& explain,
                      std::string_view check = {});

/// The same output against the gradient at the unrounded x. The largest |error| / max|exact| of a
/// channel (for dgamma and dbeta: of all channels) is what the in-place scheme costs; above
/// `unsafe_cost` it is no longer noise beside the gradient.
inline constexpr double unsafe_cost = 0.01;
/// of a case's elements may be left out of that for their nearness to the kink
inline constexpr double most_open = 0.01;
void add_end_to_end(results::Record& record, const abn_problem& problem,
                    const compare::Expectation& gradient, const std::vector<double>& got);

/// Inputs as the oracle takes them: running statistics that a file lacks are 0, and nothing that is
/// judged depends on them.
problem::Inputs for_oracle(problem::Inputs inputs);

/// A word as a shell needs it.
std::string shell_word(const std::string& text);

}  // namespace abn::verify::judge
