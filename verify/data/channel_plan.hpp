// What a recipe decides about a channel before it draws the samples.
#pragma once

namespace abn::verify::data {

struct ChannelPlan {
  double mean = 0, sigma = 1;  // of the samples
  double gamma = 1, beta = 0;
  double dz_scale = 1;
  double running_mean = 0, running_var = 1;
  // samples are multiples of 1/8 in exact pairs +-, so that their mean is exactly 0
  bool on_grid = false;
  bool minus_zeros = false;  // zeros among the samples are -0
  bool spiky = false;
  bool zeros_in_dz = false;
  double special_x = 0, special_dz = 0;  // if not 0: one sample is this NaN or infinity
};

}  // namespace abn::verify::data
