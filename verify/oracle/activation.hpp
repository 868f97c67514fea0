// The activation of reference/ that an ABI code stands for.
#pragma once

#include "cuda/kernel.h"
#include "reference/activation.hpp"

namespace abn::verify::oracle {

/// reference/ knows nothing of the ABI, so it has names of its own, in the same order.
inline reference::ActivationKind reference_kind(int activation) {
  using reference::ActivationKind;
  static_assert(static_cast<int>(ActivationKind::identity) == ABN_IDENTITY);
  static_assert(static_cast<int>(ActivationKind::leaky_relu) == ABN_LEAKY_RELU);
  static_assert(static_cast<int>(ActivationKind::elu) == ABN_ELU);
  static_assert(static_cast<int>(ActivationKind::celu) == ABN_CELU);
  static_assert(static_cast<int>(ActivationKind::relu) == ABN_RELU);
  static_assert(static_cast<int>(ActivationKind::relu6) == ABN_RELU6);
  static_assert(static_cast<int>(ActivationKind::silu) == ABN_SILU);
  static_assert(static_cast<int>(ActivationKind::gelu) == ABN_GELU);
  static_assert(static_cast<int>(ActivationKind::gelu_tanh) == ABN_GELU_TANH);
  static_assert(static_cast<int>(ActivationKind::sigmoid) == ABN_SIGMOID);
  static_assert(static_cast<int>(ActivationKind::tanh) == ABN_TANH);
  static_assert(static_cast<int>(ActivationKind::hardswish) == ABN_HARDSWISH);
  return static_cast<ActivationKind>(activation);
}

}  // namespace abn::verify::oracle
