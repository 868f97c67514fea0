// The sum of diagnoses, the choice among what is left, and its sentence.
#include "verify/results/explanation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace abn::verify::results {

Diagnosis& Diagnosis::operator+=(const Diagnosis& other) {
  cases += other.cases;
  for (const Explanation& one : other.explanations) {
    const auto place = std::lower_bound(
        explanations.begin(), explanations.end(), one.name,
        [](const Explanation& a, const std::string& name) { return a.name < name; });
    if (place != explanations.end() && place->name == one.name)
      place->cases += one.cases, place->partial += one.partial, place->bits += one.bits,
          place->numbers += one.numbers;
    else
      explanations.insert(place, one);
  }
  return *this;
}

std::vector<Explanation> Diagnosis::likely() const {
  constexpr double tie = 4;  // bits of difference that are none
  // one call of so many may be beyond a hypothesis: its own bound is not known
  constexpr std::uint64_t dissent = 6;
  constexpr double least_bits = 12, least_mean_bits = 1;
  std::vector<Explanation> all;
  std::copy_if(explanations.begin(), explanations.end(), std::back_inserter(all),
               [&](const Explanation& one) {
                 return one.cases + cases / dissent >= cases &&
                        (one.by_contract ||
                         (one.bits >= least_bits && one.bits >= least_mean_bits * one.numbers));
               });
  const auto rank = [](const Explanation& one) { return std::pair(one.by_marks, one.partial); };
  std::stable_sort(all.begin(), all.end(), [&](const Explanation& a, const Explanation& b) {
    return rank(a) != rank(b) ? rank(a) < rank(b) : a.bits > b.bits;
  });
  const auto worse = [&](const Explanation& one) {
    return rank(one) != rank(all.front()) || one.bits < all.front().bits - tie;
  };
  all.erase(std::find_if(all.begin(), all.end(), worse), all.end());
  constexpr std::size_t most = 2;
  if (all.size() > most) all.clear();
  return all;
}

bool Diagnosis::sure() const {
  const std::vector<Explanation> all = likely();
  return all.size() == 1 && (all[0].by_contract || (cases >= 2 && all[0].cases == cases &&
                                                    all[0].partial == 0 && !all[0].by_marks));
}

std::span<const ContractMistake> contract_mistakes() {
  constexpr problem::Word not_deterministic{
      "not_deterministic",
      "results that depend on the order of threads or on what memory held before"};
  static constexpr ContractMistake mistakes[] = {
      {"guards", {"written_out_of_bounds", "memory written that is not its own"}},
      {"inputs", {"input_overwritten", "an input used as scratch"}},
      {"unwritten", {"not_all_written", "a part of the output never written"}},
      {"alias", {"wrong_in_place", "an input read after in-place output has replaced it"}},
      {"schedule", not_deterministic},
      {"repeat", not_deterministic},
      {"optional",
       {"missing_output", "an output that is left out, and is needed or meant for another one"}},
      {"workspace", {"workspace_unchecked", "a workspace taken without a look at its size"}},
      {"elsewhere",
       {"depends_on_addresses", "results that depend on where the buffers of the call lie"}},
      {"sequence",
       {"depends_on_earlier_calls", "something kept from one call to another, or calls counted"}},
      {"threads", {"not_reentrant", "scratch memory that calls of several threads share"}},
      {"single_sample",
       {"single_sample",
        "the unbiased variance of a single sample, which is 0/0: v*m/(m-1) with m "
        "= 1"}},
  };
  return mistakes;
}

Diagnosis diagnose_contract(const std::string& check) {
  Diagnosis out;
  for (const ContractMistake& one : contract_mistakes()) {
    if (check != one.check) continue;
    Explanation explanation;
    explanation.name = one.mistake.name, explanation.sentence = one.mistake.sentence;
    explanation.cases = 1, explanation.by_contract = true;
    out.cases = 1;
    out.explanations = {std::move(explanation)};
  }
  return out;
}

std::string diagnosis_text(const Diagnosis& diagnosis) {
  std::string text;
  for (const Explanation& one : diagnosis.likely())
    text += fmt::format("{}{} ({}{}{})", text.empty() ? "" : ", or ", one.sentence, one.name,
                        one.cases < diagnosis.cases ? fmt::format(", in {} of {} calls looked at",
                                                                  one.cases, diagnosis.cases)
                                                    : "",
                        one.partial > 0 ? ", in some channels only" : "");
  if (text.empty() || diagnosis.explanations.front().by_contract) return text;
  return (diagnosis.sure() ? "matches the reference with " : "resembles the reference with ") +
         text;
}

}  // namespace abn::verify::results
