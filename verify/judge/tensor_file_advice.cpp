// A table of changes to a file, from those that lose nothing to those that excuse more.
#include "verify/judge/tensor_file_advice.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "verify/judge/tensor_file_expectations.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::judge {
namespace {

using data::TensorFile;

/// Padded samples are 0 in every channel of x: without them, as one long image.
std::optional<TensorFile> packed(TensorFile file) {
  const abn_problem p = file.inputs.problem;
  const auto samples = static_cast<std::size_t>(problem::sample_count(p));
  std::vector<bool> padding(samples, true);
  for (std::int64_t c = 0; c < p.c; ++c)
    problem::for_each_sample(p, c, [&](std::size_t i, std::size_t at) {
      if (file.inputs.x[at] != 0) padding[i] = false;
    });
  const auto kept = static_cast<std::int64_t>(std::count(padding.begin(), padding.end(), false));
  if (kept < 2 || kept == static_cast<std::int64_t>(samples)) return std::nullopt;
  const auto pack = [&](std::vector<double>& tensor) {
    std::vector<double> out;
    for (std::int64_t c = 0; c < p.c && !tensor.empty(); ++c)
      problem::for_each_sample(p, c, [&](std::size_t i, std::size_t at) {
        if (!padding[i]) out.push_back(tensor[at]);
      });
    tensor = std::move(out);
  };
  for (std::vector<double>* const tensor : {&file.inputs.x, &file.inputs.dz}) pack(*tensor);
  for (compare::Stored& stored : file.outputs)
    if (compare::is_tensor(stored.output)) pack(stored.values);
  file.inputs.problem.n = 1, file.inputs.problem.s = kept;
  file.inputs.problem.layout = ABN_NCHW;
  return file;
}

std::optional<TensorFile> with_invstd(TensorFile file) {
  compare::Stored* const stored = compare::find_output(file.outputs, compare::Output::variance);
  if (stored == nullptr) return std::nullopt;
  stored->output = compare::Output::invstd;
  file.claims.saves |= ABN_SAVES_VAR | ABN_SAVES_INVSTD;
  return file;
}

/// Parameters that all are numbers of the storage type, though the file holds them in a wider one.
std::optional<TensorFile> with_narrow_parameters(TensorFile file) {
  abn_problem& p = file.inputs.problem;
  if (p.param_dtype == p.dtype || problem::format_of(p.dtype).bytes != 2) return std::nullopt;
  const problem::Format& narrow = problem::format_of(p.dtype);
  const auto fits = [&](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [&](double v) {
      return std::isnan(v) || problem::round_to(narrow, v) == v;
    });
  };
  for (const auto* const vector :
       {&file.inputs.gamma, &file.inputs.beta, &file.inputs.running_mean, &file.inputs.running_var})
    if (!fits(*vector)) return std::nullopt;
  for (const compare::Stored& stored : file.outputs)
    if (!compare::is_tensor(stored.output) && !fits(stored.values)) return std::nullopt;
  p.param_dtype = p.dtype;
  return file;
}

std::optional<TensorFile> with_biased_running(TensorFile file) {
  if (file.claims.running_variance == ABN_RUNNING_BIASED ||
      compare::find_output(file.outputs, compare::Output::running_var) == nullptr)
    return std::nullopt;
  file.claims.running_variance = ABN_RUNNING_BIASED;
  return file;
}

std::optional<TensorFile> with_other_kink(TensorFile file) {
  if (file.claims.kink == ABN_KINK_UNDECLARED) return std::nullopt;
  file.claims.kink = ABN_KINK_UNDECLARED;
  return file;
}

std::optional<TensorFile> folded_apart(TensorFile file) {
  if (file.claims.normalise != ABN_FOLDED) return std::nullopt;
  file.claims.normalise = ABN_FOLDED_APART;
  return file;
}

/// Each operation of phi and phi' rounded to 16 bits.
std::optional<TensorFile> with_rounded_activation(TensorFile file) {
  const abn_problem& p = file.inputs.problem;
  if ((file.claims.materialises & ABN_MATERIALISES_ACTIVATION) != 0 ||
      !problem::activation_of(p).needs_functions() ||
      problem::format_of(problem::out_type_of(p)).precision >=
          problem::format_of(file.claims.accumulate).precision)
    return std::nullopt;
  file.claims.materialises |= ABN_MATERIALISES_ACTIVATION;
  return file;
}

/// alpha*(exp(y) - 1) has an error of about u*alpha where alpha*expm1(y) has one of u|z|: is that
/// all that is wrong with z, and is nothing else wrong?
std::optional<TensorFile> with_expm1(TensorFile file) {
  const TensorFile original = file;
  const problem::Phi phi = problem::phi_of(file.inputs.problem);
  compare::Stored* const stored = compare::find_output(file.outputs, compare::Output::z);
  if (!phi.curved() || stored == nullptr) return std::nullopt;
  std::vector<double>* const z = &stored->values;
  constexpr double roundings = 3;  // an ulp of exp is two, and the difference is one more
  const double lost =
      roundings * phi.parameter * problem::format_of(file.claims.accumulate).unit_roundoff;
  for (const compare::Expectation& expected : expectations_of(file).expected) {
    if (expected.output != compare::Output::z) continue;
    for (std::size_t i = 0; i < z->size(); ++i) {
      const compare::Point& point = expected.points[i];
      const double error = std::fabs(((*z)[i] - point.hi) - point.lo);
      if (error <= point.bound || !(point.hi < 0)) continue;
      if (!(error <= point.bound + lost)) return std::nullopt;
      // as good as right: what is nearest to it
      (*z)[i] = problem::round_to(problem::format_of(expected.dtype), point.hi);
    }
  }
  // Backward worked from the z that it had, and is right or wrong by that.
  const std::vector<compare::Output> failed = failed_outputs(original);
  if (std::any_of(failed.begin(), failed.end(), compare::is_gradient)) return std::nullopt;
  std::erase_if(file.outputs,
                [](const compare::Stored& one) { return compare::is_gradient(one.output); });
  return file;
}

struct Advice {
  problem::Word word;
  std::optional<TensorFile> (*changed)(TensorFile file);
};
constexpr std::array table{
    Advice{{"padding_left_out",
            "padded samples left out of the statistics; write the valid samples of all sequences "
            "behind each other, as n1cCsM (fixtures/README.md)"},
           packed},
    Advice{{"unnamed_invstd", "1/sqrt(variance + eps) in saved_var; name the tensor saved_invstd"},
           with_invstd},
    Advice{{"undeclared_narrow_parameters",
            "parameters rounded to the 16-bit storage type; write param:f16 or param:bf16 in "
            "abn.problem"},
           with_narrow_parameters},
    Advice{{"undeclared_running_variance",
            "the biased variance in the running average; declare abn.running_variance biased"},
           with_biased_running},
    Advice{{"undeclared_kink", "the other derivative at y = 0; declare the other abn.kink"},
           with_other_kink},
    Advice{{"exp_minus_one",
            "alpha*(exp(y) - 1) for alpha*expm1(y), which loses the digits of a small y"},
           with_expm1},
    Advice{{"undeclared_rounded_activation",
            "an activation whose operations are each rounded to the type of z; add activation to "
            "abn.materialises"},
           with_rounded_activation},
    Advice{{"undeclared_folded_apart",
            "a shift that is formed apart, beta - (mean*g)*r; declare abn.normalise folded_apart"},
           folded_apart},
};

}  // namespace

void advise(const data::TensorFile& file, std::vector<results::Record>& records) {
  const auto failed = [](const results::Record& record) { return record.tally.failed > 0; };
  if (std::none_of(records.begin(), records.end(), failed)) return;
  for (const Advice& advice : table) {
    const std::optional<TensorFile> changed = advice.changed(file);
    if (!changed || !failed_outputs(*changed).empty()) continue;
    results::Explanation explanation;
    explanation.name = advice.word.name, explanation.sentence = advice.word.sentence;
    explanation.cases = 1, explanation.by_contract = true;
    for (results::Record& record : records)
      if (failed(record)) {
        record.diagnosis = {};
        record.diagnosis.cases = 1;
        record.diagnosis.explanations = {explanation};
      }
    return;
  }
}

std::span<const problem::Word> advice_words() {
  static const auto words = [] {
    std::array<problem::Word, table.size()> all{};
    std::transform(table.begin(), table.end(), all.begin(),
                   [](const Advice& advice) { return advice.word; });
    return all;
  }();
  return words;
}

}  // namespace abn::verify::judge
