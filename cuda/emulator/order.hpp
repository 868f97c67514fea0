// What happens before what: the interface through which barriers, atomics and copy engines tell the sanitiser who knows of whose
// accesses. Everything here does nothing where the launch is not sanitised, so no caller needs an `if`.
//
// Two accesses of one place, one of them a write, are a race unless one happens before the other: in the same thread, or through a
// chain of releases and acquires. A thread that releases into a Sync hands over all that it did and all that it knows; a thread that
// acquires from it knows that from then on. So a barrier of any kind is: every thread that arrives releases, every thread that goes on
// acquires, both on the Sync of that phase of the barrier.
//
//   Sync phase;
//   release(thread, phase);  acquire(thread, phase);
//
// A copy engine is somebody of its own: it knows what its issuer knew when the copy was issued and accesses memory at some later time.
// Whoever waits for it acquires what the engine released.
//
//   Agent copy(issuer, where);                               // when it is issued
//   if (copy.read(from, n) && copy.write(to, n)) memcpy(...) // when it lands; false: it was reported and must not be done
//   copy.release(phase);                                     // and whoever waits: acquire(thread, phase)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "cuda/emulator/engine.hpp"

namespace abn::emulator {

struct Thread;
class Knowledge;  // who knows of whose accesses up to when; in order.cpp

class Sync {
 public:
  Sync();
  ~Sync();
  Sync(Sync&&) noexcept;
  Sync& operator=(Sync&&) noexcept;
  void clear();  // as new

  struct State;
  std::unique_ptr<State> state;  // null: nothing was released into it
};

void release(Thread& thread, Sync& sync);
void acquire(Thread& thread, const Sync& sync);

class Agent {
 public:
  Agent(Thread& issuer, Where where);
  ~Agent();
  Agent(Agent&&) noexcept;
  Agent& operator=(Agent&&) noexcept;
  bool read(const void* address, std::size_t bytes);  // of buffers, and of the shared memory of the issuer's block or cluster
  bool write(void* address, std::size_t bytes);
  void acquire(const Sync& sync);
  void release(Sync& sync);

  struct State;
  std::unique_ptr<State> state;  // null: the launch is not sanitised
};

}  // namespace abn::emulator
