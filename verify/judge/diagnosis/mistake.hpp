// The one thing that a hypothesis changes in the textbook computation, and the list of hypotheses.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verify/problem/inputs.hpp"

namespace abn::verify::judge::diagnosis {

enum class Mistake : std::uint8_t {
  none,
  // the root
  eps_outside_root,
  eps_missing,
  eps_max,
  eps_squared,
  eps_twice,
  variance_without_root,
  rstd_of_rstd,
  rstd_inaccurate,
  // the statistics
  variance_unbiased,
  variance_around_zero,
  variance_negative,
  mean_not_subtracted,
  batch_statistics_in_inference,
  running_statistics_in_training,
  running_read_after_update,
  statistics_of_neighbour,
  nan_skipped,
  first_image_only,
  shards_unweighted,
  shards_without_spread,
  saved_variance_unbiased,
  saved_variance_with_eps,
  saved_variance_is_rstd,
  // the running averages
  running_variance_biased,
  running_variance_with_eps,
  running_variance_is_deviation,
  running_swapped,
  running_not_updated,
  running_updated_twice,
  running_without_decay,
  momentum_swapped,
  // the affine part
  abs_eps_without_eps,
  abs_eps_under_signed,
  gamma_sign_lost,
  gamma_signed,
  gamma_missing,
  gamma_squared,
  gamma_floored,
  gamma_zero_unguarded,
  beta_missing,
  beta_not_subtracted,
  no_affine_with_eps,
  channel_shifted,
  channels_modulo,
  // the activation
  slope_missing,
  slope_default,
  slope_twice,
  slope_zero,
  slope_divided,
  slope_not_inverted,
  slope_multiplied_in_inverse,
  activation_before_affine,
  wrong_branch,
  branch_of_xhat,
  branch_of_dz,
  branch_by_comparison,
  zero_sign,
  nan_lost,
  elu_alpha_one,
  elu_alpha_inside,
  elu_clamped,
  elu_derivative_of_y,
  elu_derivative_without_alpha,
  elu_derivative_of_inverse,
  width_forgotten,
  saturated_unguarded,
  activation_confused,
  derivative_cut,
  derivative_of_output,
  exponent_sign,
  hardswish_limits,
  hardswish_unlimited,
  // the gradients
  dx_zero,
  dx_is_dz,
  dx_missing_mean_dy,
  dx_missing_xhat_term,
  dx_xhat_term_negated,
  dx_missing_rstd,
  dx_rstd_twice,
  dx_missing_gamma,
  dx_gamma_twice,
  dx_frozen_formula,
  dx_training_formula,
  sums_of_dz,
  sums_of_neighbour,
  dbeta_of_dz,
  dgamma_of_y,
  dgamma_of_deviation,
  dgamma_without_beta,
  dgamma_not_divided,
  dgamma_dbeta_swapped,
  dgamma_zero,
  dgamma_mean,
  dgamma_sign_lost,
  dgamma_sign_of_zero,
  xhat_clipped,
  // which samples
  count_m_minus_one,
  count_without_space,
  count_without_batch,
  count_in_f16,
  tail_skipped,
  samples_counted_twice,
  layout_confused,
  images_modulo,
  samples_modulo,
  elements_modulo,
  row_tail_shifted,
  // precision
  statistics_in_storage,
  parameters_in_storage,
  gradients_in_storage,
  xhat_in_storage,
  y_in_storage,
  dy_in_storage,
  z_in_type_of_x,
  dz_in_type_of_x,
  products_in_tf32,
  truncated_store,
  saturating_store,
  subnormals_flushed,
  accumulate_f16,
  accumulate_bf16,
  accumulate_f32,
  variance_one_pass,
};

/// A change with its parameters, ready to be evaluated.
struct MistakeAt {
  Mistake mistake = Mistake::none;
  int way = 0;             ///< where a change can be made in several places: which
  std::int64_t count = 0;  ///< samples left out, a modulus, a vector's width
  double value = 0;        ///< a limit
};

struct Hypothesis {
  Mistake mistake;
  const char* name;
  const char* sentence;  ///< follows "matches the reference with "; {} stands for count or value
  bool forward, backward;
};
const std::vector<Hypothesis>& all_hypotheses();

/// The settings in which a change is tried on this problem; none where it can make no difference.
std::vector<MistakeAt> mistakes_at(Mistake mistake, const abn_problem& problem, int scheme,
                                   bool backward);
std::string sentence_of(const Hypothesis& hypothesis, const MistakeAt& setting);

/// Sums that lost digits in an order that nobody knows: recognised by the marks that they leave in
/// the kernel's own statistics or gradients (numbers of fewer bits), and followed from there.
inline bool leaves_marks(Mistake mistake) { return mistake >= Mistake::accumulate_f16; }

}  // namespace abn::verify::judge::diagnosis
