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

}  // namespace abn::mutants
