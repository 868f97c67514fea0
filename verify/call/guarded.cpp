#include "verify/call/guarded.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "verify/call/parallel.hpp"
#include "verify/data/random.hpp"

namespace abn::verify::call {
namespace {

// a NaN in every type, as in Arena
constexpr unsigned char guard_byte = 0xFF;
constexpr std::size_t boundary = 256;
// what one thread takes at a time, a multiple of a word
constexpr std::size_t piece_bytes = std::size_t{1} << 24;

}  // namespace

Guarded::~Guarded() {
  if (memory_ != nullptr) device_.release(memory_);
}

int Guarded::add(std::string name, std::size_t bytes) {
  slots_.push_back({std::move(name), end_, bytes});
  // the guard begins where the buffer ends, so that not even its padding may be written
  end_ = (end_ + bytes + guard_bytes + boundary - 1) / boundary * boundary;
  return static_cast<int>(slots_.size()) - 1;
}

void Guarded::allocate() {
  memory_ = static_cast<std::byte*>(device_.allocate(end_));
  if (device_.memory() != ABN_MEMORY_HOST) image_.resize(end_);
  broken_guard();  // which leaves all of them whole
}

std::byte* Guarded::host(int buffer) { return base() + slot(buffer).begin; }
void* Guarded::address(int buffer) const { return memory_ + slot(buffer).begin; }
std::size_t Guarded::bytes(int buffer) const { return slot(buffer).bytes; }

void Guarded::upload() {
  if (!image_.empty()) device_.upload(memory_, image_.data(), image_.size());
}

void Guarded::download() {
  device_.synchronise();
  if (!image_.empty()) device_.download(image_.data(), memory_, image_.size());
}

std::string Guarded::broken_guard() {
  std::string broken;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= slots_.size(); ++i) {
    const std::size_t end = i < slots_.size() ? slots_[i].begin : end_;
    const bool held = std::all_of(base() + begin, base() + end,
                                  [](std::byte one) { return one == std::byte{guard_byte}; });
    // what overran is more often the buffer before than the one behind
    if (!held && broken.empty()) broken = slots_[i > 0 ? i - 1 : 0].name;
    std::memset(base() + begin, guard_byte, end - begin);
    if (i < slots_.size()) begin = slots_[i].begin + slots_[i].bytes;
  }
  return broken;
}

std::uint64_t Guarded::fingerprint(int buffer, int threads) {
  std::atomic<std::uint64_t> sum{0};
  const std::byte* const from = host(buffer);
  const std::size_t all = bytes(buffer);
  in_parallel((all + piece_bytes - 1) / piece_bytes, threads, [&](std::size_t piece, int) {
    const std::size_t begin = piece * piece_bytes, end = std::min(begin + piece_bytes, all);
    // mixed with its place, so that words that trade places are noticed
    std::uint64_t part = 0;
    for (std::size_t at = begin; at < end; at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, from + at, std::min(sizeof word, end - at));
      part += data::mix(word + static_cast<std::uint64_t>(at) * data::golden_gamma);
    }
    sum += part;
  });
  return sum;
}

}  // namespace abn::verify::call
