// The sample kernel, one channel at a time, with the channels shared out among OpenMP's threads: a
// right plug-in that has a runtime of its own, which has begun its threads when it is loaded.
#include <omp.h>

#include <vector>

#define abn_plugin entry_of_the_sample
#include "cuda/examples/host_kernel.cpp"
#undef abn_plugin

namespace {

template <class Pointer>
Pointer of_channel(Pointer vector, int64_t c) {
  return vector == nullptr ? vector : floats(vector) + c;
}

/// Channel c of a tensor, as a problem of one channel has it.
std::vector<float> gather(const abn_problem* p, const void* tensor, int64_t c) {
  std::vector<float> values(static_cast<size_t>(p->n * p->s));
  for (int64_t i = 0; tensor != nullptr && i < p->n * p->s; ++i)
    values[static_cast<size_t>(i)] = floats(tensor)[at(p, c, i)];
  return values;
}
void scatter(const abn_problem* p, const std::vector<float>& values, void* tensor, int64_t c) {
  for (int64_t i = 0; tensor != nullptr && i < p->n * p->s; ++i)
    floats(tensor)[at(p, c, i)] = values[static_cast<size_t>(i)];
}

abn_problem one_channel(const abn_problem* p) {
  abn_problem one = *p;
  one.n = one.c = 1, one.s = p->n * p->s;
  return one;
}

int forward_in_parallel(const abn_problem* p, const abn_forward_args* args) {
  const abn_problem one = one_channel(p);
#pragma omp parallel for
  for (int64_t c = 0; c < p->c; ++c) {
    std::vector<float> x = gather(p, args->x, c);
    abn_forward_args own = *args;
    own.x = own.z = x.data();
    own.gamma = of_channel(args->gamma, c), own.beta = of_channel(args->beta, c);
    own.running_mean = of_channel(args->running_mean, c);
    own.running_var = of_channel(args->running_var, c);
    own.mean = of_channel(args->mean, c), own.var = of_channel(args->var, c);
    forward(&one, &own);
    scatter(p, x, args->z, c);
  }
  return ABN_OK;
}

int backward_in_parallel(const abn_problem* p, const abn_backward_args* args) {
  const abn_problem one = one_channel(p);
#pragma omp parallel for schedule(dynamic)
  for (int64_t c = 0; c < p->c; ++c) {
    std::vector<float> z = gather(p, args->z, c), dz = gather(p, args->dz, c);
    abn_backward_args own = *args;
    own.z = z.data(), own.dz = own.dx = dz.data();
    own.gamma = of_channel(args->gamma, c), own.beta = of_channel(args->beta, c);
    own.var = of_channel(args->var, c);
    own.dgamma = of_channel(args->dgamma, c), own.dbeta = of_channel(args->dbeta, c);
    backward(&one, &own);
    scatter(p, dz, args->dx, c);
  }
  return ABN_OK;
}

int threads_at_load = 0;

__attribute__((constructor)) void when_loaded() {
#pragma omp parallel
#pragma omp single
  threads_at_load = omp_get_num_threads();
}

size_t no_workspace(const abn_problem*, int) { return 0; }
int claims_of_threads(const abn_problem* p, abn_claims* out) {
  return threads_at_load > 0 ? claims(p, out) : ABN_ERROR_UNSUPPORTED;
}

const abn_variant parallel = {ABN_ABI_VERSION,
                              sizeof(abn_variant),
                              "openmp",
                              "the sample, a channel at a time, by threads",
                              ABN_MEMORY_HOST,
                              0,
                              claims_of_threads,
                              no_workspace,
                              forward_in_parallel,
                              backward_in_parallel};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &parallel : nullptr;
}
