// What a kernel of this folder is: a correct design, and at most one planted bug.
//
// A bug is one enumerator, and every place where it bites reads `has(Bug::its_name)`: kernel and
// bug can be read side by side. What each of them does, where it was seen and what exposes it
// stands in the table of mutants.cpp.
#pragma once

#include <cstdint>

#include "cuda/kernel.h"

namespace abn::mutants {

enum class Bug : std::uint8_t {
  none,
  // Statistics
  eps_outside_root,
  eps_missing,
  eps_max,
  eps_squared,
  eps_twice,
  variance_unbiased,
  variance_without_root,
  variance_around_zero,
  variance_one_pass,
  one_pass_unclamped,
  shift_is_first_sample,
  mean_not_subtracted,
  count_without_space,
  count_without_batch,
  count_in_f16,
  statistics_tail_skipped,
  statistics_last_skipped,
  block_counted_twice,
  first_image_only,
  shard_variances_averaged,
  shard_means_unweighted,
  welford_count_zero,
  welford_delta_squared,
  nan_skipped,
  batch_statistics_in_inference,
  running_statistics_in_training,
  // Running buffers, and what is saved
  running_variance_biased,
  running_variance_with_eps,
  running_variance_is_deviation,
  running_swapped,
  running_not_updated,
  running_updated_twice,
  running_updated_in_inference,
  running_written_first,
  running_without_decay,
  momentum_swapped,
  saved_variance_unbiased,
  saved_variance_with_eps,
  saved_inverse_deviation,
  inference_unbiased,
  // Scale and inversion
  abs_eps_without_eps,
  abs_eps_without_eps_backward,
  gamma_sign_lost,
  gamma_signed,
  gamma_signed_backward,
  gamma_missing,
  gamma_squared,
  gamma_floored,
  gamma_zero_unguarded,
  beta_missing,
  beta_not_subtracted,
  no_affine_with_eps,
  dgamma_sign_lost,
  dgamma_sign_of_zero,
  in_place_2_without_beta,
  in_place_2_not_divided,
  xhat_clipped,
  // Activation
  slope_missing_forward,
  slope_default,
  slope_squared,
  relu,
  activation_before_affine,
  branch_of_xhat_forward,
  zero_negative,
  nan_lost,
  elu_alpha_one,
  elu_alpha_inside,
  elu_exp_minus_one,
  elu_clamped,
  celu_width_forgotten,
  slope_missing,
  slope_missing_in_frozen,
  slope_twice,
  slope_divided,
  slope_not_inverted,
  slope_multiplied_in_inverse,
  branch_of_xhat,
  branch_of_dz,
  branch_by_comparison,
  elu_alpha_one_backward,
  elu_derivative_of_y,
  elu_derivative_without_alpha,
  elu_written_first,
  elu_log_of_sum,
  saturated_unguarded,
  celu_alpha_one_backward,
  celu_width_forgotten_backward,
  // Activations without an inverse
  relu_missing_backward,
  relu6_uncapped,
  relu6_uncapped_backward,
  sigmoid_overflows,
  sigmoid_of_minus_y,
  sigmoid_derivative_cut,
  tanh_derivative_cut,
  silu_derivative_cut,
  silu_derivative_of_z,
  gelu_tanh_for_erf,
  gelu_erf_for_tanh_backward,
  gelu_derivative_cut,
  hardswish_limits,
  hardswish_unlimited_backward,
  hardswish_limits_backward,
  // Backward sums and formulas
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
  rstd_of_rstd,
  eps_missing_backward,
  count_m_minus_one,
  backward_count_without_space,
  backward_count_without_batch,
  sums_of_dz,
  dbeta_of_dz,
  dgamma_of_y,
  dgamma_of_deviation,
  dgamma_expanded,
  dgamma_dbeta_swapped,
  dgamma_zero_in_frozen,
  dgamma_mean,
  backward_tail_skipped,
  dgamma_last_skipped,
  sums_of_channel_before,
  // Layout and sizes
  layout_confused,
  layout_of_dz_confused,
  channel_shifted,
  channels_modulo_64,
  channels_behind_64_dropped,
  images_modulo_32,
  samples_of_16_bits,
  elements_of_18_bits,
  row_tail_unwritten,
  row_tail_shifted,
  nhwc_tail_channels,
  matrix_path_unbiased,
  one_image_path_without_term,
  empty_written,
  large_ignored,
  inference_ends_at_40960,
  frozen_sums_end_at_40960,
  power_of_two_last_skipped,
  power_of_two_dgamma_last_skipped,
  nhwc_wide_rows_shifted,
  nhwc_wide_without_term,
  // Precision
  accumulate_f16,
  accumulate_bf16,
  accumulate_f32,
  backward_accumulate_bf16,
  statistics_in_storage,
  xhat_in_storage,
  y_in_storage,
  dy_in_storage,
  parameters_in_storage,
  gradients_in_storage,
  products_in_tf32,
  truncated_store,
  saturating_store,
  subnormals_flushed,
  rstd_one_newton_step,
  rstd_two_newton_steps,
  folded_unclaimed,
  expm1_approximate,
  // Ends of ranges: tests/mutants/values.hpp, and the last four where they bite
  gamma_clamped,
  gamma_flushed,
  gamma_flushed_backward,
  gamma_nan_lost,
  gamma_infinity_lost,
  beta_clamped,
  beta_nan_lost,
  beta_infinity_lost,
  x_clamped,
  dz_nan_lost,
  dz_infinity_lost,
  running_mean_nan_lost,
  running_variance_nan_lost,
  running_variance_capped,
  running_variance_flushed,
  variance_capped,
  root_capped,
  slope_capped,
  slope_floored,
  slope_floored_backward,
  slope_in_half,
  alpha_capped,
  alpha_floored,
  eps_floored,
  eps_default,
  eps_capped,
  momentum_default,
  momentum_below_one,
  momentum_flushed,
  branch_by_sign_forward,
  dgamma_sign_of_minus_zero,
  gamma_zero_shortcut,
  alpha_missing_at_saturation,
  // Memory and ordering
  stale_output,
  every_other_call_off,
  sums_in_order_of_arrival,
  workspace_not_cleared,
  workspace_overrun,
  written_behind,
  input_overwritten,
  last_element_unwritten,
  channel_of_neighbour,
  misaligned_base,
  in_place_statistics_late,
  in_place_sums_late,
  gradients_only_with_dx,
  gradients_accumulated,
  // Not visible in any output: see `invisible` in mutants.cpp
  ties_away_from_zero,
  result_computed_twice,
  count
};

enum class Summation : std::uint8_t {
  blocks,      ///< 64 lanes, then a tree
  sequential,  ///< one sample after the other
  pairwise,    ///< halves of halves
  wide,        ///< in double, rounded once; in double kernels as blocks
};

/// The problems that a kernel does.
enum class Support : std::uint8_t {
  all,
  one_pixel,     ///< S = 1
  few_channels,  ///< C up to 32
  few_samples,   ///< m up to 512
  abs_eps        ///< one scale convention
};

/// Which of the liberties that a correct kernel has are taken, and which conventions it has.
struct Design {
  int scheme = ABN_IN_PLACE_1;
  int statistics = ABN_TWO_PASS;
  int normalise = ABN_DIRECT;
  Summation summation = Summation::blocks;
  /// a*b + c with one rounding wherever it occurs, as a compiler with fma may
  bool contracted = false;
  /// 1/sqrt is this many values of its type too large, as that of a GPU may be: within 2 ulp
  int root_steps = 0;
  int accumulate = -1;  ///< ABN_F32 or ABN_F64 for all tensors; -1: the usual one
  bool kink_left = false;
  bool biased_running = false;
  bool saves_invstd = false;
  bool narrow_parameters = false;  ///< 16 bits, as the tensors have
  bool dx_by_xhat = false;         ///< in place II: dx written in xhat
  int shards = 1;                  ///< two passes over each, then Chan's merges
  std::uint32_t materialises = 0;
  Support support = Support::all;
};

struct Plan {
  Bug bug = Bug::none;
  Design design;
};

inline constexpr int lanes = 64;

}  // namespace abn::mutants
