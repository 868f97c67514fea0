// The blocks in flight, and the ways out of a launch.
#include "cuda/emulator/launch.hpp"

#include <algorithm>

#include "cuda/emulator/wording.hpp"

namespace abn::emulator {

constinit thread_local ThreadView* current = nullptr;

void Launch::lay_out(const LaunchRequest& request, int resident_blocks, Report& report) {
  request_ = &request;
  report_ = &report;
  code_ = success;
  total_blocks_ = std::uint64_t{request.grid.x} * request.grid.y * request.grid.z;
  const auto wanted = static_cast<std::uint64_t>(std::max(resident_blocks, 1));
  // whole clusters
  const std::uint64_t together =
      std::uint64_t{request.cluster.x} * request.cluster.y * request.cluster.z;
  resident_ = request.cooperative
                  ? total_blocks_
                  : std::min((wanted + together - 1) / together * together, total_blocks_);
  while (blocks_.size() < resident_) blocks_.push_back(std::make_unique<Block>());
  for (std::uint64_t b = 0; b < resident_; ++b) blocks_[b]->lay_out(request);
}

void Launch::record(const char* kind, int code, std::string text, const Thread& witness) {
  report_->findings.push_back(make_finding(*request_, kind, std::move(text), &witness));
  code_ = code;
}

void Launch::record(Finding finding, int code) {
  report_->findings.push_back(std::move(finding));
  code_ = code;
}

void Launch::leave() {
  boost::context::detail::jump_fcontext(main_.context, &nowhere_);
  __builtin_unreachable();
}

// ---- whose shared memory it is

Block* Launch::block_that_owns(std::uintptr_t address) {
  for (std::uint64_t b = 0; b < resident_; ++b) {
    const auto begin = reinterpret_cast<std::uintptr_t>(blocks_[b]->shared);
    if (address - begin < blocks_[b]->shared_bytes) return blocks_[b].get();
  }
  return nullptr;
}

bool Launch::near_shared(std::uintptr_t address) const {
  for (std::uint64_t b = 0; b < resident_; ++b) {
    const auto begin = reinterpret_cast<std::uintptr_t>(blocks_[b]->shared) - Block::front_guard;
    if (address - begin < Block::front_guard + blocks_[b]->shared_bytes + Block::back_guard)
      return true;
  }
  return false;
}

void* Launch::peer_address(const void* shared, unsigned rank, Where where) {
  Thread& self = *running();
  const Block& own = self.home();
  const Cluster& cluster = *own.home_cluster;
  self.where = where;
  if (!own.owns(shared)) fail_address(self);
  if (rank >= cluster.size) fail_rank(self, rank);
  const Block& peer = *cluster.members[rank];
  if (peer.alive == 0) fail_peer_left(self, peer);
  return peer.shared + (static_cast<const unsigned char*>(shared) - own.shared);
}

Block& Launch::owner_of(const void* shared, Where where) {
  Thread& self = *running();
  self.where = where;
  for (Block* block : self.home().home_cluster->blocks())
    if (block->owns(shared)) return *block;
  fail_address(self);
}

void Launch::fail_address(const Thread& self) {
  record(cluster_peer, launch_failure,
         "an address that is not in the shared memory of the block, or of a peer, at " +
             place(self.where));
  leave();
}

void Launch::fail_rank(const Thread& self, unsigned rank) {
  record(cluster_peer, launch_failure,
         "rank " + std::to_string(rank) + " at " + place(self.where) + "; the cluster has " +
             std::to_string(self.home().home_cluster->size) + " blocks");
  leave();
}

void Launch::fail_peer_left(const Thread& self, const Block& peer) {
  record(cluster_peer_left, launch_failure,
         rank_text(peer) + " has returned, and its shared memory is asked for at " +
             place(self.where) +
             ": a barrier of the cluster must keep it until its peers are done");
  leave();
}

}  // namespace abn::emulator
