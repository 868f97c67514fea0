// Right kernels of different designs: what must raise no alarm.
#pragma once

#include "tests/mutants/kernel.hpp"

namespace abn::mutants {

inline constexpr abn_variant correct_kernels[] = {
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD}}>("twin_standard", "keeps x and z"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .normalise = ABN_FOLDED}}>(
        "twin_standard_folded", "a x + b"),
    variant_of<Plan{Bug::none,
                    {.scheme = ABN_STANDARD, .statistics = ABN_WELFORD, .contracted = true}}>(
        "twin_standard_welford_fma", "fma"),
    variant_of<Plan{Bug::none, {.scheme = ABN_CHECKPOINT_X, .summation = Summation::pairwise}}>(
        "twin_checkpoint_x", "pairwise sums"),
    variant_of<Plan{Bug::none, {.scheme = ABN_CHECKPOINT_XHAT, .statistics = ABN_ONE_PASS}}>(
        "twin_checkpoint_xhat", "one pass"),
    variant_of<Plan{Bug::none, {}}>("twin_in_place_1", "as the mutants, without a bug"),
    variant_of<Plan{Bug::none, {.statistics = ABN_ONE_PASS, .summation = Summation::sequential}}>(
        "twin_in_place_1_one_pass", "one by one"),
    variant_of<Plan{Bug::none, {.statistics = ABN_WELFORD}}>("twin_in_place_1_welford",
                                                             "Chan's merges of 64 lanes"),
    variant_of<Plan{Bug::none, {.statistics = ABN_WELFORD, .summation = Summation::sequential}}>(
        "twin_in_place_1_welford_long", "one by one"),
    variant_of<Plan{Bug::none, {.normalise = ABN_FOLDED, .contracted = true}}>(
        "twin_in_place_1_folded_fma", "a x + b with fma"),
    variant_of<Plan{Bug::none, {.summation = Summation::wide}}>("twin_in_place_1_wide",
                                                                "sums in double"),
    variant_of<Plan{Bug::none, {.scheme = ABN_IN_PLACE_2}}>("twin_in_place_2",
                                                            "gradients written in y"),
    variant_of<Plan{Bug::none,
                    {.scheme = ABN_IN_PLACE_2, .summation = Summation::wide, .contracted = true}}>(
        "twin_in_place_2_wide_fma", "fma"),
};

/// Conventions of which the field has two, claims that are less than the best, and kernels that do
/// few problems.
inline constexpr abn_variant kernels_of_conventions[] = {
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .kink_left = true}}>(
        "twin_standard_kink_left", "phi'(0) of the left"),
    variant_of<Plan{Bug::none, {.kink_left = true}}>("twin_in_place_1_kink_left",
                                                     "phi'(0) of the left"),
    variant_of<Plan{Bug::none, {.biased_running = true}}>("twin_biased_running",
                                                          "v in the running variance"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .normalise = ABN_FOLDED_APART}}>(
        "twin_standard_folded_apart", "b = beta - (mu g) r"),
    variant_of<Plan{Bug::none, {.normalise = ABN_FOLDED_APART, .contracted = true}}>(
        "twin_in_place_1_folded_apart", "the same with fma"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .saves_invstd = true}}>(
        "twin_standard_invstd", "keeps 1/sqrt(v + eps)"),
    variant_of<Plan{Bug::none, {.saves_invstd = true}}>("twin_in_place_1_invstd",
                                                        "keeps 1/sqrt(v + eps)"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .narrow_parameters = true}}>(
        "twin_standard_half", "parameters of 16 bits"),
    variant_of<Plan{Bug::none, {.narrow_parameters = true}}>("twin_in_place_1_half",
                                                             "parameters of 16 bits"),
    variant_of<Plan{Bug::none, {.scheme = ABN_IN_PLACE_2, .narrow_parameters = true}}>(
        "twin_in_place_2_half", "parameters of 16 bits"),
    variant_of<Plan{
        Bug::none,
        {.scheme = ABN_STANDARD, .materialises = ABN_MATERIALISES_Y | ABN_MATERIALISES_DY}}>(
        "twin_standard_two_kernels", "y and dy in storage"),
    variant_of<Plan{
        Bug::none,
        {.scheme = ABN_CHECKPOINT_X, .materialises = ABN_MATERIALISES_Y | ABN_MATERIALISES_XHAT}}>(
        "twin_checkpoint_x_materialised", "y and xhat in storage"),
    variant_of<Plan{Bug::none, {.materialises = ABN_MATERIALISES_XHAT | ABN_MATERIALISES_DY}}>(
        "twin_in_place_1_materialised", "xhat and dy in storage"),
    variant_of<Plan{Bug::none, {.materialises = ABN_MATERIALISES_STATISTICS}}>(
        "twin_in_place_1_statistics", "mean and variance in storage"),
    variant_of<Plan{Bug::none, {.accumulate = ABN_F64}}>("twin_in_place_1_double",
                                                         "computes in double"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .accumulate = ABN_F64}}>(
        "twin_standard_double", "computes in double"),
    variant_of<Plan{Bug::none, {.accumulate = ABN_F32}}>("twin_in_place_1_single", "f64 in float"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .accumulate = ABN_F32}}>(
        "twin_standard_single", "f64 in float"),
    variant_of<Plan{Bug::none, {.scheme = ABN_IN_PLACE_2, .dx_by_xhat = true}}>(
        "twin_in_place_2_by_xhat", "dx written in xhat"),
    variant_of<Plan{Bug::none, {.shards = 3}}>("twin_in_place_1_shards", "three unequal shards"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .shards = 7}}>("twin_standard_shards",
                                                                       "seven unequal shards"),
    variant_of<Plan{Bug::none, {.root_steps = 2}}>("twin_in_place_1_root_large",
                                                   "1/sqrt two values too large"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .root_steps = -2}}>(
        "twin_standard_root_small", "1/sqrt two values too small"),
    variant_of<Plan{Bug::none, {.support = Support::one_pixel}}>("twin_one_pixel", "S = 1 alone"),
    variant_of<Plan{Bug::none, {.scheme = ABN_STANDARD, .support = Support::few_channels}}>(
        "twin_few_channels", "C up to 32"),
    variant_of<Plan{Bug::none, {.support = Support::few_samples}}>("twin_few_samples",
                                                                   "m up to 512"),
    variant_of<Plan{Bug::none, {.support = Support::abs_eps}}>("twin_abs_eps", "abs_eps alone"),
};

}  // namespace abn::mutants
