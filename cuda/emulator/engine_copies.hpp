// What device/async_copy.cuh asks of the emulator. As engine.hpp, plain types only.
#pragma once

#include <cstdint>

#include "cuda/emulator/engine.hpp"

namespace abn::emulator {

enum class CopyKind : std::uint8_t { element, bulk_load, bulk_store };

// 4, 8 or 16 bytes to shared memory; those behind the first `valid` are zero.
void copy_element(void* shared, const void* global, unsigned bytes, unsigned valid, Where where);
void start_bulk_load(void* shared, const void* global, unsigned bytes, void* barrier, Where where);
void start_bulk_store(void* global, const void* shared, unsigned bytes, Where where);
// to a peer
void start_store_async(void* shared, std::uint64_t value, unsigned bytes, void* barrier,
                       Where where);
void check_bulk_size(unsigned bytes, Where where);
void commit_copies(CopyKind kind);
// Waiting is two calls: others may run in the first, and after the second all but the last
// `pending` groups are done. With `sources` their sources have been read.
[[nodiscard]] Arrival copies_pause(Where where);
void finish_copies(CopyKind kind, unsigned pending, bool sources, Where where);
void proxy_fence();

}  // namespace abn::emulator
