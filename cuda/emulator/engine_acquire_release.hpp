// What device/acquire_release.cuh asks of the emulator: loads that acquire and stores that release,
// of 4 bytes in global memory, at device scope. Each stands between atomic_begin and atomic_end.
#pragma once

#include <cstdint>

#include "cuda/emulator/engine.hpp"

namespace abn::emulator {

void release_at(const void* address);  // with the change of the atomic that is under way
std::uint32_t load_and_acquire(const void* address, Where where);
// whether it was another one before
bool store_and_release(void* address, std::uint32_t value, Where where);

}  // namespace abn::emulator
