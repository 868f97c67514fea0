// The changes, and how they keep a case legal: values of their type, finite, and a problem that a
// kernel may be asked.
#include "verify/run/hunt_step.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include "verify/data/given.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::run {
namespace {

constexpr double epses[] = {1e-5, 1e-3, 1e-1, 1e-8}, momenta[] = {0.1, 0.01, 1, 0.5};
constexpr std::uint64_t readable_seeds = 1'000'000'000;

template <class Table>
constexpr auto turn(const Table& table, std::uint64_t index) {
  return table[index % std::size(table)];
}

double fitted(const problem::Format& format, double value) {
  return std::clamp(problem::round_to(format, value), -format.largest, format.largest);
}

/// One channel of a case under change.
class Channel {
 public:
  Channel(problem::Inputs& inputs, std::int64_t c)
      : in_(inputs),
        p_(inputs.problem),
        c_(c),
        m_(problem::sample_count(p_)),
        storage_(problem::format_of(p_.dtype)),
        parameter_(problem::format_of(p_.param_dtype)) {}

  std::int64_t size() const { return m_; }
  double& x(std::int64_t i) { return in_.x[at(i)]; }
  double& dz(std::int64_t i) { return in_.dz[at(i)]; }

  struct Place {
    double mean = 0, sigma = 0;
  };
  Place place() {
    Place place;
    for (std::int64_t i = 0; i < m_; ++i) place.mean += x(i) / static_cast<double>(m_);
    for (std::int64_t i = 0; i < m_; ++i)
      place.sigma += (x(i) - place.mean) * (x(i) - place.mean) / static_cast<double>(m_);
    place.sigma = std::sqrt(place.sigma);
    return place;
  }
  template <class Change>
  void each_x(const Change& change) {
    for (std::int64_t i = 0; i < m_; ++i) x(i) = fitted(storage_, change(x(i), i));
  }
  template <class Change>
  void each_dz(const Change& change) {
    for (std::int64_t i = 0; i < m_; ++i) dz(i) = fitted(storage_, change(dz(i), i));
  }
  void set_gamma(double value) {
    if (in_.affine) in_.gamma[index()] = fitted(parameter_, value);
  }
  void set_beta(double value) {
    if (in_.affine) in_.beta[index()] = fitted(parameter_, value);
  }
  double gamma() const { return in_.affine ? in_.gamma[index()] : 1; }
  /// Running statistics near those of the batch, so that what has frozen ones meets the same
  /// numbers.
  void follow(const data::Stream& draw) {
    const Place now = place();
    in_.running_mean[index()] = fitted(parameter_, now.mean + 0.3 * now.sigma * draw.normal(0));
    in_.running_var[index()] =
        fitted(parameter_, now.sigma * now.sigma * draw.uniform(0.5, 1.5, 1));
  }
  void change(const data::Stream& draw);

 private:
  std::size_t index() const { return static_cast<std::size_t>(c_); }
  std::size_t at(std::int64_t i) const {
    return static_cast<std::size_t>(problem::sample_offset(p_, c_, i));
  }
  void change_value(std::vector<double>& values, const data::Stream& draw);

  problem::Inputs& in_;
  const abn_problem& p_;
  std::int64_t c_, m_;
  const problem::Format &storage_, &parameter_;
};

/// One value: a neighbour, another bit of its fraction, a spike, a zero, or a copy of another.
void Channel::change_value(std::vector<double>& values, const data::Stream& draw) {
  const auto any = [&](std::uint64_t label) {
    return at(static_cast<std::int64_t>(draw.below(static_cast<std::uint64_t>(m_), label)));
  };
  double& value = values[any(0)];
  switch (draw.below(6, 1)) {
    case 0:
      value = fitted(storage_, value + draw.sign(2) * problem::ulp_of(storage_, value));
      return;
    case 1:
      value =
          fitted(storage_, value + draw.sign(2) * std::ldexp(problem::ulp_of(storage_, value),
                                                             static_cast<int>(draw.below(10, 3))));
      return;
    case 2:
      value = fitted(storage_, value * draw.power_of_two(-8, 8, 2));
      return;
    case 3:
      value = draw.below(2, 2) == 0 ? 0.0 : -0.0;
      return;
    case 4:
      value = values[any(2)];
      return;
    default:
      value = -value;
  }
}

void Channel::change(const data::Stream& draw) {
  const Place now = place();
  const double sigma = now.sigma > 0 ? now.sigma : std::max(std::fabs(now.mean), 1.0);
  switch (draw.below(16, 0)) {
    case 0:  // another kappa
    case 1: {
      const double mean =
          draw.sign(1) * sigma * draw.power_of_two(-3, std::min(storage_.precision - 1, 20), 2);
      each_x([&](double x, std::int64_t) { return x - now.mean + mean; });
      return follow(draw.fork(1));
    }
    case 2: {  // another spread
      const double factor = draw.power_of_two(-6, 6, 1);
      each_x([&](double x, std::int64_t) { return now.mean + factor * (x - now.mean); });
      return follow(draw.fork(1));
    }
    case 3: {  // another scale of everything
      const double factor = draw.power_of_two(-8, 8, 1);
      each_x([&](double x, std::int64_t) { return factor * x; });
      return follow(draw.fork(1));
    }
    case 4:
      return set_gamma(draw.below(2, 1) == 0 ? gamma() * draw.power_of_two(-2, 2, 2)
                                             : draw.sign(2) * draw.power_of_two(-14, 5, 3));
    case 5:
      return set_beta(draw.below(6, 1) == 0
                          ? 0
                          : draw.sign(2) * std::fabs(gamma()) * draw.power_of_two(-3, 14, 3));
    case 6: {
      const double factor = draw.sign(1) * draw.power_of_two(-8, 4, 2);
      return each_dz([&](double dz, std::int64_t) { return factor * dz; });
    }
    case 7: {  // dz along xhat, or less so
      const double along = draw.uniform(-2, 2, 1),
                   size = std::fabs(dz(0)) > 0 ? std::fabs(dz(0)) : 1;
      return each_dz(
          [&](double dz, std::int64_t i) { return dz + along * size * (x(i) - now.mean) / sigma; });
    }
    case 8: {  // a mean of dz
      const double shift = draw.uniform(-4, 4, 1) * (std::fabs(dz(0)) > 0 ? std::fabs(dz(0)) : 1);
      return each_dz([&](double dz, std::int64_t) { return dz + shift; });
    }
    case 9: {  // sums whose exact value is nothing
      double mean = 0;
      for (std::int64_t i = 0; i < m_; ++i) mean += dz(i) / static_cast<double>(m_);
      return each_dz([&](double dz, std::int64_t) { return dz - mean; });
    }
    case 10: {
      std::vector<double> values;
      for (std::int64_t i = 0; i < m_; ++i) values.push_back(x(i));
      std::sort(values.begin(), values.end());
      if (draw.below(2, 1) == 0) std::reverse(values.begin(), values.end());
      return each_x([&](double, std::int64_t i) { return values[static_cast<std::size_t>(i)]; });
    }
    case 11:  // a large one first, and ones that it swallows
      each_x(
          [&](double x, std::int64_t i) { return i == 0 ? x : x * draw.power_of_two(-24, -8, 1); });
      return follow(draw.fork(1));
    default: {
      const std::uint64_t times = 1 + draw.below(4, 1);
      for (std::uint64_t k = 0; k < times; ++k)
        change_value(draw.below(2, 2 + k) == 0 ? in_.x : in_.dz, draw.fork(k));
    }
  }
}

/// The numbers of `from` in a problem of other sizes: samples and channels repeat where there are
/// more of them.
problem::Inputs resized(const problem::Inputs& from, abn_problem problem) {
  problem::Inputs out;
  out.problem = problem;
  out.affine = from.affine;
  const auto elements = static_cast<std::size_t>(problem::element_count(problem));
  out.x.resize(elements);
  out.dz.resize(elements);
  const std::int64_t m = problem::sample_count(problem),
                     old_m = problem::sample_count(from.problem);
  for (std::int64_t c = 0; c < problem.c; ++c) {
    const std::int64_t old_c = c % from.problem.c;
    for (std::int64_t i = 0; i < m; ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(problem, c, i)),
                 old = static_cast<std::size_t>(
                     problem::sample_offset(from.problem, old_c, i % old_m));
      out.x[at] = from.x[old];
      out.dz[at] = from.dz[old];
    }
    const auto k = static_cast<std::size_t>(old_c);
    if (out.affine) out.gamma.push_back(from.gamma[k]), out.beta.push_back(from.beta[k]);
    out.running_mean.push_back(from.running_mean[k]);
    out.running_var.push_back(from.running_var[k]);
  }
  return out;
}

void change_problem(problem::Inputs& inputs, const data::Stream& draw) {
  abn_problem p = inputs.problem;
  const problem::Format& parameter = problem::format_of(p.param_dtype);
  switch (draw.below(8, 0)) {
    case 0:
      problem::draw_varied(p, static_cast<int>(draw.below(problem::invertible_count, 1)),
                           draw.bits(2));
      break;
    case 1:
      p.eps = problem::round_to(parameter, turn(epses, draw.bits(1)));
      break;
    case 2:
      p.mode = static_cast<int>(draw.below(3, 1));
      break;
    case 3:
      p.scale = p.scale == ABN_SCALE_SIGNED ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
      break;
    case 4:
      p.momentum = problem::round_to(parameter, turn(momenta, draw.bits(1)));
      break;
    case 5:
      p.c = 1 + static_cast<std::int64_t>(draw.below(4, 1));
      break;
    case 6:
      p.s = draw.below(2, 1) == 0 ? 2 * p.s : std::max<std::int64_t>(1, p.s / 2);
      break;
    default:
      p.s = std::max<std::int64_t>(1, p.s + static_cast<std::int64_t>(draw.below(5, 1)) - 2);
  }
  if (p.mode == ABN_TRAINING && p.n * p.s < 2) p.n = 2;
  while (p.c > 1 && problem::element_count(p) > hunt_elements) --p.c;
  if (problem::element_count(p) > hunt_elements) return;
  inputs = resized(inputs, p);
}

}  // namespace

data::Case given_case(const abn_problem& problem, problem::Inputs inputs, std::uint64_t seed) {
  data::Case out;
  out.problem = problem;
  out.seed = seed;
  out.data = data::given_text(inputs);
  out.given = std::make_shared<const problem::Inputs>(std::move(inputs));
  return out;
}

data::Case fresh_case(int dtype, int layout, const data::Stream& draw) {
  abn_problem p{};
  p.struct_size = sizeof p;
  p.dtype = dtype, p.layout = layout;
  p.param_dtype = problem::wide_type_of(dtype);
  p.n = 1 + static_cast<std::int64_t>(draw.below(4, 0));
  p.c = 1 + static_cast<std::int64_t>(draw.below(3, 1));
  constexpr std::int64_t lengths[] = {1, 2, 3, 5, 8, 16, 31, 64, 80};
  p.s = turn(lengths, draw.bits(2));
  // Most of what there is to find is in training.
  constexpr int modes[] = {ABN_TRAINING, ABN_TRAINING, ABN_TRAINING, ABN_FROZEN, ABN_INFERENCE};
  p.mode = turn(modes, draw.bits(3));
  if (p.mode == ABN_TRAINING && p.n * p.s < 2) p.n = 2;
  const problem::Format& parameter = problem::format_of(p.param_dtype);
  problem::draw_varied(p, static_cast<int>(draw.below(problem::invertible_count, 4)), draw.bits(5));
  p.eps = problem::round_to(parameter, turn(epses, draw.bits(6)));
  p.momentum = problem::round_to(parameter, turn(momenta, draw.bits(7)));
  p.scale = static_cast<int>(draw.below(2, 8));
  const auto names = data::recipes().first(data::walked_recipes);
  return given_case(p, data::make_inputs(p, names[draw.below(names.size(), 9)].name, draw.bits(10)),
                    draw.below(readable_seeds, 11));
}

data::Case changed_case(const data::Case& from, bool same_problem, const data::Stream& draw) {
  problem::Inputs inputs = data::inputs_of(from);
  const std::uint64_t changes = 1 + draw.below(3, 0);
  for (std::uint64_t k = 0; k < changes; ++k) {
    const data::Stream one = draw.fork(k);
    const bool can_change = !same_problem && problem::element_count(inputs.problem) > 0;
    if (can_change && one.below(5, 0) == 0) {
      change_problem(inputs, one.fork(0));
    } else if (problem::element_count(inputs.problem) > 0) {
      const auto c =
          static_cast<std::int64_t>(one.below(static_cast<std::uint64_t>(inputs.problem.c), 1));
      Channel(inputs, c).change(one.fork(1));
    }
  }
  const abn_problem problem = inputs.problem;
  return given_case(problem, std::move(inputs), draw.below(readable_seeds, 1));
}

}  // namespace abn::verify::run
