// The smallest complete CUDA kernel: InPlace-ABN for f32 in NCHW with leaky ReLU or identity. It
// needs cuda/kernel.h and cuda/device/platform.cuh, which is the toolkit under nvcc and an emulator
// under a host compiler; CMakeLists.txt beside it builds both. Copy it and go on:
//
//   abn-verify run --plugin ./cuda_kernel.so --only-plugins --sanitize               no GPU needed
//   abn-verify run --plugin ./cuda_kernel.ptx.so --only-plugins --device ptx         as compiled
//   abn-verify run --plugin ./cuda_kernel.cuda.so --only-plugins --device cuda:0
//
// One block a channel. A thread adds up every 128th sample, and a tree in shared memory adds those
// sums up.
#include "cuda/device/platform.cuh"
#include "cuda/kernel.h"

namespace {

constexpr int threads = 128;

struct Shared {
  float term[threads];
};

// The sum of the terms of all threads, in every thread.
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

__device__ const float* floats(const void* data) { return static_cast<const float*>(data); }
__device__ float* floats(void* data) { return static_cast<float*>(data); }

// Element c of a vector, which may be NULL: no gamma and beta mean 1 and 0, and an output is not
// wanted.
__device__ float get(const void* vector, int64_t c, float otherwise) {
  return vector != nullptr ? floats(vector)[c] : otherwise;
}
__device__ void put(void* vector, int64_t c, float value) {
  if (vector != nullptr && threadIdx.x == 0) floats(vector)[c] = value;
}

__global__ void forward_kernel(abn_problem p, abn_forward_args args) {
  const float* const x = floats(args.x);
  float* const z = floats(args.z);  // may be x: a thread reads and writes its own samples only
  const int64_t c = blockIdx.x, m = p.n * p.s;
  const auto at = [&](int64_t i) { return (i / p.s * p.c + c) * p.s + i % p.s; };
  float mean = get(args.running_mean, c, 0), var = get(args.running_var, c, 0);
  if (p.mode == ABN_TRAINING) {
    const float old_mean = mean, old_var = var, q = static_cast<float>(p.momentum);
    float sum = 0, squares = 0;
    for (int64_t i = threadIdx.x; i < m; i += threads) sum += x[at(i)];
    mean = block_sum(sum) / static_cast<float>(m);
    for (int64_t i = threadIdx.x; i < m; i += threads) {
      const float deviation = x[at(i)] - mean;
      squares += deviation * deviation;
    }
    var = block_sum(squares) / static_cast<float>(m);
    const float unbiased = var * (static_cast<float>(m) / static_cast<float>(m - 1));
    put(args.mean, c, mean);
    put(args.var, c, var);
    put(args.running_mean, c, (1 - q) * old_mean + q * mean);
    put(args.running_var, c, (1 - q) * old_var + q * unbiased);
  }
  const float r = 1 / sqrtf(var + static_cast<float>(p.eps));
  const float g = get(args.gamma, c, 1), beta = get(args.beta, c, 0);
  const bool identity = p.activation == ABN_IDENTITY;
  const float slope = static_cast<float>(p.activation_parameter);
  for (int64_t i = threadIdx.x; i < m; i += threads) {
    const float y = g * ((x[at(i)] - mean) * r) + beta;
    // Leaky ReLU makes +0 of y = -0: a stored -0 is a slope*y that underflowed.
    z[at(i)] = identity ? y : y < 0 ? slope * y : y + 0;
  }
}

__global__ void backward_kernel(abn_problem p, abn_backward_args args) {
  const float* const z = floats(args.z);
  const float* const dz = floats(args.dz);
  float* const dx = floats(args.dx);  // may be dz, may be NULL
  const int64_t c = blockIdx.x, m = p.n * p.s;
  const auto at = [&](int64_t i) { return (i / p.s * p.c + c) * p.s + i % p.s; };
  const float r = 1 / sqrtf(get(args.var, c, 0) + static_cast<float>(p.eps));
  const float g = get(args.gamma, c, 1), beta = get(args.beta, c, 0);
  const float slope = p.activation == ABN_IDENTITY ? 1 : static_cast<float>(p.activation_parameter);
  // dy = dz*phi'(y) and xhat of element k from z, whose sign bit tells the branch. g = 0 leaves
  // nothing of xhat.
  const auto recover = [&](int64_t k, float& dy, float& xhat) {
    const float stored = z[k];
    const bool below = (__float_as_uint(stored) >> 31) != 0;
    dy = below ? slope * dz[k] : dz[k];
    xhat = g == 0 ? 0 : ((below ? stored / slope : stored) - beta) / g;
  };
  float s0 = 0, s1 = 0, dy, xhat;
  for (int64_t i = threadIdx.x; i < m; i += threads) {
    recover(at(i), dy, xhat);
    s0 += dy, s1 += dy * xhat;
  }
  s0 = block_sum(s0), s1 = block_sum(s1);
  put(args.dbeta, c, s0);
  put(args.dgamma, c, s1);
  for (int64_t i = threadIdx.x; dx != nullptr && i < m; i += threads) {
    recover(at(i), dy, xhat);
    // Frozen statistics do not depend on x.
    const float count = static_cast<float>(m);
    const float mean_terms = p.mode == ABN_FROZEN ? 0 : s0 / count + xhat * (s1 / count);
    dx[at(i)] = g * r * (dy - mean_terms);
  }
}

// Both kernels are launched alike; they read and write the tensors that `args` names.
template <class Kernel, class Args>
int run(Kernel kernel, const char* name, const abn_problem& p, const Args& args) {
  if (p.n * p.c * p.s == 0) return ABN_OK;
  const abn::device::LaunchConfig config{dim3(static_cast<unsigned>(p.c)), dim3(threads),
                                         sizeof(Shared), args.stream, name};
  return abn::device::launch(config, kernel, p, args) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}
int forward(const abn_problem* p, const abn_forward_args* args) {
  return run(forward_kernel, "forward", *p, *args);
}
int backward(const abn_problem* p, const abn_backward_args* args) {
  return run(backward_kernel, "backward", *p, *args);
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
  out->kink = ABN_KINK_RIGHT;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F32;
  // the samples of a thread, then a tree over 128
  out->depth_statistics = out->depth_backward = (p->n * p->s + threads - 1) / threads + 7;
  out->deterministic = 1;
  // How often tensors are moved, which --sanitize counts: x for the mean, the squares and z; z and
  // dz for the sums and dx.
  out->sweeps_x.loads = p->mode == ABN_TRAINING ? 3 : 1;
  out->sweeps_dz.loads = out->sweeps_kept.loads = 2;
  out->sweeps_z.stores = out->sweeps_dx.stores = 1;
  out->coalesced = 1;
  return ABN_OK;
}

const abn_variant variant = {ABN_ABI_VERSION,
                             sizeof(abn_variant),
                             "cuda_kernel",
                             "One block a channel.",
                             ABN_VARIANT_MEMORY,
                             0,
                             claims,
                             workspace_bytes,
                             forward,
                             backward};

}  // namespace

extern "C" const abn_variant* abn_plugin(uint32_t index) { return index == 0 ? &variant : nullptr; }
