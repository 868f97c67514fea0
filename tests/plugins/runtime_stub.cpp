// A library with the name of a toolkit's CUDA runtime and nothing in it: what a plug-in is linked
// with where there is no such toolkit. The names are those that the plug-ins of this folder call.
#define ABN_STUB(name) \
  extern "C" [[gnu::visibility("default")]] void name() {}

ABN_STUB(__cudaRegisterFatBinary)
ABN_STUB(__cudaRegisterFatBinaryEnd)
ABN_STUB(__cudaRegisterFunction)
ABN_STUB(cudaLaunchKernel)
ABN_STUB(cudaGetLastError)
ABN_STUB(cudaRuntimeGetVersion)
ABN_STUB(cudaGetDeviceProperties)
ABN_STUB(cudaGetDeviceProperties_v2)
ABN_STUB(cudaFuncGetAttributes)
ABN_STUB(cudaThreadSynchronize)
ABN_STUB(cudaMemcpyAsync)
ABN_STUB(cudaStreamCreateWithFlags)
ABN_STUB(cudaStreamBeginCapture)
ABN_STUB(cudaStreamEndCapture)
ABN_STUB(cudaGraphCreate)
ABN_STUB(cudaGraphDestroy)
ABN_STUB(cudaGraphAddKernelNode)
ABN_STUB(cudaGraphAddMemcpyNode1D)
ABN_STUB(cudaGraphInstantiate)
ABN_STUB(cudaGraphExecUpdate)
ABN_STUB(cudaGraphExecDestroy)
ABN_STUB(cudaGraphLaunch)
