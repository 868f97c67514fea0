// A launch under way: what was asked for, the blocks in flight, whose shared memory an address is
// in, and how a launch ends early.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cuda/emulator/block.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/report.h"

namespace abn::emulator {

class Launch {
 public:
  const LaunchRequest& request() const { return *request_; }
  static Thread* running() { return static_cast<Thread*>(current); }

  // The end, in two steps so that the strings of the first are gone when the second leaves the
  // fiber for good.
  void record(const char* kind, int code, std::string text, const Thread& witness);
  void record(const char* kind, int code, std::string text) {
    record(kind, code, std::move(text), *running());
  }
  void record(Finding finding, int code);
  [[noreturn]] void leave();

  std::uint64_t resident_blocks() const { return resident_; }
  Block& block(std::uint64_t number) { return *blocks_[number]; }
  Block* block_that_owns(std::uintptr_t address);  // in its shared memory; null: none
  // in the shared memory of a block, or in the guards around it
  bool near_shared(std::uintptr_t address) const;
  static bool may_reach(const Block& from, const Block& to) {
    return from.home_cluster == to.home_cluster;
  }
  // Of the thread that runs: the block of its cluster that has these bytes, and the same place in
  // the shared memory of another.
  Block& owner_of(const void* shared, Where where);
  void* peer_address(const void* shared, unsigned rank, Where where);
  [[noreturn]] void fail_peer_left(const Thread& self, const Block& peer);

 protected:
  // Lays out the blocks that will be in flight: `resident_blocks` of them, or all of a cooperative
  // launch.
  void lay_out(const LaunchRequest& request, int resident_blocks, Report& report);

  // what waits for the end of the launch; not one of the kernel's
  Thread main_;
  boost::context::detail::fcontext_t nowhere_ = nullptr;  // where nobody's context goes
  const LaunchRequest* request_ = nullptr;
  Report* report_ = nullptr;
  int code_ = 0;
  // the first `resident_` are in flight; a slot is used again for the next block
  std::vector<std::unique_ptr<Block>> blocks_;
  std::uint64_t resident_ = 0, total_blocks_ = 0;

 private:
  [[noreturn]] void fail_address(const Thread& self);
  [[noreturn]] void fail_rank(const Thread& self, unsigned rank);
};

}  // namespace abn::emulator
