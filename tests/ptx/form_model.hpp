// What a form gives for one lane, from the words of its name and the text of the PTX ISA: a second
// opinion that shares nothing with cuda/ptx but the name.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cuda/ptx/state/form.hpp"

namespace abn::ptx::test {

/// How a result is held against the model's.
enum class Match : std::uint8_t { bits, as_f16, as_bf16, as_f32, as_f64, as_f16x2, as_bf16x2 };

struct FormModel {
  /// Operands of one lane, as bits; no value where nothing is specified.
  std::function<std::optional<std::uint64_t>(const std::vector<std::uint64_t>&)> result;
  Match match = Match::bits;  ///< any NaN is any NaN of the format
};

/// Null where the name is none of a function of one lane.
std::optional<FormModel> integer_model(const std::string& name);
std::optional<FormModel> float_model(const std::string& name);
std::optional<FormModel> conversion_model(const std::string& name);

/// A form's model; null where it is none of a function of one lane.
std::optional<FormModel> model_of(const Form& form);
/// Is it the result? Operands and results are bits.
bool same(Match match, std::uint64_t got, std::uint64_t wanted);

/// The words between the dots.
std::vector<std::string> words_of(const std::string& name);
bool has_word(const std::string& name, const std::string& word);

}  // namespace abn::ptx::test
