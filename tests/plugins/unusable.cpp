// Plug-ins that the loader has to refuse, one for each value of FAULT; with another ENTRY, one
// without the symbol.
#include "cuda/kernel.h"

#ifndef FAULT
#define FAULT none
#endif
#ifndef ENTRY
#define ENTRY abn_plugin  // what the loader looks for
#endif

namespace {

enum class Fault {
  none,
  bad_abi_version,
  short_struct,
  null_function,
  null_name,
  illegal_name,
  no_variant
};
constexpr Fault fault = Fault::FAULT;

int claims(const abn_problem*, abn_claims*) { return ABN_ERROR_UNSUPPORTED; }
size_t workspace_bytes(const abn_problem*, int) { return 0; }
int forward(const abn_problem*, const abn_forward_args*) { return ABN_ERROR_UNSUPPORTED; }
int backward(const abn_problem*, const abn_backward_args*) { return ABN_ERROR_UNSUPPORTED; }

const abn_variant variant = {
    fault == Fault::bad_abi_version ? ABN_ABI_VERSION + 1 : ABN_ABI_VERSION,
    fault == Fault::short_struct ? sizeof(abn_variant) - 8 : sizeof(abn_variant),
    fault == Fault::null_name      ? nullptr
    : fault == Fault::illegal_name ? "a/b"
                                   : "unusable",
    "does nothing",
    ABN_MEMORY_HOST,
    0,
    claims,
    workspace_bytes,
    forward,
    fault == Fault::null_function ? nullptr : backward};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* ENTRY(uint32_t index) {
  return index == 0 && fault != Fault::no_variant ? &variant : nullptr;
}
