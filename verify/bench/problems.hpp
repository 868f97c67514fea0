// The problems that kernels are timed on: layers of networks that people train, odd sizes, and one
// tensor of more than 2^31 elements.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cuda/kernel.h"

namespace abn::verify::bench {

struct SpeedProblem {
  std::string layer;  ///< "ResNet stage 2 out"; empty where the user gave the problem
  abn_problem problem{};
};

/// The sets by name, each with what is in it.
struct SpeedSet {
  const char* name;
  const char* what;
};
const std::vector<SpeedSet>& speed_sets();

/// f32, f16 and bf16 in both layouts, training, leaky ReLU 0.01. Throws UsageError for a name that
/// is no set.
std::vector<SpeedProblem> speed_problems(std::string_view set);

}  // namespace abn::verify::bench
