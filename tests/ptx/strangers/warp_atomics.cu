// A stranger's batch norm of two kernels: sums by warp shuffles and atomicAdd into a workspace,
// then the elements; E[x^2] - mean^2, x and z kept.
//
// f32 in NCHW, with leaky ReLU or identity. PLANTED 1: the workspace is not cleared. PLANTED 2: a
// warp that is not full leaves its samples out.
#include "tests/ptx/strangers/stranger.cuh"

static constexpr int threads = 128, most_blocks = 8;

// sums[c] and sums[C + c]
extern "C" __global__ void forward_sums(const float* x, float* sums, int64_t n, int64_t c,
                                        int64_t s);
extern "C" __global__ void forward_apply(const float* x, float* z, const float* sums,
                                         const float* gamma, const float* beta, float* running_mean,
                                         float* running_var, float* save_mean, float* save_var,
                                         int64_t n, int64_t c, int64_t s, float eps, float momentum,
                                         float slope, int training);
extern "C" __global__ void backward_sums(const float* dz, const float* x, const float* z,
                                         const float* mean, const float* var, float* sums,
                                         int64_t n, int64_t c, int64_t s, float eps, float slope);
extern "C" __global__ void backward_apply(const float* dz, const float* x, const float* z,
                                          float* dx, const float* sums, const float* gamma,
                                          const float* mean, const float* var, float* dgamma,
                                          float* dbeta, int64_t n, int64_t c, int64_t s, float eps,
                                          float slope, int training);

#ifdef __CUDACC__

#define FULL 0xffffffffu

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) value += __shfl_xor_sync(FULL, value, offset);
  return value;
}

// Adds the terms of a warp to two sums of channel c.
__device__ __forceinline__ void add_to(float* sums, int64_t channels, int64_t c, float first,
                                       float second) {
  first = warp_sum(first);
  second = warp_sum(second);
  if (threadIdx.x % 32 == 0) {
    atomicAdd(&sums[c], first);
    atomicAdd(&sums[channels + c], second);
  }
}

// Calls f(element) for the samples of channel blockIdx.y that this thread has.
template <class F>
__device__ __forceinline__ void for_samples(int64_t n, int64_t channels, int64_t s, const F& f) {
  const int64_t m = n * s, stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t end = PLANTED == 2 ? m / 32 * 32 : m;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < end;
       i += stride)
    f((i / s * channels + blockIdx.y) * s + i % s);
}

__global__ void forward_sums(const float* x, float* sums, int64_t n, int64_t channels, int64_t s) {
  float sum = 0, squares = 0;
  for_samples(n, channels, s, [&](int64_t at) {
    sum += x[at];
    squares += x[at] * x[at];
  });
  add_to(sums, channels, blockIdx.y, sum, squares);
}

__global__ void forward_apply(const float* x, float* z, const float* sums, const float* gamma,
                              const float* beta, float* running_mean, float* running_var,
                              float* save_mean, float* save_var, int64_t n, int64_t channels,
                              int64_t s, float eps, float momentum, float slope, int training) {
  const int c = blockIdx.y;
  const float m = static_cast<float>(n * s);
  float mean, var;
  if (training) {
    mean = sums[c] / m;
    var = sums[channels + c] / m - mean * mean;
    if (var < 0) var = 0;
    if (blockIdx.x == 0 && threadIdx.x == 0) {
      if (save_mean) save_mean[c] = mean;
      if (save_var) save_var[c] = var;
      if (running_mean) running_mean[c] += momentum * (mean - running_mean[c]);
      if (running_var) running_var[c] += momentum * (var * (m / (m - 1)) - running_var[c]);
    }
  } else {
    mean = running_mean[c], var = running_var[c];
  }
  const float r = 1 / sqrtf(var + eps), g = gamma ? gamma[c] : 1, b = beta ? beta[c] : 0;
  const int64_t all = n * s, stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < all;
       i += stride) {
    const int64_t at = (i / s * channels + c) * s + i % s;
    const float y = (x[at] - mean) * r * g + b;
    z[at] = y < 0 ? slope * y : y + 0;
  }
}

__global__ void backward_sums(const float* dz, const float* x, const float* z, const float* mean,
                              const float* var, float* sums, int64_t n, int64_t channels, int64_t s,
                              float eps, float slope) {
  const float mu = mean[blockIdx.y], r = 1 / sqrtf(var[blockIdx.y] + eps);
  float of_dy = 0, of_products = 0;
  for_samples(n, channels, s, [&](int64_t at) {
    const float dy = signbit(z[at]) ? slope * dz[at] : dz[at];
    of_dy += dy;
    of_products += dy * ((x[at] - mu) * r);
  });
  add_to(sums, channels, blockIdx.y, of_dy, of_products);
}

__global__ void backward_apply(const float* dz, const float* x, const float* z, float* dx,
                               const float* sums, const float* gamma, const float* mean,
                               const float* var, float* dgamma, float* dbeta, int64_t n,
                               int64_t channels, int64_t s, float eps, float slope, int training) {
  const int c = blockIdx.y;
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    if (dbeta) dbeta[c] = sums[c];
    if (dgamma) dgamma[c] = sums[channels + c];
  }
  if (!dx) return;
  const float m = static_cast<float>(n * s), mu = mean[c], r = 1 / sqrtf(var[c] + eps);
  const float g = gamma ? gamma[c] : 1;
  const float mean_dy = training ? sums[c] / m : 0;
  const float mean_product = training ? sums[channels + c] / m : 0;
  const int64_t all = n * s, stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < all;
       i += stride) {
    const int64_t at = (i / s * channels + c) * s + i % s;
    const float dy = signbit(z[at]) ? slope * dz[at] : dz[at];
    const float of_means = training ? mean_dy + (x[at] - mu) * r * mean_product : 0;
    dx[at] = g * r * (dy - of_means);
  }
}

#endif

static int64_t blocks_of(const abn_problem* p) {
  const int64_t blocks = (p->n * p->s + threads - 1) / threads;
  return blocks < 1 ? 1 : blocks < most_blocks ? blocks : most_blocks;
}

static int claims(const abn_problem* p, abn_claims* out) {
  if (!stranger_knows(p, ABN_F32, ABN_NCHW) || p->c > 65535) return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_STANDARD;
  out->saves = ABN_SAVES_X | ABN_SAVES_Z | ABN_SAVES_MEAN | ABN_SAVES_VAR;
  out->dx_may_alias_dz = 1;
  out->statistics = ABN_ONE_PASS;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F32;
  out->kink = ABN_KINK_RIGHT;
  // A thread's samples, 5 levels in a warp, then one warp after the other, in any order.
  const int64_t lanes = blocks_of(p) * threads;
  const int64_t depth = (p->n * p->s + lanes - 1) / lanes + 5 + lanes / 32;
  out->depth_statistics = out->depth_backward = depth;
  return ABN_OK;
}

static size_t workspace_bytes(const abn_problem* p, int) {
  return 2 * sizeof(float) * static_cast<size_t>(p->c);
}

static bool clear(const abn_problem* p, void* workspace, void* stream) {
  return PLANTED == 1 || STRANGER_CLEAR(workspace, workspace_bytes(p, 0), stream);
}

static int forward(const abn_problem* p, const abn_forward_args* a) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  if (!a->workspace || a->workspace_bytes < workspace_bytes(p, 0)) return ABN_ERROR_WORKSPACE;
  const dim3 grid{static_cast<unsigned>(blocks_of(p)), static_cast<unsigned>(p->c)};
  const bool training = p->mode == ABN_TRAINING;
  const float* const x = static_cast<const float*>(a->x);
  float* const sums = static_cast<float*>(a->workspace);
  if (training &&
      !(clear(p, sums, a->stream) &&
        STRANGER_LAUNCH(forward_sums, grid, dim3{threads}, a->stream, x, sums, p->n, p->c, p->s)))
    return ABN_ERROR_LAUNCH;
  return STRANGER_LAUNCH(forward_apply, grid, dim3{threads}, a->stream, x,
                         static_cast<float*>(a->z), sums, static_cast<const float*>(a->gamma),
                         static_cast<const float*>(a->beta), static_cast<float*>(a->running_mean),
                         static_cast<float*>(a->running_var), static_cast<float*>(a->mean),
                         static_cast<float*>(a->var), p->n, p->c, p->s, static_cast<float>(p->eps),
                         static_cast<float>(p->momentum), slope_of(p), training)
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

static int backward(const abn_problem* p, const abn_backward_args* a) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  if (!a->workspace || a->workspace_bytes < workspace_bytes(p, 0)) return ABN_ERROR_WORKSPACE;
  const dim3 grid{static_cast<unsigned>(blocks_of(p)), static_cast<unsigned>(p->c)};
  const float *const dz = static_cast<const float*>(a->dz),
                     *const x = static_cast<const float*>(a->x),
                     *const z = static_cast<const float*>(a->z),
                     *const mean = static_cast<const float*>(a->mean),
                     *const var = static_cast<const float*>(a->var);
  float* const sums = static_cast<float*>(a->workspace);
  const float eps = static_cast<float>(p->eps);
  return clear(p, sums, a->stream) &&
                 STRANGER_LAUNCH(backward_sums, grid, dim3{threads}, a->stream, dz, x, z, mean, var,
                                 sums, p->n, p->c, p->s, eps, slope_of(p)) &&
                 STRANGER_LAUNCH(backward_apply, grid, dim3{threads}, a->stream, dz, x, z,
                                 static_cast<float*>(a->dx), sums,
                                 static_cast<const float*>(a->gamma), mean, var,
                                 static_cast<float*>(a->dgamma), static_cast<float*>(a->dbeta),
                                 p->n, p->c, p->s, eps, slope_of(p), p->mode == ABN_TRAINING)
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

STRANGER_PLUGIN("warp_atomics", "Warp shuffles and float atomics into a cleared workspace.")
