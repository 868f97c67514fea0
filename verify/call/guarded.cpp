#include "verify/call/guarded.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "verify/call/parallel.hpp"
#include "verify/data/random.hpp"

namespace abn::verify::call {
namespace {

// a NaN in every type, as in Arena
constexpr unsigned char guard_byte = 0xFF;
// what one thread takes at a time, a multiple of a word
constexpr std::size_t piece_bytes = std::size_t{1} << 24;

}  // namespace

Guarded::Guarded(Device& device, std::size_t bytes)
    : device_(device),
      bytes_(bytes),
      memory_(static_cast<std::byte*>(device.allocate(bytes + 2 * guard_bytes))) {
  if (device.memory() != ABN_MEMORY_HOST) image_.resize(bytes + 2 * guard_bytes);
  fill_guard(base());
  fill_guard(base() + guard_bytes + bytes_);
}

Guarded::~Guarded() { device_.release(memory_); }

void Guarded::fill_guard(std::byte* guard) { std::memset(guard, guard_byte, guard_bytes); }

void Guarded::upload() {
  if (!image_.empty()) device_.upload(memory_, image_.data(), image_.size());
}

void Guarded::download() {
  device_.synchronise();
  if (!image_.empty()) device_.download(image_.data(), memory_, image_.size());
}

bool Guarded::guards_held() {
  bool held = true;
  for (std::byte* const guard : {base(), base() + guard_bytes + bytes_}) {
    held = held && std::all_of(guard, guard + guard_bytes,
                               [](std::byte one) { return one == std::byte{guard_byte}; });
    fill_guard(guard);
  }
  return held;
}

std::uint64_t Guarded::fingerprint(int threads) {
  std::atomic<std::uint64_t> sum{0};
  in_parallel((bytes_ + piece_bytes - 1) / piece_bytes, threads, [&](std::size_t piece, int) {
    const std::size_t begin = piece * piece_bytes, end = std::min(begin + piece_bytes, bytes_);
    // mixed with its place, so that words that trade places are noticed
    std::uint64_t part = 0;
    for (std::size_t at = begin; at < end; at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, host() + at, std::min(sizeof word, end - at));
      part += data::mix(word + static_cast<std::uint64_t>(at) * data::golden_gamma);
    }
    sum += part;
  });
  return sum;
}

}  // namespace abn::verify::call
