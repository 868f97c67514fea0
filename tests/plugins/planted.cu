// Kernels with one defect each, of the kinds that only someone who sees every memory access can
// tell, and the same kernel without.
//
// Inference with leaky ReLU, f32: z = phi(g*((x - mean)*r) + beta), with 128 elements a block on
// their way through shared memory in reverse order, so that every thread takes what another one
// left there. Lines that a test looks for end in the check's name.
#include "cuda/device/platform.cuh"
#include "cuda/kernel.h"

namespace {

constexpr unsigned threads = 128;

enum class Defect { none, race, unwritten, overrun, input_written, divergence, traffic, scattered };

struct Shared {
  float value[threads];
};

template <Defect planted>
__global__ void normalise(abn_problem p, abn_forward_args args) {
  const float* const x = static_cast<const float*>(args.x);
  float* const z = static_cast<float*>(args.z);
  float* const scratch = static_cast<float*>(args.workspace);
  float* const values = abn::device::dynamic_shared<Shared>().value;
  const int64_t all = p.n * p.c * p.s, first = static_cast<int64_t>(blockIdx.x) * threads;
  const int64_t here = all - first < threads ? all - first : threads;  // elements of this block
  const unsigned last = static_cast<unsigned>(here) - 1,
                 lane = planted == Defect::scattered ? threadIdx.x * 5 % threads : threadIdx.x;

  if (lane <= last) values[last - lane] = x[first + lane];
  if (planted == Defect::divergence) {
    if (threadIdx.x <= last / 2) __syncthreads();  // barriers
  } else if (planted != Defect::race) {
    __syncthreads();
  }
  if (lane > last) return;
  const int64_t i = first + (last - lane), c = p.layout == ABN_NCHW ? i / p.s % p.c : i % p.c;
  const float r =
      1 / sqrtf(static_cast<const float*>(args.running_var)[c] + static_cast<float>(p.eps));
  const float g = args.gamma == nullptr ? 1 : static_cast<const float*>(args.gamma)[c];
  const float beta = args.beta == nullptr ? 0 : static_cast<const float*>(args.beta)[c];
  float value = values[lane];                                           // races
  if (planted == Defect::unwritten) value += 0 * scratch[threadIdx.x];  // unwritten_reads
  if (planted == Defect::overrun) value += 0 * x[i + 1];                // bounds
  if (planted == Defect::traffic) value += 0 * x[i];
  if (planted == Defect::input_written && lane == last && blockIdx.x == 0)
    const_cast<float*>(x)[i] = value;  // bounds too
  const float y = g * ((value - static_cast<const float*>(args.running_mean)[c]) * r) + beta;
  z[i] = y > 0 ? y : y < 0 ? static_cast<float>(p.activation_parameter) * y : y == 0 ? 0 : y;
}

int claims(const abn_problem* p, abn_claims* out) {
  if (p->dtype != ABN_F32 || p->mode != ABN_INFERENCE || p->activation != ABN_LEAKY_RELU ||
      p->scale != ABN_SCALE_SIGNED)
    return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_IN_PLACE_1;
  out->accumulate = ABN_F32;
  out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  out->depth_statistics = out->depth_backward = 1;
  out->sweeps_x.loads = out->sweeps_z.stores = 1;
  out->coalesced = 1;
  return ABN_OK;
}

size_t workspace_bytes(const abn_problem*, int) { return sizeof(Shared); }

template <Defect planted>
int forward(const abn_problem* p, const abn_forward_args* args) {
  const int64_t all = p->n * p->c * p->s;
  if (all == 0) return ABN_OK;
  if (args->workspace == nullptr || args->workspace_bytes < sizeof(Shared))
    return ABN_ERROR_WORKSPACE;
  const dim3 blocks(static_cast<unsigned>((all + threads - 1) / threads));
  const int code =
      abn::device::launch({blocks, dim3(threads), sizeof(Shared), args->stream, "normalise"},
                          normalise<planted>, *p, *args);
  return code == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}
int backward(const abn_problem*, const abn_backward_args*) { return ABN_ERROR_UNSUPPORTED; }

template <Defect planted>
constexpr abn_variant named(const char* name) {
  return {ABN_ABI_VERSION,
          sizeof(abn_variant),
          name,
          "A planted defect.",
          ABN_VARIANT_MEMORY,
          0,
          claims,
          workspace_bytes,
          forward<planted>,
          backward};
}

const abn_variant variants[] = {named<Defect::none>("planted_none"),
                                named<Defect::race>("planted_race"),
                                named<Defect::unwritten>("planted_unwritten"),
                                named<Defect::overrun>("planted_overrun"),
                                named<Defect::input_written>("planted_input_written"),
                                named<Defect::divergence>("planted_divergence"),
                                named<Defect::traffic>("planted_traffic"),
                                named<Defect::scattered>("planted_scattered")};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return index < sizeof variants / sizeof *variants ? variants + index : nullptr;
}
