// Which derivative a kernel's backward takes at the kink y = 0, where leaky ReLU and ELU have two:
// 1 from the right, the slope (alpha) from the left.
//
// Constant channels without a shift have y = 0 exactly in every class of kernel: the samples and
// gamma are powers of two, so that even a shift that is formed apart cancels. The gradients of such
// a channel are those of the identity whose upstream gradient is phi'(0)*dz, which is exact where
// the slope and alpha are powers of two, and by them a kernel is judged. (The bounds of the
// activation itself would not do: where y is found again from x they have to grant either side.)
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "verify/run/runner.hpp"

namespace abn::verify::study::conventions {

/// An activation with a kink, in the words of a problem string, and the question that is asked.
struct Kinked {
  const char* activation;
  const char* question;
};
inline constexpr std::array<Kinked, 2> kinked{{
    {"leaky_relu:0.5", "phi'(0) of leaky ReLU"},
    {"elu:0.5", "phi'(0) of ELU"},
}};

struct Side {
  const char* name;
  double (*derivative)(double parameter);  ///< of the slope or alpha
};
inline constexpr std::array<Side, 2> sides{{
    {"1, from the right", [](double) { return 1.0; }},
    {"the slope or alpha, from the left", [](double parameter) { return parameter; }},
}};

/// Largest |error| / bound of backward's outputs for either side; empty where the variant does not
/// train with this activation. Throws CallFailed and DeviceError.
std::optional<std::array<double, sides.size()>> kink_ratios(const call::Subject& subject,
                                                            const Kinked& asked,
                                                            std::uint64_t seed);

}  // namespace abn::verify::study::conventions
