// The two tables of extremes, and their cases.
#include "verify/data/extremes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::data {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity(),
                 nan = std::numeric_limits<double>::quiet_NaN();

bool is_f16(const abn_problem& p) { return p.dtype == ABN_F16; }

// f16 ends at 65504, so what is large there is less.
double large_beta(const abn_problem& p) { return is_f16(p) ? 0x1p12 : 1e6; }
double large_x(const abn_problem& p) { return is_f16(p) ? 0x1p13 : 1e7; }
double large_variance(const abn_problem& p) { return is_f16(p) ? 0x1p22 : 1e12; }

double value(const std::vector<double>& of, std::int64_t c) {
  return of.empty() ? 0 : of[static_cast<std::size_t>(c)];
}
double gamma_of(const problem::Inputs& in, std::int64_t c) { return value(in.gamma, c); }
double beta_of(const problem::Inputs& in, std::int64_t c) { return value(in.beta, c); }
double mean_of(const problem::Inputs& in, std::int64_t c) { return value(in.running_mean, c); }
double variance_of(const problem::Inputs& in, std::int64_t c) { return value(in.running_var, c); }

template <class Holds>
bool any(const problem::Inputs& in, const std::vector<double>& tensor, std::int64_t c,
         const Holds& holds) {
  bool found = false;
  problem::for_each_sample(in.problem, c,
                           [&](std::size_t, std::size_t at) { found |= holds(tensor[at]); });
  return found;
}
bool is_nan(double v) { return std::isnan(v); }
bool is_infinite(double v) { return std::isinf(v); }
bool is_minus_zero(double v) { return v == 0 && std::signbit(v); }

/// The variance that the problem's mode normalises with, in so far as doubles show it.
double variance_used(const problem::Inputs& in, std::int64_t c) {
  if (in.problem.mode != ABN_TRAINING) return variance_of(in, c);
  const auto m = static_cast<double>(problem::sample_count(in.problem));
  double sum = 0, squares = 0;
  problem::for_each_sample(in.problem, c, [&](std::size_t, std::size_t at) { sum += in.x[at]; });
  problem::for_each_sample(in.problem, c, [&](std::size_t, std::size_t at) {
    squares += (in.x[at] - sum / m) * (in.x[at] - sum / m);
  });
  return squares / m;
}

using P = ChannelPlan;
using Problem = abn_problem;
using In = problem::Inputs;
using I = std::int64_t;

constexpr std::array channel_table{
    ExtremeChannel{"|gamma| from 128 to 4096",
                   [](P& plan, const Problem&, const Stream& draw) {
                     plan.gamma = draw.sign(0) * draw.power_of_two(7, 12, 1);
                   },
                   [](const In& in, I c) {
                     return std::fabs(gamma_of(in, c)) > 64 && std::isfinite(gamma_of(in, c));
                   }},
    // Nothing is added to it, and the gradient is large, so that all of it shows.
    ExtremeChannel{"gamma below 2^-126, subnormal in f32",
                   [](P& plan, const Problem& p, const Stream& draw) {
                     plan.gamma = draw.sign(0) * draw.power_of_two(-130, -127, 1);
                     plan.beta = 0;
                     plan.dz_scale = is_f16(p) ? 0x1p10 : 0x1p20;
                   },
                   [](const In& in, I c) {
                     const double gamma = std::fabs(gamma_of(in, c));
                     return gamma > 0 && gamma < 0x1p-126;
                   }},
    ExtremeChannel{"|beta| above 1e6 (above 2^12 with f16 tensors)",
                   [](P& plan, const Problem& p, const Stream& draw) {
                     plan.beta = draw.sign(0) * (is_f16(p) ? draw.power_of_two(13, 15, 1)
                                                           : draw.power_of_two(21, 30, 1));
                   },
                   [](const In& in, I c) {
                     return std::fabs(beta_of(in, c)) > large_beta(in.problem) &&
                            std::isfinite(beta_of(in, c));
                   }},
    // Where eps is large they are merely small.
    ExtremeChannel{"1/sqrt(variance + eps) above 1000",
                   [](P& plan, const Problem&, const Stream& draw) {
                     plan.sigma = draw.power_of_two(-13, -11, 0);
                     plan.mean = plan.sigma * draw.normal(1);
                     plan.running_mean = plan.mean;
                     plan.running_var = plan.sigma * plan.sigma;
                   },
                   [](const In& in, I c) {
                     return variance_used(in, c) > 0 &&
                            1 / std::sqrt(variance_used(in, c) + in.problem.eps) > 1000;
                   }},
    ExtremeChannel{"variance above 1e12 (above 2^22 with f16 tensors)",
                   [](P& plan, const Problem& p, const Stream& draw) {
                     plan.sigma =
                         is_f16(p) ? draw.power_of_two(12, 12.9, 0) : draw.power_of_two(21, 30, 0);
                     plan.mean = plan.sigma * 0.3 * draw.normal(1);
                     plan.running_mean = plan.mean;
                     plan.running_var = plan.sigma * plan.sigma;
                   },
                   [](const In& in, I c) {
                     return std::isfinite(variance_used(in, c)) &&
                            variance_used(in, c) > large_variance(in.problem);
                   }},
    ExtremeChannel{"|x| above 1e7 (above 2^13 with f16 tensors)",
                   [](P& plan, const Problem& p, const Stream& draw) {
                     plan.mean = draw.sign(0) * (is_f16(p) ? 0x1p14 : draw.power_of_two(25, 28, 1));
                     plan.sigma = std::fabs(plan.mean) / 8;
                     plan.running_mean = plan.mean;
                     plan.running_var = plan.sigma * plan.sigma;
                   },
                   [](const In& in, I c) {
                     return any(in, in.x, c, [&](double x) {
                       return std::isfinite(x) && std::fabs(x) > large_x(in.problem);
                     });
                   }},
    ExtremeChannel{"running_var subnormal",
                   [](P& plan, const Problem& p, const Stream& draw) {
                     const int emin = problem::format_of(p.param_dtype).emin;
                     plan.running_var = draw.power_of_two(emin - 7, emin - 1, 0);
                   },
                   [](const In& in, I c) {
                     const int emin = problem::format_of(in.problem.param_dtype).emin;
                     return variance_of(in, c) > 0 && variance_of(in, c) < std::ldexp(1.0, emin);
                   }},
    ExtremeChannel{
        "running_var from 1e12 to 1e30",
        [](P& plan, const Problem& p, const Stream& draw) {
          plan.running_var = draw.power_of_two(40, 99, 0);
          plan.sigma = is_f16(p) ? 0x1p12 : std::fmin(std::sqrt(plan.running_var), 0x1p40);
          plan.mean = plan.running_mean = 0;
          plan.beta = 0;
        },
        [](const In& in, I c) { return variance_of(in, c) > 1e12 && variance_of(in, c) <= 1e30; }},
    ExtremeChannel{"-0 in x and beta, and y = -0",
                   [](P& plan, const Problem&, const Stream& draw) {
                     plan.on_grid = plan.minus_zeros = true;
                     plan.mean = plan.running_mean = 0;
                     plan.gamma = draw.power_of_two(-1, 1, 0);
                     plan.beta = -0.0;
                   },
                   [](const In& in, I c) {
                     return is_minus_zero(beta_of(in, c)) && any(in, in.x, c, is_minus_zero);
                   }},
    ExtremeChannel{"gamma = -0", [](P& plan, const Problem&, const Stream&) { plan.gamma = -0.0; },
                   [](const In& in, I c) { return is_minus_zero(gamma_of(in, c)); }},
    ExtremeChannel{
        "NaN in x", [](P& plan, const Problem&, const Stream&) { plan.special_x = nan; },
        [](const In& in, I c) { return gamma_of(in, c) != 0 && any(in, in.x, c, is_nan); }},
    ExtremeChannel{"infinity in x",
                   [](P& plan, const Problem&, const Stream& draw) {
                     plan.special_x = draw.sign(0) * infinity;
                   },
                   [](const In& in, I c) { return any(in, in.x, c, is_infinite); }},
    ExtremeChannel{
        "NaN in dz", [](P& plan, const Problem&, const Stream&) { plan.special_dz = nan; },
        [](const In& in, I c) { return gamma_of(in, c) != 0 && any(in, in.dz, c, is_nan); }},
    ExtremeChannel{"infinity in dz",
                   [](P& plan, const Problem&, const Stream& draw) {
                     plan.special_dz = draw.sign(0) * infinity;
                   },
                   [](const In& in, I c) { return any(in, in.dz, c, is_infinite); }},
    ExtremeChannel{"NaN in gamma", [](P& plan, const Problem&, const Stream&) { plan.gamma = nan; },
                   [](const In& in, I c) { return std::isnan(gamma_of(in, c)); }},
    ExtremeChannel{
        "infinity in gamma",
        [](P& plan, const Problem&, const Stream& draw) { plan.gamma = draw.sign(0) * infinity; },
        [](const In& in, I c) { return std::isinf(gamma_of(in, c)); }},
    ExtremeChannel{
        "NaN in beta", [](P& plan, const Problem&, const Stream&) { plan.beta = nan; },
        [](const In& in, I c) { return gamma_of(in, c) != 0 && std::isnan(beta_of(in, c)); }},
    ExtremeChannel{
        "infinity in beta",
        [](P& plan, const Problem&, const Stream& draw) { plan.beta = draw.sign(0) * infinity; },
        [](const In& in, I c) { return gamma_of(in, c) != 0 && std::isinf(beta_of(in, c)); }},
    ExtremeChannel{
        "NaN in running_mean",
        [](P& plan, const Problem&, const Stream&) { plan.running_mean = nan; },
        [](const In& in, I c) { return gamma_of(in, c) != 0 && std::isnan(mean_of(in, c)); }},
    ExtremeChannel{"infinity in running_mean",
                   [](P& plan, const Problem&, const Stream& draw) {
                     plan.running_mean = draw.sign(0) * infinity;
                   },
                   [](const In& in, I c) { return std::isinf(mean_of(in, c)); }},
    ExtremeChannel{"NaN in running_var",
                   [](P& plan, const Problem&, const Stream&) { plan.running_var = nan; },
                   [](const In& in, I c) { return std::isnan(variance_of(in, c)); }},
    ExtremeChannel{
        "infinity in running_var",
        [](P& plan, const Problem&, const Stream&) { plan.running_var = infinity; },
        [](const In& in, I c) { return gamma_of(in, c) != 0 && std::isinf(variance_of(in, c)); }},
    ExtremeChannel{
        "NaN in x beside gamma = 0",
        [](P& plan, const Problem&, const Stream&) { plan.gamma = 0, plan.special_x = nan; },
        [](const In& in, I c) { return gamma_of(in, c) == 0 && any(in, in.x, c, is_nan); }},
    ExtremeChannel{
        "NaN in dz beside gamma = 0",
        [](P& plan, const Problem&, const Stream&) { plan.gamma = 0, plan.special_dz = nan; },
        [](const In& in, I c) { return gamma_of(in, c) == 0 && any(in, in.dz, c, is_nan); }},
    ExtremeChannel{
        "NaN or infinity in beta beside gamma = 0",
        [](P& plan, const Problem&, const Stream& draw) {
          plan.gamma = 0, plan.beta = draw.below(2, 0) == 0 ? nan : infinity;
        },
        [](const In& in, I c) { return gamma_of(in, c) == 0 && !std::isfinite(beta_of(in, c)); }},
    ExtremeChannel{
        "NaN in running_mean beside gamma = 0",
        [](P& plan, const Problem&, const Stream&) { plan.gamma = 0, plan.running_mean = nan; },
        [](const In& in, I c) { return gamma_of(in, c) == 0 && std::isnan(mean_of(in, c)); }},
    ExtremeChannel{
        "infinity in running_var beside gamma = 0",
        [](P& plan, const Problem&, const Stream&) { plan.gamma = 0, plan.running_var = infinity; },
        [](const In& in, I c) { return gamma_of(in, c) == 0 && std::isinf(variance_of(in, c)); }},
    // what the others must not reach
    ExtremeChannel{"a usual channel between them", [](P&, const Problem&, const Stream&) {},
                   [](const In& in, I c) {
                     return std::isfinite(gamma_of(in, c)) && gamma_of(in, c) != 0 &&
                            std::isfinite(variance_used(in, c));
                   }},
};

constexpr double large_parameter = 2, small_parameter = 0x1p-10, small_momentum = 0x1p-20,
                 small_eps = 1e-9;

constexpr bool is_curved(const abn_problem& p) {
  return p.activation == ABN_ELU || p.activation == ABN_CELU;
}

constexpr std::array problem_table{
    ExtremeProblem{"slope above 2",
                   [](const Problem& p) {
                     return p.activation == ABN_LEAKY_RELU &&
                            p.activation_parameter > large_parameter;
                   },
                   false},
    ExtremeProblem{"slope below 2^-10",
                   [](const Problem& p) {
                     return p.activation == ABN_LEAKY_RELU &&
                            p.activation_parameter < small_parameter;
                   },
                   false},
    ExtremeProblem{
        "alpha of ELU or CELU above 2",
        [](const Problem& p) { return is_curved(p) && p.activation_parameter > large_parameter; },
        false},
    ExtremeProblem{
        "alpha of ELU or CELU below 2^-10",
        [](const Problem& p) { return is_curved(p) && p.activation_parameter < small_parameter; },
        false},
    ExtremeProblem{"eps = 0", [](const Problem& p) { return p.eps == 0; }, false},
    ExtremeProblem{"eps below 1e-9",
                   [](const Problem& p) { return p.eps > 0 && p.eps < small_eps; }, false},
    ExtremeProblem{"eps = 1", [](const Problem& p) { return p.eps == 1; }, false},
    ExtremeProblem{"momentum 0", [](const Problem& p) { return p.momentum == 0; }, true},
    ExtremeProblem{"momentum 1", [](const Problem& p) { return p.momentum == 1; }, true},
    ExtremeProblem{"momentum below 2^-20",
                   [](const Problem& p) { return p.momentum > 0 && p.momentum < small_momentum; },
                   true},
};

constexpr double large_slopes[] = {3, 20}, small_slopes[] = {0x1p-11, 0x1.8p-20},
                 large_alphas[] = {2.5, 12}, small_alphas[] = {0x1p-11, 0x1.8p-20},
                 epses[] = {0, 1e-12, 1}, momenta[] = {0, 1, 0x1.2p-24};
constexpr Shape sizes[] = {{2, 0, 4}, {1, 0, 9}, {3, 0, 3}, {8, 0, 1}};  // of N and S

}  // namespace

std::span<const ExtremeChannel> extreme_channels() { return channel_table; }
std::span<const ExtremeProblem> extreme_problems() { return problem_table; }

std::size_t extreme_row(std::int64_t channel, std::uint64_t seed) {
  return (static_cast<std::uint64_t>(channel) + seed) % channel_table.size();
}

void append_extremes(std::vector<Case>& cases, std::uint64_t seed, std::uint64_t round) {
  constexpr std::uint64_t apart = 5000;  // from the streams of the other walks
  const Stream seeds = Stream(seed).fork(apart + round);
  std::uint64_t step = seeds.bits(0) % 1024, drawn = 0;
  const auto add = [&](int dtype, int layout, int mode, int activation,
                       std::span<const double> parameters) {
    Shape shape = sizes[step % std::size(sizes)];
    shape.c = static_cast<std::int64_t>(channel_table.size());
    cases.push_back(
        drawn_case(shape, dtype, layout, activation, "extremes", seeds.fork(1 + drawn++)));
    abn_problem& p = cases.back().problem;
    p.mode = mode;
    if (dtype == ABN_F64 && step % 3 == 0) p.param_dtype = ABN_F32;
    const problem::Format& parameter = problem::format_of(p.param_dtype);
    // Any three cases one after the other have them all.
    p.eps = problem::round_to(parameter, epses[step % std::size(epses)]);
    p.momentum = problem::round_to(parameter, momenta[(step + step / 5) % std::size(momenta)]);
    p.scale = (step + step / 2) % 2 == 0 ? ABN_SCALE_SIGNED : ABN_SCALE_ABS_EPS;
    if (!parameters.empty())
      problem::set_activation(p, activation, parameters[step / 2 % parameters.size()]);
    ++step;
  };
  for (const int dtype : problem::storage_types)
    for (const int layout : problem::layouts)
      for (const int mode : problem::modes) {
        const bool celu = step / 5 % 2 == 0;
        add(dtype, layout, mode, ABN_LEAKY_RELU, large_slopes);
        add(dtype, layout, mode, ABN_LEAKY_RELU, small_slopes);
        add(dtype, layout, mode, celu ? ABN_CELU : ABN_ELU, large_alphas);
        add(dtype, layout, mode, celu ? ABN_ELU : ABN_CELU, small_alphas);
        constexpr auto curves =
            static_cast<std::uint64_t>(problem::activation_count - problem::invertible_count);
        add(dtype, layout, mode, ABN_IDENTITY, {});
        add(dtype, layout, mode, problem::invertible_count + static_cast<int>(step / 6 % curves),
            {});
      }
}

std::string extremes_text() {
  std::string text =
      "Values at the ends of their ranges, in every storage type, layout and mode. A channel of "
      "the\nrecipe extremes each:\n";
  for (const ExtremeChannel& row : channel_table) text += fmt::format("  {}\n", row.what);
  text += "and of the problem of such a case:\n";
  for (const ExtremeProblem& row : problem_table)
    text += fmt::format("  {}{}\n", row.what, row.training_only ? ", training" : "");
  return text;
}

}  // namespace abn::verify::data
