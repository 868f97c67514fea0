// The stacks of the fibers: mapped once, used again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace abn::emulator {

// A slot is, from its low end: a reserve that nobody should reach, a canary, and the stack proper,
// which grows down towards them. An overflow first spoils the canary and then runs into the
// reserve, so it is found before it spoils another stack.
class Stack {
 public:
  static constexpr std::size_t usable = 64 * 1024, reserve = 16 * 1024, slot = usable + reserve;
  explicit Stack(unsigned char* base, std::size_t number);
  void* top() const { return top_; }
  std::size_t size() const { return static_cast<std::size_t>(top_ - limit()); }
  // a stack pointer below it has overflowed
  unsigned char* limit() const { return base_ + reserve; }
  bool intact() const;
  void arm();  // writes the canary

 private:
  unsigned char* base_;
  unsigned char* top_;
};

// Last in, first out: the stack that was just left is still in the cache. Pointers stay valid as
// long as the pool.
class StackPool {
 public:
  StackPool() = default;
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  Stack* take() {
    if (free_.empty()) grow();
    Stack* stack = free_.back();
    free_.pop_back();
#if defined(__SANITIZE_ADDRESS__)
    // Fibers that were left and not unwound leave marks of their frames (ci/asan.sh).
    __asan_unpoison_memory_region(stack->limit(), stack->size());
#endif
    return stack;
  }
  void give_back(Stack* stack) { free_.push_back(stack); }

 private:
  void grow();
  std::vector<Stack*> free_;
  std::vector<void*> slabs_;
  std::vector<std::vector<Stack>> stacks_;  // one inner vector a slab, never resized
};

}  // namespace abn::emulator
