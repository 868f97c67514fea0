// A host kernel that does what the ABI can ask of a call, and the mistakes that are planted in it.
//
// In place I, every type and layout, identity and leaky ReLU, every sum in double and one after the
// other; gamma or beta alone, and z and dz of another type than x. Its sums of a channel lie in the
// workspace between the passes. With CallBug::none it is right.
#pragma once

#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "cuda/kernel.h"
#include "tests/mutants/arithmetic.hpp"

namespace abn::calls_tests {

enum class CallBug {
  none,
  // outputs left out
  running_mean_needs_var,
  running_var_needs_mean,
  running_mean_replaced,  ///< where mean is left out, running_mean becomes the mean
  mean_needs_var,
  var_needs_mean,
  variance_kept_in_var,  ///< and taken for 1 where there is no var
  dgamma_needs_dbeta,
  dbeta_needs_dgamma,
  gradients_need_dx,
  sum_kept_in_dgamma,     ///< and taken for 0 where there is no dgamma
  gradient_in_the_other,  ///< without dgamma, dbeta gets it
  nothing_asked_refused,
  statistics_need_affine,
  // workspace
  workspace_unchecked,
  workspace_only_null,
  workspace_other_status,
  workspace_late,
  // addresses
  order_by_address_of_dz,
  order_by_page_of_x,
  // calls before
  statistics_by_address,
  gamma_by_address,
  z_by_size,
  hundredth_call,
  every_64th_backward,
  left_by_larger_problem,
  // threads
  static_scratch,
  static_scratch_backward,
  first_thread_only,
  // gamma or beta alone
  no_affine_without_beta,
  no_affine_without_beta_backward,
  beta_lost_without_gamma,
  beta_lost_without_gamma_backward,
  eps_added_without_gamma,
  eps_added_without_gamma_backward,
  gradients_need_both,
  apart_refused,
  // z and dz of another type
  z_rounded_to_dtype,
  z_stored_as_dtype,
  z_read_as_dtype,
  dz_read_as_dtype,
  dz_rounded_to_dtype,
  dx_rounded_to_out_type
};

template <CallBug bug, bool is_deterministic = true>
struct CalledKernel {
  static constexpr bool has(CallBug one) { return bug == one; }
  static int outer(const abn_problem& p) { return p.out_type == 0 ? p.dtype : p.out_type - 1; }

  static int claims(const abn_problem* p, abn_claims* out) {
    if ((p->activation != ABN_IDENTITY && p->activation != ABN_LEAKY_RELU) ||
        (p->param_dtype != ABN_F32 && p->param_dtype != ABN_F64))
      return ABN_ERROR_UNSUPPORTED;
    const std::int64_t m = p->n * p->s;
    out->scheme = ABN_IN_PLACE_1;
    out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
    out->kink = ABN_KINK_RIGHT;
    out->accumulate = p->dtype == ABN_F64 ? ABN_F64 : ABN_F32;
    out->deterministic = is_deterministic ? 1 : 0;
    out->z_may_alias_x = out->dx_may_alias_dz = 1;
    // every sum is in double, and rounded once, but for two of the mistakes
    const bool in_float = has(CallBug::order_by_address_of_dz) || has(CallBug::order_by_page_of_x);
    const std::int64_t most = in_float || p->dtype == ABN_F64 ? m : 2;
    out->depth_statistics = out->depth_backward = m < 1 ? 1 : m < most ? m : most;
    out->affine_apart = 1;
    if (p->dtype != ABN_F64)
      out->other_out_types = (1U << ABN_F16 | 1U << ABN_BF16 | 1U << ABN_F32) & ~(1U << p->dtype);
    return ABN_OK;
  }
  static std::size_t workspace_bytes(const abn_problem* p, int) {
    return static_cast<std::size_t>(2 * p->c) * sizeof(double);
  }

  static int refused(const abn_problem& p, const void* workspace, std::size_t bytes) {
    if (has(CallBug::workspace_unchecked) || has(CallBug::workspace_late)) return ABN_OK;
    const bool small = workspace == nullptr ||
                       (!has(CallBug::workspace_only_null) && bytes < workspace_bytes(&p, 0));
    if (!small) return ABN_OK;
    return has(CallBug::workspace_other_status) ? ABN_ERROR_ARGUMENT : ABN_ERROR_WORKSPACE;
  }

  static std::int64_t at(const abn_problem& p, std::int64_t c, std::int64_t i) {
    const std::int64_t n = i / p.s, s = i % p.s;
    return p.layout == ABN_NCHW ? (n * p.c + c) * p.s + s : (n * p.s + s) * p.c + c;
  }
  static double parameter(const abn_problem& p, const void* from, std::int64_t c,
                          double otherwise) {
    return from == nullptr ? otherwise : mutants::load(p.param_dtype, from, c);
  }
  static void put(int type, double value, void* to, std::int64_t where) {
    if (to != nullptr) mutants::store(type, mutants::rounded(type, value), to, where);
  }

  struct Affine {
    double g = 1, beta = 0;
  };
  static Affine affine_of(const abn_problem& p, const void* gamma, const void* beta, std::int64_t c,
                          bool backward) {
    Affine out;
    const bool lost = backward ? has(CallBug::no_affine_without_beta_backward)
                               : has(CallBug::no_affine_without_beta);
    if (lost && beta == nullptr) return out;
    double weight = parameter(p, gamma, c, 1);
    if (has(CallBug::gamma_by_address) && gamma != nullptr) {
      static thread_local std::map<std::pair<const void*, std::int64_t>, double> kept;
      weight = kept.try_emplace({gamma, c}, weight).first->second;
    }
    const bool adds = backward ? has(CallBug::eps_added_without_gamma_backward)
                               : has(CallBug::eps_added_without_gamma);
    out.g = weight;
    if (p.scale == ABN_SCALE_ABS_EPS && (gamma != nullptr || adds))
      out.g = std::fabs(weight) + p.eps;
    const bool forgets = backward ? has(CallBug::beta_lost_without_gamma_backward)
                                  : has(CallBug::beta_lost_without_gamma);
    out.beta = forgets && gamma == nullptr ? 0 : parameter(p, beta, c, 0);
    return out;
  }

  /// Forwards, or from the middle on where a bug looks at an address. In float, so that it shows.
  template <class Term>
  static double sum(std::int64_t m, bool turned, const Term& term) {
    if (!has(CallBug::order_by_address_of_dz) && !has(CallBug::order_by_page_of_x)) {
      double all = 0;
      for (std::int64_t i = 0; i < m; ++i) all += term(i);
      return all;
    }
    float all = 0;
    for (std::int64_t i = 0; i < m; ++i)
      all += static_cast<float>(term(turned ? (i + m / 2) % m : i));
    return all;
  }
  static std::uintptr_t address(const void* of) { return reinterpret_cast<std::uintptr_t>(of); }

  static double* scratch(void* workspace, bool is_static) {
    static std::array<double, 4096> shared;
    return is_static ? shared.data() : static_cast<double*>(workspace);
  }

  static int forward(const abn_problem* problem, const abn_forward_args* args) {
    const abn_problem& p = *problem;
    const abn_forward_args& a = *args;
    const std::int64_t m = p.n * p.s;
    if (m * p.c == 0) return ABN_OK;
    if (const int status = refused(p, a.workspace, a.workspace_bytes)) return status;
    if (has(CallBug::apart_refused) && (a.gamma == nullptr) != (a.beta == nullptr))
      return ABN_ERROR_ARGUMENT;
    const bool training = p.mode == ABN_TRAINING;
    static thread_local std::uint64_t calls = 0;
    const bool off = has(CallBug::hundredth_call) && ++calls % 100 == 0;
    double* const moments = scratch(a.workspace, has(CallBug::static_scratch));
    const auto x = [&](std::int64_t c, std::int64_t i) {
      return mutants::load(p.dtype, a.x, at(p, c, i));
    };
    const bool turned = has(CallBug::order_by_page_of_x) && (address(a.x) >> 12 & 1) != 0;
    for (std::int64_t c = 0; c < p.c; ++c) {
      double mean = parameter(p, a.running_mean, c, 0), var = parameter(p, a.running_var, c, 1);
      if (training) {
        mean = sum(m, turned, [&](std::int64_t i) { return x(c, i); }) / static_cast<double>(m);
        var = sum(m, turned, [&](std::int64_t i) { return (x(c, i) - mean) * (x(c, i) - mean); }) /
              static_cast<double>(m);
        if (has(CallBug::statistics_by_address)) {
          static thread_local std::map<std::pair<const void*, std::int64_t>, std::array<double, 2>>
              kept;
          const auto& found = kept.try_emplace({a.x, c}, std::array{mean, var}).first->second;
          mean = found[0], var = found[1];
        }
        if (has(CallBug::left_by_larger_problem)) {
          static thread_local std::int64_t most = 0;
          if (m < most) mean *= 1.001;
          most = m > most ? m : m < most ? 0 : most;
        }
      }
      moments[2 * c] = mean, moments[2 * c + 1] = var;
    }
    if (training) publish(p, a, moments);
    for (std::int64_t c = 0; c < p.c; ++c) {
      double var = moments[2 * c + 1];
      if (has(CallBug::variance_kept_in_var) && training) var = parameter(p, a.var, c, 1);
      const double r = 1 / std::sqrt(var + p.eps);
      const Affine affine = affine_of(p, a.gamma, a.beta, c, false);
      for (std::int64_t i = 0; i < m; ++i) {
        const double y = affine.g * ((x(c, i) - moments[2 * c]) * r) + affine.beta;
        double z = p.activation == ABN_IDENTITY ? y : y < 0 ? p.activation_parameter * y : y + 0.0;
        if (off) z *= 2;
        if (has(CallBug::first_thread_only)) z *= of_first_thread();
        if (has(CallBug::z_rounded_to_dtype)) z = mutants::rounded(p.dtype, z);
        put(has(CallBug::z_stored_as_dtype) ? p.dtype : outer(p), z, a.z, at(p, c, i));
      }
    }
    if (has(CallBug::z_by_size)) from_cache(p, a);
    if (has(CallBug::workspace_late) &&
        (a.workspace == nullptr || a.workspace_bytes < workspace_bytes(&p, 0)))
      return ABN_ERROR_WORKSPACE;
    return ABN_OK;
  }

  static void publish(const abn_problem& p, const abn_forward_args& a, const double* moments) {
    const auto m = static_cast<double>(p.n * p.s);
    const bool both = a.running_mean != nullptr && a.running_var != nullptr;
    const bool saved = a.mean != nullptr && a.var != nullptr;
    for (std::int64_t c = 0; c < p.c; ++c) {
      const double mean = moments[2 * c], var = moments[2 * c + 1];
      if (has(CallBug::statistics_need_affine) && a.gamma == nullptr && a.beta == nullptr) continue;
      if (saved || !has(CallBug::mean_needs_var)) put(p.param_dtype, mean, a.mean, c);
      if (saved || !has(CallBug::var_needs_mean)) put(p.param_dtype, var, a.var, c);
      const auto average = [&](void* running, double value) {
        if (running == nullptr) return;
        const double old = mutants::load(p.param_dtype, running, c);
        put(p.param_dtype, (1 - p.momentum) * old + p.momentum * value, running, c);
      };
      if (has(CallBug::running_mean_replaced) && a.mean == nullptr)
        put(p.param_dtype, mean, a.running_mean, c);
      else if (both || !has(CallBug::running_mean_needs_var))
        average(a.running_mean, mean);
      if (both || !has(CallBug::running_var_needs_mean)) average(a.running_var, var * m / (m - 1));
    }
  }

  static double of_first_thread() {
    static bool taken = false;
    static thread_local double own = taken ? 1.5 : 1;
    taken = true;
    return own;
  }

  /// The z of the first call with as many bytes.
  static void from_cache(const abn_problem& p, const abn_forward_args& a) {
    static thread_local std::map<std::int64_t, std::vector<std::byte>> kept;
    const std::int64_t bytes = p.n * p.c * p.s * mutants::bytes_of(outer(p));
    auto* const z = static_cast<std::byte*>(a.z);
    const auto& found = kept.try_emplace(bytes, z, z + bytes).first->second;
    std::copy(found.begin(), found.end(), z);
  }

  struct Sample {
    double xhat, dy;
  };
  static Sample sample(const abn_problem& p, const abn_backward_args& a, const Affine& affine,
                       std::int64_t c, std::int64_t i) {
    const int z_type = has(CallBug::z_read_as_dtype) ? p.dtype : outer(p),
              dz_type = has(CallBug::dz_read_as_dtype) ? p.dtype : outer(p);
    const double z = mutants::load(z_type, a.z, at(p, c, i));
    double dz = mutants::load(dz_type, a.dz, at(p, c, i));
    if (has(CallBug::dz_rounded_to_dtype)) dz = mutants::rounded(p.dtype, dz);
    const bool negative = p.activation == ABN_LEAKY_RELU && std::signbit(z);
    const double y = negative ? z / p.activation_parameter : z;
    return {affine.g == 0 ? 0 : (y - affine.beta) / affine.g,
            negative ? dz * p.activation_parameter : dz};
  }

  static int backward(const abn_problem* problem, const abn_backward_args* args) {
    const abn_problem& p = *problem;
    const abn_backward_args& a = *args;
    const std::int64_t m = p.n * p.s;
    if (m * p.c == 0) return ABN_OK;
    if (const int status = refused(p, a.workspace, a.workspace_bytes)) return status;
    if (has(CallBug::nothing_asked_refused) && a.dx == nullptr && a.dgamma == nullptr &&
        a.dbeta == nullptr)
      return ABN_ERROR_ARGUMENT;
    static thread_local std::uint64_t calls = 0;
    const bool off = has(CallBug::every_64th_backward) && ++calls % 64 == 0;
    double* const sums = scratch(a.workspace, has(CallBug::static_scratch_backward));
    const bool turned = has(CallBug::order_by_address_of_dz) && (address(a.dz) >> 4 & 1) != 0;
    for (std::int64_t c = 0; c < p.c; ++c) {
      const Affine affine = affine_of(p, a.gamma, a.beta, c, true);
      sums[2 * c] = sum(m, turned, [&](std::int64_t i) { return sample(p, a, affine, c, i).dy; });
      sums[2 * c + 1] = sum(m, turned, [&](std::int64_t i) {
        const Sample one = sample(p, a, affine, c, i);
        return one.dy * one.xhat;
      });
    }
    for (std::int64_t c = 0; c < p.c; ++c) {
      const Affine affine = affine_of(p, a.gamma, a.beta, c, true);
      const double s0 = sums[2 * c];
      double s1 = sums[2 * c + 1];
      write_gradients(p, a, c, affine, s0, s1);
      if (a.dx == nullptr) continue;
      if (has(CallBug::sum_kept_in_dgamma) && a.dgamma == nullptr) s1 = 0;
      const double r = 1 / std::sqrt(parameter(p, a.var, c, 1) + p.eps);
      const auto count = static_cast<double>(m);
      for (std::int64_t i = 0; i < m; ++i) {
        const Sample one = sample(p, a, affine, c, i);
        double dx = p.mode == ABN_TRAINING
                        ? affine.g * r * (one.dy - s0 / count - one.xhat * s1 / count)
                        : affine.g * r * one.dy;
        if (off) dx = 0;
        if (has(CallBug::dx_rounded_to_out_type)) dx = mutants::rounded(outer(p), dx);
        put(p.dtype, affine.g == 0 ? 0 : dx, a.dx, at(p, c, i));
      }
    }
    if (has(CallBug::workspace_late) &&
        (a.workspace == nullptr || a.workspace_bytes < workspace_bytes(&p, 1)))
      return ABN_ERROR_WORKSPACE;
    return ABN_OK;
  }

  static void write_gradients(const abn_problem& p, const abn_backward_args& a, std::int64_t c,
                              const Affine& affine, double s0, double s1) {
    const bool negated =
        p.scale == ABN_SCALE_ABS_EPS && a.gamma != nullptr && parameter(p, a.gamma, c, 1) < 0;
    const double dgamma = affine.g == 0 ? 0 : negated ? -s1 : s1;
    const bool both = a.dgamma != nullptr && a.dbeta != nullptr;
    const bool apart = (a.gamma == nullptr) != (a.beta == nullptr);
    if (has(CallBug::gradients_need_dx) && a.dx == nullptr) return;
    if (has(CallBug::gradients_need_both) && apart) return;
    if (both || !has(CallBug::dgamma_needs_dbeta)) put(p.param_dtype, dgamma, a.dgamma, c);
    const bool exchanged = has(CallBug::gradient_in_the_other) && a.dgamma == nullptr;
    if (both || !has(CallBug::dbeta_needs_dgamma))
      put(p.param_dtype, exchanged ? dgamma : s0, a.dbeta, c);
  }

  static constexpr abn_variant variant{
      ABN_ABI_VERSION, sizeof(abn_variant), "called", "a test", ABN_MEMORY_HOST, 0,
      claims,          workspace_bytes,     forward,  backward};
};

}  // namespace abn::calls_tests
