// Each fault of a variant in one sentence.
#include "verify/worker/vet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cuda/kernel.h"
#include "verify/problem/error.hpp"

namespace abn::verify::worker {
namespace {

bool is_legal_name(const std::string& name) {
  return !name.empty() && name.size() <= longest_name &&
         std::all_of(name.begin(), name.end(), [](unsigned char letter) {
           return (std::isalnum(letter) != 0 && letter < 0x80) || letter == '_' || letter == '-';
         });
}

/// The one that the worker names; a forged answer may name anything.
std::string function_named(const std::string& name) {
  constexpr const char* functions[] = {"claims", "workspace_bytes", "forward", "backward"};
  const auto* const known = std::find(std::begin(functions), std::end(functions), name);
  return known == std::end(functions) ? "function" : *known;
}

}  // namespace

void vet(const std::string& path, std::uint32_t index, const VariantFacts& facts) {
  if (facts.abi_version != ABN_ABI_VERSION)
    throw problem::UsageError(
        fmt::format("{}: variant {} was built for ABI version {} and this program speaks version "
                    "{}; rebuild it with this version's cuda/kernel.h",
                    path, index, facts.abi_version, ABN_ABI_VERSION));
  if (facts.struct_size < sizeof(abn_variant))
    throw problem::UsageError(
        fmt::format("{}: variant {} has a struct_size of {} bytes and abn_variant has {}; set it "
                    "to sizeof(abn_variant)",
                    path, index, facts.struct_size, sizeof(abn_variant)));
  if (facts.named == 0 || !is_legal_name(facts.name))
    throw problem::UsageError(fmt::format(
        "{}: variant {} has no usable name; give it one of 1 to {} letters, digits, '_' and '-'",
        path, index, longest_name));
  if (facts.memory != ABN_MEMORY_HOST && facts.memory != ABN_MEMORY_CUDA)
    throw problem::UsageError(fmt::format(
        "{}: variant {} says that its memory is {}; set it to ABN_MEMORY_HOST or ABN_MEMORY_CUDA",
        path, facts.name, facts.memory));
  if (!facts.null_function.empty())
    throw problem::UsageError(fmt::format("{}: variant {} has a null {}; set all four functions",
                                          path, facts.name, function_named(facts.null_function)));
}

void vet_count(const std::string& path, std::size_t variants) {
  if (variants == 0)
    throw problem::UsageError(
        fmt::format("{}: {}(0) returned NULL, so there is nothing to judge; return a variant", path,
                    ABN_PLUGIN_SYMBOL));
  if (variants >= most_variants)
    throw problem::UsageError(
        fmt::format("{}: {} never returned NULL in {} calls; return NULL behind the last variant",
                    path, ABN_PLUGIN_SYMBOL, most_variants));
}

}  // namespace abn::verify::worker
