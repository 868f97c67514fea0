// Loading, and what there is to say of a variant.
#include "verify/worker/library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>

#include "verify/problem/error.hpp"
#include "verify/worker/executor.hpp"

namespace abn::verify::worker {
namespace {

// Of plug-ins whose kernels run on the emulator (cuda/plugin/emulated.cpp): the name of the file
// with their instrumented builds, and the beginning of the symbol by which they ask for the
// emulator that they were built for.
constexpr const char* sanitized_file_symbol = "abn_plugin_sanitized";
constexpr const char* emulator_tag = "abn_emulator_";

std::string text_of(const char* text, std::size_t most) {
  return text == nullptr ? std::string() : std::string(text, strnlen(text, most));
}

}  // namespace

Library::Library(const std::string& path, bool executed) : path_(path), executed_(executed) {
  if (executed) Executor::instance();  // stands in for the runtime that the plug-in asks for
  // A name without a slash would be searched for in the system's library folders.
  const std::string file = path.find('/') == path.npos ? "./" + path : path;
  library_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr) {
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
  void* const symbol = dlsym(library_, ABN_PLUGIN_SYMBOL);
  if (symbol == nullptr)
    throw problem::UsageError(
        fmt::format("{} does not export {}; define extern \"C\" const abn_variant* {}(uint32_t "
                    "index), see cuda/kernel.h",
                    path, ABN_PLUGIN_SYMBOL, ABN_PLUGIN_SYMBOL));
  own_.at = reinterpret_cast<abn_plugin_function>(symbol);
}

VariantFacts Library::facts(std::uint32_t index) {
  VariantFacts facts = facts_of(variant(index));
  if (own_.leaves_out && facts.present != 0) facts.leaves_out = own_.leaves_out(index);
  if (executed_ && facts.memory == ABN_MEMORY_CUDA) facts.memory = ABN_MEMORY_HOST;
  return facts;
}

const abn_variant* Library::variant(std::uint32_t index) {
  while (variants_.size() <= index && variants_.size() <= most_variants)
    variants_.push_back(own_.at(static_cast<std::uint32_t>(variants_.size())));
  return index < variants_.size() ? variants_[index] : nullptr;
}

std::string Library::instrumented_path() const {
  const void* const name = library_ == nullptr ? nullptr : dlsym(library_, sanitized_file_symbol);
  if (name == nullptr) return {};
  return (std::filesystem::path(path_).parent_path() / static_cast<const char*>(name)).string();
}

VariantFacts facts_of(const abn_variant* variant) {
  VariantFacts facts;
  if (variant == nullptr) return facts;
  facts.present = 1;
  // These two come first in every version of the struct.
  facts.abi_version = variant->abi_version, facts.struct_size = variant->struct_size;
  if (facts.abi_version != ABN_ABI_VERSION || facts.struct_size < sizeof(abn_variant)) return facts;
  facts.named = variant->name != nullptr;
  facts.name = text_of(variant->name, longest_name + 1);
  facts.summary = text_of(variant->summary, longest_text);
  facts.memory = variant->memory;
  facts.null_function = variant->claims == nullptr            ? "claims"
                        : variant->workspace_bytes == nullptr ? "workspace_bytes"
                        : variant->forward == nullptr         ? "forward"
                        : variant->backward == nullptr        ? "backward"
                                                              : "";
  if (const abn_split_variant* const halves = abn_split_of(variant))
    facts.has_halves = halves->partial_bytes != nullptr && halves->forward_local != nullptr &&
                       halves->forward_apply != nullptr && halves->backward_local != nullptr &&
                       halves->backward_apply != nullptr;
  return facts;
}

std::string no_kernels_for_emulator(const std::string& path) {
  return fmt::format(
      "{} holds no kernels for the emulator, so nobody sees their memory accesses; build them with "
      "abn_add_kernel() of ci/cmake/kernel.cmake (verify/GUIDE.md says how)",
      path);
}

std::string no_instrumented_file(const std::string& path) {
  return fmt::format(
      "{}, its instrumented build, is not there; keep the two files that abn_add_kernel() builds "
      "in one folder",
      path);
}

}  // namespace abn::verify::worker
