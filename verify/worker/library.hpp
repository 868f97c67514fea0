// A plug-in as a worker loads it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cuda/kernel.h"
#include "verify/worker/protocol.hpp"
#include "verify/worker/vet.hpp"

namespace abn::verify::worker {

/// The variants of something that is no shared object, by index.
struct Variants {
  std::function<const abn_variant*(std::uint32_t index)> at;       ///< null behind the last one
  std::function<std::uint32_t(std::uint32_t index)> leaves_out{};  ///< bits of LeftOut
};

class Library {
 public:
  /// Throws UsageError, one sentence, for what is no shared object with the symbol. `executed`: its
  /// kernels for GPUs run on the executor, and their memory is the host's.
  explicit Library(const std::string& path, bool executed = false);
  /// Of variants that this process has already.
  Library(std::string path, Variants variants)
      : path_(std::move(path)), own_(std::move(variants)) {}
  /// Variant `index`, asked for once; null behind the last one.
  const abn_variant* variant(std::uint32_t index);
  /// Of plug-ins for the emulator: the path of the instrumented build beside it. Empty for others.
  std::string instrumented_path() const;
  /// What there is to say of variant `index`.
  VariantFacts facts(std::uint32_t index);
  void* handle() const { return library_; }  ///< of dlopen(), or null

 private:
  std::string path_;
  bool executed_ = false;
  void* library_ = nullptr;
  Variants own_;
  std::vector<const abn_variant*> variants_;
};

/// What there is to say of a variant, read only as far as its version is known.
VariantFacts facts_of(const abn_variant* variant);

/// Why there is no instrumented build, and what to do.
std::string no_kernels_for_emulator(const std::string& path);
std::string no_instrumented_file(const std::string& path);

}  // namespace abn::verify::worker
