// Holds every hypothesis against a call: predictions channel by channel, the failed ones first.
#include "verify/judge/diagnosis/diagnosis.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>

#include "verify/bound/bound.hpp"
#include "verify/compare/compare.hpp"
#include "verify/judge/diagnosis/simulate.hpp"

namespace abn::verify::judge::diagnosis {
namespace {

// of elements on which roundings at a boundary may go the other way
constexpr double tiny_share = 1.0 / 64;
// the changed formula's own bound is not known: that of the right one, twice
constexpr double bound_factor = 2;
// of a number that stands where the right answer is none, and so has no bound
constexpr double nonfinite_slack = 1e-3;
// of the accumulate type, relative to what is predicted: a changed formula has its own errors
constexpr double prediction_roundings = 64;
constexpr double most_bits = 20, fewest_bits = -4, class_bits = 3, most_class_bits = 18;
// an element that passed speaks for or against by no more than this
constexpr double passed_bits = 4;
// of the bound: below, errors are noise
constexpr double floor_share = 1. / 64;
// looked at; more say nothing new
constexpr std::size_t failed_channels = 32, passed_channels = 16;

struct Judged {
  const compare::Expectation* expectation;
  const compare::Stored* got;
  const problem::Format* format;
  std::vector<char> passed;
};

/// What a setting explains so far.
struct Score {
  /// of channels with failures
  std::int64_t failed = 0, unmatched = 0, contradicted = 0, seen = 0;
  std::int64_t untouched = 0;  ///< channels
  double bits = 0, numbers = 0, classes = 0;
};

template <class Real>
class Examination {
 public:
  explicit Examination(const Evidence& evidence)
      : e(evidence),
        p(evidence.inputs.problem),
        scheme(evidence.claims.scheme),
        m(problem::sample_count(p)) {
    for (const compare::Expectation& expectation : e.expected)
      for (const compare::Stored& got : e.outputs)
        if (got.output == expectation.output) add(expectation, got);
    choose_channels();
  }

  bool decidable() const { return !failing.empty(); }

  /// The best setting of every hypothesis that is accepted.
  std::vector<results::Explanation> accepted() {
    std::vector<results::Explanation> out;
    for (std::size_t c : failing) plain.emplace(c, given(c, {}));
    for (const Hypothesis& hypothesis : all_hypotheses()) {
      if (!(e.backward ? hypothesis.backward : hypothesis.forward)) continue;
      results::Explanation best;
      for (const MistakeAt& setting : mistakes_at(hypothesis.mistake, p, scheme, e.backward)) {
        Score score;
        if (!explains(setting, score)) continue;
        const std::uint64_t partial = score.untouched > 0 ? 1 : 0;
        if (best.cases > 0 &&
            !(partial < best.partial || (partial == best.partial && score.bits > best.bits)))
          continue;
        best = {hypothesis.name, sentence_of(hypothesis, setting), 1,
                partial,         follows(hypothesis.mistake),      score.bits,
                score.numbers};
      }
      if (best.cases > 0) out.push_back(std::move(best));
    }
    return out;
  }

 private:
  void add(const compare::Expectation& expectation, const compare::Stored& got) {
    Judged judged{&expectation, &got, &problem::format_of(expectation.dtype), {}};
    judged.passed.resize(got.values.size());
    for (std::size_t i = 0; i < got.values.size(); ++i)
      judged.passed[i] =
          compare::compare(expectation.points[i], got.values[i], *judged.format).passed ? 1 : 0;
    outputs.push_back(std::move(judged));
  }

  /// Element `i` of a channel, or the channel's own of a vector.
  std::size_t at(const Judged& judged, std::size_t c, std::int64_t i) const {
    return compare::is_tensor(judged.expectation->output)
               ? static_cast<std::size_t>(
                     problem::sample_offset(p, static_cast<std::int64_t>(c), i))
               : c;
  }
  std::int64_t count(const Judged& judged) const {
    return compare::is_tensor(judged.expectation->output) ? m : 1;
  }

  void choose_channels() {
    std::vector<std::size_t> passing;
    for (std::size_t c = 0; c < static_cast<std::size_t>(p.c); ++c) {
      bool failed = false;
      for (const Judged& judged : outputs)
        for (std::int64_t i = 0; i < count(judged) && !failed; ++i)
          failed = judged.passed[at(judged, c, i)] == 0;
      (failed ? failing : passing).push_back(c);
    }
    const auto thin = [](std::vector<std::size_t>& channels, std::size_t most) {
      if (channels.size() <= most) return;
      std::vector<std::size_t> some;
      for (std::size_t k = 0; k < most; ++k) some.push_back(channels[k * channels.size() / most]);
      channels = some;
    };
    thin(failing, failed_channels);
    thin(passing, passed_channels);
    order = failing;
    order.insert(order.end(), passing.begin(), passing.end());
  }

  // ---- what a channel is given ------------------------------------------------------------------

  std::int64_t position(std::int64_t c, std::int64_t i, const MistakeAt& setting, int which) const {
    abn_problem read = p;
    const bool other_tensor = setting.mistake == Mistake::layout_confused && setting.way != which;
    if (setting.mistake == Mistake::layout_confused && !other_tensor)
      read.layout = p.layout == ABN_NCHW ? ABN_NHWC : ABN_NCHW;
    if (setting.mistake == Mistake::images_modulo) i = i / p.s % setting.count * p.s + i % p.s;
    if (setting.mistake == Mistake::samples_modulo) i %= setting.count;
    if (setting.mistake == Mistake::row_tail_shifted &&
        i % p.s >= p.s / setting.count * setting.count)
      --i;
    const std::int64_t found = problem::sample_offset(read, c, i);
    return setting.mistake == Mistake::elements_modulo ? found % setting.count : found;
  }
  std::vector<double> read(const std::vector<double>& tensor, std::int64_t c,
                           const MistakeAt& setting, int which) const {
    std::vector<double> out(tensor.empty() ? 0 : static_cast<std::size_t>(m));
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(out.size()); ++i) {
      double value = tensor[static_cast<std::size_t>(position(c, i, setting, which))];
      const problem::Format& storage = problem::format_of(p.dtype);
      if (setting.mistake == Mistake::subnormals_flushed &&
          std::fabs(value) < std::ldexp(1.0, storage.emin))
        value = 0;
      out[static_cast<std::size_t>(i)] = value;
    }
    return out;
  }
  static Real element(const std::vector<double>& vector, std::size_t c) {
    return vector.empty() ? Real(0) : static_cast<Real>(vector[c]);
  }
  Real own(compare::Output output, std::size_t c) const {
    for (const Judged& judged : outputs)
      if (judged.expectation->output == output) return static_cast<Real>(judged.got->values[c]);
    return 0;
  }

  Given<Real> given(std::size_t channel, const MistakeAt& setting) const {
    const auto c = static_cast<std::int64_t>(channel);
    Given<Real> out;
    out.problem = &p, out.scheme = scheme, out.affine = e.inputs.affine;
    out.unit_scale = e.inputs.unit_scale;
    constexpr int kept = 0, upstream = 1;
    const bool reads_x = !e.backward || scheme == ABN_STANDARD || scheme == ABN_CHECKPOINT_X;
    if (reads_x) out.x = read(e.inputs.x, c, setting, kept);
    if (e.backward) {
      out.dz = read(e.inputs.dz, c, setting, upstream);
      if (scheme == ABN_CHECKPOINT_XHAT)
        out.xhat = read(e.saved->xhat, c, setting, kept);
      else if (scheme != ABN_CHECKPOINT_X)
        out.z = read(e.saved->z, c, setting, kept);
      out.kept_mean = element(e.saved->mean, channel),
      out.kept_variance = element(e.saved->variance, channel);
      out.own_s0 = own(compare::Output::dbeta, channel),
      out.own_dgamma = own(compare::Output::dgamma, channel);
    }
    std::int64_t from = c;
    if (setting.mistake == Mistake::channel_shifted) from = (c + setting.count) % p.c;
    if (setting.mistake == Mistake::channels_modulo) from = c % setting.count;
    if (out.affine) {
      out.gamma = static_cast<Real>(e.inputs.gamma[static_cast<std::size_t>(from)]);
      out.beta = static_cast<Real>(e.inputs.beta[static_cast<std::size_t>(from)]);
    }
    out.running_mean = element(e.inputs.running_mean, channel),
    out.running_var = element(e.inputs.running_var, channel);
    if (e.backward) return finish_neighbour(out, channel, setting);
    out.own_mean = own(compare::Output::mean, channel),
    out.own_variance = own(compare::Output::variance, channel);
    if (setting.mistake == Mistake::rstd_inaccurate)
      for (const Judged& judged : outputs)
        if (judged.expectation->output == compare::Output::z)
          out.own_z = read(judged.got->values, c, {}, kept);
    return finish_neighbour(out, channel, setting);
  }
  Given<Real> finish_neighbour(Given<Real> out, std::size_t channel,
                               const MistakeAt& setting) const {
    const bool asked = setting.mistake == Mistake::statistics_of_neighbour ||
                       setting.mistake == Mistake::sums_of_neighbour;
    if (!asked || channel == 0) return out;
    const MistakeAt unchanged;
    const Given<Real> before = given(channel - 1, unchanged);
    const Simulation<Real> simulation(before, unchanged);
    if (e.backward)
      out.neighbour_s0 = simulation.plain_sum();
    else if (p.mode == ABN_TRAINING)
      simulation.batch_statistics(out.neighbour_mean, out.neighbour_variance);
    else
      out.neighbour_mean = before.running_mean, out.neighbour_variance = before.running_var;
    return out;
  }
  /// Is it followed from numbers that the kernel wrote itself?
  static bool follows(Mistake mistake) {
    return leaves_marks(mistake) || mistake == Mistake::rstd_inaccurate ||
           mistake == Mistake::variance_negative;
  }
  /// Does the setting change what is read, beside what is computed?
  static bool reads_otherwise(Mistake mistake) {
    switch (mistake) {
      case Mistake::layout_confused:
      case Mistake::images_modulo:
      case Mistake::samples_modulo:
      case Mistake::elements_modulo:
      case Mistake::row_tail_shifted:
      case Mistake::subnormals_flushed:
      case Mistake::channel_shifted:
      case Mistake::channels_modulo:
      case Mistake::statistics_of_neighbour:
      case Mistake::sums_of_neighbour:
      case Mistake::rstd_inaccurate:
        return true;
      default:
        return false;
    }
  }

  // ---- a hypothesis against the call ------------------------------------------------------------

  bool explains(const MistakeAt& setting, Score& score) {
    // what was written in f32 tells nothing
    if (setting.mistake == Mistake::accumulate_f32 && p.param_dtype != ABN_F64) return true;
    for (std::size_t k = 0; k < order.size(); ++k) {
      const std::size_t c = order[k];
      const bool failed = k < failing.size();
      if (!failed && !plain.contains(c) && !reads_otherwise(setting.mistake))
        plain.emplace(c, given(c, {}));
      const Given<Real> changed =
          reads_otherwise(setting.mistake) ? given(c, setting) : Given<Real>{};
      if (!examine(reads_otherwise(setting.mistake) ? changed : plain.at(c), setting, c, failed,
                   score))
        return false;
      if (failed && static_cast<double>(score.unmatched) >
                        tiny_share * static_cast<double>(failed_elements(c, k) + score.failed))
        return false;
    }
    score.bits += std::fmin(score.classes, most_class_bits);
    const bool spared =
        static_cast<double>(score.contradicted) <= tiny_share * static_cast<double>(score.seen);
    return spared &&
           static_cast<double>(score.unmatched) <= tiny_share * static_cast<double>(score.failed);
  }
  /// A lower limit of the failures to come, so that one bad channel does not end what many good
  /// ones would carry.
  std::int64_t failed_elements(std::size_t, std::size_t k) const {
    return static_cast<std::int64_t>(failing.size() - k) * m;
  }

  /// False where the setting has left no trace in a channel that failed.
  bool examine(const Given<Real>& in, const MistakeAt& setting, std::size_t c, bool failed,
               Score& score) {
    const Simulation<Real> simulation(in, setting);
    std::int64_t contradicted = 0;
    const double before = score.bits;
    if (e.backward) {
      BackwardPrediction<Real> out;
      if (!simulation.backward(out)) return !failed;
      for (const Judged& judged : outputs) {
        const compare::Output output = judged.expectation->output;
        const std::vector<Real> one{output == compare::Output::dgamma ? out.dgamma : out.dbeta};
        hold(judged, c, output == compare::Output::dx ? out.dx : one, score, contradicted);
      }
    } else {
      ForwardPrediction<Real> out;
      if (!simulation.forward(out)) return !failed;
      for (const Judged& judged : outputs) {
        const compare::Output output = judged.expectation->output;
        const std::vector<Real> one{output == compare::Output::mean           ? out.mean
                                    : output == compare::Output::variance     ? out.variance
                                    : output == compare::Output::running_mean ? out.running_mean
                                                                              : out.running_var};
        hold(judged, c,
             output == compare::Output::z      ? out.z
             : output == compare::Output::xhat ? out.xhat
                                               : one,
             score, contradicted);
      }
    }
    if (failed)
      score.contradicted += contradicted;
    else
      score.bits = before, score.untouched += contradicted > 0 ? 1 : 0;
    return true;
  }

  void hold(const Judged& judged, std::size_t c, const std::vector<Real>& predicted, Score& score,
            std::int64_t& contradicted) const {
    double largest_exact = 0, largest_predicted = 0;
    for (std::int64_t i = 0; i < count(judged); ++i) {
      const double exact = std::fabs(judged.expectation->points[at(judged, c, i)].hi);
      const double other = std::fabs(static_cast<double>(predicted[static_cast<std::size_t>(i)]));
      if (std::isfinite(exact)) largest_exact = std::fmax(largest_exact, exact);
      if (std::isfinite(other)) largest_predicted = std::fmax(largest_predicted, other);
    }
    const double growth = largest_exact > 0 ? std::fmax(1, largest_predicted / largest_exact) : 1;
    for (std::int64_t i = 0; i < count(judged); ++i)
      hold_one(judged, at(judged, c, i), predicted[static_cast<std::size_t>(i)], growth, score,
               contradicted);
  }

  void hold_one(const Judged& judged, std::size_t k, Real predicted, double growth, Score& score,
                std::int64_t& contradicted) const {
    const compare::Point& point = judged.expectation->points[k];
    if (point.rule == compare::Rule::anything) return;
    const problem::Format& format = *judged.format;
    const double got = judged.got->values[k];
    const bool failed = judged.passed[k] == 0;
    ++score.seen, score.failed += failed;
    // false for NaN
    const bool in_range = std::fabs(predicted) <= format.largest * (1 + format.unit_roundoff);
    const bool number = std::isfinite(got) && in_range;
    // Both answers as they would be stored: where they agree, an element speaks for neither.
    const double error = std::fabs(got - problem::round_to(format, point.hi));
    const Real distance = number ? std::fabs(static_cast<Real>(got) - predicted) : 0;
    const double residual =
        number ? std::fabs(got - problem::round_to(format, static_cast<double>(predicted))) : 0;
    const bool has_bound = std::isfinite(point.hi) && point.rule != compare::Rule::any_nonfinite &&
                           point.rule != compare::Rule::any_finite;
    bool matches = std::isfinite(got) == in_range;
    if (number && point.rule != compare::Rule::any_finite) {
      const double size = static_cast<double>(std::fabs(predicted));
      const double step = (format.unit_roundoff + prediction_roundings * accumulated) * size +
                          format.smallest_subnormal;
      matches = static_cast<double>(distance) <=
                (has_bound ? bound_factor * point.bound * growth : nonfinite_slack * size) + step;
      if (got == 0 && predicted == 0)
        matches = std::signbit(got) == std::signbit(predicted) ||
                  point.rule != compare::Rule::signed_bounded;
    }
    if (!failed) {
      contradicted += matches ? 0 : 1;
      const double noise = floor_share * point.bound;
      if (number && has_bound && noise > 0 && noise < bound::infinity)
        score.bits +=
            std::clamp(std::log2((error + noise) / (residual + noise)), -passed_bits, passed_bits);
      return;
    }
    if (!matches) {
      ++score.unmatched;
    } else if (number && has_bound && error > 0) {
      score.numbers += 1;
      score.bits += residual > 0 ? std::clamp(std::log2(error / residual), fewest_bits, most_bits)
                                 : most_bits;
    } else {
      score.classes += class_bits;
    }
  }

  const Evidence& e;
  const abn_problem& p;
  const int scheme;
  const std::int64_t m;
  const double accumulated = problem::format_of(e.claims.accumulate).unit_roundoff;
  std::vector<Judged> outputs;
  std::vector<std::size_t> failing, order;  ///< channels to look at, the failed ones first
  std::map<std::size_t, Given<Real>> plain;
};

template <class Real>
results::Diagnosis examine_call(const Evidence& evidence) {
  results::Diagnosis out;
  Examination<Real> examination(evidence);
  if (!examination.decidable()) return out;
  out.cases = 1;
  out.explanations = examination.accepted();
  std::sort(
      out.explanations.begin(), out.explanations.end(),
      [](const results::Explanation& a, const results::Explanation& b) { return a.name < b.name; });
  return out;
}

}  // namespace
results::Diagnosis diagnose(const Evidence& evidence) {
  const abn_problem& problem = evidence.inputs.problem;
  const std::int64_t elements = problem::element_count(problem);
  if (elements == 0 || elements > most_diagnosed_elements) return {};
  return problem.dtype == ABN_F64 ? diagnosis::examine_call<long double>(evidence)
                                  : diagnosis::examine_call<double>(evidence);
}

const std::vector<HypothesisName>& hypotheses() {
  static const std::vector<HypothesisName> names = [] {
    std::vector<HypothesisName> all;
    for (const Hypothesis& one : all_hypotheses())
      all.push_back(
          {one.name, one.sentence, one.forward ? one.backward ? "both" : "forward" : "backward"});
    return all;
  }();
  return names;
}

}  // namespace abn::verify::judge::diagnosis
