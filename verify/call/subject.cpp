// In-tree variants by name, then the variants of plug-ins.
#include "verify/call/subject.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "cuda/host_code.h"
#include "cuda/registry.h"

namespace abn::verify::call {
namespace {

/// The in-tree kernels of a memory, in that of the host those on the emulator.
std::vector<const abn_variant*> in_tree(int memory) {
  std::vector<const abn_variant*> found;
  for (std::uint32_t index = 0; const abn_variant* const variant = abn_in_tree_variant(index);
       ++index)
    if (variant->memory == memory && !abn_is_host_code(variant)) found.push_back(variant);
  return found;
}

/// Plain code for this processor, which runs on it whatever device was asked for.
void add_host_code(std::vector<Subject>& subjects) {
  for (std::uint32_t index = 0; const abn_variant* const variant = abn_in_tree_variant(index);
       ++index) {
    if (!abn_is_host_code(variant)) continue;
    Subject subject;
    subject.variant = variant;
    subject.device = host_device();
    subject.not_instrumented = fmt::format(
        "{} is plain code for the processor, which no emulator sees; ci/asan.sh builds it with the "
        "address sanitizer",
        variant->name);
    const auto place = std::find_if(subjects.begin(), subjects.end(), [&](const Subject& other) {
      return std::string_view(other.variant->name) > variant->name;
    });
    subjects.insert(place, std::move(subject));
  }
}

}  // namespace

Subject named_in(const std::string& command, const Subject& subject) {
  for (const Subject& other : subject.alternatives)
    if (command.find("--device " + other.device_word) != command.npos) return other;
  Subject alone = subject;
  alone.alternatives.clear();
  return alone;
}

std::vector<Subject> subjects_of(const DeviceChoice& device, std::span<const Plugin> plugins,
                                 bool only_plugins) {
  std::vector<Subject> subjects;
  const bool executed = device.executed != worker::Execution::none;
  if (executed && !only_plugins)
    for (const abn_variant* const variant : in_tree(ABN_MEMORY_HOST)) {
      const bool compiled = std::any_of(plugins.begin(), plugins.end(), [&](const Plugin& plugin) {
        return plugin.in_tree &&
               std::any_of(plugin.variants.begin(), plugin.variants.end(), [&](const auto* one) {
                 return std::string_view(one->name) == variant->name;
               });
      });
      if (compiled) continue;
      Subject subject;
      subject.variant = variant;
      subject.unavailable = fmt::format(
          "{} was not compiled for GPUs; build this project where nvcc is on PATH", variant->name);
      subjects.push_back(std::move(subject));
    }
  if (!only_plugins && !executed) {
    auto variants = in_tree(device.emulator ? ABN_MEMORY_HOST : ABN_MEMORY_CUDA);
    // A build without the CUDA side knows the names of its variants from the emulator's; they are
    // then all skipped.
    if (variants.empty() && device.cuda == nullptr) variants = in_tree(ABN_MEMORY_HOST);
    for (const abn_variant* const variant : variants) {
      Subject subject;
      subject.variant = variant;
      subject.emulated = device.emulator;
      subject.device = device.emulator ? host_device() : device.cuda;
      if (subject.device == nullptr) subject.unavailable = device.unavailable;
      if (device.emulator) subject.instrumented = abn_instrumented_variant(variant->name);
      if (!device.emulator)
        for (const abn_variant* const other : in_tree(ABN_MEMORY_HOST))
          if (std::string_view(other->name) == variant->name) subject.emulator_build = other;
      subjects.push_back(std::move(subject));
    }
  }
  if (!only_plugins) add_host_code(subjects);
  for (const Plugin& plugin : plugins)
    for (const abn_variant* const variant : plugin.variants) {
      Subject subject;
      subject.variant = variant;
      if (!plugin.in_tree) subject.plugin = plugin.path;
      if (plugin.in_tree)
        for (const abn_variant* const other : in_tree(ABN_MEMORY_HOST))
          if (std::string_view(other->name) == variant->name) subject.emulator_build = other;
      subject.emulated = plugin.emulated && variant->memory == ABN_MEMORY_HOST;
      subject.instrumented = subject.emulated ? instrumented_in(plugin, variant->name) : nullptr;
      subject.not_instrumented = plugin.not_instrumented;
      subject.device = variant->memory == ABN_MEMORY_HOST ? host_device() : device.cuda;
      subject.workers = plugin.workers;
      if (subject.workers != nullptr && subject.device != nullptr) {
        subject.device = worker_device(subject.device, subject.workers->number());
        if (variant->memory == ABN_MEMORY_CUDA) subject.workers->use_gpu(device.cuda_index);
      }
      if (subject.device == nullptr) subject.unavailable = device.unavailable;
      subjects.push_back(std::move(subject));
    }
  return subjects;
}

}  // namespace abn::verify::call
