// From the sweep to names and sentences.
#include "verify/study/conventions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/study/conventions_kink.hpp"
#include "verify/study/conventions_sweep.hpp"

namespace abn::verify::study {
namespace {

using namespace conventions;

constexpr double infinity = std::numeric_limits<double>::infinity();

void add(Finding& finding, const char* name, double ratio) {
  finding.candidates.push_back({name, ratio});
}

Finding sorted(Finding finding) {
  std::stable_sort(finding.candidates.begin(), finding.candidates.end(),
                   [](const auto& a, const auto& b) { return a.ratio < b.ratio; });
  return finding;
}

const conventions::Evidence& first(const conventions::Sweep& sweep) {
  return sweep.asked.front().evidence;
}

const std::vector<conventions::Place>& first_places(const conventions::Sweep& sweep) {
  return sweep.asked.front().places;
}

/// The ratio of a root and a divisor with whichever scale explains most, for every scale that was
/// asked for.
double forward_ratio(const conventions::Sweep& sweep, std::size_t root, std::size_t divisor) {
  double largest = 0;
  for (const auto& [asked, evidence, places] : sweep.asked) {
    const auto& by_scale = evidence.forward[root][divisor];
    conventions::raise(largest, *std::min_element(by_scale.begin(), by_scale.end()));
  }
  return largest;
}

double backward_ratio(const conventions::Sweep& sweep, std::size_t back) {
  double largest = 0;
  for (const auto& [asked, evidence, places] : sweep.asked)
    conventions::raise(
        largest, *std::min_element(evidence.backward[back].begin(), evidence.backward[back].end()));
  return largest;
}

constexpr const char* forward_question = "eps in forward";
constexpr const char* divisor_question = "variance that forward divides by";
constexpr const char* saved_question = "saved variance s";
constexpr const char* running_question = "running variance takes";
constexpr const char* backward_question = "eps in backward";

std::vector<Finding> findings_of(const conventions::Sweep& sweep) {
  std::vector<Finding> all;
  Finding eps{forward_question, {}}, divisor{divisor_question, {}};
  for (std::size_t root = 0; root < conventions::roots.size(); ++root)
    add(eps, conventions::roots[root].name,
        std::min(forward_ratio(sweep, root, 0), forward_ratio(sweep, root, 1)));
  for (std::size_t i = 0; i < conventions::divisors.size(); ++i) {
    double best = infinity;
    for (std::size_t root = 0; root < conventions::roots.size(); ++root)
      best = std::min(best, forward_ratio(sweep, root, i));
    add(divisor, conventions::divisors[i].name, best);
  }
  all.push_back(sorted(eps));
  all.push_back(sorted(divisor));
  for (const auto& [asked, evidence, places] : sweep.asked) {
    Finding scale{asked == ABN_SCALE_SIGNED ? "scale where signed is asked for"
                                            : "scale where |gamma| + eps is asked for",
                  {}};
    for (std::size_t i = 0; i < conventions::scales.size(); ++i) {
      double best = infinity;
      for (const auto& by_root : evidence.forward)
        for (const auto& by_divisor : by_root) best = std::min(best, by_divisor[i]);
      add(scale, conventions::scales[i].name, best);
    }
    all.push_back(sorted(scale));
  }
  const auto largest = [&](auto&& of) {
    double ratio = 0;
    for (const auto& [asked, evidence, places] : sweep.asked)
      conventions::raise(ratio, of(evidence));
    return ratio;
  };
  if (first(sweep).has_saved) {
    Finding saved{saved_question, {}};
    for (std::size_t i = 0; i < conventions::kept.size(); ++i)
      add(saved, conventions::kept[i].name,
          largest([&](const conventions::Evidence& e) { return e.saved[i]; }));
    all.push_back(sorted(saved));
  }
  Finding averaged{running_question, {}};
  for (std::size_t i = 0; i < conventions::running.size(); ++i)
    add(averaged, conventions::running[i].name,
        largest([&](const conventions::Evidence& e) { return e.averaged[i]; }));
  all.push_back(sorted(averaged));
  if (first(sweep).has_backward) {
    Finding backward{backward_question, {}};
    for (std::size_t i = 0; i < conventions::backs.size(); ++i)
      add(backward, conventions::backs[i].name, backward_ratio(sweep, i));
    all.push_back(sorted(backward));
  }
  return all;
}

/// How far 1/sigma of backward is from forward's, relatively, at the worst point of the sweep and
/// for the pair of candidates that agree best among those that explain everything; NaN where one of
/// them is not named.
double disagreement(const conventions::Sweep& sweep) {
  double best = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t root = 0; root < conventions::roots.size(); ++root)
    for (std::size_t divisor = 0; divisor < conventions::divisors.size(); ++divisor)
      for (std::size_t kept_as = 0; kept_as < conventions::kept.size(); ++kept_as)
        for (std::size_t back = 0; back < conventions::backs.size(); ++back) {
          if (!(forward_ratio(sweep, root, divisor) <= 1) || !(first(sweep).saved[kept_as] <= 1) ||
              !(backward_ratio(sweep, back) <= 1))
            continue;
          double worst = 0;
          for (const conventions::Place& place : first_places(sweep)) {
            const auto& [v, eps, m, gamma, exponent, factor] = place;
            const conventions::Real forward = conventions::roots[root].under(
                conventions::with_divisor(v, m, conventions::divisors[divisor].unbiased), eps);
            const conventions::Real backward =
                conventions::backs[back].under(conventions::kept[kept_as].value(v, eps, m), eps, m);
            worst =
                std::max(worst, static_cast<double>(std::fabs(std::sqrt(forward / backward) - 1)));
          }
          if (std::isnan(best) || worst < best) best = worst;
        }
  return best;
}

std::string show(double ratio) {
  return std::isinf(ratio) ? "infinite" : fmt::format("{:.3g}", ratio);
}

std::string sentence_of(const Finding& finding) {
  const Finding::Candidate& nearest = finding.candidates.front();
  const Finding::Candidate* const next = finding.runner_up();
  const std::string rest = next != nullptr ? fmt::format("; the next best, {}, reaches {}",
                                                         next->name, show(next->ratio))
                                           : "";
  switch (finding.answer()) {
    case Finding::Answer::one:
      return fmt::format("{}: {} (largest error/bound {}{}).", finding.question, nearest.name,
                         show(nearest.ratio), rest);
    case Finding::Answer::several:
      return fmt::format("{}: the data cannot separate {}{}.", finding.question, finding.name(),
                         rest);
    case Finding::Answer::none:
      break;
  }
  if (std::isinf(nearest.ratio))
    return fmt::format("{}: none of the known conventions, as an output is not finite.",
                       finding.question);
  return fmt::format("{}: none of the known conventions; the nearest is {} with error/bound {}.",
                     finding.question, nearest.name, show(nearest.ratio));
}

/// The convention that explains most: indices of its root, divisor and scale, for the scale that
/// was asked for first.
struct Best {
  std::size_t root = 0, divisor = 0, scale = 0;
  double ratio = infinity;
};
Best best_of(const conventions::Evidence& evidence) {
  Best best;
  for (std::size_t root = 0; root < conventions::roots.size(); ++root)
    for (std::size_t divisor = 0; divisor < conventions::divisors.size(); ++divisor)
      for (std::size_t scale = 0; scale < conventions::scales.size(); ++scale)
        if (const double ratio = evidence.forward[root][divisor][scale]; ratio < best.ratio)
          best = {root, divisor, scale, ratio};
  return best;
}

/// How far g/sigma is from the textbook's, in percent, over v/eps and m: the largest of all eps.
/// Predicted by the convention that is named.
Grid grid_of(const conventions::Sweep& sweep, const std::string& name) {
  const conventions::Asked& asked = sweep.asked.front();
  const Best best = best_of(asked.evidence);
  Grid grid{"deviation",
            fmt::format("How far {} is from the textbook", name),
            "deviation of g/sigma from that of 1/sqrt(v + eps)",
            "%",
            1,
            {"v/eps", "1", {}},
            {"samples a channel", "1", {}},
            {},
            {},
            "the convention that is named"};
  for (int exponent = conventions::lowest_exponent; exponent <= conventions::highest_exponent;
       ++exponent)
    grid.x.values.push_back(std::pow(10.0, exponent));
  for (const std::int64_t m : conventions::sample_counts)
    grid.y.values.push_back(static_cast<double>(m));
  grid.measured.assign(grid.x.values.size() * grid.y.values.size(), 0);
  grid.predicted = grid.measured;
  for (const conventions::Place& place : asked.places) {
    const auto row = static_cast<std::size_t>(
        std::find(grid.y.values.begin(), grid.y.values.end(), static_cast<double>(place.m)) -
        grid.y.values.begin());
    const std::size_t cell =
        row * grid.x.values.size() +
        static_cast<std::size_t>(place.exponent - conventions::lowest_exponent);
    const conventions::Real textbook =
        conventions::scales[asked.scale == ABN_SCALE_SIGNED ? 0 : 1].g(place.gamma, place.eps) /
        std::sqrt(place.v + place.eps);
    const conventions::Real named =
        conventions::scales[best.scale].g(place.gamma, place.eps) /
        std::sqrt(conventions::roots[best.root].under(
            conventions::with_divisor(place.v, place.m,
                                      conventions::divisors[best.divisor].unbiased),
            place.eps));
    const auto deviation = [&](conventions::Real factor) {
      return 100 * static_cast<double>(std::fabs(factor / textbook - 1));
    };
    conventions::raise(grid.measured[cell], deviation(place.factor));
    if (best.ratio <= 1) conventions::raise(grid.predicted[cell], deviation(named));
  }
  return grid;
}

// far above what two formulas for one q differ by in long double, far below any convention
constexpr double equal_enough = 1e-9;

std::string agreement_sentence(double apart) {
  if (std::isnan(apart))
    return "Whether backward uses forward's 1/sigma cannot be said, as one of the two is not "
           "named.";
  if (apart <= equal_enough) return "backward uses the same 1/sigma as forward.";
  return fmt::format(
      "backward does NOT use forward's 1/sigma: it is off by up to {:.3g} % of it in this sweep.",
      100 * apart);
}

}  // namespace

Finding::Answer Finding::answer() const {
  const auto fits = std::count_if(candidates.begin(), candidates.end(),
                                  [](const Candidate& one) { return one.ratio <= 1; });
  return fits == 1 ? Answer::one : fits > 1 ? Answer::several : Answer::none;
}

std::string Finding::name() const {
  std::string text;
  for (const Candidate& one : candidates)
    if (one.ratio <= 1) text += (text.empty() ? "" : " or ") + one.name;
  return text.empty() ? "none of the known conventions" : text;
}

const Finding::Candidate* Finding::runner_up() const {
  const auto at = std::find_if(candidates.begin(), candidates.end(),
                               [](const Candidate& one) { return !(one.ratio <= 1); });
  return at == candidates.end() ? nullptr : &*at;
}

Study conventions_study(const call::Subject& subject, std::uint64_t seed) {
  const std::string name = subject.variant->name;
  if (subject.device == nullptr)
    throw problem::UsageError(
        fmt::format("{} cannot run here: {}; choose another --device", name, subject.unavailable));
  const conventions::Sweep sweep = conventions::sweep_of(subject, seed);
  if (sweep.asked.empty())
    throw problem::UsageError(
        fmt::format("{} supports no training problem of {} to {} samples a channel, so there is "
                    "nothing to look at; choose another variant",
                    name, conventions::sample_counts.front(), conventions::sample_counts.back()));
  std::vector<Finding> findings = findings_of(sweep);
  for (const conventions::Kinked& asked : conventions::kinked)
    if (const auto ratios = conventions::kink_ratios(subject, asked, seed)) {
      Finding kink{asked.question, {}};
      for (std::size_t i = 0; i < conventions::sides.size(); ++i)
        add(kink, conventions::sides[i].name, (*ratios)[i]);
      findings.push_back(sorted(kink));
    }

  Study study;
  study.name = "conventions " + name;
  study.title = fmt::format("The conventions of {}", name);
  study.summary = fmt::format(
      "Training over eps from {:g} to {:g}, v/eps from 1e{} to 1e{} and {} to {} samples a "
      "channel. A convention is named where it alone "
      "explains every output "
      "within the bound of what the variant declares.",
      conventions::epsilons.front(), conventions::epsilons.back(), conventions::lowest_exponent,
      conventions::highest_exponent, conventions::sample_counts.front(),
      conventions::sample_counts.back());
  study.seed = seed;
  study.settings = {
      {"variant", name},
      {"storage, activation", sweep.settings},
      {"channels looked at", std::to_string(sweep.asked.size() * first_places(sweep).size())}};
  Table table{"findings",
              fmt::format("What {} computes", name),
              "Largest |error| / bound over the sweep; a convention explains the variant up to 1.",
              {{"question", ""},
               {"convention", ""},
               {"largest ratio", ""},
               {"next best", ""},
               {"its ratio", ""}},
              {},
              false};
  Table evidence{"evidence", "All candidates",
                 "",         {{"question", ""}, {"candidate", ""}, {"largest ratio", ""}},
                 {},         true};
  for (const Finding& finding : findings) {
    study.conclusions.push_back(sentence_of(finding));
    const Finding::Candidate* const next = finding.answer() == Finding::Answer::none
                                               ? &finding.candidates.front()
                                               : finding.runner_up();
    const bool named = finding.answer() != Finding::Answer::none;
    table.rows.push_back({finding.question, finding.name(),
                          named ? Cell(finding.candidates.front().ratio)
                                : Cell(std::numeric_limits<double>::quiet_NaN()),
                          next != nullptr ? next->name : "",
                          next != nullptr ? Cell(next->ratio) : Cell(std::string())});
    for (const Finding::Candidate& candidate : finding.candidates)
      evidence.rows.push_back({finding.question, candidate.name, candidate.ratio});
  }
  if (first(sweep).has_backward && first(sweep).has_saved)
    study.conclusions.push_back(agreement_sentence(disagreement(sweep)));
  study.tables = {table, evidence};
  if (sweep.settings.find(problem::activation_name(ABN_IDENTITY)) != std::string::npos)
    study.grids.push_back(grid_of(sweep, name));  // read off z where it is y
  return study;
}

}  // namespace abn::verify::study
