// bin/plugins/borrows.so: the claims of the sample kernel, whose numbers another library computes,
// the correct.so beside it, which is loaded at the first call. BORROWS=unloads: loaded for each
// call, and unloaded after it.
#include <dlfcn.h>

#include <cstdlib>
#include <string>

#define abn_plugin entry_of_the_sample
#include "cuda/examples/host_kernel.cpp"
#undef abn_plugin

namespace {

void* neighbour() {
  Dl_info own{};
  dladdr(reinterpret_cast<const void*>(&neighbour), &own);
  const std::string path = own.dli_fname;
  return dlopen((path.substr(0, path.find_last_of('/') + 1) + "correct.so").c_str(), RTLD_NOW);
}

/// What `work` says to the variant of the library.
template <class Work>
int borrowed(const Work& work) {
  const char* const how = std::getenv("BORROWS");
  const bool unloads = how != nullptr && std::string(how) == "unloads";
  static void* const kept = unloads ? nullptr : neighbour();
  void* const library = unloads ? neighbour() : kept;
  if (library == nullptr) return ABN_ERROR_LAUNCH;
  const auto entry =
      reinterpret_cast<const abn_variant* (*)(uint32_t)>(dlsym(library, "abn_plugin"));
  const int status = work(*entry(0));
  if (unloads) dlclose(library);
  return status;
}

int borrowed_forward(const abn_problem* p, const abn_forward_args* args) {
  return borrowed([&](const abn_variant& other) { return other.forward(p, args); });
}
int borrowed_backward(const abn_problem* p, const abn_backward_args* args) {
  return borrowed([&](const abn_variant& other) { return other.backward(p, args); });
}

const abn_variant borrows = {ABN_ABI_VERSION,  sizeof(abn_variant),
                             "borrows",        "the sample, computed by another library",
                             ABN_MEMORY_HOST,  0,
                             claims,           workspace_bytes,
                             borrowed_forward, borrowed_backward};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &borrows : nullptr;
}
