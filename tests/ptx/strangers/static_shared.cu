// A stranger's batch norm: one block a channel, a tree in static shared memory, x kept.
//
// f32 in NCHW, with leaky ReLU or identity; saves mean and 1/sqrt(var + eps), as PyTorch does.
// PLANTED 1: the tree has no barrier between its levels.
#include "tests/ptx/strangers/stranger.cuh"

#define THREADS 256

extern "C" __global__ void bn_forward(const float* x, float* z, const float* gamma,
                                      const float* beta, float* running_mean, float* running_var,
                                      float* save_mean, float* save_invstd, int N, int C,
                                      int64_t HW, float eps, float momentum, float slope,
                                      bool training);
extern "C" __global__ void bn_backward(const float* dz, const float* x, float* dx,
                                       const float* gamma, const float* beta, const float* mean,
                                       const float* var, float* dgamma, float* dbeta, int N, int C,
                                       int64_t HW, float eps, float slope, bool training);

#ifdef __CUDACC__

__device__ float reduce(float value) {
  static __shared__ float partial[THREADS];
  const int tid = threadIdx.x;
  partial[tid] = value;
  __syncthreads();
  for (int stride = THREADS / 2; stride > 0; stride >>= 1) {
    if (tid < stride) partial[tid] += partial[tid + stride];
#if PLANTED != 1
    __syncthreads();
#endif
  }
#if PLANTED == 1
  __syncthreads();
#endif
  const float sum = partial[0];
  __syncthreads();
  return sum;
}

__global__ void bn_forward(const float* x, float* z, const float* gamma, const float* beta,
                           float* running_mean, float* running_var, float* save_mean,
                           float* save_invstd, int N, int C, int64_t HW, float eps, float momentum,
                           float slope, bool training) {
  const int c = blockIdx.x;
  const int64_t m = N * HW;
  float mean, invstd;
  if (training) {
    float sum = 0.f;
    for (int n = 0; n < N; ++n)
      for (int64_t i = threadIdx.x; i < HW; i += blockDim.x)
        sum += x[(static_cast<int64_t>(n) * C + c) * HW + i];
    mean = reduce(sum) / m;
    float squares = 0.f;
    for (int n = 0; n < N; ++n)
      for (int64_t i = threadIdx.x; i < HW; i += blockDim.x) {
        const float d = x[(static_cast<int64_t>(n) * C + c) * HW + i] - mean;
        squares += d * d;
      }
    const float var = reduce(squares) / m;
    invstd = 1.f / sqrtf(var + eps);
    if (threadIdx.x == 0) {
      if (save_mean) save_mean[c] = mean;
      if (save_invstd) save_invstd[c] = invstd;
      if (running_mean) running_mean[c] = (1.f - momentum) * running_mean[c] + momentum * mean;
      if (running_var)
        running_var[c] = (1.f - momentum) * running_var[c] +
                         momentum * (var * (static_cast<float>(m) / static_cast<float>(m - 1)));
    }
  } else {
    mean = running_mean[c];
    invstd = 1.f / sqrtf(running_var[c] + eps);
  }
  const float g = gamma ? gamma[c] : 1.f, b = beta ? beta[c] : 0.f;
  for (int n = 0; n < N; ++n)
    for (int64_t i = threadIdx.x; i < HW; i += blockDim.x) {
      const int64_t at = (static_cast<int64_t>(n) * C + c) * HW + i;
      const float y = g * ((x[at] - mean) * invstd) + b;
      z[at] = y < 0.f ? slope * y : y + 0.f;
    }
}

__global__ void bn_backward(const float* dz, const float* x, float* dx, const float* gamma,
                            const float* beta, const float* mean, const float* var, float* dgamma,
                            float* dbeta, int N, int C, int64_t HW, float eps, float slope,
                            bool training) {
  const int c = blockIdx.x;
  const int64_t m = N * HW;
  const float mu = mean[c], r = training ? var[c] : 1.f / sqrtf(var[c] + eps);
  const float g = gamma ? gamma[c] : 1.f, b = beta ? beta[c] : 0.f;
  float sum_dy = 0.f, sum_dy_xhat = 0.f;
  for (int n = 0; n < N; ++n)
    for (int64_t i = threadIdx.x; i < HW; i += blockDim.x) {
      const int64_t at = (static_cast<int64_t>(n) * C + c) * HW + i;
      const float xhat = (x[at] - mu) * r;
      const float dy = g * xhat + b < 0.f ? slope * dz[at] : dz[at];
      sum_dy += dy;
      sum_dy_xhat += dy * xhat;
    }
  sum_dy = reduce(sum_dy);
  sum_dy_xhat = reduce(sum_dy_xhat);
  if (threadIdx.x == 0) {
    if (dbeta) dbeta[c] = sum_dy;
    if (dgamma) dgamma[c] = sum_dy_xhat;
  }
  if (!dx) return;
  const float mean_dy = training ? sum_dy / m : 0.f;
  const float mean_dy_xhat = training ? sum_dy_xhat / m : 0.f;
  for (int n = 0; n < N; ++n)
    for (int64_t i = threadIdx.x; i < HW; i += blockDim.x) {
      const int64_t at = (static_cast<int64_t>(n) * C + c) * HW + i;
      const float xhat = (x[at] - mu) * r;
      const float dy = g * xhat + b < 0.f ? slope * dz[at] : dz[at];
      dx[at] = g * r * (training ? dy - mean_dy - xhat * mean_dy_xhat : dy);
    }
}

#endif

static int claims(const abn_problem* p, abn_claims* out) {
  if (!stranger_knows(p, ABN_F32, ABN_NCHW)) return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_CHECKPOINT_X;
  out->saves = ABN_SAVES_X | ABN_SAVES_MEAN | ABN_SAVES_VAR | ABN_SAVES_INVSTD;
  out->statistics = ABN_TWO_PASS;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F32;
  out->kink = ABN_KINK_RIGHT;
  out->deterministic = 1;
  out->dx_may_alias_dz = 1;
  // Every 256th sample of an image, one image after the other; then a tree over 256.
  const int64_t loop = p->n * ((p->s + THREADS - 1) / THREADS);
  out->depth_statistics = out->depth_backward = loop + 8;
  return ABN_OK;
}

static size_t workspace_bytes(const abn_problem*, int) { return 0; }

static int forward(const abn_problem* p, const abn_forward_args* a) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  return STRANGER_LAUNCH(bn_forward, dim3{static_cast<unsigned>(p->c)}, dim3{THREADS}, a->stream,
                         static_cast<const float*>(a->x), static_cast<float*>(a->z),
                         static_cast<const float*>(a->gamma), static_cast<const float*>(a->beta),
                         static_cast<float*>(a->running_mean), static_cast<float*>(a->running_var),
                         static_cast<float*>(a->mean), static_cast<float*>(a->var),
                         static_cast<int>(p->n), static_cast<int>(p->c), p->s,
                         static_cast<float>(p->eps), static_cast<float>(p->momentum), slope_of(p),
                         p->mode == ABN_TRAINING)
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

static int backward(const abn_problem* p, const abn_backward_args* a) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  return STRANGER_LAUNCH(bn_backward, dim3{static_cast<unsigned>(p->c)}, dim3{THREADS}, a->stream,
                         static_cast<const float*>(a->dz), static_cast<const float*>(a->x),
                         static_cast<float*>(a->dx), static_cast<const float*>(a->gamma),
                         static_cast<const float*>(a->beta), static_cast<const float*>(a->mean),
                         static_cast<const float*>(a->var), static_cast<float*>(a->dgamma),
                         static_cast<float*>(a->dbeta), static_cast<int>(p->n),
                         static_cast<int>(p->c), p->s, static_cast<float>(p->eps), slope_of(p),
                         p->mode == ABN_TRAINING)
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

STRANGER_PLUGIN("static_shared", "A tree in static shared memory, one block a channel.")
