// The recipes: a plan for each channel (where its samples lie, its parameters, its gradient), then
// the samples.
#include "verify/data/recipes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "verify/data/channel_plan.hpp"
#include "verify/data/extremes.hpp"
#include "verify/data/random.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::data {
namespace {

enum class Kind {
  standard,
  large_mean,
  tiny_gamma,
  mixed_gamma,
  large_beta,
  constant,
  zeros,
  spikes,
  subnormals,
  special,
  saturating,
  no_affine,
  kinks,
  extremes
};

constexpr std::array recipe_table{
    Recipe{"standard", "moderate mean, spread, gamma and beta, every channel different"},
    Recipe{"large_mean", "|mean|/sigma from 1000 up to what the storage type can still resolve"},
    Recipe{"tiny_gamma", "gamma of either sign from 2^-14 to 2^-8"},
    Recipe{"mixed_gamma",
           "gamma of both signs from 1/8 to 4, and one that is exactly 0 where there are two "
           "channels or more"},
    Recipe{"large_beta", "|beta|/|gamma| from 16 to 1024, which the in-place inversion amplifies"},
    Recipe{"constant", "every other channel holds one value only, so its variance is 0"},
    Recipe{"zeros",
           "exact zeros in x and dz; in half the channels mean and beta are 0, so y is exactly 0"},
    Recipe{"spikes",
           "one sample in 64 is up to 1000 times larger than the others; so are the first and the "
           "last"},
    Recipe{"subnormals",
           "x of every other channel and dz of the rest are subnormal in the storage type"},
    Recipe{"special", "NaN and infinities in x or dz of some channels, the others clean"},
    Recipe{"saturating",
           "y far below zero in half the channels (ELU saturates), at or near underflow in the "
           "rest (leaky ReLU loses the value, not the "
           "sign)"},
    Recipe{"no_affine", "gamma and beta are null"},
    Recipe{"kinks",
           "y exactly at 0, 3, -3 or 6 in some samples of half the channels, and beside it in the "
           "others; up to some 200 either way in the rest, where exponentials overflow"},
    Recipe{"extremes",
           "a number at the end of its range in each channel: clamped, flushed or lost by a kernel "
           "that is not made for it (abn-verify explain ranges)"},
};

/// The streams of a case; a tensor's numbers stay the same when another tensor needs more of them.
enum Label : std::uint64_t { plan_label, x_label, dz_label, running_label, case_label };

ChannelPlan plan_channel(Kind kind, const abn_problem& problem, const Stream& root,
                         std::uint64_t seed, std::int64_t c) {
  const Stream draw = root.fork(plan_label).fork(static_cast<std::uint64_t>(c));
  const problem::Format& storage = problem::format_of(problem.dtype);
  const problem::Format& parameter = problem::format_of(problem.param_dtype);
  const bool even = (static_cast<std::uint64_t>(c) + seed) % 2 == 0;
  ChannelPlan plan;
  plan.mean = 0.5 * draw.normal(0);
  plan.sigma = draw.power_of_two(-1, 1, 1);
  plan.gamma = 1 + 0.2 * draw.normal(2);
  plan.beta = 0.3 * draw.normal(3);
  switch (kind) {
    case Kind::standard:
    case Kind::no_affine:
    case Kind::extremes:
      break;
    case Kind::large_mean: {
      // Three bits of the storage type are left to the samples' spread; beyond 2^16 the variance of
      // f32 sums would be all error.
      const double highest =
          std::min(storage.precision - 3, problem.param_dtype == ABN_F64 ? 33 : 16);
      const double ratio = draw.power_of_two(std::min(10.0, highest - 2), highest, 4);
      plan.mean = draw.sign(5) * ratio * plan.sigma;
      break;
    }
    case Kind::tiny_gamma:
      plan.gamma = draw.sign(4) * draw.power_of_two(-14, -8, 5);
      plan.beta = plan.gamma * draw.normal(3);
      break;
    case Kind::mixed_gamma: {
      const bool zero =
          problem.c > 1 &&
          c == static_cast<std::int64_t>(
                   root.fork(case_label).below(static_cast<std::uint64_t>(problem.c), 0));
      plan.gamma = zero ? 0 : (even ? -1 : 1) * draw.power_of_two(-3, 2, 5);
      break;
    }
    case Kind::large_beta:
      plan.beta = draw.sign(4) * draw.power_of_two(4, 10, 5) * std::abs(plan.gamma);
      break;
    case Kind::constant:
      if (even) plan.sigma = 0;
      break;
    case Kind::kinks:
      if (even) {
        constexpr double at[] = {0, 3, -3, 6};
        plan.mean = 0;
        plan.on_grid = true;
        plan.beta = at[draw.below(4, 4)];
        plan.gamma = draw.sign(5) * draw.power_of_two(-3, 1, 6);
      } else {
        plan.gamma = draw.sign(5) * draw.power_of_two(4, 6, 6);
        plan.beta = draw.uniform(-10, 10, 7);
      }
      break;
    case Kind::zeros:
      plan.mean = 0;
      plan.on_grid = true;
      plan.zeros_in_dz = true;
      if (even) plan.beta = 0;
      break;
    case Kind::spikes:
      plan.spiky = true;
      break;
    case Kind::subnormals:
      if (even) {
        plan.mean = 0;
        plan.sigma = std::ldexp(1.0, storage.emin - 2);
        plan.beta = 0;
      }
      break;
    case Kind::special: {
      constexpr double nan = std::numeric_limits<double>::quiet_NaN(),
                       infinity = std::numeric_limits<double>::infinity();
      switch ((static_cast<std::uint64_t>(c) + seed) % 6) {
        case 0:
          plan.special_x = nan;
          break;
        case 2:
          plan.special_x = infinity;
          break;
        case 3:
          plan.special_x = -infinity;
          break;
        case 4:
          plan.special_dz = infinity;
          break;
        case 5:
          plan.special_dz = nan;
          break;
        default:
          break;  // clean: what its neighbours must not reach
      }
      break;
    }
    case Kind::saturating:
      if (even) {
        plan.gamma = draw.power_of_two(1, 4, 4);
        plan.beta = draw.uniform(-30, 0, 5);
      } else if (draw.below(2, 6) == 0) {
        // y of a few times the smallest number that there is: slope*y is stored as -0, and its sign
        // is all that backward has.
        plan.gamma =
            draw.sign(4) * 4 * std::max(storage.smallest_subnormal, parameter.smallest_subnormal);
        plan.beta = 0;
      } else {
        // y a little above what the storage type can hold as a normal number, so that slope*y is
        // below it; for f16 (where gamma is f32) further down.
        plan.gamma = draw.sign(4) *
                     std::ldexp(1.0, std::max(storage.emin - (storage.dtype == ABN_F16 ? 4 : 0),
                                              parameter.emin));
        plan.beta = 0;
      }
      break;
  }
  // Loss divided by the batch, as frameworks do, in every third case; half of that exponent in the
  // next. f16 would lose such gradients.
  const double batch =
      64.0 * static_cast<double>(std::max<std::int64_t>(problem::sample_count(problem), 1));
  constexpr double smallest_f16_gradient = 0x1p-8;
  const double scales[] = {1, 1 / 8.0, 1 / batch};
  plan.dz_scale = scales[root.fork(case_label).below(3, 1)];
  if (storage.dtype == ABN_F16) plan.dz_scale = std::max(plan.dz_scale, smallest_f16_gradient);
  if (kind == Kind::subnormals && !even) plan.dz_scale = std::ldexp(1.0, storage.emin - 2);

  const Stream running = root.fork(running_label).fork(static_cast<std::uint64_t>(c));
  const bool small = plan.sigma == 0 || kind == Kind::subnormals;
  const double spread = small ? 1 : plan.sigma;
  plan.running_mean = plan.on_grid && even ? 0 : plan.mean + 0.3 * spread * running.normal(0);
  plan.running_var = spread * spread * running.uniform(0.5, 1.5, 1);
  if (kind == Kind::extremes)
    extreme_channels()[extreme_row(c, seed)].change(plan, problem, draw.fork(1));
  return plan;
}

/// The samples of one channel, standardised: zero mean, unit spread.
double standardised(const ChannelPlan& plan, const Stream& draw, std::int64_t i, std::int64_t m) {
  const auto index = static_cast<std::uint64_t>(i);
  // i and i^1 are a pair; every fourth pair is 0, and so is a last sample that has no partner
  if (plan.on_grid) {
    const auto pair = index / 2;
    if (pair % 4 == 1 || (index ^ 1) >= static_cast<std::uint64_t>(m)) return 0;
    const double size = static_cast<double>(1 + draw.below(16, pair)) / 8;
    return index % 2 == 0 ? size : -size;
  }
  const double t = draw.normal(index);
  constexpr std::uint64_t one_in = 64;
  // The last one too, so that it counts among many: a kernel that loses it is then off by more than
  // sums of any depth may be.
  const bool end = index == 0 || (m > static_cast<std::int64_t>(one_in) && i == m - 1);
  const bool spike = plan.spiky && (end || draw.fork(1).below(one_in, index) == 0);
  return spike ? t * draw.power_of_two(5, 10, index) : t;
}

/// `c` draws the numbers, `to` says where they stand.
void fill_channel(problem::Inputs& inputs, const ChannelPlan& plan, const Stream& root,
                  std::int64_t to, std::int64_t c) {
  const abn_problem& problem = inputs.problem;
  const problem::Format& storage = problem::format_of(problem.dtype);
  const std::int64_t m = problem::sample_count(problem);
  const Stream x_draw = root.fork(x_label).fork(static_cast<std::uint64_t>(c)),
               dz_draw = root.fork(dz_label).fork(static_cast<std::uint64_t>(c));
  const double scale = plan.on_grid ? 1 : plan.sigma;
  for (std::int64_t i = 0; i < m; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const auto at = static_cast<std::size_t>(problem::sample_offset(problem, to, i));
    const double t = standardised(plan, x_draw, i, m);
    inputs.x[at] = problem::round_to(storage, plan.mean + scale * t);
    if (plan.minus_zeros && inputs.x[at] == 0) inputs.x[at] = -0.0;
    if (inputs.dz.empty()) continue;
    // Correlated with xhat, so that S1 is not small, and not of zero mean, so that S0 is not: a
    // term left out is then seen.
    const double gradient = 0.7 * dz_draw.normal(index) + 0.4 * std::clamp(t, -3.0, 3.0) + 0.25;
    const bool zero = plan.zeros_in_dz && dz_draw.fork(1).below(3, index) == 0;
    inputs.dz[at] = zero ? 0 : problem::round_to(storage, plan.dz_scale * gradient);
  }
  if (m > 0) {
    const auto where = static_cast<std::size_t>(problem::sample_offset(
        problem, to,
        static_cast<std::int64_t>(x_draw.fork(2).below(static_cast<std::uint64_t>(m), 0))));
    if (plan.special_x != 0) inputs.x[where] = plan.special_x;
    if (plan.special_dz != 0 && !inputs.dz.empty()) inputs.dz[where] = plan.special_dz;
  }
}

int recipe_index(std::string_view name) {
  const auto at = std::find_if(recipe_table.begin(), recipe_table.end(),
                               [&](const Recipe& recipe) { return name == recipe.name; });
  return at == recipe_table.end() ? -1 : static_cast<int>(at - recipe_table.begin());
}

/// Throws UsageError for an unknown name.
Kind kind_of(std::string_view recipe) {
  const int index = recipe_index(recipe);
  if (index >= 0) return static_cast<Kind>(index);
  std::vector<std::string> names;
  names.reserve(recipe_table.size());
  for (const Recipe& known : recipe_table) names.emplace_back(known.name);
  throw problem::UsageError(
      fmt::format("\"{}\" is not a data recipe; did you mean {}? (they are {})", recipe,
                  problem::nearest(recipe, names), fmt::join(names, ", ")));
}

/// Inputs of `channels` channels with every vector of the right size and nothing in it.
problem::Inputs blank_inputs(const abn_problem& problem, std::int64_t channels, bool affine) {
  problem::Inputs inputs;
  inputs.problem = problem;
  inputs.problem.c = channels;
  inputs.affine = affine;
  const auto elements = static_cast<std::size_t>(problem::element_count(inputs.problem)),
             count = static_cast<std::size_t>(channels);
  inputs.x.resize(elements);
  inputs.dz.resize(elements);
  inputs.running_mean.resize(count);
  inputs.running_var.resize(count);
  if (affine) {
    inputs.gamma.resize(count);
    inputs.beta.resize(count);
  }
  return inputs;
}

/// Channel c of `problem` as channel `to` of the inputs.
void make_channel(problem::Inputs& inputs, std::int64_t to, Kind kind, const abn_problem& problem,
                  std::uint64_t seed, std::int64_t c) {
  const Stream root(seed);
  const problem::Format& parameter = problem::format_of(problem.param_dtype);
  const ChannelPlan plan = plan_channel(kind, problem, root, seed, c);
  const auto at = static_cast<std::size_t>(to);
  inputs.running_mean[at] = problem::round_to(parameter, plan.running_mean);
  inputs.running_var[at] = problem::round_to(parameter, plan.running_var);
  if (inputs.affine) {
    inputs.gamma[at] = problem::round_to(parameter, plan.gamma);
    inputs.beta[at] = problem::round_to(parameter, plan.beta);
  }
  fill_channel(inputs, plan, root, to, c);
}

}  // namespace

std::span<const Recipe> recipes() { return recipe_table; }

bool is_recipe(std::string_view name) { return recipe_index(name) >= 0; }

bool is_extreme(std::string_view name) { return name == "extremes"; }

bool is_usual(std::string_view name) {
  return name == "standard" || name == "no_affine" || name == "mixed_gamma";
}

problem::Inputs make_inputs(const abn_problem& problem, std::string_view recipe,
                            std::uint64_t seed) {
  const Kind kind = kind_of(recipe);
  problem::Inputs inputs = blank_inputs(problem, problem.c, kind != Kind::no_affine);
  for (std::int64_t c = 0; c < problem.c; ++c) make_channel(inputs, c, kind, problem, seed, c);
  return inputs;
}

problem::Inputs make_channel(const abn_problem& problem, std::string_view recipe,
                             std::uint64_t seed, std::int64_t c, bool with_dz) {
  const Kind kind = kind_of(recipe);
  problem::Inputs inputs = blank_inputs(problem, 1, kind != Kind::no_affine);
  if (!with_dz) inputs.dz.clear();
  make_channel(inputs, 0, kind, problem, seed, c);
  return inputs;
}

}  // namespace abn::verify::data
