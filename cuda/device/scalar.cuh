// The storage types f16, bf16, f32, f64 and the type that a kernel computes in: float for the first
// three, double for f64.
//
// Widening is exact. Narrowing rounds to nearest even, once, after the activation: no intermediate
// is ever rounded to storage. Parameters (gamma, beta, statistics and their gradients) are float or
// double and are converted by a plain cast.
#pragma once

#include "cuda/device/platform.cuh"

// The loops over the elements of a 16-byte access must be unrolled: registers have no addresses.
#ifdef __CUDACC__
#define ABN_UNROLL _Pragma("unroll")
#else
#define ABN_UNROLL
#endif

namespace abn::device {
inline namespace ABN_BUILD {

template <class T>
struct AccumulateOf {
  using type = float;
};
template <>
struct AccumulateOf<double> {
  using type = double;
};
template <class T>
using Accumulate = typename AccumulateOf<T>::type;

__device__ __forceinline__ float widen(__half v) { return __half2float(v); }
__device__ __forceinline__ float widen(__nv_bfloat16 v) { return __bfloat162float(v); }
__device__ __forceinline__ float widen(float v) { return v; }
__device__ __forceinline__ double widen(double v) { return v; }

// A NaN is stored with sign bit 0 in every type: backward reads the sign of z, and x86 and GPUs
// make NaNs of different signs.
template <class T>
__device__ __forceinline__ T narrow(Accumulate<T> v);
template <>
__device__ __forceinline__ float narrow<float>(float v) {
  return v == v ? v : __uint_as_float(0x7fffffff);
}
template <>
__device__ __forceinline__ double narrow<double>(double v) {
  return v == v ? v : __longlong_as_double(0x7fffffffffffffff);
}
template <>
__device__ __forceinline__ __half narrow<__half>(float v) {
  return __float2half_rn(v);
}
template <>
__device__ __forceinline__ __nv_bfloat16 narrow<__nv_bfloat16>(float v) {
  return __float2bfloat16_rn(v);
}

#ifdef __CUDACC__
constexpr bool on_gpu = true;
__device__ __forceinline__ void narrow_pair(float a, float b, __half& low, __half& high) {
  const __half2 pair = __floats2half2_rn(a, b);
  low = pair.x, high = pair.y;
}
__device__ __forceinline__ void narrow_pair(float a, float b, __nv_bfloat16& low,
                                            __nv_bfloat16& high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  low = pair.x, high = pair.y;
}
#else
constexpr bool on_gpu = false;
#endif

// The elements of one 16-byte access. A GPU rounds two at a time.
template <class T>
__device__ __forceinline__ Vec16<T> narrow_all(const Accumulate<T> (&v)[16 / sizeof(T)]) {
  constexpr int lanes = 16 / static_cast<int>(sizeof(T));
  Vec16<T> out;
  constexpr bool pairs = on_gpu && sizeof(T) == 2;
  ABN_UNROLL for (int j = 0; j < lanes; j += pairs ? 2 : 1) {
    if constexpr (pairs)
      narrow_pair(v[j], v[j + 1], out.lane[j], out.lane[j + 1]);
    else
      out.lane[j] = narrow<T>(v[j]);
  }
  return out;
}

// The neighbour of a negative v on the side of zero; of the lowest finite value where v is
// -infinity.
__device__ __forceinline__ __half towards_zero(__half v) {
  return __ushort_as_half(static_cast<unsigned short>(__half_as_ushort(v) - 1));
}
__device__ __forceinline__ __nv_bfloat16 towards_zero(__nv_bfloat16 v) {
  return __ushort_as_bfloat16(static_cast<unsigned short>(__bfloat16_as_ushort(v) - 1));
}
__device__ __forceinline__ float towards_zero(float v) {
  return __uint_as_float(__float_as_uint(v) - 1);
}
__device__ __forceinline__ double towards_zero(double v) {
  return __longlong_as_double(__double_as_longlong(v) - 1);
}

// Of zero and NaN, too.
__device__ __forceinline__ bool sign_bit(float v) {
  return static_cast<int>(__float_as_uint(v)) < 0;
}
__device__ __forceinline__ bool sign_bit(double v) { return __double_as_longlong(v) < 0; }

// Functions of libm by one name. Root and division are IEEE's (no approximations, no fast math);
// the others are within function_ulp by CUDA's and by glibc's documentation.
__device__ __forceinline__ float root(float v) { return sqrtf(v); }
__device__ __forceinline__ double root(double v) { return sqrt(v); }
__device__ __forceinline__ float exp_minus_one(float v) { return expm1f(v); }
__device__ __forceinline__ double exp_minus_one(double v) { return expm1(v); }
__device__ __forceinline__ float log_one_plus(float v) { return log1pf(v); }
__device__ __forceinline__ double log_one_plus(double v) { return log1p(v); }
__device__ __forceinline__ float exponential(float v) { return expf(v); }
__device__ __forceinline__ double exponential(double v) { return exp(v); }
__device__ __forceinline__ float hyperbolic_tangent(float v) { return tanhf(v); }
__device__ __forceinline__ double hyperbolic_tangent(double v) { return tanh(v); }
__device__ __forceinline__ float error_function(float v) { return erff(v); }
__device__ __forceinline__ double error_function(double v) { return erf(v); }
inline constexpr double function_ulp = 2;

}  // namespace ABN_BUILD
}  // namespace abn::device
