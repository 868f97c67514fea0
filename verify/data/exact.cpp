// Finding A and K in eps, and the numbers of a channel that keep within the bits.
#include "verify/data/exact.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>

#include "verify/data/random.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::data {
namespace {

/// eps + q (A 2^unit)^2 = 4^root
struct Solution {
  std::int64_t a = 1;
  int unit = 0, root = 0;
};

// These keep every number within f16's range: x is below 2^15, and so are dx and, for |dy| < 2^10,
// dy/slope.
constexpr int smallest_root = -2, largest_root = 6;
constexpr int smallest_unit = -14, largest_unit = 4;  // log2(u)
// of M: products with momentum take further bits
constexpr double largest_mean = 0x1p20;
constexpr double smallest_slope = 0x1p-6, largest_slope = 0x1p6;

bool is_power_of_two(double value) {
  int exponent = 0;
  return value > 0 && std::isfinite(value) && std::frexp(value, &exponent) == 0.5;
}

bool is_slope(double value) {
  return is_power_of_two(value) && value >= smallest_slope && value <= largest_slope;
}

bool holds(int dtype, double value) {
  return problem::round_to(problem::format_of(dtype), value) == value;
}

// q
std::int64_t factor_of(const abn_problem& problem) {
  return problem::sample_count(problem) % 2 == 0 ? 1 : 2;
}
// max|e_i|
std::int64_t largest_step(const abn_problem& problem) {
  return problem::sample_count(problem) % 2 == 0 ? 1 : 2;
}

/// For which a channel with A = 1 fits everywhere.
double usual_eps(const abn_problem& problem) { return factor_of(problem) == 1 ? 0.75 : 0.5; }

/// The bits that sums have: of f32, in which 16-bit types are added up, or of f64.
double room(const abn_problem& problem) {
  return std::ldexp(1.0, problem::format_of(problem::wide_type_of(problem.dtype)).precision);
}
double storage_room(const abn_problem& problem) {
  return std::ldexp(1.0, std::min(problem::format_of(problem.dtype).precision,
                                  problem::format_of(problem.param_dtype).precision));
}

std::vector<Solution> solutions_of(const abn_problem& p) {
  std::vector<Solution> found;
  const double q = static_cast<double>(factor_of(p)),
               m = static_cast<double>(problem::sample_count(p));
  for (int root = smallest_root; root <= largest_root; ++root) {
    const double whole = std::ldexp(1.0, 2 * root), rest = (whole - p.eps) / q;
    if (!(rest > 0) || whole - rest * q != p.eps) continue;
    const double a = std::sqrt(rest);
    if (a * a != rest || std::fma(a, a, -rest) != 0) continue;
    int exponent = 0;
    double odd = std::frexp(a, &exponent);
    while (odd != std::floor(odd)) odd *= 2, --exponent;
    constexpr double deepest = 0x1p20;
    if (odd > deepest || exponent < smallest_unit || exponent > largest_unit) continue;
    const bool fits = m * q * odd * odd <= room(p) &&
                      static_cast<double>(2 * largest_step(p)) * odd <= storage_room(p) &&
                      holds(p.param_dtype, q * rest);
    if (fits) found.push_back({static_cast<std::int64_t>(odd), exponent, root});
  }
  return found;
}

/// e_i in a random order, the last one not 0.
std::vector<std::int32_t> steps(std::int64_t m, const Stream& draw) {
  std::vector<std::int32_t> out;
  const auto add = [&](std::initializer_list<std::int32_t> block) { out.insert(out.end(), block); };
  // Blocks of three, which leave no e that only one sample has; five samples have no room for three
  // of them.
  for (std::int64_t count = m % 4 == 3 ? 1 : m % 4 == 1 && m > 5 ? 3 : 0; count > 0; --count)
    add({2, -1, -1});
  if (m == 5) add({-2, -1, 0, 1, 2});
  while (static_cast<std::int64_t>(out.size()) < m) {
    if (m % 2 == 0)
      add({1, -1});
    else
      add({2, 0, -2, 0});
  }
  for (std::size_t i = out.size() - 1; i > 0; --i) std::swap(out[i], out[draw.below(i + 1, i)]);
  // The sample that a kernel leaves out most easily must not be one that adds nothing.
  std::swap(out.back(),
            *std::find_if(out.begin(), out.end(), [](std::int32_t e) { return e != 0; }));
  return out;
}

/// t', q0 and the largest |w_i| of a channel, from much to little; the first that fits is taken.
struct Gradient {
  std::int64_t slope, mean, spread;
};
constexpr std::array gradients{Gradient{16, 5, 900}, Gradient{8, 3, 90}, Gradient{4, 3, 20},
                               Gradient{4, 3, 8},    Gradient{2, 1, 4},  Gradient{1, 1, 2},
                               Gradient{1, 1, 0},    Gradient{0, 3, 99}, Gradient{0, 1, 4},
                               Gradient{0, 1, 0}};

/// The sizes of a channel that its sums depend on.
struct Sizes {
  std::int64_t a, reach, offset;  // A, max|deviation|, |B|
  int depth;                      // k
};

bool fits(const abn_problem& p, const Sizes& sizes, const Gradient& gradient) {
  const auto number = [](std::int64_t v) { return static_cast<double>(v); };
  const double m = number(problem::sample_count(p)), t = number(gradient.slope * factor_of(p));
  const double largest = number(gradient.mean + gradient.slope * largest_step(p) + gradient.spread);
  const double reach = number(sizes.reach + sizes.offset);
  if (largest > storage_room(p) || m * largest * reach > room(p)) return false;
  const int zeros =
      gradient.slope == 0
          ? 2 * sizes.depth
          : std::countr_zero(static_cast<std::uint64_t>(gradient.slope * factor_of(p)));
  const double unit = std::ldexp(1.0, std::min(0, zeros - 2 * sizes.depth));
  return m * (largest + number(gradient.mean) +
              std::ldexp(t * number(sizes.a) * reach, -2 * sizes.depth)) <=
         room(p) * unit;
}

void add_gradients(ExactChannel& channel, const abn_problem& p, const Sizes& sizes,
                   const std::vector<std::int32_t>& e, const Stream& draw) {
  const auto* const gradient = std::find_if(
      gradients.begin(), gradients.end(), [&](const Gradient& one) { return fits(p, sizes, one); });
  if (gradient == gradients.end())
    throw problem::UsageError(
        fmt::format("{} has more samples a channel than exact sums have bits for; make it smaller",
                    problem::to_string(p)));
  channel.mean_dy = draw.sign(0) < 0 ? -gradient->mean : gradient->mean;
  const std::int64_t slope = draw.sign(1) < 0 ? -gradient->slope : gradient->slope;
  channel.gradient_unit = std::ldexp(1.0, -static_cast<int>(draw.below(4, 2)));
  // A few w only, so that samples are alike: whatever a kernel's root is, they then have the same
  // result.
  const auto most = static_cast<std::int32_t>(gradient->spread),
             less = static_cast<std::int32_t>(
                 draw.fork(1).below(static_cast<std::uint64_t>(most) + 1, 0));
  const std::array spreads{most, -most, less, -less};
  // of each e, the sample whose w has no partner yet
  std::array<std::int64_t, 5> waiting{-1, -1, -1, -1, -1};
  channel.dy.resize(e.size());
  for (std::size_t i = 0; i < e.size(); ++i) {
    channel.dy[i] = static_cast<std::int32_t>(channel.mean_dy + slope * e[i]);
    std::int64_t& other = waiting[static_cast<std::size_t>(e[i] + 2)];
    if (other < 0) {
      other = static_cast<std::int64_t>(i);
      continue;
    }
    const std::int32_t w = spreads[draw.below(spreads.size(), i + 3)];
    channel.dy[i] += w;
    channel.dy[static_cast<std::size_t>(other)] -= w;
    other = -1;
  }
  for (std::size_t i = 0; i < e.size(); ++i) {
    const std::int64_t product =
        std::int64_t{channel.dy[i]} * (channel.deviation[i] - channel.shift);
    channel.products += product;
    channel.magnitudes += std::abs(product);
  }
}

/// g = +-2^j and the gamma that gives it: under abs_eps +-(2^j - eps).
void add_scale(ExactChannel& channel, const abn_problem& p, bool affine, const Stream& draw) {
  if (!affine) return;
  double g = std::ldexp(1.0, static_cast<int>(draw.below(4, 0)) - 1);
  const double sign = draw.sign(1);
  if (p.scale == ABN_SCALE_SIGNED) {
    channel.gamma = channel.g = sign * g;
    return;
  }
  if (g < p.eps || !holds(p.param_dtype, g - p.eps)) {
    g = 1;  // the next power of two above eps: the difference has no more bits than eps
    while (g < p.eps) g *= 2;
    while (g / 2 >= p.eps && p.eps > 0) g /= 2;
  }
  channel.g = g;
  channel.gamma = sign * (g - p.eps);
}

/// Is e A - d + B = 0, which is y in units of g u r, for an e that may occur?
bool vanishes(const abn_problem& p, std::int64_t a, std::int64_t shift, std::int64_t offset) {
  for (std::int64_t e = -largest_step(p); e <= largest_step(p); e += largest_step(p) == 1 ? 2 : 1)
    if (e * a - shift + offset == 0) return true;
  return false;
}

/// M, d and B.
struct Place {
  std::int64_t mean = 0, shift = 0, offset = 0;
  bool one_pass = true;
};

/// The largest |M| is that of the one-pass variance, in every fourth channel that of the plain sum;
/// and what the storage type holds.
Place place_of(const abn_problem& p, std::int64_t a, bool affine, std::int64_t c,
               const Stream& draw) {
  Place place;
  place.shift = static_cast<std::int64_t>(draw.below(5, 0)) - 2;
  const bool odd = problem::sample_count(p) % 2 == 1;
  if (!affine) place.shift = 0;
  if (odd && (!affine || c % 3 == 2)) return {};  // y is 0 where x is
  const std::int64_t reach = largest_step(p) * a + std::abs(place.shift);

  const double sum =
                   std::min(room(p) / static_cast<double>(problem::sample_count(p)), largest_mean),
               square = std::floor(std::sqrt(sum));
  const auto within = [&](double limit) {
    return static_cast<std::int64_t>(std::min(limit, storage_room(p))) - reach;
  };
  place.one_pass = c % 4 != 3 && within(square) >= 0;
  const std::int64_t largest = std::max<std::int64_t>(within(place.one_pass ? square : sum), 0);
  place.mean = static_cast<std::int64_t>(draw.below(static_cast<std::uint64_t>(largest) + 1, 1)) *
               (draw.sign(2) < 0 ? -1 : 1);
  if (!affine) return place;

  const std::int64_t most =
      std::min<std::int64_t>(2 * a + 3, static_cast<std::int64_t>(storage_room(p)) - reach);
  const std::int64_t wanted =
      static_cast<std::int64_t>(draw.below(2 * static_cast<std::uint64_t>(most) + 1, 3)) - most;
  const std::int64_t shift = p.mode == ABN_TRAINING ? 0 : place.shift;
  // The nearest that leaves no y at 0.
  for (std::int64_t turn = 0;; ++turn) {
    place.offset = wanted + (turn % 2 == 0 ? turn / 2 : -(turn + 1) / 2);
    if (std::abs(place.offset) <= most && !vanishes(p, a, shift, place.offset)) return place;
  }
}

ExactChannel channel_of(const abn_problem& p, const std::vector<Solution>& solutions, bool affine,
                        std::int64_t c, const Stream& draw) {
  const Solution& solution = solutions[draw.below(solutions.size(), 0)];
  const Place place = place_of(p, solution.a, affine, c, draw.fork(4));
  const bool given = p.mode != ABN_TRAINING;
  ExactChannel channel;
  channel.unit = std::ldexp(1.0, solution.unit);
  channel.one_pass = place.one_pass;
  if (given) channel.shift = place.shift;
  channel.mean = channel.unit * static_cast<double>(place.mean);
  channel.variance =
      static_cast<double>(factor_of(p) * solution.a * solution.a) * channel.unit * channel.unit;
  channel.running_mean = channel.unit * static_cast<double>(place.mean + place.shift);
  int root = solution.root + static_cast<int>(draw.below(2, 1));
  if (!holds(p.param_dtype, std::ldexp(1.0, 2 * root) - p.eps)) root = solution.root;
  channel.running_var = std::ldexp(1.0, 2 * root) - p.eps;
  channel.r = std::ldexp(1.0, given ? -root : -solution.root);
  add_scale(channel, p, affine, draw.fork(1));
  // never -0
  channel.beta = channel.g * channel.unit * channel.r * static_cast<double>(place.offset) + 0.0;

  const double slope = std::min(problem::phi_of(p).lambda, 1.0);
  if (std::fabs(channel.g) * channel.unit * channel.r * slope <
      problem::format_of(p.dtype).smallest_subnormal)
    throw problem::UsageError(
        fmt::format("{} cannot hold z for exact data with eps {}; take a larger eps, such as {}",
                    problem::dtype_name(p.dtype), p.eps, usual_eps(p)));

  const std::vector<std::int32_t> e = steps(problem::sample_count(p), draw.fork(2));
  for (const std::int32_t one : e)
    channel.deviation.push_back(static_cast<std::int32_t>(one * solution.a));
  const std::int64_t reach = largest_step(p) * solution.a + std::abs(place.shift);
  add_gradients(channel, p,
                {solution.a, reach, std::abs(place.offset), solution.root - solution.unit}, e,
                draw.fork(3));
  return channel;
}

[[noreturn]] void refuse_count(std::int64_t m) {
  std::int64_t other = m;
  while (!has_exact_reciprocal(other)) ++other;
  throw problem::UsageError(
      fmt::format("1/{} is too far from its rounded value for exact data; take {} samples a "
                  "channel, for example",
                  m, other));
}

}  // namespace

bool is_exact_data(std::string_view data) { return data == exact_data; }

bool has_exact_reciprocal(std::int64_t m) {
  const auto good = [](double count, double reciprocal, const problem::Format& format) {
    return std::fabs(std::fma(count, reciprocal, -1.0)) <= format.unit_roundoff / 2;
  };
  const auto count = static_cast<double>(m);
  return good(count, 1.0F / static_cast<float>(m), problem::format_of(ABN_F32)) &&
         good(count, 1 / count, problem::format_of(ABN_F64));
}

bool has_exact_channels(const abn_problem& problem) { return !solutions_of(problem).empty(); }

ExactPlan exact_plan(const abn_problem& problem, std::uint64_t seed) {
  const std::int64_t m = problem::sample_count(problem);
  if (problem::activation_of(problem).needs_functions() ||
      !problem::activation_of(problem).has_inverse())
    throw problem::UsageError(
        "Only a phi' that is a power of two everywhere is exact; exact data needs the identity or "
        "a "
        "leaky ReLU, such as leaky_relu:0.25");
  if (problem::activation_of(problem).has_parameter() && !is_slope(problem.activation_parameter))
    throw problem::UsageError(
        fmt::format("The slope {} is not a power of two near 1; exact data needs one, such as 0.25",
                    problem.activation_parameter));
  if (m < 2)
    throw problem::UsageError("Exact data needs two samples a channel; give more images or pixels");
  if (!has_exact_reciprocal(m)) refuse_count(m);
  const std::vector<Solution> solutions = solutions_of(problem);
  if (solutions.empty())
    throw problem::UsageError(
        fmt::format("There is no a of few bits for which {}a^2 + {} is a power of 4; take for "
                    "example eps:{}, or fewer samples a channel",
                    factor_of(problem) == 1 ? "" : "2", problem.eps, usual_eps(problem)));
  ExactPlan plan;
  plan.problem = problem;
  const Stream root = Stream(seed).fork(11);
  constexpr std::uint64_t no_affine_every = 5;
  plan.affine = seed % no_affine_every != no_affine_every - 1;
  for (std::int64_t c = 0; c < problem.c; ++c)
    plan.channels.push_back(
        channel_of(problem, solutions, plan.affine, c, root.fork(static_cast<std::uint64_t>(c))));
  return plan;
}

problem::Inputs exact_inputs(const ExactPlan& plan) {
  const abn_problem& p = plan.problem;
  problem::Inputs inputs;
  inputs.problem = p;
  inputs.affine = plan.affine;
  inputs.x.resize(static_cast<std::size_t>(problem::element_count(p)));
  inputs.dz.resize(inputs.x.size());
  for (std::size_t c = 0; c < plan.channels.size(); ++c) {
    const ExactChannel& channel = plan.channels[c];
    inputs.running_mean.push_back(channel.running_mean);
    inputs.running_var.push_back(channel.running_var);
    if (plan.affine) {
      inputs.gamma.push_back(channel.gamma);
      inputs.beta.push_back(channel.beta);
    }
    for (std::size_t i = 0; i < channel.dy.size(); ++i) {
      const auto at = static_cast<std::size_t>(
          problem::sample_offset(p, static_cast<std::int64_t>(c), static_cast<std::int64_t>(i)));
      const double from_mean =
          channel.unit * static_cast<double>(channel.deviation[i] - channel.shift);
      const double y = channel.g * (channel.r * from_mean) + channel.beta;
      inputs.x[at] = channel.mean + channel.unit * channel.deviation[i];
      inputs.dz[at] = channel.gradient_unit * channel.dy[i];
      inputs.dz[at] /= problem::phi_of(p).derivative(y);
    }
  }
  return inputs;
}

}  // namespace abn::verify::data
