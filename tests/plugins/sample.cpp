// The sample kernel, cuda/examples/host_kernel.cpp, as a plug-in of another name, and with
// PLANTED_BUG defined one of the wrong plug-ins that the judge has to tell from it.
//
// The sample is there to be copied, so no bug stands in it: one is planted around its calls. Those
// of the formulas are in tests/mutants.
#include <cfenv>

// The sample as part of this file, with another name for its entry.
#define abn_plugin entry_of_the_sample
#include "cuda/examples/host_kernel.cpp"
#undef abn_plugin

#ifndef PLANTED_BUG
#define PLANTED_BUG none
#endif

namespace {

enum class Bug {
  none,
  nan_in_one,
  last_element_unwritten,
  input_overwritten,
  crash,
  leaves_rounding,
  reads_one_past,
  reads_one_before,
  writes_a_page_past,
  reads_aligned_vectors,  // and no bug: the last one has bytes beyond the tensor
};
constexpr Bug bug = Bug::PLANTED_BUG;

int64_t elements_of(const abn_problem* p) { return p->n * p->c * p->s; }

int forward_with_bug(const abn_problem* p, const abn_forward_args* args) {
  const int64_t elements = elements_of(p);
  if (elements == 0) return forward(p, args);
  if (bug == Bug::crash && p->mode == ABN_TRAINING) *static_cast<volatile int*>(nullptr) = 0;
  float* const z = floats(args->z);
  const float before = z[elements - 1];
  const int status = forward(p, args);
  if (bug == Bug::nan_in_one) z[(elements - 1) / 2] = NAN;
  if (bug == Bug::last_element_unwritten) z[elements - 1] = before;
  // right numbers, with a look at what is not its own
  const volatile float* const x = floats(args->x);
  static_assert(sizeof(float) == 4);
  if (bug == Bug::reads_one_past) static_cast<void>(x[elements]);
  if (bug == Bug::reads_one_before) static_cast<void>(x[-1]);
  if (bug == Bug::writes_a_page_past) z[elements + 1024] = 1;
  if (bug == Bug::reads_aligned_vectors)
    for (auto at = reinterpret_cast<uintptr_t>(args->x) & ~uintptr_t{31};
         at < reinterpret_cast<uintptr_t>(floats(args->x) + elements); at += 32)
      for (uintptr_t k = 0; k < 32; ++k)
        static_cast<void>(*reinterpret_cast<const volatile char*>(at + k));
  // right numbers, but everything behind the call rounds otherwise
  if (bug == Bug::leaves_rounding) std::fesetround(FE_UPWARD);
  return status;
}

int backward_with_bug(const abn_problem* p, const abn_backward_args* args) {
  const int status = backward(p, args);
  if (bug == Bug::input_overwritten && elements_of(p) > 0)
    const_cast<float*>(floats(args->z))[elements_of(p) - 1] = 0.5F;  // "scratch"
  return status;
}

const abn_variant sample = {ABN_ABI_VERSION,  sizeof(abn_variant),
                            SAMPLE_NAME,      "the sample, or a bug around it",
                            ABN_MEMORY_HOST,  0,
                            claims,           workspace_bytes,
                            forward_with_bug, backward_with_bug};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &sample : nullptr;
}
