// A stranger's batch norm for f16: samples in pairs, as __half2, sums in float.
//
// f16 in NCHW with f32 parameters, and leaky ReLU or identity; z replaces x, and backward finds
// xhat again from z. The rows of a channel are s samples long, so they begin and end amid a pair
// where that is odd. PLANTED 1: the sample at the end of an odd row is left out.
#include "tests/ptx/strangers/stranger.cuh"

#ifdef __CUDACC__
#include <cuda_fp16.h>
#else
struct __half;
#endif

static constexpr int threads = 64;

extern "C" __global__ void half_forward(const __half* x, __half* z, const float* gamma,
                                        const float* beta, float* running_mean, float* running_var,
                                        float* mean_out, float* var_out, int64_t n, int64_t c,
                                        int64_t s, float eps, float momentum, float slope,
                                        int training);
extern "C" __global__ void half_backward(const __half* z, const __half* dz, __half* dx,
                                         const float* gamma, const float* beta, const float* var,
                                         float* dgamma, float* dbeta, int64_t n, int64_t c,
                                         int64_t s, float eps, float slope, int training);

#ifdef __CUDACC__

// Calls pair(k) for elements k and k+1 at even k, and single(k) at the ends of odd rows.
template <class Pair, class Single>
__device__ void walk(int64_t n, int64_t channels, int64_t s, const Pair& pair,
                     const Single& single) {
  for (int64_t image = 0; image < n; ++image) {
    const int64_t begin = (image * channels + blockIdx.x) * s, end = begin + s;
    if (begin % 2 != 0 && threadIdx.x == 0) single(begin);
    for (int64_t k = (begin + 1) / 2 * 2 + 2 * threadIdx.x; k + 1 < end; k += 2 * threads) pair(k);
#if PLANTED != 1
    if (end % 2 != 0 && threadIdx.x == threads - 1) single(end - 1);
#endif
  }
}

__device__ float2 block_sum(float2 value) {
  __shared__ float2 of_warp[threads / 32];
  for (int offset = 16; offset > 0; offset /= 2) {
    value.x += __shfl_down_sync(~0u, value.x, offset);
    value.y += __shfl_down_sync(~0u, value.y, offset);
  }
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  float2 sum = make_float2(0, 0);
  for (int warp = 0; warp < threads / 32; ++warp) {
    sum.x += of_warp[warp].x;
    sum.y += of_warp[warp].y;
  }
  __syncthreads();
  return sum;
}

__device__ float2 load2(const __half* data, int64_t k) {
  return __half22float2(*reinterpret_cast<const __half2*>(data + k));
}
__device__ void store2(__half* data, int64_t k, float2 value) {
  *reinterpret_cast<__half2*>(data + k) = __float22half2_rn(value);
}

__global__ void half_forward(const __half* x, __half* z, const float* gamma, const float* beta,
                             float* running_mean, float* running_var, float* mean_out,
                             float* var_out, int64_t n, int64_t channels, int64_t s, float eps,
                             float momentum, float slope, int training) {
  const int c = blockIdx.x;
  const float m = static_cast<float>(n * s);
  float mean, var;
  if (training) {
    float2 sum = make_float2(0, 0);
    walk(
        n, channels, s,
        [&](int64_t k) {
          const float2 v = load2(x, k);
          sum.x += v.x;
          sum.y += v.y;
        },
        [&](int64_t k) { sum.x += __half2float(x[k]); });
    sum = block_sum(sum);
    mean = (sum.x + sum.y) / m;
    float2 squares = make_float2(0, 0);
    walk(
        n, channels, s,
        [&](int64_t k) {
          const float2 v = load2(x, k);
          squares.x += (v.x - mean) * (v.x - mean);
          squares.y += (v.y - mean) * (v.y - mean);
        },
        [&](int64_t k) {
          const float v = __half2float(x[k]) - mean;
          squares.x += v * v;
        });
    squares = block_sum(squares);
    var = (squares.x + squares.y) / m;
    if (threadIdx.x == 0) {
      if (mean_out) mean_out[c] = mean;
      if (var_out) var_out[c] = var;
      if (running_mean) running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean;
      if (running_var)
        running_var[c] = (1 - momentum) * running_var[c] + momentum * (var * (m / (m - 1)));
    }
  } else {
    mean = running_mean[c], var = running_var[c];
  }
  const float r = 1 / sqrtf(var + eps), g = gamma ? gamma[c] : 1, b = beta ? beta[c] : 0;
  const auto phi = [=](float v) {
    const float y = g * ((v - mean) * r) + b;
    return y < 0 ? slope * y : y + 0;
  };
  walk(
      n, channels, s,
      [&](int64_t k) {
        const float2 v = load2(x, k);
        store2(z, k, make_float2(phi(v.x), phi(v.y)));
      },
      [&](int64_t k) { z[k] = __float2half_rn(phi(__half2float(x[k]))); });
}

__global__ void half_backward(const __half* z, const __half* dz, __half* dx, const float* gamma,
                              const float* beta, const float* var, float* dgamma, float* dbeta,
                              int64_t n, int64_t channels, int64_t s, float eps, float slope,
                              int training) {
  const int c = blockIdx.x;
  const float m = static_cast<float>(n * s);
  const float g = gamma ? gamma[c] : 1, b = beta ? beta[c] : 0;
  // The sign bit of z tells the branch: a stored -0 is a slope*y that underflowed.
  const auto dy_of = [=](float z_k, float dz_k) { return signbit(z_k) ? slope * dz_k : dz_k; };
  const auto xhat_of = [=](float z_k) {
    return g == 0 ? 0 : ((signbit(z_k) ? z_k / slope : z_k) - b) / g;
  };
  float2 sums = make_float2(0, 0);
  const auto add = [&](float z_k, float dz_k) {
    const float dy = dy_of(z_k, dz_k);
    sums.x += dy;
    sums.y += dy * xhat_of(z_k);
  };
  walk(
      n, channels, s,
      [&](int64_t k) {
        const float2 z2 = load2(z, k), dz2 = load2(dz, k);
        add(z2.x, dz2.x);
        add(z2.y, dz2.y);
      },
      [&](int64_t k) { add(__half2float(z[k]), __half2float(dz[k])); });
  sums = block_sum(sums);
  if (threadIdx.x == 0) {
    if (dbeta) dbeta[c] = sums.x;
    if (dgamma) dgamma[c] = sums.y;
  }
  if (!dx) return;
  const float r = 1 / sqrtf(var[c] + eps);
  const float2 means = training ? make_float2(sums.x / m, sums.y / m) : make_float2(0, 0);
  const auto dx_of = [=](float z_k, float dz_k) {
    const float of_means = training ? means.x + xhat_of(z_k) * means.y : 0;
    return g * r * (dy_of(z_k, dz_k) - of_means);
  };
  walk(
      n, channels, s,
      [&](int64_t k) {
        const float2 z2 = load2(z, k), dz2 = load2(dz, k);
        store2(dx, k, make_float2(dx_of(z2.x, dz2.x), dx_of(z2.y, dz2.y)));
      },
      [&](int64_t k) { dx[k] = __float2half_rn(dx_of(__half2float(z[k]), __half2float(dz[k]))); });
}

#endif

static int claims(const abn_problem* p, abn_claims* out) {
  if (!stranger_knows(p, ABN_F16, ABN_NCHW)) return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_IN_PLACE_1;
  out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  out->z_may_alias_x = out->dx_may_alias_dz = 1;
  out->statistics = ABN_TWO_PASS;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F32;
  out->kink = ABN_KINK_RIGHT;
  out->deterministic = 1;
  out->alignment = 4;  // of a pair
  // The pairs of a thread and an end of a row in every image, one after the other, which backward
  // adds up in one sum; 5 levels in a warp, the two warps, and forward's two halves.
  const int64_t pairs = (p->s / 2 + threads - 1) / threads + 1;
  out->depth_statistics = p->n * pairs + 5 + threads / 32 + 1;
  out->depth_backward = p->n * 2 * pairs + 5 + threads / 32;
  return ABN_OK;
}

static size_t workspace_bytes(const abn_problem*, int) { return 0; }

static int forward(const abn_problem* p, const abn_forward_args* a) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  return STRANGER_LAUNCH(half_forward, dim3{static_cast<unsigned>(p->c)}, dim3{threads}, a->stream,
                         static_cast<const __half*>(a->x), static_cast<__half*>(a->z),
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
  return STRANGER_LAUNCH(half_backward, dim3{static_cast<unsigned>(p->c)}, dim3{threads}, a->stream,
                         static_cast<const __half*>(a->z), static_cast<const __half*>(a->dz),
                         static_cast<__half*>(a->dx), static_cast<const float*>(a->gamma),
                         static_cast<const float*>(a->beta), static_cast<const float*>(a->var),
                         static_cast<float*>(a->dgamma), static_cast<float*>(a->dbeta), p->n, p->c,
                         p->s, static_cast<float>(p->eps), slope_of(p), p->mode == ABN_TRAINING)
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

STRANGER_PLUGIN("half_vectors", "Pairs of f16 samples, one block a channel, in place.")
