// The functions of ptx.h.
#include <algorithm>
#include <cstring>

#include "cuda/ptx/forms/approximation.hpp"
#include "cuda/ptx/ptx.h"
#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/state.hpp"

using namespace abn::ptx;
using namespace abn::ptx::runtime;

struct abn_ptx_module {
  LoadedModule loaded;
};

ABN_RUNTIME abn_ptx_module* abn_ptx_load(const char* text, std::size_t bytes, char* why,
                                         std::size_t why_bytes) {
  const std::lock_guard lock(state().guard);
  try {
    auto* const module = new abn_ptx_module{LoadedModule(std::string(text, bytes))};
    for (const Kernel& kernel : module->loaded.module().kernels)
      module->loaded.program(kernel.name);
    return module;
  } catch (const std::exception& refused) {
    refuse_launch("PTX text", "not known", refused.what(), invalid_kernel_image);
    if (why_bytes > 0) {
      const std::size_t length = std::min(std::strlen(refused.what()), why_bytes - 1);
      std::memcpy(why, refused.what(), length);
      why[length] = '\0';
    }
    return nullptr;
  }
}

ABN_RUNTIME void abn_ptx_unload(abn_ptx_module* module) { delete module; }

ABN_RUNTIME int abn_ptx_launch(abn_ptx_module* module, const char* entry, const std::uint32_t* grid,
                               const std::uint32_t* block, const std::uint32_t* cluster,
                               std::uint32_t shared_bytes, void** arguments) {
  Configuration how;
  how.grid = {grid[0], grid[1], grid[2]}, how.block = {block[0], block[1], block[2]};
  if (cluster != nullptr) how.cluster = {cluster[0], cluster[1], cluster[2]};
  how.dynamic_shared = shared_bytes;
  const std::lock_guard lock(state().guard);
  if (in_error()) return state().context_error;
  try {
    how.parameters = parameters_of(module->loaded, entry, arguments);
  } catch (const Refused& why) {
    return refuse_launch(entry, "not known", why.what(), invalid_kernel_image);
  }
  return launch(module->loaded, entry, std::move(how));
}

ABN_RUNTIME int abn_ptx_context_error() { return state().context_error; }

ABN_RUNTIME const char* abn_ptx_last_finding() { return state().last_finding.c_str(); }

ABN_RUNTIME void abn_ptx_allow(const void* data, std::size_t bytes) {
  const std::lock_guard lock(state().guard);
  Range range;
  range.begin = reinterpret_cast<std::uint64_t>(data), range.end = range.begin + bytes;
  range.name = "the memory of the call", range.around = true;
  state().memory.add(range);
}

ABN_RUNTIME void abn_ptx_forbid(const void* data, std::size_t bytes) {
  const std::lock_guard lock(state().guard);
  state().memory.remove(reinterpret_cast<std::uint64_t>(data), bytes);
}

ABN_RUNTIME void abn_ptx_set_approximation(int choice) {
  set_approximation(static_cast<Approximation>(choice));
}

ABN_RUNTIME void abn_ptx_begin(std::uint64_t seed, int sanitize) {
  const std::lock_guard lock(state().guard);
  state().session.emplace();
  state().session->seed = seed, state().session->sanitize = sanitize != 0;
}

ABN_RUNTIME void abn_ptx_watch(const char* name, const void* data, std::size_t bytes,
                               unsigned element_bytes, int written, int writable) {
  const std::lock_guard lock(state().guard);
  const auto begin = reinterpret_cast<std::uint64_t>(data);
  for (Range& range : state().memory.ranges())
    if (range.watched && range.begin == begin) {  // an output in place of an input
      range.name += std::string(" = ") + name;
      range.writable = range.writable || writable != 0;
      if (written != 0)
        std::fill(range.shadow.begin(), range.shadow.end(), std::uint8_t{byte_written});
      return;
    }
  Range range;
  range.begin = begin, range.end = begin + bytes, range.name = name;
  range.element_bytes = std::max(element_bytes, 1U);
  range.writable = writable != 0, range.watched = true;
  range.shadow.assign(bytes, written != 0 ? std::uint8_t{byte_written} : std::uint8_t{0});
  state().memory.add(std::move(range));
}

ABN_RUNTIME void abn_ptx_end(void* report) {
  const std::lock_guard lock(state().guard);
  if (state().session)
    *static_cast<abn::emulator::Report*>(report) = std::move(state().session->report);
  state().session.reset();
  state().memory.forget_watched();
}

ABN_RUNTIME std::size_t abn_ptx_kernels() {
  const std::lock_guard lock(state().guard);
  return state().functions.size();
}

ABN_RUNTIME void abn_ptx_take_counts(std::uint64_t counts[3]) {
  const std::lock_guard lock(state().guard);
  std::copy(std::begin(state().counts), std::end(state().counts), counts);
  std::fill(std::begin(state().counts), std::end(state().counts), 0);
}
