// What the kernels of fixtures/ptx/cuda_kernel.ptx claim, for the plug-ins that launch them in
// several ways: those of cuda/examples/cuda_kernel.cu, one block of 128 threads a channel.
#pragma once

#include "cuda/kernel.h"

namespace text {

constexpr unsigned threads = 128;
constexpr unsigned shared_bytes = threads * sizeof(float);

inline int claims(const abn_problem* p, abn_claims* out) {
  if (p->dtype != ABN_F32 || p->param_dtype != ABN_F32 || p->layout != ABN_NCHW ||
      p->scale != ABN_SCALE_SIGNED ||
      (p->activation != ABN_LEAKY_RELU && p->activation != ABN_IDENTITY))
    return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_IN_PLACE_1;
  out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  out->z_may_alias_x = out->dx_may_alias_dz = 1;
  out->statistics = ABN_TWO_PASS;
  out->kink = ABN_KINK_RIGHT;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F32;
  out->depth_statistics = out->depth_backward = (p->n * p->s + threads - 1) / threads + 7;
  out->deterministic = 1;
  out->sweeps_x.loads = p->mode == ABN_TRAINING ? 3 : 1;
  out->sweeps_dz.loads = out->sweeps_kept.loads = 2;
  out->sweeps_z.stores = out->sweeps_dx.stores = 1;
  out->coalesced = 1;
  return ABN_OK;
}

inline size_t workspace_bytes(const abn_problem*, int) { return 0; }

}  // namespace text
