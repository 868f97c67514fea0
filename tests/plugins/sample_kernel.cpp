// A kernel in plain host loops, written from cuda/kernel.h and nothing else of this project: a
// sample plug-in, and with PLANTED_BUG defined one of the wrong kernels that the judge has to tell
// from it.
//
//   g++ -std=c++20 -shared -fPIC -ffp-contract=off -I. -o sample.so tests/plugins/sample_kernel.cpp
//   abn-verify run --plugin ./sample.so --only-plugins
//
// InPlace-ABN I: forward may write z over x, and backward gets xhat back from z: y = phi^-1(z),
// xhat = (y - beta)/g. Statistics are two-pass, and everything is computed in the storage type, f32
// or f64, one sample after the other.
#include <cfenv>
#include <cmath>
#include <cstdint>

#include "cuda/kernel.h"

#ifndef SAMPLE_NAME
#define SAMPLE_NAME "sample"
#endif
#ifndef PLANTED_BUG
#define PLANTED_BUG none
#endif

namespace {

enum class Bug {
  none,
  eps_outside_root,
  missing_xhat_term,
  nan_in_one,
  last_element_unwritten,
  input_overwritten,
  crash,
  leaves_rounding
};
constexpr Bug bug = Bug::PLANTED_BUG;

/// Sample i = n*S + s of channel c.
int64_t offset(const abn_problem& p, int64_t c, int64_t i) {
  return p.layout == ABN_NCHW ? (i / p.s * p.c + c) * p.s + i % p.s : i * p.c + c;
}

template <class T, class P>
struct Kernel {
  const abn_problem& p;
  const int64_t m = p.n * p.s;
  const T eps = static_cast<T>(p.eps), parameter = static_cast<T>(p.activation_parameter);

  T scale(const void* gamma, int64_t c) const {
    if (gamma == nullptr) return 1;
    const T value = static_cast<const P*>(gamma)[c];
    return p.scale == ABN_SCALE_ABS_EPS ? std::fabs(value) + eps : value;
  }
  T shift(const void* beta, int64_t c) const {
    return beta == nullptr ? T(0) : T(static_cast<const P*>(beta)[c]);
  }

  T inverse_deviation(T variance) const {
    if constexpr (bug == Bug::eps_outside_root) return 1 / (std::sqrt(variance) + eps);
    return 1 / std::sqrt(variance + eps);
  }

  T activate(T y) const {
    // +0 for both zeros: a stored -0 is an underflow
    if (p.activation == ABN_LEAKY_RELU) return y < 0 ? parameter * y : y == 0 ? T(0) : y;
    if (p.activation == ABN_ELU) return y < 0 ? parameter * std::expm1(y) : y;
    return y;
  }

  /// y and phi'(y) from the stored z, whose branch is told by its sign bit.
  void invert(T z, T& y, T& slope) const {
    y = z, slope = 1;
    if (p.activation == ABN_IDENTITY || !std::signbit(z)) return;
    if (p.activation == ABN_LEAKY_RELU) {
      y = z / parameter, slope = parameter;
    } else {
      // saturated: the next value that has an inverse
      if (z <= -parameter) z = std::nextafter(-parameter, T(0));
      y = std::log1p(z / parameter), slope = z + parameter;
    }
  }

  void forward(const abn_forward_args& a) const {
    const T* const x = static_cast<const T*>(a.x);
    T* const z = static_cast<T*>(a.z);
    const bool training = p.mode == ABN_TRAINING;
    const int64_t last = p.n * p.c * p.s - 1;
    for (int64_t c = 0; c < p.c; ++c) {
      T mean = 0, variance = 0;
      if (training) {
        for (int64_t i = 0; i < m; ++i) mean += x[offset(p, c, i)];
        mean /= static_cast<T>(m);
        for (int64_t i = 0; i < m; ++i) {
          const T difference = x[offset(p, c, i)] - mean;
          variance += difference * difference;
        }
        variance /= static_cast<T>(m);
        keep(a.mean, c, mean);
        keep(a.var, c, variance);
        const T momentum = static_cast<T>(p.momentum),
                unbiased = variance * (static_cast<T>(m) / static_cast<T>(m - 1));
        update(a.running_mean, c, momentum, mean);
        update(a.running_var, c, momentum, unbiased);
      } else {
        mean = static_cast<const P*>(a.running_mean)[c];
        variance = static_cast<const P*>(a.running_var)[c];
      }
      const T r = inverse_deviation(variance), g = scale(a.gamma, c), beta = shift(a.beta, c);
      for (int64_t i = 0; i < m; ++i) {
        const int64_t at = offset(p, c, i);
        if (bug == Bug::last_element_unwritten && at == last) continue;
        z[at] = activate(g * ((x[at] - mean) * r) + beta);
        if (bug == Bug::nan_in_one && at == last / 2) z[at] = static_cast<T>(NAN);
      }
    }
  }

  void backward(const abn_backward_args& a) const {
    const T* const dz = static_cast<const T*>(a.dz);
    const T* const z = static_cast<const T*>(a.z);
    T* const dx = static_cast<T*>(a.dx);
    const T count = static_cast<T>(m);
    for (int64_t c = 0; c < p.c; ++c) {
      const T r = inverse_deviation(static_cast<const P*>(a.var)[c]), g = scale(a.gamma, c),
              beta = shift(a.beta, c);
      const auto gradient = [&](int64_t at, T& dy, T& xhat) {
        T y, slope;
        invert(z[at], y, slope);
        dy = dz[at] * slope;
        xhat = g == 0 ? T(0) : (y - beta) / g;  // g = 0 leaves nothing of x
      };
      T sum_dy = 0, sum_dy_xhat = 0;
      for (int64_t i = 0; i < m; ++i) {
        T dy, xhat;
        gradient(offset(p, c, i), dy, xhat);
        sum_dy += dy;
        sum_dy_xhat += dy * xhat;
      }
      keep(a.dbeta, c, sum_dy);
      const bool negative = p.scale == ABN_SCALE_ABS_EPS && a.gamma != nullptr &&
                            static_cast<const P*>(a.gamma)[c] < 0;
      keep(a.dgamma, c, negative ? -sum_dy_xhat : sum_dy_xhat);
      if (dx == nullptr) continue;
      for (int64_t i = 0; i < m; ++i) {
        const int64_t at = offset(p, c, i);
        T dy, xhat;
        gradient(at, dy, xhat);
        T bracket = dy;
        if (p.mode == ABN_TRAINING)
          bracket = dy - sum_dy / count -
                    (bug == Bug::missing_xhat_term ? T(0) : xhat * (sum_dy_xhat / count));
        dx[at] = g == 0 ? T(0) : g * r * bracket;
        if (bug == Bug::input_overwritten) const_cast<T*>(z)[at] = dy;  // "scratch"
      }
    }
  }

  static void keep(void* vector, int64_t c, T value) {
    if (vector != nullptr) static_cast<P*>(vector)[c] = static_cast<P>(value);
  }
  static void update(void* vector, int64_t c, T momentum, T value) {
    if (vector == nullptr) return;
    const T old = static_cast<P*>(vector)[c];
    static_cast<P*>(vector)[c] = static_cast<P>((1 - momentum) * old + momentum * value);
  }
};

/// Calls `call` with the kernel of the problem's types.
template <class Call>
int with_kernel(const abn_problem& p, Call call) {
  if (p.dtype == ABN_F32 && p.param_dtype == ABN_F32) return call(Kernel<float, float>{p}), ABN_OK;
  if (p.dtype == ABN_F64 && p.param_dtype == ABN_F32) return call(Kernel<double, float>{p}), ABN_OK;
  if (p.dtype == ABN_F64 && p.param_dtype == ABN_F64)
    return call(Kernel<double, double>{p}), ABN_OK;
  return ABN_ERROR_UNSUPPORTED;
}

bool is_empty(const abn_problem& p) { return p.n == 0 || p.c == 0 || p.s == 0; }

int claims(const abn_problem* p, abn_claims* out) {
  if (p->dtype != ABN_F32 && p->dtype != ABN_F64) return ABN_ERROR_UNSUPPORTED;
  // An activation that this file does not know, as a later header may have, is not the identity.
  if (p->activation != ABN_IDENTITY && p->activation != ABN_LEAKY_RELU && p->activation != ABN_ELU)
    return ABN_ERROR_UNSUPPORTED;
  const int64_t m = p->n * p->s;
  out->scheme = ABN_IN_PLACE_1;
  out->statistics = ABN_TWO_PASS;
  out->kink = ABN_KINK_RIGHT;
  out->normalise = ABN_DIRECT;
  out->accumulate = p->dtype;
  out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  out->materialises = 0;
  out->z_may_alias_x = 1;
  out->dx_may_alias_dz = 1;
  out->deterministic = 1;
  out->alignment = 0;
  out->depth_statistics = m > 0 ? m : 1;
  out->depth_backward = m > 0 ? m : 1;
  out->function_ulp = 2;  // expm1 and log1p of the GNU C library stay below
  return ABN_OK;
}

size_t workspace_bytes(const abn_problem*, int) { return 0; }

int forward(const abn_problem* p, const abn_forward_args* args) {
  if (is_empty(*p)) return ABN_OK;
  if (bug == Bug::crash && p->mode == ABN_TRAINING) *static_cast<volatile int*>(nullptr) = 0;
  const int status = with_kernel(*p, [&](const auto& kernel) { kernel.forward(*args); });
  // right numbers, but everything behind the call rounds otherwise
  if (bug == Bug::leaves_rounding) std::fesetround(FE_UPWARD);
  return status;
}

int backward(const abn_problem* p, const abn_backward_args* args) {
  if (is_empty(*p)) return ABN_OK;
  return with_kernel(*p, [&](const auto& kernel) { kernel.backward(*args); });
}

const abn_variant variant = {
    ABN_ABI_VERSION, sizeof(abn_variant),
    SAMPLE_NAME,     "plain host loops, in place, two-pass, one sample after the other",
    ABN_MEMORY_HOST, 0,
    claims,          workspace_bytes,
    forward,         backward};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &variant : nullptr;
}
