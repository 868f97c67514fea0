// The hypotheses with their sentences, and the settings in which each is tried.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "verify/judge/diagnosis/mistake.hpp"
#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::judge::diagnosis {

#define NAMED(mistake) Mistake::mistake, #mistake

const std::vector<Hypothesis>& all_hypotheses() {
  constexpr bool yes = true, no = false;
  static const std::vector<Hypothesis> all{
      {NAMED(eps_outside_root), "1/(sqrt(v) + eps), eps outside the root", yes, yes},
      {NAMED(eps_missing), "1/sqrt(v), eps missing", yes, yes},
      {NAMED(eps_max), "1/sqrt(max(v, eps))", yes, yes},
      {NAMED(eps_squared), "1/sqrt(v + eps^2)", yes, yes},
      {NAMED(eps_twice), "eps added twice under the root", yes, yes},
      {NAMED(variance_without_root), "1/(v + eps), no root", yes, yes},
      {NAMED(rstd_of_rstd), "the root taken of what is a reciprocal root already", no, yes},
      {NAMED(rstd_inaccurate), "an inaccurate reciprocal root", yes, no},
      {NAMED(variance_unbiased), "the unbiased variance under the root", yes, yes},
      {NAMED(variance_around_zero), "E[x^2] for the variance", yes, no},
      {NAMED(variance_negative), "a negative variance under the root", yes, no},
      {NAMED(mean_not_subtracted), "the mean not subtracted from x", yes, yes},
      {NAMED(batch_statistics_in_inference), "the batch's statistics in place of the running ones",
       yes, no},
      {NAMED(running_statistics_in_training), "the running statistics in place of the batch's", yes,
       no},
      {NAMED(running_read_after_update),
       "the running statistics, just updated, in place of the batch's", yes, no},
      {NAMED(statistics_of_neighbour), "the statistics of the channel before", yes, no},
      {NAMED(nan_skipped), "NaN left out of the sums", yes, no},
      {NAMED(first_image_only), "the statistics of the first image", yes, no},
      {NAMED(shards_unweighted),
       "the mean of two shards' means, not weighted by their sizes ({} samples in the first)", yes,
       no},
      {NAMED(shards_without_spread),
       "the variance within two shards, without the spread of their means ({} samples in the "
       "first)",
       yes, no},
      {NAMED(saved_variance_unbiased), "the unbiased variance saved", yes, no},
      {NAMED(saved_variance_with_eps), "eps added to the variance that is saved", yes, no},
      {NAMED(saved_variance_is_rstd), "1/sqrt(v + eps) saved for the variance", yes, no},
      {NAMED(running_variance_biased), "the biased variance in the running average", yes, no},
      {NAMED(running_variance_with_eps), "eps in the running variance", yes, no},
      {NAMED(running_variance_is_deviation), "the standard deviation in the running variance", yes,
       no},
      {NAMED(running_swapped), "running mean and running variance exchanged", yes, no},
      {NAMED(running_not_updated), "the running averages left as they were", yes, no},
      {NAMED(running_updated_twice), "the running averages updated twice", yes, no},
      {NAMED(running_without_decay), "old + momentum*new for the running averages", yes, no},
      {NAMED(momentum_swapped), "momentum as the weight of the old value", yes, no},
      {NAMED(abs_eps_without_eps), "|gamma| in place of |gamma| + eps", yes, yes},
      {NAMED(abs_eps_under_signed), "|gamma| + eps in place of gamma", yes, yes},
      {NAMED(gamma_sign_lost), "|gamma| in place of gamma", yes, yes},
      {NAMED(gamma_signed), "gamma in place of |gamma| + eps", yes, yes},
      {NAMED(gamma_missing), "gamma missing", yes, yes},
      {NAMED(gamma_squared), "gamma squared", yes, yes},
      {NAMED(gamma_floored), "|gamma| no smaller than {:.3g} in the inversion", no, yes},
      {NAMED(gamma_zero_unguarded), "the inversion dividing by gamma = 0", no, yes},
      {NAMED(beta_missing), "beta missing", yes, yes},
      {NAMED(beta_not_subtracted), "xhat = y/g, beta not subtracted", no, yes},
      {NAMED(no_affine_with_eps), "g = 1 + eps where there is no gamma", yes, yes},
      {NAMED(channel_shifted), "gamma and beta of another channel (c + {})", yes, yes},
      {NAMED(channels_modulo), "gamma and beta of channel c mod {}", yes, yes},
      {NAMED(slope_missing), "the activation's slope missing (1 on both branches)", yes, yes},
      {NAMED(slope_default), "slope 0.01 whatever was asked for", yes, yes},
      {NAMED(slope_twice), "the activation's slope applied twice", yes, yes},
      {NAMED(slope_zero), "slope 0 for negative y, as a plain ReLU has it", yes, yes},
      {NAMED(slope_divided), "1/slope in place of the slope", no, yes},
      {NAMED(slope_not_inverted), "y = z, the activation not inverted", no, yes},
      {NAMED(slope_multiplied_in_inverse), "y = slope*z, the inverse taken the wrong way round", no,
       yes},
      {NAMED(activation_before_affine), "the activation before gamma and beta", yes, no},
      {NAMED(wrong_branch), "the branches of the activation exchanged", yes, yes},
      {NAMED(branch_of_xhat), "the branch chosen by the sign of xhat", yes, yes},
      {NAMED(branch_of_dz), "the branch chosen by the sign of dz", no, yes},
      {NAMED(branch_by_comparison), "the branch chosen by z < 0, which -0 is not", no, yes},
      {NAMED(zero_sign), "-0 for y = 0", yes, no},
      {NAMED(nan_lost), "0 for NaN", yes, no},
      {NAMED(elu_alpha_one), "alpha taken as 1", yes, yes},
      {NAMED(elu_alpha_inside), "expm1(alpha*y) for alpha*expm1(y)", yes, no},
      {NAMED(elu_clamped), "y clamped to {:.3g} before the exponential", yes, no},
      {NAMED(elu_derivative_of_y), "exp and expm1 confused in ELU", yes, yes},
      {NAMED(elu_derivative_without_alpha), "ELU's derivative as z + 1 for z + alpha", no, yes},
      {NAMED(elu_derivative_of_inverse), "ELU's derivative as y + alpha for z + alpha", no, yes},
      {NAMED(width_forgotten), "ELU for CELU, y not divided by alpha", yes, yes},
      {NAMED(saturated_unguarded), "a saturated ELU inverted as it is", no, yes},
      {NAMED(activation_confused), "another activation, {}", yes, yes},
      {NAMED(derivative_cut),
       "phi' cut short (s or P alone for silu and gelu, s for sigmoid, 1 - z for tanh)", no, yes},
      {NAMED(derivative_of_output), "phi' at z in place of y", no, yes},
      {NAMED(exponent_sign), "exp(y) for exp(-y) in sigmoid and SiLU", yes, yes},
      {NAMED(hardswish_limits), "hardswish's lower limit at 0 in place of -3", yes, yes},
      {NAMED(hardswish_unlimited), "hardswish's middle piece beyond -3 and 3", yes, yes},
      {NAMED(dx_zero), "zeros for dx", no, yes},
      {NAMED(dx_is_dz), "dz written for dx", no, yes},
      {NAMED(dx_missing_mean_dy), "the mean(dy) term missing", no, yes},
      {NAMED(dx_missing_xhat_term), "the mean(dy*xhat) term missing", no, yes},
      {NAMED(dx_xhat_term_negated), "the mean(dy*xhat) term added, not subtracted", no, yes},
      {NAMED(dx_missing_rstd), "the factor 1/sqrt(v + eps) missing in dx", no, yes},
      {NAMED(dx_rstd_twice), "the factor 1/sqrt(v + eps) twice in dx", no, yes},
      {NAMED(dx_missing_gamma), "the factor gamma missing in dx", no, yes},
      {NAMED(dx_gamma_twice), "the factor gamma twice in dx", no, yes},
      {NAMED(dx_frozen_formula), "the dx of frozen statistics in training", no, yes},
      {NAMED(dx_training_formula), "the dx of training with frozen statistics", no, yes},
      {NAMED(sums_of_dz), "dz in place of dy in the sums", no, yes},
      {NAMED(sums_of_neighbour), "the sum of dy of the channel before", no, yes},
      {NAMED(dbeta_of_dz), "dbeta = sum(dz)", no, yes},
      {NAMED(dgamma_of_y), "sum(dy*y) in place of sum(dy*xhat)", no, yes},
      {NAMED(dgamma_of_deviation), "sum(dy*(x - mean)) in place of sum(dy*xhat)", no, yes},
      {NAMED(dgamma_without_beta), "sum(dy*y)/g for dgamma, beta*sum(dy) not subtracted", no, yes},
      {NAMED(dgamma_not_divided), "dgamma not divided by g", no, yes},
      {NAMED(dgamma_dbeta_swapped), "dgamma and dbeta exchanged", no, yes},
      {NAMED(dgamma_zero), "zeros for dgamma", no, yes},
      {NAMED(dgamma_mean), "the mean for the sum in dgamma", no, yes},
      {NAMED(dgamma_sign_lost), "sign(gamma) missing in dgamma", no, yes},
      {NAMED(dgamma_sign_of_zero), "sign(0) = 0 in dgamma where gamma is 0", no, yes},
      {NAMED(xhat_clipped), "xhat clipped to {:.3g}", no, yes},
      {NAMED(count_m_minus_one), "sums divided by m - 1", yes, yes},
      {NAMED(count_without_space), "sums divided by N in place of N*S", yes, yes},
      {NAMED(count_without_batch), "sums divided by S in place of N*S", yes, yes},
      {NAMED(count_in_f16), "the number of samples held in f16", yes, yes},
      {NAMED(tail_skipped), "the last {} samples left out of the sums", yes, yes},
      {NAMED(samples_counted_twice), "every {}th sample counted twice", yes, no},
      {NAMED(layout_confused), "NCHW and NHWC confused", yes, yes},
      {NAMED(images_modulo), "image n mod {} in place of image n", yes, yes},
      {NAMED(samples_modulo), "sample i mod {} in place of sample i", yes, yes},
      {NAMED(elements_modulo), "the index of elements wrapping at {}", yes, yes},
      {NAMED(row_tail_shifted), "the last S mod {} of each row read one too early", yes, yes},
      {NAMED(statistics_in_storage), "the statistics rounded to the storage type", yes, no},
      {NAMED(parameters_in_storage), "gamma and beta rounded to the storage type", yes, yes},
      {NAMED(gradients_in_storage), "dgamma and dbeta rounded to the storage type", no, yes},
      {NAMED(xhat_in_storage), "xhat rounded to the storage type", yes, yes},
      {NAMED(y_in_storage), "y rounded to the storage type", yes, yes},
      {NAMED(dy_in_storage), "dy rounded to the storage type", no, yes},
      {NAMED(z_in_type_of_x), "z rounded to the type of x before it is stored in its own", yes, no},
      {NAMED(dz_in_type_of_x), "dz rounded to the type of x where it has another", no, yes},
      {NAMED(products_in_tf32), "squares of differences with 11 bits, as tf32 has them", yes, no},
      {NAMED(truncated_store), "results cut off, not rounded, to the storage type", yes, yes},
      {NAMED(saturating_store), "infinities stored as the largest number", yes, yes},
      {NAMED(subnormals_flushed), "subnormal inputs taken for 0", yes, yes},
      {NAMED(accumulate_f16), "sums kept in f16", yes, yes},
      {NAMED(accumulate_bf16), "sums kept in bf16", yes, yes},
      {NAMED(accumulate_f32), "sums of f64 kept in f32", yes, yes},
      {NAMED(variance_one_pass), "the variance as E[x^2] - mean^2", yes, no},
  };
  return all;
}

#undef NAMED

namespace {

/// Vector widths, warps and blocks.
constexpr std::int64_t smallest_tile = 2, largest_tile = 1024;

void add_tails(std::vector<MistakeAt>& out, Mistake mistake, std::int64_t samples, int way) {
  std::vector<std::int64_t> tails{1};
  for (std::int64_t tile = smallest_tile; tile <= largest_tile; tile *= 2)
    if (samples % tile != 0 && samples > tile) tails.push_back(samples % tile);
  std::sort(tails.begin(), tails.end());
  tails.erase(std::unique(tails.begin(), tails.end()), tails.end());
  for (const std::int64_t tail : tails) out.push_back({mistake, way, tail});
}

void add_powers(std::vector<MistakeAt>& out, Mistake mistake, std::int64_t first,
                std::int64_t below) {
  for (std::int64_t k = first; k < below; k *= 2) out.push_back({mistake, 0, k});
}

std::vector<MistakeAt> ways(Mistake mistake, int count) {
  std::vector<MistakeAt> out;
  for (int way = 0; way < count; ++way) out.push_back({mistake, way});
  return out;
}

std::vector<MistakeAt> limits(Mistake mistake, std::initializer_list<double> values) {
  std::vector<MistakeAt> out;
  for (const double value : values) out.push_back({mistake, 0, 0, value});
  return out;
}

bool belongs_to_curves(Mistake mistake) {
  return (mistake >= Mistake::elu_alpha_one && mistake <= Mistake::saturated_unguarded);
}
/// Of activations without an inverse, which have no branch below 0.
bool belongs_to_curve(Mistake mistake) {
  return mistake >= Mistake::activation_confused && mistake <= Mistake::hardswish_unlimited;
}
/// What of the mistakes with a slope says something of a curve.
bool applies_to_curve(Mistake mistake) {
  return mistake == Mistake::slope_missing || mistake == Mistake::slope_twice ||
         mistake == Mistake::activation_before_affine || mistake == Mistake::zero_sign ||
         mistake == Mistake::nan_lost || mistake == Mistake::sums_of_dz ||
         mistake == Mistake::dbeta_of_dz;
}
bool belongs_to_activation(Mistake mistake) {
  return (mistake >= Mistake::slope_missing && mistake <= Mistake::branch_by_comparison) ||
         mistake == Mistake::sums_of_dz || mistake == Mistake::dbeta_of_dz;
}

}  // namespace

std::vector<MistakeAt> mistakes_at(Mistake mistake, const abn_problem& p, int scheme,
                                   bool backward) {
  const bool training = p.mode == ABN_TRAINING,
             in_place = scheme == ABN_IN_PLACE_1 || scheme == ABN_IN_PLACE_2;
  const std::int64_t m = problem::sample_count(p);
  const problem::Phi phi = problem::phi_of(p);
  if (belongs_to_curves(mistake) && !phi.curved()) return {};
  if (belongs_to_activation(mistake) && phi.linear()) return {};
  if (belongs_to_curve(mistake) && phi.has_inverse()) return {};
  if (belongs_to_activation(mistake) && !phi.has_inverse() && !applies_to_curve(mistake)) return {};
  std::vector<MistakeAt> out;
  switch (mistake) {
    case Mistake::variance_unbiased:  // under the root only, or in all that is written too
      return ways(mistake, training && !backward ? 2 : 1);
    case Mistake::batch_statistics_in_inference:
      return training ? out : ways(mistake, 1);
    case Mistake::variance_around_zero:
    case Mistake::variance_negative:
    case Mistake::running_statistics_in_training:
    case Mistake::running_read_after_update:
    case Mistake::saved_variance_unbiased:
    case Mistake::saved_variance_with_eps:
    case Mistake::saved_variance_is_rstd:
    case Mistake::running_variance_biased:
    case Mistake::running_variance_with_eps:
    case Mistake::running_variance_is_deviation:
    case Mistake::running_swapped:
    case Mistake::running_not_updated:
    case Mistake::running_updated_twice:
    case Mistake::running_without_decay:
    case Mistake::momentum_swapped:
    case Mistake::dx_frozen_formula:
    case Mistake::products_in_tf32:
    case Mistake::variance_one_pass:
      return training ? ways(mistake, 1) : out;
    case Mistake::nan_skipped:  // skipped, or taken for 0
      return training ? ways(mistake, 2) : out;
    case Mistake::first_image_only:
      return training && p.n > 1 ? ways(mistake, 1) : out;
    case Mistake::shards_unweighted:
    case Mistake::shards_without_spread:
      if (training)  // thirds, halves and quarters, rounded either way
        for (const std::int64_t parts : {2, 3, 4})
          for (const std::int64_t first : {m / parts, (m + parts - 1) / parts})
            if (first > 0 && first < m && (out.empty() || out.back().count != first))
              out.push_back({mistake, 0, first});
      return out;
    case Mistake::dx_training_formula:
      return training ? out : ways(mistake, 1);
    case Mistake::abs_eps_without_eps:
    case Mistake::gamma_signed:
    case Mistake::no_affine_with_eps:
    case Mistake::dgamma_sign_of_zero:
      return p.scale == ABN_SCALE_ABS_EPS ? ways(mistake, 1) : out;
    case Mistake::dgamma_sign_lost:  // in dgamma alone, or in dx too
      return p.scale == ABN_SCALE_ABS_EPS ? ways(mistake, 2) : out;
    case Mistake::abs_eps_under_signed:
    case Mistake::gamma_sign_lost:
      return p.scale == ABN_SCALE_SIGNED ? ways(mistake, 1) : out;
    case Mistake::gamma_floored:
      if (in_place)
        for (int k = 4; k <= 30; ++k) out.push_back({mistake, 0, 0, std::ldexp(1.0, -k)});
      if (in_place)
        for (const double floor : {1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8})
          out.push_back({mistake, 0, 0, floor});
      return out;
    case Mistake::gamma_zero_unguarded:
    case Mistake::beta_not_subtracted:
    case Mistake::slope_not_inverted:
    case Mistake::slope_multiplied_in_inverse:
    case Mistake::saturated_unguarded:
      return in_place ? ways(mistake, 1) : out;
    case Mistake::beta_missing:  // in place, backward has beta only to subtract it
      return backward && in_place ? out : ways(mistake, 1);
    case Mistake::variance_without_root:
      // in place, backward has r only as a factor of dx: there it is dx_rstd_twice
      return backward && in_place ? out : ways(mistake, 1);
    case Mistake::channel_shifted:
      if (p.c > 1) out = {{mistake, 0, 1}, {mistake, 0, p.c - 1}};
      return out;
    case Mistake::channels_modulo:
      add_powers(out, mistake, 4, p.c);
      return out;
    case Mistake::slope_default:
    case Mistake::slope_divided:
      return !phi.curved() ? ways(mistake, 1) : out;
    case Mistake::slope_twice:
      return phi.has_inverse() || backward ? ways(mistake, 1) : out;
    case Mistake::activation_confused:  // the codes of the others, the identity is slope_missing
      for (int code = problem::invertible_count; code < problem::activation_count; ++code)
        if (code != p.activation) out.push_back({mistake, code});
      return out;
    case Mistake::derivative_cut:
      return phi.curve->pieces() ? out : ways(mistake, 1);
    case Mistake::derivative_of_output:  // where z is y wherever phi' is 1, it is no mistake
      return phi.curve->pieces() && phi.curve->derivative_from_output != nullptr ? out
                                                                                 : ways(mistake, 1);
    case Mistake::exponent_sign:
      return p.activation == ABN_SIGMOID || p.activation == ABN_SILU ? ways(mistake, 1) : out;
    case Mistake::hardswish_limits:
    case Mistake::hardswish_unlimited:
      return p.activation == ABN_HARDSWISH ? ways(mistake, 1) : out;
    case Mistake::width_forgotten:
      return phi.scaled ? ways(mistake, 1) : out;
    case Mistake::elu_clamped:
      return limits(mistake, {-4, -5, -6, -8, -10, -16, -20});
    case Mistake::elu_derivative_of_y:  // expm1 for exp, or exp of z
      return ways(mistake, backward ? 2 : 1);
    case Mistake::dgamma_of_y:  // in dgamma alone, or in dx too
    case Mistake::dgamma_of_deviation:
    case Mistake::sums_of_dz:
    case Mistake::dgamma_mean:
      return ways(mistake, 2);
    case Mistake::dgamma_without_beta:
    case Mistake::dgamma_not_divided:
      return scheme == ABN_IN_PLACE_2 ? ways(mistake, 1) : out;
    case Mistake::xhat_clipped:
      return limits(mistake, {2, 3, 4, 5, 6, 8, 10});
    case Mistake::count_m_minus_one:
      return m > 1 ? ways(mistake, 1) : out;
    case Mistake::count_without_space:
      return p.s > 1 ? ways(mistake, 1) : out;
    case Mistake::count_without_batch:
      return p.n > 1 ? ways(mistake, 1) : out;
    case Mistake::tail_skipped:  // of all sums by channel, by image; of dgamma alone
      add_tails(out, mistake, m, 0);
      if (p.n > 1 && p.s > 1) add_tails(out, mistake, p.s, 1);
      if (backward) add_tails(out, mistake, m, 2);
      return training || backward ? out : std::vector<MistakeAt>{};
    case Mistake::samples_counted_twice:
      if (training) add_powers(out, mistake, 2, std::min(2 * m, 2 * largest_tile));
      return out;
    case Mistake::layout_confused:  // of x and what was kept, of dz
      return p.c > 1 && p.s > 1 ? ways(mistake, backward ? 2 : 1) : out;
    case Mistake::images_modulo:
      add_powers(out, mistake, 2, p.n);
      return out;
    case Mistake::samples_modulo:
      add_powers(out, mistake, 256, m);
      return out;
    case Mistake::elements_modulo:
      add_powers(out, mistake, 256, problem::element_count(p));
      return out;
    case Mistake::row_tail_shifted:
      for (const std::int64_t width : {2, 4, 8})
        if (p.s > width && p.s % width != 0) out.push_back({mistake, 0, width});
      return out;
    case Mistake::statistics_in_storage:  // written and used so, or used so only
      return p.dtype == p.param_dtype ? out : ways(mistake, 2);
    case Mistake::parameters_in_storage:
    case Mistake::gradients_in_storage:
      return p.dtype == p.param_dtype ? out : ways(mistake, 1);
    case Mistake::xhat_in_storage:
    case Mistake::y_in_storage:
    case Mistake::dy_in_storage:
    case Mistake::truncated_store:
      return p.dtype == ABN_F16 || p.dtype == ABN_BF16 ? ways(mistake, 1) : out;
    case Mistake::z_in_type_of_x:
    case Mistake::dz_in_type_of_x:
      return problem::format_of(p.dtype).precision <
                     problem::format_of(problem::out_type_of(p)).precision
                 ? ways(mistake, 1)
                 : out;
    case Mistake::accumulate_f32:
      return p.dtype == ABN_F64 ? ways(mistake, 1) : out;
    default:
      return ways(mistake, 1);
  }
}

std::string sentence_of(const Hypothesis& hypothesis, const MistakeAt& setting) {
  const std::string_view text = hypothesis.sentence;
  if (hypothesis.mistake == Mistake::activation_confused)
    return fmt::format(fmt::runtime(text), problem::activation_name(setting.way));
  if (text.find('{') == std::string_view::npos) return std::string(text);
  return setting.count != 0 ? fmt::format(fmt::runtime(text), setting.count)
                            : fmt::format(fmt::runtime(text), setting.value);
}

}  // namespace abn::verify::judge::diagnosis
