// The list of the dynamic linker, and its count of all objects that were ever loaded.
#include "verify/worker/loaded_objects.hpp"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <string_view>

namespace abn::verify::worker {
namespace {

constexpr std::size_t most_names = 64, longest = 200;

/// What every program has, and what CUDA's runtime and driver bring.
bool is_of_the_language(std::string_view name) {
  constexpr std::string_view usual[] = {
      "libc.so",    "libm.so",    "libstdc++.so", "libgcc_s.so", "libpthread.so",
      "libdl.so",   "librt.so",   "ld-linux",     "linux-vdso",  "libcudart.so",
      "libcuda.so", "libnvidia-", "ld-musl",      "libatomic.so"};
  return std::any_of(std::begin(usual), std::end(usual),
                     [&](std::string_view one) { return name.starts_with(one); });
}

struct Listed {
  std::set<std::string> paths;
  unsigned long long loads = 0;
};

int count_loads(dl_phdr_info* info, std::size_t, void* out) {
  *static_cast<unsigned long long*>(out) = info->dlpi_adds;
  return 1;  // the first object knows it
}
int list_object(dl_phdr_info* info, std::size_t, void* out) {
  auto& listed = *static_cast<Listed*>(out);
  listed.loads = info->dlpi_adds;
  if (info->dlpi_name != nullptr && *info->dlpi_name != 0) listed.paths.insert(info->dlpi_name);
  return 0;
}

Listed listed_now() {
  Listed listed;
  dl_iterate_phdr(list_object, &listed);
  return listed;
}

}  // namespace

LoadedObjects::LoadedObjects() {
  const Listed listed = listed_now();
  own_ = present_ = listed.paths, loads_ = listed.loads;
}

void LoadedObjects::is_a_plugin(void* library) {
  link_map* map = nullptr;
  if (dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr) own_.insert(map->l_name);
}

void LoadedObjects::look() {
  unsigned long long loads = 0;
  dl_iterate_phdr(count_loads, &loads);
  if (loads == loads_) return;
  const Listed listed = listed_now();
  unsigned long long seen = 0;
  for (const std::string& path : listed.paths) {
    seen += present_.count(path) == 0 ? 1 : 0;
    const std::string name = path.substr(path.find_last_of('/') + 1).substr(0, longest);
    if (own_.count(path) == 0 && !is_of_the_language(name) && names_.size() < most_names)
      names_.insert(name);
  }
  const unsigned long long loaded = listed.loads - loads_;
  unloaded_ += static_cast<std::uint32_t>(loaded - std::min(loaded, seen));
  present_ = listed.paths, loads_ = listed.loads;
}

LibrariesAnswer LoadedObjects::answer() {
  look();
  return {{names_.begin(), names_.end()}, unloaded_};
}

}  // namespace abn::verify::worker
