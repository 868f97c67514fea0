// Loading and vetting of plug-ins.
#include "verify/call/plugin.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <map>

#include "cuda/registry.h"
#include "verify/call/float_environment.hpp"
#include "verify/problem/error.hpp"

namespace abn::verify::call {
namespace {

constexpr std::size_t longest_name = 64;
// Of plug-ins whose kernels run on the emulator (cuda/plugin/emulated.cpp): the name of the file
// with their instrumented builds, and the beginning of the symbol by which they ask for the
// emulator that they were built for.
constexpr const char* sanitized_file_symbol = "abn_plugin_sanitized";
constexpr const char* emulator_tag = "abn_emulator_";

// a function that never returns NULL would have no end
constexpr std::uint32_t most_variants = 1000;

bool is_legal_name(const char* name) {
  const std::size_t length = strnlen(name, longest_name + 1);
  return length > 0 && length <= longest_name &&
         std::all_of(name, name + length, [](unsigned char letter) {
           return (std::isalnum(letter) != 0 && letter < 0x80) || letter == '_' || letter == '-';
         });
}

/// abi_version and struct_size come first in every version of the struct, so they may be read
/// before anything is known of it.
void vet(const std::string& path, std::uint32_t index, const abn_variant& variant) {
  if (variant.abi_version != ABN_ABI_VERSION)
    throw problem::UsageError(
        fmt::format("{}: variant {} was built for ABI version {} and this program speaks version "
                    "{}; rebuild it with this version's cuda/kernel.h",
                    path, index, variant.abi_version, ABN_ABI_VERSION));
  if (variant.struct_size < sizeof(abn_variant))
    throw problem::UsageError(
        fmt::format("{}: variant {} has a struct_size of {} bytes and abn_variant has {}; set it "
                    "to sizeof(abn_variant)",
                    path, index, variant.struct_size, sizeof(abn_variant)));
  if (variant.name == nullptr || !is_legal_name(variant.name))
    throw problem::UsageError(fmt::format(
        "{}: variant {} has no usable name; give it one of 1 to {} letters, digits, '_' and '-'",
        path, index, longest_name));
  if (variant.memory != ABN_MEMORY_HOST && variant.memory != ABN_MEMORY_CUDA)
    throw problem::UsageError(fmt::format(
        "{}: variant {} says that its memory is {}; set it to ABN_MEMORY_HOST or ABN_MEMORY_CUDA",
        path, variant.name, variant.memory));
  const auto require = [&](bool present, const char* function) {
    if (!present)
      throw problem::UsageError(fmt::format("{}: variant {} has a null {}; set all four functions",
                                            path, variant.name, function));
  };
  require(variant.claims != nullptr, "claims");
  require(variant.workspace_bytes != nullptr, "workspace_bytes");
  require(variant.forward != nullptr, "forward");
  require(variant.backward != nullptr, "backward");
}

void* open_library(const std::string& path) {
  // A name without a slash would be searched for in the system's library folders.
  const std::string file = path.find('/') == path.npos ? "./" + path : path;
  const FloatEnvironment ours;  // restored when this function ends
  void* const library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library != nullptr) return library;
  const std::string why = dlerror();
  if (why.find(emulator_tag) != why.npos)
    throw problem::UsageError(
        fmt::format("{} was built for the emulator of another version of this project; build it "
                    "again with this one's",
                    path));
  throw problem::UsageError(
      fmt::format("{} cannot be loaded as a shared object ({}); build it with -shared -fPIC and "
                  "all that it needs linked in",
                  path, why));
}

std::vector<const abn_variant*> variants_of(const std::string& path, void* library) {
  void* const symbol = dlsym(library, ABN_PLUGIN_SYMBOL);
  if (symbol == nullptr)
    throw problem::UsageError(
        fmt::format("{} does not export {}; define extern \"C\" const abn_variant* {}(uint32_t "
                    "index), see cuda/kernel.h",
                    path, ABN_PLUGIN_SYMBOL, ABN_PLUGIN_SYMBOL));
  const FloatEnvironment ours;
  const auto entry = reinterpret_cast<abn_plugin_function>(symbol);
  std::vector<const abn_variant*> variants;
  for (std::uint32_t index = 0; index < most_variants; ++index) {
    const abn_variant* const variant = entry(index);
    if (variant == nullptr) break;
    vet(path, index, *variant);
    variants.push_back(variant);
  }
  if (variants.empty())
    throw problem::UsageError(
        fmt::format("{}: {}(0) returned NULL, so there is nothing to judge; return a variant", path,
                    ABN_PLUGIN_SYMBOL));
  if (variants.size() == most_variants)
    throw problem::UsageError(
        fmt::format("{}: {} never returned NULL in {} calls; return NULL behind the last variant",
                    path, ABN_PLUGIN_SYMBOL, most_variants));
  return variants;
}

}  // namespace

const abn_variant* instrumented_in(const Plugin& plugin, const std::string& name) {
  for (const abn_variant* const variant : plugin.instrumented)
    if (name == variant->name) return variant;
  return nullptr;
}

Plugin load_plugin(const std::string& path) {
  if (!std::filesystem::exists(path))
    throw problem::UsageError(fmt::format("There is no plug-in {}; check the path", path));
  Plugin plugin;
  plugin.path = path;
  void* const library = open_library(path);
  plugin.variants = variants_of(path, library);
  const void* const name = dlsym(library, sanitized_file_symbol);
  if (name == nullptr) {
    plugin.not_instrumented = fmt::format(
        "{} holds no kernels for the emulator, so nobody sees their memory accesses; build them "
        "with abn_add_kernel() of "
        "ci/cmake/kernel.cmake (verify/GUIDE.md says how)",
        path);
    return plugin;
  }
  plugin.emulated = true;
  const std::filesystem::path beside =
      std::filesystem::path(path).parent_path() / static_cast<const char*>(name);
  if (!std::filesystem::exists(beside)) {
    plugin.not_instrumented = fmt::format(
        "{}, its instrumented build, is not there; keep the two files that abn_add_kernel() builds "
        "in one folder",
        beside.string());
    return plugin;
  }
  plugin.instrumented = variants_of(beside.string(), open_library(beside.string()));
  return plugin;
}

void refuse_equal_names(std::span<const Plugin> plugins) {
  std::map<std::string, std::string> owners;
  for (std::uint32_t index = 0; const abn_variant* const variant = abn_in_tree_variant(index);
       ++index)
    owners[variant->name] = "the project's own variants";
  for (const Plugin& plugin : plugins)
    for (const abn_variant* const variant : plugin.variants) {
      const auto [at, added] = owners.emplace(variant->name, plugin.path);
      if (!added)
        throw problem::UsageError(
            fmt::format("{} has a variant named {}, and so have {}; give it another name",
                        plugin.path, variant->name, at->second));
    }
}

}  // namespace abn::verify::call
