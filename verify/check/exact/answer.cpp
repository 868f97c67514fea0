// Closed forms of every output, and the search for the root that explains a channel.
#include "verify/check/exact/answer.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "verify/bound/bound.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::exact {
namespace {

/// A value, how much its roundings may add up to where nothing is exact any more, and whether r
/// enters it.
struct Due {
  double value = 0, terms = 0, extra = 0;
  bool of_root = false;
};

struct Formulas {
  const data::ExactPlan& plan;
  const abn_claims& claims;
  const abn_problem& p = plan.problem;
  double m = static_cast<double>(problem::sample_count(p));
  double u = problem::format_of(claims.accumulate).unit_roundoff;
  bool training = p.mode == ABN_TRAINING;
  bool from_x = claims.scheme == ABN_STANDARD || claims.scheme == ABN_CHECKPOINT_X;

  double deviation(const data::ExactChannel& k, std::size_t i) const {
    return k.unit * static_cast<double>(k.deviation[i] - k.shift);
  }
  double slope_at(double y) const {
    problem::Phi phi = problem::phi_of(p);
    phi.left_at_zero = claims.kink == ABN_KINK_LEFT;
    return phi.derivative(y);
  }
  double sum_dy(const data::ExactChannel& k) const {
    return k.gradient_unit * static_cast<double>(k.mean_dy) * m;
  }
  double sum_product(const data::ExactChannel& k) const {
    return k.gradient_unit * (k.unit * k.r) * static_cast<double>(k.products);
  }
  double sum_magnitude(const data::ExactChannel& k) const {
    return k.gradient_unit * (k.unit * k.r) * static_cast<double>(k.magnitudes);
  }
  double sum_slack() const {
    return bound::gamma_of(static_cast<double>(claims.depth_backward) + 4, u);
  }

  double xhat(const data::ExactChannel& k, std::size_t i) const { return k.r * deviation(k, i); }
  double y(const data::ExactChannel& k, std::size_t i) const { return k.g * xhat(k, i) + k.beta; }

  Due forward_element(const data::ExactChannel& k, std::size_t i, double theta,
                      compare::Output output) const {
    const double exact = xhat(k, i), here = exact * (1 + theta);
    if (output == compare::Output::xhat) return {here, std::fabs(exact), 0, true};
    const double value = k.g * here + k.beta;
    double terms = std::fabs(k.g * exact) + std::fabs(k.beta);
    if (claims.normalise == ABN_FOLDED)
      terms += std::fabs(k.g * k.r) * (std::fabs(k.mean) + std::fabs(k.running_mean)) * 2;
    const double slope = slope_at(value);
    return {slope * value + 0.0, slope * terms, 0, true};
  }

  Due dx(const data::ExactChannel& k, std::size_t i, double theta) const {
    const double scale = k.g * k.r * (1 + theta), dy = k.gradient_unit * k.dy[i];
    if (!training) return {scale * dy, std::fabs(scale * dy), 0, true};
    const double mean_dy = sum_dy(k) / m, mean_product = sum_product(k) / m,
                 product = xhat(k, i) * mean_product;
    // xhat and S1 each carry r where they are found from x.
    const double both = from_x ? (1 + theta) * (1 + theta) : 1;
    const double terms =
        std::fabs(scale) * (std::fabs(dy) + std::fabs(mean_dy) + std::fabs(product));
    const double extra =
        from_x ? std::fabs(scale * xhat(k, i)) * sum_slack() * sum_magnitude(k) / m : 0;
    return {scale * (dy - mean_dy - product * both), terms, extra, true};
  }

  Due dgamma(const data::ExactChannel& k, double theta) const {
    const double sign = p.scale == ABN_SCALE_ABS_EPS && k.gamma < 0 ? -1 : 1,
                 sum = sign * sum_product(k);
    if (!from_x) return {sum, 0, 0, false};
    return {sum * (1 + theta), 0, sum_slack() * sum_magnitude(k), true};
  }

  Due at(compare::Output output, const data::ExactChannel& k, std::size_t i, double theta) const {
    switch (output) {
      case compare::Output::mean:
        return {k.mean};
      case compare::Output::variance:
        return {k.variance};
      case compare::Output::running_mean:
        return {(1 - p.momentum) * k.running_mean + p.momentum * k.mean};
      case compare::Output::dbeta:
        return {sum_dy(k)};
      case compare::Output::dgamma:
        return dgamma(k, theta);
      case compare::Output::dx:
        return dx(k, i, theta);
      default:
        return forward_element(k, i, theta, output);
    }
  }
};

constexpr double rounded_terms(compare::Output output) {
  return output == compare::Output::xhat ? 2 : output == compare::Output::dx ? 6 : 4;
}

// of u: the neighbours of 2^-K within 2 ulp
constexpr double root_steps[] = {-1, -2, 2, -3, -4, 4};
constexpr double furthest_root = 4;

/// One output's points, exact first, then with the freedom of the root.
class Search {
 public:
  Search(const data::ExactPlan& plan, const abn_claims& claims, compare::Output output,
         const std::vector<double>& got)
      : plan_(plan),
        p_(plan.problem),
        claims_(claims),
        output_(output),
        got_(got),
        formulas_{plan, claims},
        tensor_(compare::is_tensor(output)) {}

  compare::Expectation expectation() {
    out_.output = output_;
    out_.dtype = tensor_ ? p_.dtype : p_.param_dtype;
    out_.points.resize(got_.size());
    narrows_ = format().precision < problem::format_of(claims_.accumulate).precision;
    const bool backward = output_ == compare::Output::dx || output_ == compare::Output::dgamma ||
                          output_ == compare::Output::dbeta;
    by_squares_ = claims_.statistics == ABN_ONE_PASS &&
                  finds_statistics(p_, claims_, backward ? ABN_BACKWARD : ABN_FORWARD);

    // by r: the channels that are not those of 2^-K
    std::map<double, std::vector<std::size_t>> others;
    for (std::size_t c = 0; c < plan_.channels.size(); ++c)
      if (!set_exact(c) && due(c, 0, 0).of_root) others[plan_.channels[c].r].push_back(c);
    for (const auto& [r, channels] : others) excuse(channels);
    return std::move(out_);
  }

 private:
  const problem::Format& format() const { return problem::format_of(out_.dtype); }
  std::size_t count(std::size_t c) const { return tensor_ ? plan_.channels[c].dy.size() : 1; }
  std::size_t place(std::size_t c, std::size_t i) const {
    return tensor_ ? static_cast<std::size_t>(problem::sample_offset(
                         p_, static_cast<std::int64_t>(c), static_cast<std::int64_t>(i)))
                   : c;
  }
  Due due(std::size_t c, std::size_t i, double theta) const {
    return formulas_.at(output_, plan_.channels[c], i, theta);
  }
  double slack(const Due& one) const {
    return bound::gamma_of(rounded_terms(output_), formulas_.u) * one.terms + one.extra;
  }
  /// How far another root within 2 ulp can be from the exact value, before it is stored.
  double reach(const Due& one) const {
    return one.of_root ? slack(one) + furthest_root * formulas_.u * std::fabs(one.value) : 0;
  }
  bool is_absorbed(const Due& one) const {
    return narrows_ && reach(one) < problem::ulp_of(format(), one.value) / 2;
  }

  /// The nearest value of the format; where storing hides the root, either neighbour of a middle
  /// that lies within its reach.
  double stored(const Due& one, double got) const {
    const double nearest = problem::round_to(format(), one.value);
    if (got == nearest || !narrows_ || !is_absorbed(one)) return nearest;
    const double low = problem::round_to(format(),
                                         std::nextafter(one.value - reach(one), -bound::infinity)),
                 high = problem::round_to(format(),
                                          std::nextafter(one.value + reach(one), bound::infinity));
    return got == low ? low : got == high ? high : nearest;
  }

  /// Does the channel have these bits?
  bool set_exact(std::size_t c) {
    const bool released = by_squares_ && !plan_.channels[c].one_pass,
               leaky_z = output_ == compare::Output::z && !problem::phi_of(p_).linear();
    bool exact = true;
    for (std::size_t i = 0; i < count(c); ++i) {
      compare::Point& point = out_.points[place(c, i)];
      point.hi = stored(due(c, i, 0), got_[place(c, i)]);
      point.fit_bound =
          bound::infinity;  // whether a kernel is fit is asked where results are rounded
      point.rule = released  ? compare::Rule::anything
                   : leaky_z ? compare::Rule::signed_bounded
                             : compare::Rule::bounded;
      exact = exact && (released || got_[place(c, i)] == point.hi);
    }
    return exact;
  }

  /// The same numbers have to have the same result, whatever the root.
  bool is_consistent(std::size_t c) const {
    const data::ExactChannel& channel = plan_.channels[c];
    std::map<std::pair<std::int32_t, std::int32_t>, double> seen;
    for (std::size_t i = 0; i < count(c) && tensor_; ++i) {
      const std::pair key{channel.deviation[i], output_ == compare::Output::dx ? channel.dy[i] : 0};
      const double got = got_[place(c, i)];
      if (seen.try_emplace(key, got).first->second != got) return false;
    }
    return true;
  }

  double bound(const Due& one) const {
    return slack(one) + (narrows_ ? problem::ulp_of(format(), one.value) / 2 : 0);
  }

  bool explains(double theta, std::size_t c) const {
    for (std::size_t i = 0; i < count(c); ++i) {
      const Due one = due(c, i, theta);
      if (!(std::fabs(got_[place(c, i)] - one.value) <= bound(one))) return false;
    }
    return true;
  }

  /// Gives channels of one K the points of the root that explains all of them, if there is one.
  void excuse(const std::vector<std::size_t>& channels) {
    for (const std::size_t c : channels)
      if (!is_consistent(c)) return;
    for (const double steps : root_steps) {
      const double theta = steps * formulas_.u;
      if (!std::all_of(channels.begin(), channels.end(),
                       [&](std::size_t c) { return explains(theta, c); }))
        continue;
      for (const std::size_t c : channels)
        for (std::size_t i = 0; i < count(c); ++i) {
          const Due one = due(c, i, theta);
          out_.points[place(c, i)].hi = one.value;
          out_.points[place(c, i)].bound = bound(one);
        }
      return;
    }
  }

  const data::ExactPlan& plan_;
  const abn_problem& p_;
  const abn_claims& claims_;
  compare::Output output_;
  const std::vector<double>& got_;
  Formulas formulas_;
  bool tensor_, narrows_ = false, by_squares_ = false;
  compare::Expectation out_;
};

}  // namespace

bool finds_statistics(const abn_problem& problem, const abn_claims& claims, int direction) {
  if (problem.mode != ABN_TRAINING) return false;
  if (direction == ABN_FORWARD) return true;
  constexpr std::uint32_t both = ABN_SAVES_MEAN | ABN_SAVES_VAR;
  const bool reads_x = claims.scheme == ABN_STANDARD || claims.scheme == ABN_CHECKPOINT_X;
  return reads_x && (claims.saves & both) != both;
}

problem::Saved exact_saved(const data::ExactPlan& plan, const abn_claims& claims) {
  const abn_problem& p = plan.problem;
  const Formulas formulas{plan, claims};
  const auto kept = [&](std::uint32_t flag) { return (claims.saves & flag) != 0; };
  problem::Saved saved;
  const auto elements = static_cast<std::size_t>(problem::element_count(p));
  if (kept(ABN_SAVES_Z)) saved.z.resize(elements);
  if (kept(ABN_SAVES_XHAT)) saved.xhat.resize(elements);
  for (std::size_t c = 0; c < plan.channels.size(); ++c) {
    const data::ExactChannel& channel = plan.channels[c];
    for (std::size_t i = 0; i < channel.dy.size(); ++i) {
      const auto at = static_cast<std::size_t>(
          problem::sample_offset(p, static_cast<std::int64_t>(c), static_cast<std::int64_t>(i)));
      if (kept(ABN_SAVES_Z))
        saved.z[at] = formulas.forward_element(channel, i, 0, compare::Output::z).value;
      if (kept(ABN_SAVES_XHAT)) saved.xhat[at] = formulas.xhat(channel, i);
    }
    if (p.mode != ABN_TRAINING) continue;
    if (kept(ABN_SAVES_MEAN)) saved.mean.push_back(channel.mean);
    if (kept(ABN_SAVES_VAR)) saved.variance.push_back(channel.variance);
  }
  return saved;
}

compare::Expectation exact_expectation(const data::ExactPlan& plan, const abn_claims& claims,
                                       compare::Output output, const std::vector<double>& got) {
  return Search(plan, claims, output, got).expectation();
}

}  // namespace abn::verify::check::exact
