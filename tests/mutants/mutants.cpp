// The rows, group by group, and a variant for each of them.
#include "tests/mutants/mutants.hpp"

#include <stdexcept>
#include <utility>

#include "tests/mutants/kernel.hpp"

namespace abn::mutants {
namespace {

constexpr const char* forwards = "forward";
constexpr const char* backwards = "backward";
using Types = std::array<int, 2>;
constexpr Types usual{ABN_F32, ABN_BF16}, wide{ABN_F32, ABN_F64}, narrow{ABN_F16, ABN_BF16}, half{ABN_F16, ABN_F32}, f64{ABN_F64, ABN_F64};
constexpr Design in_place{}, two{.scheme = ABN_IN_PLACE_2}, standard{.scheme = ABN_STANDARD}, welford{.statistics = ABN_WELFORD},
    one_pass{.statistics = ABN_ONE_PASS};

#define ROW(bug) Bug::bug, #bug

constexpr Mutant statistics[] = {
    {ROW(eps_outside_root), "r = 1/(sqrt(v) + eps)", "Tencent/ncnn#311", "small variance", "eps_outside_root", forwards, usual, in_place},
    {ROW(eps_missing), "r = 1/sqrt(v)", "chainer/chainer#2214", "constant channels", "eps_missing", forwards, usual, in_place},
    {ROW(eps_max), "r = 1/sqrt(max(v, eps))", "common slip", "variance near eps", "eps_max", forwards, usual, in_place},
    {ROW(eps_squared), "r = 1/sqrt(v + eps^2)", "common slip", "small variance", "eps_squared", forwards, usual, in_place},
    {ROW(eps_twice), "eps added when the variance is made and again under the root", "keras-team/keras-contrib#287", "small variance",
     "eps_twice", forwards, usual, in_place},
    {ROW(variance_unbiased), "normalises with the variance over m - 1", "pytorch/pytorch#60528", "few samples", "variance_unbiased",
     forwards, usual, in_place},
    {ROW(variance_without_root), "r = 1/(v + eps)", "jax-ml/jax#443", "variance other than 1", "variance_without_root", forwards, usual,
     in_place},
    {ROW(variance_around_zero), "the variance is E[x^2]", "common slip", "mean other than 0", "variance_around_zero", forwards, usual,
     in_place},
    {ROW(variance_one_pass), "E[x^2] - mu^2, declared as two passes", "tenstorrent/tt-metal#45968", "large |mean|/sigma",
     "variance_one_pass", forwards, usual, in_place},
    {ROW(one_pass_unclamped), "E[x^2] - mu^2 may come out negative", "davisking/dlib#3113", "constant channels", "variance_negative",
     forwards, usual, one_pass},
    {ROW(shift_is_first_sample), "E[(x-k)^2] - (mu-k)^2 with the first sample for k, declared as two passes", "common slip",
     "a first sample that is an outlier", "", forwards, usual, in_place},
    {ROW(mean_not_subtracted), "xhat = x r", "common slip", "mean other than 0", "mean_not_subtracted", forwards, usual, in_place},
    {ROW(count_without_space), "divides by N instead of N*S", "NervanaSystems/ngraph-tf#357", "S > 1", "count_without_space", forwards,
     usual, in_place},
    {ROW(count_without_batch), "divides by S instead of N*S", "common slip", "N > 1", "count_without_batch", forwards, usual, in_place},
    {ROW(count_in_f16), "m held in f16", "tensorflow/tensorflow#30230", "more than 2048 samples", "count_in_f16", forwards, half, in_place},
    {ROW(statistics_tail_skipped), "the last m mod 64 samples are left out of the sums", "intel/torch-xpu-ops#1238",
     "m no multiple of the block", "tail_skipped", forwards, usual, in_place},
    {ROW(statistics_last_skipped), "the last sample is left out of the sums", "common slip", "any", "tail_skipped", forwards, usual,
     in_place},
    {ROW(block_counted_twice), "the first lane is added twice", "common slip", "any", "samples_counted_twice", forwards, usual, in_place},
    {ROW(first_image_only), "statistics of the first image", "common slip", "N > 1", "first_image_only", forwards, usual, in_place},
    {ROW(shard_variances_averaged), "each shard's variance about its own mean, without the spread of the means", "common slip",
     "shards of different means", "shards_without_spread", forwards, usual, in_place},
    {ROW(shard_means_unweighted), "the mean of unequal shards' means, not weighted by their sizes", "pytorch/pytorch#22192",
     "unequal shards", "shards_unweighted", forwards, usual, in_place},
    {ROW(welford_count_zero), "Chan's merge divides by the count of two empty parts", "NVIDIA/cudf#22393", "fewer samples than lanes", "",
     forwards, usual, welford},
    {ROW(welford_delta_squared), "M2 += (x - old mean)^2", "common slip", "any", "", forwards, usual, welford},
    {ROW(nan_skipped), "NaN is left out of the sums", "common slip", "NaN in x", "nan_skipped", forwards, usual, in_place},
    {ROW(batch_statistics_in_inference), "inference normalises with the batch", "tensorflow/tensorflow#12580", "inference",
     "batch_statistics_in_inference", forwards, usual, in_place},
    {ROW(running_statistics_in_training), "training normalises with the running buffers", "apache/mxnet#1630", "training",
     "running_statistics_in_training", forwards, usual, in_place},
};

constexpr Mutant buffers[] = {
    {ROW(running_variance_biased), "running_var averages the biased variance", "tenstorrent/tt-metal#55438", "few samples",
     "running_variance_biased", forwards, usual, in_place},
    {ROW(running_variance_with_eps), "running_var averages v + eps", "nntrainer/nntrainer#677", "small variance, large eps",
     "running_variance_with_eps", forwards, usual, in_place},
    {ROW(running_variance_is_deviation), "running_var averages sqrt(v)", "microsoft/onnxruntime#8172", "variance other than 1",
     "running_variance_is_deviation", forwards, usual, in_place},
    {ROW(running_swapped), "mean and variance go to each other's buffer", "common slip", "any", "running_swapped", forwards, usual,
     in_place},
    {ROW(running_not_updated), "the running buffers stay as they are", "paiml/aprender#2166", "training", "running_not_updated", forwards,
     usual, in_place},
    {ROW(running_updated_twice), "the update runs in two blocks", "tile-ai/TileOPs#1727", "old value other than 0", "running_updated_twice",
     forwards, usual, in_place},
    {ROW(running_updated_in_inference), "inference updates the running buffers", "pytorch/pytorch#33867", "inference", "input_overwritten",
     forwards, usual, in_place},
    {ROW(running_written_first), "the running buffers are updated before they are read, and read instead of the batch's",
     "microsoft/onnxruntime#29878", "momentum other than 1", "running_read_after_update", forwards, usual, in_place},
    {ROW(running_without_decay), "running = old + momentum*new", "common slip", "old value other than 0", "running_without_decay", forwards,
     usual, in_place},
    {ROW(momentum_swapped), "momentum is the weight of the old value", "PaddlePaddle/Paddle#51120", "momentum other than 1/2",
     "momentum_swapped", forwards, usual, in_place},
    {ROW(saved_variance_unbiased), "the saved variance is the unbiased one", "common slip", "few samples", "saved_variance_unbiased",
     forwards, usual, in_place},
    {ROW(saved_variance_with_eps), "the saved variance is v + eps", "nntrainer/nntrainer#677", "small variance", "saved_variance_with_eps",
     forwards, usual, in_place},
    {ROW(saved_inverse_deviation), "1/sqrt(v + eps) is saved as the variance", "microsoft/onnxruntime#8172", "variance other than 1",
     "saved_variance_is_rstd", forwards, usual, in_place},
    {ROW(inference_unbiased), "inference applies m/(m-1) to running_var", "keras-team/keras#8982", "few samples in inference",
     "variance_unbiased", forwards, usual, in_place},
};

constexpr Mutant inversion[] = {
    {ROW(abs_eps_without_eps), "|gamma| without eps", "mapillary/inplace_abn#180", "large eps", "abs_eps_without_eps", forwards, usual,
     in_place},
    {ROW(abs_eps_without_eps_backward), "|gamma| without eps in backward only", "mapillary/inplace_abn#180", "small gamma",
     "abs_eps_without_eps", backwards, usual, in_place},
    {ROW(gamma_sign_lost), "|gamma| where gamma is specified", "mapillary/inplace_abn#92", "gamma < 0", "gamma_sign_lost", forwards, usual,
     in_place},
    {ROW(gamma_signed), "gamma where |gamma| + eps is specified", "mapillary/inplace_abn#114", "gamma < 0", "gamma_signed", forwards, usual,
     in_place},
    {ROW(gamma_signed_backward), "gamma where |gamma| + eps is specified, in backward only", "mapillary/inplace_abn#163", "gamma < 0",
     "gamma_signed", backwards, usual, in_place},
    {ROW(gamma_missing), "y = xhat + beta", "common slip", "gamma other than 1", "gamma_missing", forwards, usual, in_place},
    {ROW(gamma_squared), "y = gamma^2 xhat + beta", "common slip", "gamma other than 1", "gamma_squared", forwards, usual, in_place},
    {ROW(gamma_floored), "the inversion divides by no less than 2^-10", "common slip", "tiny gamma", "gamma_floored", backwards, usual,
     in_place},
    {ROW(gamma_zero_unguarded), "the inversion divides by gamma = 0", "mapillary/inplace_abn#4", "gamma = 0", "gamma_zero_unguarded",
     backwards, usual, in_place},
    {ROW(beta_missing), "y = gamma xhat", "common slip", "beta other than 0", "beta_missing", forwards, usual, in_place},
    {ROW(beta_not_subtracted), "xhat = y/g", "common slip", "beta other than 0", "beta_not_subtracted", backwards, usual, in_place},
    {ROW(no_affine_with_eps), "without gamma, g = 1 + eps", "NVIDIA/apex#133", "gamma and beta null", "no_affine_with_eps", forwards, usual,
     in_place},
    {ROW(dgamma_sign_lost), "dgamma without the sign of gamma", "mapillary/inplace_abn@1ffbf20", "gamma < 0", "dgamma_sign_lost", backwards,
     usual, in_place},
    {ROW(dgamma_sign_of_zero), "sign(0) = 0 makes dgamma 0", "mapillary/inplace_abn@25ca7ce", "gamma = 0", "dgamma_sign_of_zero", backwards,
     wide, standard},
    {ROW(in_place_2_without_beta), "scheme II: dgamma = sum(dy y)/g", "common slip", "beta other than 0", "dgamma_without_beta", backwards,
     usual, two},
    {ROW(in_place_2_not_divided), "scheme II: dgamma = sum(dy y) - beta sum(dy)", "common slip", "gamma other than 1", "dgamma_not_divided",
     backwards, usual, two},
    {ROW(xhat_clipped), "xhat clipped to 4", "common slip", "spikes", "xhat_clipped", backwards, usual, in_place},
};

constexpr Mutant activation[] = {
    {ROW(slope_missing_forward), "negative y pass unchanged", "common slip", "y < 0", "slope_missing", forwards, usual, in_place},
    {ROW(slope_default), "the slope is always 0.01", "common slip", "another slope", "slope_default", forwards, usual, in_place},
    {ROW(slope_squared), "the slope is applied twice", "common slip", "y < 0", "slope_twice", forwards, usual, in_place},
    {ROW(relu), "negative y become 0", "mapillary/inplace_abn#15", "y < 0", "slope_zero", forwards, usual, in_place},
    {ROW(activation_before_affine), "z = g phi(xhat) + beta", "mapillary/inplace_abn, docstring", "beta other than 0",
     "activation_before_affine", forwards, usual, in_place},
    {ROW(branch_of_xhat_forward), "the branch is the sign of xhat", "common slip", "xhat and y of different signs", "branch_of_xhat",
     forwards, usual, in_place},
    {ROW(zero_negative), "y = 0 is stored as -0", "mapillary/inplace_abn, f16 underflow", "y = 0", "zero_sign", forwards, usual, in_place},
    {ROW(nan_lost), "NaN becomes 0", "common slip", "NaN in x", "nan_lost", forwards, usual, in_place},
    {ROW(elu_alpha_one), "ELU with alpha = 1", "common slip", "another alpha", "elu_alpha_one", forwards, usual, in_place},
    {ROW(elu_alpha_inside), "alpha multiplies y before expm1, too few times after", "common slip", "another alpha", "elu_alpha_inside",
     forwards, usual, in_place},
    {ROW(elu_exp_minus_one), "exp(y) - 1 for expm1(y)", "PaddlePaddle/Paddle, ELU", "small y < 0", "", forwards, wide, in_place},
    {ROW(elu_clamped), "y clamped to -8 before expm1", "common slip", "saturating y", "elu_clamped", forwards, wide, in_place},
    {ROW(slope_missing), "phi' = 1", "common slip", "z < 0", "slope_missing", backwards, usual, in_place},
    {ROW(slope_missing_in_frozen), "phi' = 1 with frozen statistics only", "mapillary/inplace_abn@ff5439b", "frozen mode", "slope_missing",
     backwards, usual, in_place},
    {ROW(slope_twice), "phi' applied twice", "common slip", "z < 0", "slope_twice", backwards, usual, in_place},
    {ROW(slope_divided), "1/slope for slope in dy", "common slip", "z < 0", "slope_divided", backwards, usual, in_place},
    {ROW(slope_not_inverted), "y = z", "common slip", "z < 0", "slope_not_inverted", backwards, usual, in_place},
    {ROW(slope_multiplied_in_inverse), "y = slope z", "common slip", "z < 0", "slope_multiplied_in_inverse", backwards, usual, in_place},
    {ROW(branch_of_xhat), "phi' by the sign of xhat", "tracel-ai/burn#1208", "xhat and y of different signs", "branch_of_xhat", backwards,
     usual, in_place},
    {ROW(branch_of_dz), "phi' by the sign of dz", "common slip", "any", "branch_of_dz", backwards, usual, in_place},
    {ROW(branch_by_comparison), "z < 0 for the sign bit of z", "mapillary/inplace_abn, f16 underflow", "z = -0", "branch_by_comparison",
     backwards, wide, in_place},
    {ROW(elu_alpha_one_backward), "ELU's inverse and phi' with alpha = 1", "common slip", "another alpha", "elu_alpha_one", backwards,
     usual, in_place},
    {ROW(elu_derivative_of_y), "phi' = alpha expm1(y)", "common slip", "z < 0", "elu_derivative_of_y", backwards, usual, in_place},
    {ROW(elu_derivative_without_alpha), "phi' = z + 1", "common slip", "another alpha", "elu_derivative_without_alpha", backwards, usual,
     in_place},
    {ROW(elu_written_first), "phi' = y + alpha, for y was written over z", "mapillary/inplace_abn#218", "z < 0",
     "elu_derivative_of_inverse", backwards, usual, in_place},
    {ROW(elu_log_of_sum), "log(1 + z/alpha) for log1p(z/alpha)", "PaddlePaddle/Paddle, ELU", "small y < 0 and tiny gamma", "", backwards,
     wide, in_place},
    {ROW(saturated_unguarded), "log1p(-1)", "mapillary/inplace_abn#70", "saturated z", "saturated_unguarded", backwards, usual, in_place},
};

constexpr Mutant sums[] = {
    {ROW(dx_zero), "dx = 0", "common slip", "any", "dx_zero", backwards, usual, in_place},
    {ROW(dx_is_dz), "dx = dz", "common slip", "any", "dx_is_dz", backwards, usual, in_place},
    {ROW(dx_missing_mean_dy), "without sum(dy)/m", "BVLC/caffe#3878", "dz of non-zero mean", "dx_missing_mean_dy", backwards, usual,
     in_place},
    {ROW(dx_missing_xhat_term), "without xhat sum(dy xhat)/m", "mlpack/mlpack#1327", "dz correlated with xhat", "dx_missing_xhat_term",
     backwards, usual, in_place},
    {ROW(dx_xhat_term_negated), "plus xhat sum(dy xhat)/m", "mlpack/mlpack#1923", "dz correlated with xhat", "dx_xhat_term_negated",
     backwards, usual, in_place},
    {ROW(dx_missing_rstd), "without r", "common slip", "variance other than 1", "dx_missing_rstd", backwards, usual, in_place},
    {ROW(dx_rstd_twice), "with r^2", "common slip", "variance other than 1", "dx_rstd_twice", backwards, usual, in_place},
    {ROW(dx_missing_gamma), "without g", "common slip", "gamma other than 1", "dx_missing_gamma", backwards, usual, in_place},
    {ROW(dx_gamma_twice), "with g^2", "common slip", "gamma other than 1", "dx_gamma_twice", backwards, usual, in_place},
    {ROW(dx_frozen_formula), "dx = g r dy in training", "common slip", "training", "dx_frozen_formula", backwards, usual, in_place},
    {ROW(dx_training_formula), "the formula of training with frozen statistics", "pytorch/pytorch#586", "frozen mode",
     "dx_training_formula", backwards, usual, in_place},
    {ROW(rstd_of_rstd), "the saved value is taken for a variance a second time", "flagos-ai/FlagGems#5222", "variance other than 1",
     "rstd_of_rstd", backwards, usual, in_place},
    {ROW(eps_missing_backward), "r = 1/sqrt(v) in backward only", "common slip", "small variance", "eps_missing", backwards, usual,
     in_place},
    {ROW(count_m_minus_one), "sums divided by m - 1", "common slip", "few samples", "count_m_minus_one", backwards, usual, in_place},
    {ROW(backward_count_without_space), "sums divided by N", "NervanaSystems/ngraph-tf#357", "S > 1", "count_without_space", backwards,
     usual, in_place},
    {ROW(backward_count_without_batch), "sums divided by S", "common slip", "N > 1", "count_without_batch", backwards, usual, in_place},
    {ROW(sums_of_dz), "sum(dz) and sum(dz xhat)", "common slip", "z < 0", "sums_of_dz", backwards, usual, in_place},
    {ROW(dbeta_of_dz), "dbeta = sum(dz)", "common slip", "z < 0", "dbeta_of_dz", backwards, usual, in_place},
    {ROW(dgamma_of_y), "dgamma = sum(dy y)", "common slip", "beta other than 0", "dgamma_of_y", backwards, usual, in_place},
    {ROW(dgamma_of_deviation), "dgamma = sum(dy (x - mu))", "common slip", "variance other than 1", "dgamma_of_deviation", backwards, usual,
     standard},
    {ROW(dgamma_expanded), "dgamma = (sum(dy x) - mu sum(dy)) r", "common slip", "large |mean|/sigma", "", backwards, usual, standard},
    {ROW(dgamma_dbeta_swapped), "dgamma and dbeta in each other's place", "common slip", "any", "dgamma_dbeta_swapped", backwards, usual,
     in_place},
    {ROW(dgamma_zero_in_frozen), "dgamma = 0 with frozen statistics", "mapillary/inplace_abn v0", "frozen mode", "dgamma_zero", backwards,
     usual, in_place},
    {ROW(dgamma_mean), "dgamma divided by m", "pytorch/pytorch#36382", "any", "dgamma_mean", backwards, usual, in_place},
    {ROW(backward_tail_skipped), "the last m mod 64 samples are left out of the sums", "intel/torch-xpu-ops#1238",
     "m no multiple of the block", "tail_skipped", backwards, usual, in_place},
    {ROW(dgamma_last_skipped), "the last sample is left out of dgamma", "common slip", "any", "tail_skipped", backwards, usual, in_place},
    {ROW(sums_of_channel_before), "dx with sum(dy) of the channel before", "NervanaSystems/neon#171", "two channels", "sums_of_neighbour",
     backwards, usual, in_place},
};

constexpr Mutant layout[] = {
    {ROW(layout_confused), "x read in the other layout", "pytorch/pytorch#64039", "C and S > 1", "layout_confused", forwards, usual,
     in_place},
    {ROW(layout_of_dz_confused), "dz read in the other layout", "sony/nnabla-ext-cuda#457", "C and S > 1", "layout_confused", backwards,
     usual, in_place},
    {ROW(channel_shifted), "gamma and beta of the next channel", "common slip", "two channels", "channel_shifted", forwards, usual,
     in_place},
    {ROW(channels_modulo_64), "gamma and beta of channel c mod 64", "NVIDIA/apex#1768", "more than 64 channels", "channels_modulo",
     forwards, usual, in_place},
    {ROW(channels_behind_64_dropped), "the grid ends at 64 channels", "pytorch/pytorch#57077", "more than 64 channels", "not_all_written",
     forwards, usual, in_place},
    {ROW(images_modulo_32), "image n mod 32 is read", "common slip", "more than 32 images", "images_modulo", forwards, usual, in_place},
    {ROW(samples_of_16_bits),
     "the sample's index has 16 bits",
     "pytorch/pytorch#16998",
     "more than 65,536 samples a channel",
     "samples_modulo",
     forwards,
     {ABN_F16, ABN_F32},
     in_place},
    {ROW(elements_of_18_bits),
     "the element's index has 18 bits, as others have 32",
     "ucbrise/actnn#4",
     "more than 2^18 elements",
     "elements_modulo",
     forwards,
     {ABN_BF16, ABN_F64},
     in_place},
    {ROW(row_tail_unwritten), "the last S mod 4 of a row are not written", "microsoft/onnxruntime#17943", "S no multiple of 4",
     "not_all_written", forwards, usual, in_place},
    {ROW(row_tail_shifted), "the last S mod 4 of a row are read one too early", "ROCm/MIOpen#1109", "S no multiple of 4",
     "row_tail_shifted", forwards, usual, in_place},
    {ROW(nhwc_tail_channels), "NHWC: the last C mod 4 channels lack the term of xhat", "common slip", "C no multiple of 4",
     "dx_missing_xhat_term", backwards, usual, in_place},
    {ROW(matrix_path_unbiased), "S = 1 has a path of its own, with the unbiased variance", "pytorch/pytorch#19902", "S = 1",
     "variance_unbiased", forwards, usual, in_place},
    {ROW(one_image_path_without_term), "N = 1 has a path of its own, without the term of xhat", "common slip", "N = 1",
     "dx_missing_xhat_term", backwards, usual, in_place},
    {ROW(empty_written), "an empty batch leaves NaN in running_mean", "pytorch/pytorch#29578", "no elements", "written_out_of_bounds",
     forwards, usual, in_place},
    {ROW(large_ignored),
     "a launch that is too large fails, and nobody looks",
     "mapillary/inplace_abn v1, no check",
     "more than 2^18 elements",
     "not_all_written",
     forwards,
     {ABN_BF16, ABN_F64},
     in_place},
    {ROW(inference_ends_at_40960), "inference ends behind 40,960 samples of a channel", "common slip",
     "more than 40,960 samples a channel in inference", "not_all_written", forwards, usual, in_place},
    {ROW(frozen_sums_end_at_40960), "NCHW: the sums of frozen statistics end behind 40,960 samples of a channel", "common slip",
     "more than 40,960 samples a channel in frozen mode", "tail_skipped", backwards, half, in_place},
    {ROW(power_of_two_last_skipped), "where m is a power of two from 8192 on, the last sample is left out of the sums", "common slip",
     "m a power of two", "tail_skipped", forwards, usual, in_place},
    {ROW(power_of_two_dgamma_last_skipped), "where m is a power of two from 8192 on, the last sample is left out of dgamma", "common slip",
     "m a power of two", "tail_skipped", backwards, usual, in_place},
    {ROW(nhwc_wide_rows_shifted), "NHWC in vectors: from channel 256 and sample 32 on the sample before is read", "common slip",
     "C a multiple of 8 and above 256, more than 32 samples", "", forwards, usual, in_place},
    {ROW(nhwc_wide_without_term), "NHWC in vectors: from channel 256 and sample 32 on dx lacks the term of xhat", "common slip",
     "C a multiple of 8 and above 256, more than 32 samples", "dx_missing_xhat_term", backwards, usual, in_place},
};

constexpr Mutant precision[] = {
    {ROW(accumulate_f16), "sums of the statistics and gradients in f16", "pytorch/pytorch#126525", "any", "accumulate_f16", forwards, half,
     in_place},
    {ROW(accumulate_bf16), "sums of the statistics and gradients in bf16", "pytorch/pytorch#195701", "any", "accumulate_bf16", forwards,
     usual, in_place},
    {ROW(accumulate_f32), "f64 summed in f32", "mapillary/inplace_abn, float count", "f64", "accumulate_f32", forwards, f64, in_place},
    {ROW(backward_accumulate_bf16), "sums of the gradients in bf16", "microsoft/onnxruntime#28442", "any", "accumulate_bf16", backwards,
     usual, in_place},
    {ROW(statistics_in_storage), "mean and variance rounded to the storage type", "chainer/chainer#6323", "f16 and bf16",
     "statistics_in_storage", forwards, narrow, in_place},
    {ROW(xhat_in_storage), "xhat rounded to the storage type", "common slip", "f16 and bf16", "xhat_in_storage", backwards, narrow,
     in_place},
    {ROW(y_in_storage), "y rounded to the storage type before the activation", "common slip", "f16 and bf16, y < 0", "y_in_storage",
     forwards, narrow, in_place},
    {ROW(dy_in_storage), "dy rounded to the storage type", "common slip", "f16 and bf16", "dy_in_storage", backwards, narrow, in_place},
    {ROW(parameters_in_storage), "gamma and beta rounded to the storage type", "mapillary/inplace_abn#120", "f16 and bf16",
     "parameters_in_storage", forwards, narrow, in_place},
    {ROW(gradients_in_storage), "dgamma and dbeta rounded to the storage type", "apple/coreai-torch#54", "f16 and bf16",
     "gradients_in_storage", backwards, narrow, in_place},
    {ROW(products_in_tf32), "squares of differences with 11 bits", "common slip", "f32", "products_in_tf32", forwards, usual, in_place},
    {ROW(truncated_store), "results rounded towards zero", "common slip", "any", "truncated_store", forwards, usual, in_place},
    {ROW(saturating_store), "infinity stored as the largest number", "common slip", "infinities in x", "saturating_store", forwards, usual,
     in_place},
    {ROW(subnormals_flushed), "subnormal inputs taken for 0", "common slip", "subnormal x", "subnormals_flushed", forwards, half, in_place},
    {ROW(rstd_one_newton_step), "the reciprocal root after one step of Newton's method", "common slip", "any", "rstd_inaccurate", forwards,
     usual, in_place},
    {ROW(rstd_two_newton_steps), "the reciprocal root after two steps of Newton's method", "common slip", "f32", "rstd_inaccurate",
     forwards, wide, in_place},
    {ROW(folded_unclaimed), "a x + b, declared as direct", "common slip", "large |mean|/sigma", "", forwards, usual, in_place},
    {ROW(expm1_approximate), "expm1 as (1 + y/4096)^4096 - 1", "common slip", "y < 0", "", forwards, wide, in_place},
};

constexpr Mutant memory[] = {
    {ROW(stale_output), "z of an earlier call of the same size", "gpu-mode/reference-kernels#104", "sizes that come again", "", forwards,
     usual, in_place},
    {ROW(every_other_call_off), "one bit of dx differs from call to call", "common slip", "a second call", "not_deterministic", backwards,
     usual, in_place},
    {ROW(sums_in_order_of_arrival), "sums in an order that changes", "common slip", "a second call", "not_deterministic", forwards, wide,
     in_place},
    {ROW(workspace_not_cleared), "adds to what the workspace held", "apache/mxnet#18499", "any", "not_deterministic", backwards, usual,
     in_place},
    {ROW(workspace_overrun), "writes one number behind the workspace", "common slip", "any", "written_out_of_bounds", backwards, usual,
     in_place},
    {ROW(written_behind), "writes one element behind the tensor", "intel/torch-xpu-ops#1238", "any", "written_out_of_bounds", forwards,
     usual, in_place},
    {ROW(input_overwritten), "x is used as scratch", "gpu-mode/kernelbot, cheat-input", "out of place", "input_overwritten", forwards,
     usual, in_place},
    {ROW(last_element_unwritten), "the last element is not written", "llnl/RAJAPerf#170", "any", "not_all_written", forwards, usual,
     in_place},
    {ROW(channel_of_neighbour), "a missing barrier: one channel in 97 uses the statistics before", "NervanaSystems/neon#171",
     "more than 96 channels", "statistics_of_neighbour", forwards, usual, in_place},
    {ROW(misaligned_base), "vector loads round the address down to 16 bytes", "ROCm/MIOpen#1109", "buffers off 16 bytes", "", forwards,
     usual, in_place},
    {ROW(in_place_statistics_late), "in place, the variance is found when x is gone", "ggml-org/ggml#1519", "z == x", "wrong_in_place",
     forwards, usual, in_place},
    {ROW(in_place_sums_late), "in place, dbeta is summed when dz is gone", "ggml-org/ggml#1519", "dx == dz", "wrong_in_place", backwards,
     usual, in_place},
    {ROW(gradients_only_with_dx), "dgamma and dbeta are not written where dx is not asked for", "PaddlePaddle/Paddle#67559", "dx null", "",
     backwards, usual, in_place},
    {ROW(gradients_accumulated), "dgamma is added to what was there", "apache/mxnet#18475", "any", "not_deterministic", backwards, usual,
     in_place},
};

// Ties away from zero: a tie lies half a unit from both neighbours, so the error of either choice is exactly the half unit that every
// rounding to nearest may have, and no bound that admits rounding to nearest can refuse it; nothing in the ABI promises ties to even.
//
// Computed twice: the second pass writes the bits of the first, so no output can differ; only time tells.
constexpr Mutant hidden[] = {
    {ROW(ties_away_from_zero), "results rounded to nearest, ties away from zero", "common slip", "none", "", forwards, narrow, in_place},
    {ROW(result_computed_twice), "forward runs twice", "common slip", "none", "", forwards, usual, standard},
};

#undef ROW

constexpr Group all_groups[] = {
    {"statistics", statistics},          {"running buffers", buffers},         {"scale and inversion", inversion},
    {"activation", activation},          {"backward sums and formulas", sums}, {"layout and sizes", layout},
    {"precision downgrades", precision}, {"memory and ordering", memory},
};

template <const auto& rows>
const abn_variant* variant_in(const Mutant& mutant) {
  static constexpr auto variants = []<std::size_t... i>(std::index_sequence<i...>) {
    return std::array{variant_of<Plan{rows[i].bug, rows[i].design}>(rows[i].id, rows[i].what)...};
  }
  (std::make_index_sequence<std::size(rows)>());
  for (std::size_t i = 0; i < std::size(rows); ++i)
    if (rows[i].bug == mutant.bug) return &variants[i];
  return nullptr;
}

}  // namespace

std::span<const Group> groups() { return all_groups; }
std::span<const Mutant> invisible() { return hidden; }

const abn_variant& variant_of(const Mutant& mutant) {
  for (const auto find : {variant_in<statistics>, variant_in<buffers>, variant_in<inversion>, variant_in<activation>, variant_in<sums>,
                          variant_in<layout>, variant_in<precision>, variant_in<memory>, variant_in<hidden>})
    if (const abn_variant* const found = find(mutant)) return *found;
  throw std::out_of_range(mutant.id);
}

}  // namespace abn::mutants
