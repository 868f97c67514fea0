// _dl_find_object of 2.35, which libgcc_eh.a asks for the unwind tables of an address: found among
// all loaded objects, as libgcc did before.
#include <dlfcn.h>
#include <link.h>

#include <cstddef>

#ifdef DLFO_STRUCT_HAS_EH_DBASE
namespace {

struct Search {
  ElfW(Addr) address;
  dl_find_object* found;
};

int look(dl_phdr_info* object, std::size_t, void* data) {
  Search& search = *static_cast<Search*>(data);
  const ElfW(Phdr)* tables = nullptr;
  const ElfW(Phdr)* holds = nullptr;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = object->dlpi_phdr[i];
    const ElfW(Addr) begin = object->dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_GNU_EH_FRAME) tables = &part;
    if (part.p_type == PT_LOAD && search.address - begin < part.p_memsz) holds = &part;
  }
  if (tables == nullptr || holds == nullptr) return 0;
  *search.found = {};
  search.found->dlfo_map_start = reinterpret_cast<void*>(object->dlpi_addr + holds->p_vaddr);
  search.found->dlfo_map_end =
      reinterpret_cast<void*>(object->dlpi_addr + holds->p_vaddr + holds->p_memsz);
  search.found->dlfo_eh_frame = reinterpret_cast<void*>(object->dlpi_addr + tables->p_vaddr);
  return 1;
}

}  // namespace

extern "C" [[gnu::visibility("hidden")]] int _dl_find_object(void* address,
                                                             dl_find_object* found) noexcept {
  Search search{reinterpret_cast<ElfW(Addr)>(address), found};
  return dl_iterate_phdr(look, &search) == 1 ? 0 : -1;
}
#endif
