// The stacks of the fibers: mapped in slabs, each stack shifted a little so that their tops do not
// share cache sets.
#include "cuda/emulator/stacks.hpp"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace abn::emulator {
namespace {

constexpr std::size_t stacks_per_slab = 64;
// Nothing else lies within a stack's size of a stack, so that the sanitiser knows a local variable
// by its distance from the frame.
constexpr std::size_t slab_bytes = stacks_per_slab * Stack::slot + Stack::usable;
constexpr std::size_t cache_line = 64, colours = 61;  // a prime number of lines, within one page
constexpr std::uint64_t canary[8] = {0x5afe57acc0ffee01, 0x5afe57acc0ffee02, 0x5afe57acc0ffee03,
                                     0x5afe57acc0ffee04, 0x5afe57acc0ffee05, 0x5afe57acc0ffee06,
                                     0x5afe57acc0ffee07, 0x5afe57acc0ffee08};

}  // namespace

Stack::Stack(unsigned char* base, std::size_t number)
    : base_(base), top_(base + slot - cache_line * (number * 7 % colours)) {
  arm();
}

bool Stack::intact() const { return std::memcmp(limit(), canary, sizeof canary) == 0; }

void Stack::arm() { std::memcpy(limit(), canary, sizeof canary); }

void StackPool::grow() {
  const std::size_t bytes = slab_bytes;
  void* slab = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (slab == MAP_FAILED) throw std::bad_alloc();
  // a huge page would make the unused part of 25 stacks resident
  madvise(slab, bytes, MADV_NOHUGEPAGE);
  slabs_.push_back(slab);
  std::vector<Stack>& fresh = stacks_.emplace_back();
  fresh.reserve(stacks_per_slab);
  for (std::size_t i = 0; i < stacks_per_slab; ++i) {
    fresh.emplace_back(static_cast<unsigned char*>(slab) + i * Stack::slot, i);
    free_.push_back(&fresh.back());
  }
}

StackPool::~StackPool() {
  for (void* slab : slabs_) {
#if defined(__SANITIZE_ADDRESS__)
    // The next mapping at this place, such as another thread's stack, would inherit the marks.
    __asan_unpoison_memory_region(slab, slab_bytes);
#endif
    munmap(slab, slab_bytes);
  }
}

}  // namespace abn::emulator
