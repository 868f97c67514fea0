// The smallest complete kernel: InPlace-ABN in plain C++, for f32 in NCHW with leaky ReLU or
// identity, computed in double. It needs cuda/kernel.h and nothing else. Copy it and go on:
//
//   g++ -std=c++20 -O2 -ffp-contract=off -shared -fPIC -I ABN_VERIFY -o mine.so host_kernel.cpp
//   abn-verify run --plugin ./mine.so --only-plugins
#include <cmath>

#include "cuda/kernel.h"

namespace {

const float* floats(const void* data) { return static_cast<const float*>(data); }
float* floats(void* data) { return static_cast<float*>(data); }

// Sample i of channel c; a channel has m = n*s of them.
int64_t at(const abn_problem* p, int64_t c, int64_t i) {
  return (i / p->s * p->c + c) * p->s + i % p->s;
}
// A vector may be NULL: no gamma and beta mean 1 and 0, and an output is not wanted.
double get(const void* vector, int64_t c, double otherwise) {
  return vector ? floats(vector)[c] : otherwise;
}
void put(void* vector, int64_t c, double value) {
  if (vector) floats(vector)[c] = static_cast<float>(value);
}

int forward(const abn_problem* p, const abn_forward_args* args) {
  const float* const x = floats(args->x);
  float* const z = floats(args->z);  // may be x
  const bool identity = p->activation == ABN_IDENTITY;
  const int64_t m = p->n * p->s;
  for (int64_t c = 0; c < p->c && m > 0; ++c) {
    double mean = get(args->running_mean, c, 0), var = get(args->running_var, c, 0);
    if (p->mode == ABN_TRAINING) {
      const double old_mean = mean, old_var = var, q = p->momentum;
      mean = var = 0;
      for (int64_t i = 0; i < m; ++i) mean += x[at(p, c, i)];
      mean /= m;
      for (int64_t i = 0; i < m; ++i) var += (x[at(p, c, i)] - mean) * (x[at(p, c, i)] - mean);
      put(args->running_mean, c, (1 - q) * old_mean + q * mean);
      put(args->running_var, c, (1 - q) * old_var + q * var / (m - 1));  // unbiased
      var /= m;
      put(args->mean, c, mean);
      put(args->var, c, var);
    }
    const double r = 1 / std::sqrt(var + p->eps);
    const double g = get(args->gamma, c, 1), beta = get(args->beta, c, 0);
    for (int64_t i = 0; i < m; ++i) {
      const double y = g * ((x[at(p, c, i)] - mean) * r) + beta;
      // Leaky ReLU makes +0 of y = -0: a stored -0 is a slope*y that underflowed.
      const double z_i = identity ? y : y < 0 ? p->activation_parameter * y : y + 0;
      z[at(p, c, i)] = static_cast<float>(z_i);
    }
  }
  return ABN_OK;
}

int backward(const abn_problem* p, const abn_backward_args* args) {
  const float* const z = floats(args->z);
  const float* const dz = floats(args->dz);
  float* const dx = floats(args->dx);  // may be dz, may be NULL
  const double slope = p->activation == ABN_IDENTITY ? 1 : p->activation_parameter;
  const int64_t m = p->n * p->s;
  for (int64_t c = 0; c < p->c && m > 0; ++c) {
    const double r = 1 / std::sqrt(get(args->var, c, 0) + p->eps);
    const double g = get(args->gamma, c, 1), beta = get(args->beta, c, 0);
    // All from z, whose sign bit tells the branch. g = 0 leaves nothing of xhat.
    const auto dy = [&](int64_t k) { return std::signbit(z[k]) ? slope * dz[k] : dz[k]; };
    const auto y = [&](int64_t k) { return std::signbit(z[k]) ? z[k] / slope : z[k]; };
    const auto xhat = [&](int64_t k) { return g == 0 ? 0 : (y(k) - beta) / g; };
    double s0 = 0, s1 = 0;
    for (int64_t i = 0; i < m; ++i) {
      s0 += dy(at(p, c, i));
      s1 += dy(at(p, c, i)) * xhat(at(p, c, i));
    }
    put(args->dbeta, c, s0);
    put(args->dgamma, c, s1);
    for (int64_t i = 0; dx && i < m; ++i) {
      const int64_t k = at(p, c, i);
      // Frozen statistics do not depend on x.
      const double mean_terms = p->mode == ABN_FROZEN ? 0 : s0 / m + xhat(k) * (s1 / m);
      dx[k] = static_cast<float>(g * r * (dy(k) - mean_terms));
    }
  }
  return ABN_OK;
}

size_t workspace_bytes(const abn_problem*, int) { return 0; }

// Which problems the kernel does, and how: the judge derives the error bounds from it.
int claims(const abn_problem* p, abn_claims* out) {
  if (p->dtype != ABN_F32 || p->param_dtype != ABN_F32 || p->layout != ABN_NCHW ||
      p->scale != ABN_SCALE_SIGNED ||
      (p->activation != ABN_LEAKY_RELU && p->activation != ABN_IDENTITY))
    return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_IN_PLACE_1;  // backward works from z, through xhat
  out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  out->z_may_alias_x = out->dx_may_alias_dz = 1;
  out->statistics = ABN_TWO_PASS;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F64;
  out->depth_statistics = out->depth_backward = p->n * p->s;  // sums of one term after the other
  out->deterministic = 1;
  return ABN_OK;
}

const abn_variant variant = {ABN_ABI_VERSION, sizeof(abn_variant),
                             "host_kernel",   "Plain C++ loops.",
                             ABN_MEMORY_HOST, 0,
                             claims,          workspace_bytes,
                             forward,         backward};

}  // namespace

extern "C" const abn_variant* abn_plugin(uint32_t index) { return index == 0 ? &variant : nullptr; }
