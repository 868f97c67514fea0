// A batch norm + leaky ReLU kernel as another project would write it: CUDA, the interface
// cuda/kernel.h, and nothing else of abn-verify.
//
// f32, NCHW, signed gamma. One block a channel; a thread adds up every T-th sample and a tree in
// shared memory adds up the threads. Forward reads x three times in training (mean, squares,
// result) and writes z once; backward reads z and dz twice and writes dx once.
#include "cuda/device/platform.cuh"
#include "cuda/kernel.h"

namespace {

constexpr int threads = 128;

struct Shared {
  float term[threads];
};

__device__ float block_sum(float term) {
  float* const terms = abn::device::dynamic_shared<Shared>().term;
  terms[threadIdx.x] = term;
  __syncthreads();
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) terms[threadIdx.x] += terms[threadIdx.x + half];
    __syncthreads();
  }
  const float sum = terms[0];
  __syncthreads();  // before the next sum overwrites it
  return sum;
}

__device__ float* floats(void* data) { return static_cast<float*>(data); }
__device__ const float* floats(const void* data) { return static_cast<const float*>(data); }

__global__ void forward_kernel(abn_problem p, abn_forward_args args) {
  const float* const x = floats(args.x);
  float* const z = floats(args.z);
  const int64_t c = blockIdx.x, m = p.n * p.s;
  const auto at = [&](int64_t i) { return (i / p.s * p.c + c) * p.s + i % p.s; };
  float mean, variance;
  if (p.mode == ABN_TRAINING) {
    float sum = 0, squares = 0;
    for (int64_t i = threadIdx.x; i < m; i += threads) sum += x[at(i)];
    mean = block_sum(sum) / static_cast<float>(m);
    for (int64_t i = threadIdx.x; i < m; i += threads)
      squares += (x[at(i)] - mean) * (x[at(i)] - mean);
    variance = block_sum(squares) / static_cast<float>(m);
    if (threadIdx.x == 0) {
      const float momentum = static_cast<float>(p.momentum),
                  unbiased = variance * static_cast<float>(m) / static_cast<float>(m - 1);
      if (args.mean != nullptr) floats(args.mean)[c] = mean;
      if (args.var != nullptr) floats(args.var)[c] = variance;
      if (args.running_mean != nullptr)
        floats(args.running_mean)[c] =
            (1 - momentum) * floats(args.running_mean)[c] + momentum * mean;
      if (args.running_var != nullptr)
        floats(args.running_var)[c] =
            (1 - momentum) * floats(args.running_var)[c] + momentum * unbiased;
    }
  } else {
    mean = floats(args.running_mean)[c];
    variance = floats(args.running_var)[c];
  }
  const float r = 1 / sqrtf(variance + static_cast<float>(p.eps)),
              slope = static_cast<float>(p.activation_parameter);
  const float g = args.gamma == nullptr ? 1 : floats(args.gamma)[c],
              beta = args.beta == nullptr ? 0 : floats(args.beta)[c];
  for (int64_t i = threadIdx.x; i < m; i += threads) {
    const float y = g * ((x[at(i)] - mean) * r) + beta;
    // +0 for both zeros, and a NaN stays one
    z[at(i)] = y > 0 ? y : y < 0 ? slope * y : y == 0 ? 0 : y;
  }
}

__global__ void backward_kernel(abn_problem p, abn_backward_args args) {
  const float* const z = floats(args.z);
  const float* const dz = floats(args.dz);
  float* const dx = floats(args.dx);
  const int64_t c = blockIdx.x, m = p.n * p.s;
  const auto at = [&](int64_t i) { return (i / p.s * p.c + c) * p.s + i % p.s; };
  const float g = args.gamma == nullptr ? 1 : floats(args.gamma)[c],
              beta = args.beta == nullptr ? 0 : floats(args.beta)[c];
  const float r = 1 / sqrtf(floats(args.var)[c] + static_cast<float>(p.eps)),
              slope = static_cast<float>(p.activation_parameter);
  const auto recover = [&](int64_t i, float& dy, float& xhat) {
    const float stored = z[at(i)];
    const bool below = (__float_as_uint(stored) >> 31) != 0;  // the branch is in the sign bit
    dy = below ? dz[at(i)] * slope : dz[at(i)];
    xhat = g == 0 ? 0 : ((below ? stored / slope : stored) - beta) / g;
  };
  float s0 = 0, s1 = 0, dy, xhat;
  for (int64_t i = threadIdx.x; i < m; i += threads) {
    recover(i, dy, xhat);
    s0 += dy, s1 += dy * xhat;
  }
  s0 = block_sum(s0), s1 = block_sum(s1);
  if (threadIdx.x == 0) {
    if (args.dgamma != nullptr) floats(args.dgamma)[c] = s1;
    if (args.dbeta != nullptr) floats(args.dbeta)[c] = s0;
  }
  if (dx == nullptr) return;
  const float mean_dy = p.mode == ABN_TRAINING ? s0 / static_cast<float>(m) : 0;
  const float mean_dy_xhat = p.mode == ABN_TRAINING ? s1 / static_cast<float>(m) : 0;
  for (int64_t i = threadIdx.x; i < m; i += threads) {
    recover(i, dy, xhat);
    dx[at(i)] = g * r * (p.mode == ABN_TRAINING ? dy - mean_dy - xhat * mean_dy_xhat : dy);
  }
}

abn::device::LaunchConfig config_of(const abn_problem& p, void* stream, const char* name) {
  return {dim3(static_cast<unsigned>(p.c)), dim3(threads), sizeof(Shared), stream, name};
}

int claims(const abn_problem* p, abn_claims* out) {
  if (p->dtype != ABN_F32 || p->layout != ABN_NCHW || p->activation != ABN_LEAKY_RELU ||
      p->scale != ABN_SCALE_SIGNED)
    return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_IN_PLACE_1;
  out->statistics = ABN_TWO_PASS;
  out->accumulate = ABN_F32;
  out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  out->z_may_alias_x = out->dx_may_alias_dz = out->deterministic = 1;
  // a thread's samples, then a tree over 128
  out->depth_statistics = out->depth_backward = (p->n * p->s + threads - 1) / threads + 7;
  out->sweeps_x.loads = p->mode == ABN_TRAINING ? 3 : 1;
  out->sweeps_dz.loads = out->sweeps_kept.loads = 2;
  out->sweeps_z.stores = out->sweeps_dx.stores = 1;
  out->coalesced = 1;
  return ABN_OK;
}

size_t workspace_bytes(const abn_problem*, int) { return 0; }

int forward(const abn_problem* p, const abn_forward_args* args) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  return abn::device::launch(config_of(*p, args->stream, "forward"), forward_kernel, *p, *args) == 0
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

int backward(const abn_problem* p, const abn_backward_args* args) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  return abn::device::launch(config_of(*p, args->stream, "backward"), backward_kernel, *p, *args) ==
                 0
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

const abn_variant variant = {ABN_ABI_VERSION,
                             sizeof(abn_variant),
                             "outside",
                             "A kernel of another project.",
                             ABN_VARIANT_MEMORY,
                             0,
                             claims,
                             workspace_bytes,
                             forward,
                             backward};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &variant : nullptr;
}
