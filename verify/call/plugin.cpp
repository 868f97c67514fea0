// Loading of plug-ins.
#include "verify/call/plugin.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <utility>

#include "cuda/registry.h"
#include "verify/call/python.hpp"
#include "verify/problem/error.hpp"

namespace abn::verify::call {
namespace {

void require_file(const std::string& path) {
  if (!std::filesystem::exists(path))
    throw problem::UsageError(fmt::format("There is no plug-in {}; check the path", path));
  if (std::filesystem::is_fifo(path) || std::filesystem::is_character_file(path))
    throw problem::UsageError(fmt::format(
        "{} is not a file, so it cannot be loaded as a shared object; name a .so file", path));
}

/// What the workers of a plug-in say of it.
Plugin plugin_of(std::string path, std::shared_ptr<worker::Pool> workers) {
  Plugin plugin;
  plugin.path = std::move(path);
  plugin.workers = std::move(workers);
  plugin.failure = plugin.workers->failure();
  plugin.variants = plugin.workers->variants(0);
  plugin.emulated = plugin.workers->emulated();
  plugin.instrumented = plugin.workers->variants(1);
  plugin.not_instrumented = plugin.workers->not_instrumented();
  return plugin;
}

}  // namespace

const abn_variant* instrumented_in(const Plugin& plugin, const std::string& name) {
  for (const abn_variant* const variant : plugin.instrumented)
    if (name == variant->name) return variant;
  return nullptr;
}

std::string compiled_variants() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto path = program.parent_path() / "variants.ptx.so";
  return std::filesystem::exists(path, error) ? path.string() : "";
}

Plugin load_plugin(const std::string& path, const worker::Limits& limits,
                   worker::Execution executed) {
  require_file(path);
  return plugin_of(path, std::make_shared<worker::Pool>(path, limits, executed));
}

Plugin load_python(const std::string& place, const worker::Limits& limits) {
  worker::Program program;
  program.words = python_words(), program.option = "--python";
  return plugin_of(place, std::make_shared<worker::Pool>(place, limits, worker::Execution::none,
                                                         std::move(program)));
}

Plugin attach_python(const std::string& place, int host, const worker::Limits& limits) {
  worker::Program program;
  program.host = host, program.option = "--python";
  program.of_session = place.find('/') == place.npos && place.find('.') == place.npos;
  return plugin_of(place, std::make_shared<worker::Pool>(place, limits, worker::Execution::none,
                                                         std::move(program)));
}

void refuse_equal_names(std::span<const Plugin> plugins) {
  std::map<std::string, std::string> owners;
  for (std::uint32_t index = 0; const abn_variant* const variant = abn_in_tree_variant(index);
       ++index)
    owners[variant->name] = "the project's own variants";
  for (const Plugin& plugin : plugins)
    for (const abn_variant* const variant : plugin.variants) {
      if (plugin.in_tree) continue;
      const auto [at, added] = owners.emplace(variant->name, plugin.path);
      if (!added)
        throw problem::UsageError(
            fmt::format("{} has a variant named {}, and so have {}; give it another name",
                        plugin.path, variant->name, at->second));
    }
}

}  // namespace abn::verify::call
