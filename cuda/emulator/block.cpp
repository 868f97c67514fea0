// A resident block: its threads and warps laid out for a launch, and its shared memory between two
// guards.
#include "cuda/emulator/block.hpp"

#include <algorithm>
#include <cstring>

namespace abn::emulator {
namespace {

// 0x7ffb is a quiet NaN as f16 and as bf16, and repeated it is one as f32 and f64.
constexpr std::uint64_t poison_pattern = 0x7ffb7ffb7ffb7ffb;
constexpr unsigned char guard_byte = 0xc5;
constexpr std::size_t arena_alignment = 128;

void fill_with_poison(unsigned char* memory, std::size_t bytes) {
  std::size_t at = 0;
  for (; at + sizeof poison_pattern <= bytes; at += sizeof poison_pattern)
    std::memcpy(memory + at, &poison_pattern, sizeof poison_pattern);
  std::memcpy(memory + at, &poison_pattern, bytes - at);
}

}  // namespace

void Block::lay_out(const LaunchRequest& request) {
  grid = request.grid;
  cluster = request.cluster;
  if (request.shared_bytes != shared_bytes || arena.empty()) {
    shared_bytes = request.shared_bytes;
    const std::size_t needed =
        arena_alignment + front_guard + shared_bytes + sizeof poison_pattern + back_guard;
    if (arena.size() < needed) arena.resize(needed);
    const auto start = reinterpret_cast<std::uintptr_t>(arena.data()) + front_guard;
    shared =
        arena.data() + front_guard + (arena_alignment - start % arena_alignment) % arena_alignment;
  }
  const uint3 wanted = request.block;
  if (wanted.x == dim.x && wanted.y == dim.y && wanted.z == dim.z && size > 0) {
    for (unsigned w = 0; w < warp_count; ++w) warps[w].ready = 0;
    return;
  }
  dim = wanted;
  size = dim.x * dim.y * dim.z;
  warp_count = (size + 31) / 32;
  if (threads.size() < size) threads.resize(size);
  for (unsigned w = 0; w < warp_count; ++w) {
    Warp& warp = warps[w];
    warp.block = this;
    warp.threads = &threads[w * 32];
    warp.exists = size - w * 32 >= 32 ? ~0u : (1u << (size - w * 32)) - 1;
    warp.ready = 0;
  }
  for (unsigned rank = 0; rank < size; ++rank) {
    Thread& thread = threads[rank];
    thread.index = {rank % dim.x, rank / dim.x % dim.y, rank / dim.x / dim.y};
    thread.rank = rank;
    thread.block = this;
    thread.warp = &warps[rank / 32];
  }
}

void Block::poison() {
  fill_with_poison(shared, shared_bytes);
  std::memset(shared - front_guard, guard_byte, front_guard);
  std::memset(shared + shared_bytes, guard_byte, back_guard);
}

const unsigned char* Block::unpoisoned() const {
  const unsigned char* pattern = reinterpret_cast<const unsigned char*>(&poison_pattern);
  for (std::size_t at = 0; at < shared_bytes; ++at)
    if (shared[at] != pattern[at % sizeof poison_pattern]) return shared + at;
  return nullptr;
}

const unsigned char* Block::spoilt() const {
  const auto untouched = [](unsigned char byte) { return byte == guard_byte; };
  const unsigned char* end = shared + shared_bytes;
  // A guard is whole where every byte equals the one before it.
  if (end[0] != guard_byte || std::memcmp(end, end + 1, back_guard - 1) != 0)
    return std::find_if_not(end, end + back_guard, untouched);
  const unsigned char* front = shared - front_guard;
  if (front[0] == guard_byte && std::memcmp(front, front + 1, front_guard - 1) == 0) return nullptr;
  const unsigned char* byte = shared - 1;
  while (*byte == guard_byte) --byte;
  return byte;
}

unsigned char* Block::in_view(const unsigned char* address) {
  std::vector<unsigned char>& view = async.view;
  if (view.empty()) {
    view.resize(shared_bytes);
    fill_with_poison(view.data(), view.size());
  }
  return view.data() + (address - shared);
}

void Block::refresh_view() {
  if (!async.fence_pending) return;
  async.fence_pending = false;
  async.view.assign(shared, shared + shared_bytes);
}

}  // namespace abn::emulator
