// A plug-in that launches its kernels by graphs of CUDA 12: the gradient, or the input, is copied
// to the workspace, and the kernel works from there. A graph is instantiated once and updated by
// each call. Planted bugs:
//   1  the graph of the first call is launched again as it was, with that call's addresses
//   2  the graph is made node by node, and the kernel does not wait for the copy
#include "tests/plugins/runtime_by_hand.hpp"
#include "tests/plugins/text_claims.hpp"

extern "C" {
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraphExec_st*;
using cudaGraphNode_t = struct CUgraphNode_st*;
struct cudaKernelNodeParams {
  const void* func;
  dim3 gridDim, blockDim;
  unsigned sharedMemBytes;
  void **kernelParams, **extra;
};
struct cudaGraphExecUpdateResultInfo {
  int result;
  cudaGraphNode_t errorNode, errorFromNode;
};
int cudaStreamCreateWithFlags(cudaStream_t*, unsigned);
int cudaStreamBeginCapture(cudaStream_t, int);
int cudaStreamEndCapture(cudaStream_t, cudaGraph_t*);
int cudaGraphCreate(cudaGraph_t*, unsigned);
int cudaGraphDestroy(cudaGraph_t);
int cudaGraphAddKernelNode(cudaGraphNode_t*, cudaGraph_t, const cudaGraphNode_t*, std::size_t,
                           const cudaKernelNodeParams*);
int cudaGraphAddMemcpyNode1D(cudaGraphNode_t*, cudaGraph_t, const cudaGraphNode_t*, std::size_t,
                             void*, const void*, std::size_t, int);
int cudaGraphInstantiate(cudaGraphExec_t*, cudaGraph_t, unsigned long long);
int cudaGraphExecUpdate(cudaGraphExec_t, cudaGraph_t, cudaGraphExecUpdateResultInfo*);
int cudaGraphLaunch(cudaGraphExec_t, cudaStream_t);
}

namespace {

constexpr int device_to_device = 3;

/// What a call does: a copy, then a kernel.
struct Steps {
  const void* from;
  void* to;
  std::size_t bytes;
  const void* kernel;
  dim3 grid;
  void** arguments;
};

/// The graph of the steps, or null.
[[maybe_unused]] cudaGraph_t captured(const Steps& steps) {
  static cudaStream_t own = nullptr;
  constexpr unsigned non_blocking = 1;
  if (own == nullptr && cudaStreamCreateWithFlags(&own, non_blocking) != 0) return nullptr;
  cudaGraph_t graph = nullptr;
  if (cudaStreamBeginCapture(own, 0) != 0) return nullptr;
  const bool recorded =
      cudaMemcpyAsync(steps.to, steps.from, steps.bytes, device_to_device, own) == 0 &&
      cudaLaunchKernel(steps.kernel, steps.grid, {text::threads, 1, 1}, steps.arguments,
                       text::shared_bytes, own) == 0;
  return cudaStreamEndCapture(own, &graph) == 0 && recorded ? graph : nullptr;
}

[[maybe_unused]] cudaGraph_t without_order(const Steps& steps) {
  cudaGraph_t graph = nullptr;
  cudaGraphNode_t copy = nullptr, kernel = nullptr;
  const cudaKernelNodeParams params{steps.kernel,       steps.grid,      {text::threads, 1, 1},
                                    text::shared_bytes, steps.arguments, nullptr};
  return cudaGraphCreate(&graph, 0) == 0 &&
                 cudaGraphAddMemcpyNode1D(&copy, graph, nullptr, 0, steps.to, steps.from,
                                          steps.bytes, device_to_device) == 0 &&
                 cudaGraphAddKernelNode(&kernel, graph, nullptr, 0, &params) == 0
             ? graph
             : nullptr;
}

int launch(const Steps& steps, cudaGraphExec_t& kept, void* stream) {
  if (kept == nullptr || PLANTED != 1) {
#if PLANTED == 2
    const cudaGraph_t graph = without_order(steps);
#else
    const cudaGraph_t graph = captured(steps);
#endif
    cudaGraphExecUpdateResultInfo info{};
    const int made = graph == nullptr  ? 1
                     : kept == nullptr ? cudaGraphInstantiate(&kept, graph, 0)
                                       : cudaGraphExecUpdate(kept, graph, &info);
    if (made != 0 || cudaGraphDestroy(graph) != 0) return ABN_ERROR_LAUNCH;
  }
  return cudaGraphLaunch(kept, static_cast<cudaStream_t>(stream)) == 0 ? ABN_OK : ABN_ERROR_LAUNCH;
}

std::size_t tensor_bytes(const abn_problem* p) {
  return static_cast<std::size_t>(p->n * p->c * p->s) * sizeof(float);
}
std::size_t workspace_bytes(const abn_problem* p, int) { return tensor_bytes(p); }

int forward(const abn_problem* p, const abn_forward_args* args) {
  static cudaGraphExec_t kept = nullptr;
  if (tensor_bytes(p) == 0) return ABN_OK;
  if (args->workspace == nullptr || args->workspace_bytes < tensor_bytes(p))
    return ABN_ERROR_WORKSPACE;
  abn_problem problem = *p;
  abn_forward_args copy = *args;
  copy.x = args->workspace;
  void* arguments[] = {&problem, &copy};
  return launch({args->x,
                 args->workspace,
                 tensor_bytes(p),
                 by_hand::forward_stub,
                 {static_cast<unsigned>(p->c), 1, 1},
                 arguments},
                kept, args->stream);
}
int backward(const abn_problem* p, const abn_backward_args* args) {
  static cudaGraphExec_t kept = nullptr;
  if (tensor_bytes(p) == 0) return ABN_OK;
  if (args->workspace == nullptr || args->workspace_bytes < tensor_bytes(p))
    return ABN_ERROR_WORKSPACE;
  abn_problem problem = *p;
  abn_backward_args copy = *args;
  copy.dz = args->workspace;
  void* arguments[] = {&problem, &copy};
  return launch({args->dz,
                 args->workspace,
                 tensor_bytes(p),
                 by_hand::backward_stub,
                 {static_cast<unsigned>(p->c), 1, 1},
                 arguments},
                kept, args->stream);
}

int claims(const abn_problem* p, abn_claims* out) {
  const int status = text::claims(p, out);
  out->sweeps_x = {}, out->sweeps_dz = {};  // copies are not counted as a kernel's loads are
  return status;
}

const abn_variant variant = {ABN_ABI_VERSION, sizeof(abn_variant),
                             "graph_kernel",  "Kernels in graphs.",
                             ABN_MEMORY_CUDA, 0,
                             claims,          workspace_bytes,
                             forward,         backward};

}  // namespace

extern "C" [[gnu::visibility("default")]] const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &variant : nullptr;
}
