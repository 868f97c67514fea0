// bin/plugins/slow_clock.so: the sample kernel, right in all that it computes, in whose process the
// clock goes a thousand times slower from the moment that it is loaded.
//
// Whatever calls clock_gettime() there does so by an address in a table of its shared object, and
// these addresses are written over.
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#define abn_plugin entry_of_the_sample
#include "cuda/examples/host_kernel.cpp"
#undef abn_plugin

namespace {

constexpr int64_t second = 1'000'000'000, slower = 1000;

int64_t now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * second + t.tv_nsec;
}
const int64_t loaded_at = now();

int slow_clock(clockid_t, timespec* t) {
  const int64_t slow = loaded_at + (now() - loaded_at) / slower;
  t->tv_sec = slow / second, t->tv_nsec = slow % second;
  return 0;
}

ElfW(Addr) address_of(const dl_phdr_info* object, ElfW(Addr) value) {
  return value < object->dlpi_addr ? object->dlpi_addr + value : value;
}

int patch(dl_phdr_info* object, std::size_t, void* own) {
  if (object->dlpi_addr == *static_cast<ElfW(Addr)*>(own))
    return 0;  // that one shall see the truth
  const ElfW(Dyn)* dynamic = nullptr;
  for (int i = 0; i < object->dlpi_phnum; ++i)
    if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
      dynamic =
          reinterpret_cast<const ElfW(Dyn)*>(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
  const ElfW(Sym)* symbols = nullptr;
  const char* names = nullptr;
  struct {
    const ElfW(Rela) * begin;
    std::size_t bytes;
  } tables[2] = {};
  for (; dynamic != nullptr && dynamic->d_tag != DT_NULL; ++dynamic) {
    const ElfW(Addr) at = address_of(object, dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const ElfW(Sym)*>(at);
    if (dynamic->d_tag == DT_STRTAB) names = reinterpret_cast<const char*>(at);
    if (dynamic->d_tag == DT_JMPREL) tables[0].begin = reinterpret_cast<const ElfW(Rela)*>(at);
    if (dynamic->d_tag == DT_PLTRELSZ) tables[0].bytes = dynamic->d_un.d_val;
    if (dynamic->d_tag == DT_RELA) tables[1].begin = reinterpret_cast<const ElfW(Rela)*>(at);
    if (dynamic->d_tag == DT_RELASZ) tables[1].bytes = dynamic->d_un.d_val;
  }
  if (symbols == nullptr || names == nullptr) return 0;
  for (const auto& table : tables)
    for (std::size_t i = 0; table.begin != nullptr && i < table.bytes / sizeof(ElfW(Rela)); ++i) {
      const auto& symbol = symbols[table.begin[i].r_info >> 32];
      if (std::strcmp(names + symbol.st_name, "clock_gettime") != 0) continue;
      auto** const slot = reinterpret_cast<void**>(object->dlpi_addr + table.begin[i].r_offset);
      const auto page = reinterpret_cast<std::uintptr_t>(slot) & ~std::uintptr_t{4095};
      mprotect(reinterpret_cast<void*>(page), 4096, PROT_READ | PROT_WRITE);
      *slot = reinterpret_cast<void*>(slow_clock);
    }
  return 0;
}

const bool patched = [] {
  Dl_info own{};
  dladdr(reinterpret_cast<void*>(slow_clock), &own);
  auto base = reinterpret_cast<ElfW(Addr)>(own.dli_fbase);
  dl_iterate_phdr(patch, &base);
  return true;
}();

// A round takes long beside what else a busy machine does.
int forward_and_rest(const abn_problem* p, const abn_forward_args* a) {
  usleep(50'000);
  return forward(p, a);
}

const abn_variant slow = {ABN_ABI_VERSION,  sizeof(abn_variant),
                          "slow_clock",     "patches the clock",
                          ABN_MEMORY_HOST,  0,
                          claims,           workspace_bytes,
                          forward_and_rest, backward};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return patched && index == 0 ? &slow : nullptr;
}
