// A stranger's in-place batch norm: cub::BlockReduce, one block a channel, only z and var kept.
//
// f32 in NCHW, with leaky ReLU or identity; z replaces x, and backward finds xhat again from z.
// PLANTED 1: forward's sums, which cub gives to thread 0 alone, are used by all threads. PLANTED 2:
// backward's second sum takes the storage of the first without a barrier between them.
#include "tests/ptx/strangers/stranger.cuh"

static constexpr int threads = 128;

extern "C" __global__ void iabn_forward(const float* x, float* z, const float* gamma,
                                        const float* beta, float* running_mean, float* running_var,
                                        float* mean_out, float* var_out, int64_t num, int64_t chn,
                                        int64_t sp, float eps, float momentum, float slope,
                                        int training);
extern "C" __global__ void iabn_backward(const float* z, const float* dz, float* dx,
                                         const float* gamma, const float* beta, const float* var,
                                         float* dgamma, float* dbeta, int64_t num, int64_t chn,
                                         int64_t sp, float eps, float slope, int training);

#ifdef __CUDACC__

#include <cub/block/block_reduce.cuh>

using BlockReduce = cub::BlockReduce<float, threads>;

// The sum over the block, in every thread.
__device__ float all_sum(float value) {
  __shared__ BlockReduce::TempStorage storage;
  const float sum = BlockReduce(storage).Sum(value);
#if PLANTED == 1
  __syncthreads();
  return sum;
#else
  __shared__ float total;
  if (threadIdx.x == 0) total = sum;
  __syncthreads();
  return total;
#endif
}

__global__ void iabn_forward(const float* x, float* z, const float* gamma, const float* beta,
                             float* running_mean, float* running_var, float* mean_out,
                             float* var_out, int64_t num, int64_t chn, int64_t sp, float eps,
                             float momentum, float slope, int training) {
  const int64_t c = blockIdx.x, m = num * sp;
  const auto index = [=](int64_t i) { return (i / sp * chn + c) * sp + i % sp; };
  float mean = training ? 0 : running_mean[c], var = training ? 0 : running_var[c];
  if (training) {
    float sum = 0;
    for (int64_t i = threadIdx.x; i < m; i += threads) sum += x[index(i)];
    mean = all_sum(sum) / static_cast<float>(m);
    float squares = 0;
    for (int64_t i = threadIdx.x; i < m; i += threads) {
      const float centred = x[index(i)] - mean;
      squares = fmaf(centred, centred, squares);
    }
    var = all_sum(squares) / static_cast<float>(m);
    if (threadIdx.x == 0) {
      const float unbiased = var * (static_cast<float>(m) / static_cast<float>(m - 1));
      if (mean_out != nullptr) mean_out[c] = mean;
      if (var_out != nullptr) var_out[c] = var;
      if (running_mean != nullptr)
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean;
      if (running_var != nullptr)
        running_var[c] = (1 - momentum) * running_var[c] + momentum * unbiased;
    }
  }
  const float scale = 1 / sqrtf(var + eps);
  const float g = gamma != nullptr ? gamma[c] : 1, b = beta != nullptr ? beta[c] : 0;
  for (int64_t i = threadIdx.x; i < m; i += threads) {
    const float y = g * ((x[index(i)] - mean) * scale) + b;
    z[index(i)] = y < 0 ? slope * y : y + 0;
  }
}

__global__ void iabn_backward(const float* z, const float* dz, float* dx, const float* gamma,
                              const float* beta, const float* var, float* dgamma, float* dbeta,
                              int64_t num, int64_t chn, int64_t sp, float eps, float slope,
                              int training) {
  const int64_t c = blockIdx.x, m = num * sp;
  const auto index = [=](int64_t i) { return (i / sp * chn + c) * sp + i % sp; };
  const float g = gamma != nullptr ? gamma[c] : 1, b = beta != nullptr ? beta[c] : 0;
  // The gradient at y and xhat. The sign bit tells the branch: a stored -0 underflowed.
  const auto recover = [=](int64_t at) {
    const float value = z[at];
    const bool below = signbit(value);
    const float y = below ? value / slope : value;
    return make_float2(below ? slope * dz[at] : dz[at], g == 0 ? 0 : (y - b) / g);
  };
  float2 sums = make_float2(0, 0);
  for (int64_t i = threadIdx.x; i < m; i += threads) {
    const float2 dy_xhat = recover(index(i));
    sums.x += dy_xhat.x;
    sums.y = fmaf(dy_xhat.x, dy_xhat.y, sums.y);
  }
  __shared__ BlockReduce::TempStorage storage;
  __shared__ float2 total;
  sums.x = BlockReduce(storage).Sum(sums.x);
#if PLANTED != 2
  __syncthreads();
#endif
  sums.y = BlockReduce(storage).Sum(sums.y);
  if (threadIdx.x == 0) total = sums;
  __syncthreads();
  sums = total;
  if (threadIdx.x == 0 && dbeta != nullptr) dbeta[c] = sums.x;
  if (threadIdx.x == 0 && dgamma != nullptr) dgamma[c] = sums.y;
  if (dx == nullptr) return;
  const float factor = g * (1 / sqrtf(var[c] + eps));
  const float mean_dy = training ? sums.x / static_cast<float>(m) : 0;
  const float mean_dy_xhat = training ? sums.y / static_cast<float>(m) : 0;
  for (int64_t i = threadIdx.x; i < m; i += threads) {
    const float2 dy_xhat = recover(index(i));
    const float of_means = training ? mean_dy + dy_xhat.y * mean_dy_xhat : 0;
    dx[index(i)] = factor * (dy_xhat.x - of_means);
  }
}

#endif

static int claims(const abn_problem* p, abn_claims* out) {
  if (!stranger_knows(p, ABN_F32, ABN_NCHW)) return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_IN_PLACE_1;
  out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  out->z_may_alias_x = out->dx_may_alias_dz = 1;
  out->statistics = ABN_TWO_PASS;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F32;
  out->kink = ABN_KINK_RIGHT;
  out->deterministic = 1;
  // A thread's samples, 5 levels in a warp, then one warp after the other.
  out->depth_statistics = out->depth_backward =
      (p->n * p->s + threads - 1) / threads + 5 + threads / 32;
  return ABN_OK;
}

static size_t workspace_bytes(const abn_problem*, int) { return 0; }

static int forward(const abn_problem* p, const abn_forward_args* a) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  return STRANGER_LAUNCH(iabn_forward, dim3{static_cast<unsigned>(p->c)}, dim3{threads}, a->stream,
                         static_cast<const float*>(a->x), static_cast<float*>(a->z),
                         static_cast<const float*>(a->gamma), static_cast<const float*>(a->beta),
                         static_cast<float*>(a->running_mean), static_cast<float*>(a->running_var),
                         static_cast<float*>(a->mean), static_cast<float*>(a->var), p->n, p->c,
                         p->s, static_cast<float>(p->eps), static_cast<float>(p->momentum),
                         slope_of(p), p->mode == ABN_TRAINING)
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

static int backward(const abn_problem* p, const abn_backward_args* a) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  return STRANGER_LAUNCH(iabn_backward, dim3{static_cast<unsigned>(p->c)}, dim3{threads}, a->stream,
                         static_cast<const float*>(a->z), static_cast<const float*>(a->dz),
                         static_cast<float*>(a->dx), static_cast<const float*>(a->gamma),
                         static_cast<const float*>(a->beta), static_cast<const float*>(a->var),
                         static_cast<float*>(a->dgamma), static_cast<float*>(a->dbeta), p->n, p->c,
                         p->s, static_cast<float>(p->eps), slope_of(p), p->mode == ABN_TRAINING)
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

STRANGER_PLUGIN("cub_reduce", "cub::BlockReduce, one block a channel, in place.")
