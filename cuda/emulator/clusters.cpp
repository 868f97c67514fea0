// Clusters from first to last: their place in the grid, their barrier, and what goes wrong there.
#include <bit>
#include <string>

#include "cuda/emulator/copy_order.hpp"
#include "cuda/emulator/engine_clusters.hpp"
#include "cuda/emulator/machine.hpp"
#include "cuda/emulator/sanitizer.hpp"
#include "cuda/emulator/wording.hpp"

namespace abn::emulator {
namespace {

unsigned volume(uint3 size) { return size.x * size.y * size.z; }

}  // namespace

// ---- life of a cluster

// The blocks of a cluster have places in a row in blocks_, and start one after another.
void Machine::form_clusters() {
  const unsigned size = volume(request_->cluster);
  if (clusters_.size() < resident_ / size) clusters_.resize(resident_ / size);
  for (std::uint64_t b = 0; b < resident_; ++b) {
    Cluster& cluster = clusters_[b / size];
    cluster.size = size;
    cluster.members[b % size] = blocks_[b].get();
    blocks_[b]->home_cluster = &cluster;
  }
}

// Sets the block's index for its turn: clusters start in any order, the blocks of one in the order
// of their ranks.
void Machine::give_index(Block& block, std::uint64_t turn) {
  const uint3 grid = request_->grid, shape = request_->cluster;
  Cluster& cluster = *block.home_cluster;
  const auto rank = static_cast<unsigned>(turn % cluster.size);
  const std::uint64_t number = shuffled_cluster(turn / cluster.size);
  const std::uint64_t across = grid.x / shape.x, down = grid.y / shape.y;
  block.index = {
      static_cast<unsigned>(number % across) * shape.x + rank % shape.x,
      static_cast<unsigned>(number / across % down) * shape.y + rank / shape.x % shape.y,
      static_cast<unsigned>(number / across / down) * shape.z + rank / shape.x / shape.y};
  block.number = block.index.x +
                 std::uint64_t{grid.x} * (block.index.y + std::uint64_t{grid.y} * block.index.z);
  block.cluster_rank = rank;
  if (rank > 0) return;
  cluster.in_flight = cluster.size;
  cluster.threads = cluster.size * block.size;
  cluster.arrived = cluster.gone = cluster.phase = 0;
  for (Sync& phase : cluster.phases) phase.clear();
}

// True when the whole cluster has ended. A block that leaves before its peers leaves NaN behind, in
// which a late access shows.
bool Machine::leave_cluster(Block& block) {
  Cluster& cluster = *block.home_cluster;
  if (cluster.size == 1) return true;
  block.poison();
  if (--cluster.in_flight > 0) return false;
  for (const Block* member : cluster.blocks())
    if (const unsigned char* byte = member->unpoisoned())
      fail_written_after_return(block, *member, byte);
  return true;
}

void Machine::end_thread_in_cluster(const Thread& self) {
  Cluster& cluster = *self.home().home_cluster;
  if (self.warp->in_cluster.arrived & self.bit()) return;
  ++cluster.gone;
  if (cluster.arrived > 0) settle(cluster);
}

// ---- the barrier

// A thread that has returned counts as arrived on the hardware; here, as in a block's barrier, a
// barrier that it skips is a finding.
void Machine::settle(Cluster& cluster) {
  if (cluster.arrived + cluster.gone < cluster.threads) return;
  if (cluster.gone > 0) fail_cluster_barrier(cluster);
  count_step(false);
  cluster.arrived = 0;
  if (sanitizer_) {
    sanitizer_->end_requests(cluster.blocks());
    hand_over(cluster, sanitizer_->order);
  }
  ++cluster.phase;
  cluster.phases[cluster.phase & 1].clear();  // everybody has come by who was there
  for (Block* block : cluster.blocks()) {
    AsyncCopies::meet(*block);
    for (unsigned w = 0; w < block->warp_count; ++w) {
      Warp& warp = block->warps[w];
      ClusterLanes& lanes = warp.in_cluster;
      cluster.gone += static_cast<unsigned>(std::popcount(lanes.arrived & ~warp.alive));
      make_ready(warp, lanes.waiting);
      lanes.passed |= lanes.arrived & warp.alive & ~lanes.waiting;
      lanes.arrived = lanes.waiting = lanes.at_once = 0;
    }
  }
  exchange_pictures(cluster.members.data(), cluster.size);
}

// Where all threads have come to wait, as they mostly do, the cluster is like one block. Else those
// that arrived earlier have released what they had done by then, those that have waited since
// release it now, and all that wait acquire.
void Machine::hand_over(Cluster& cluster, Order& order) {
  const auto each = [&cluster](std::uint32_t ClusterLanes::*lanes, auto act) {
    for (Block* block : cluster.blocks())
      for (unsigned w = 0; w < block->warp_count; ++w)
        for (std::uint32_t left = block->warps[w].in_cluster.*lanes; left; left &= left - 1)
          act(block->warps[w].threads[std::countr_zero(left)]);
  };
  unsigned at_once = 0;
  for (const Block* block : cluster.blocks())
    for (unsigned w = 0; w < block->warp_count; ++w)
      at_once += static_cast<unsigned>(std::popcount(block->warps[w].in_cluster.at_once));
  if (at_once == cluster.threads) return order.cluster_barrier(cluster.blocks());
  Sync& phase = cluster.phases[cluster.phase & 1];
  each(&ClusterLanes::at_once, [&](Thread& thread) { order.release(thread, phase); });
  each(&ClusterLanes::waiting, [&](Thread& thread) { order.acquire(thread, phase); });
}

Cluster& Machine::arrive_in_cluster(Thread& self, Where where) {
  ClusterLanes& lanes = self.warp->in_cluster;
  self.where = where;
  if ((lanes.arrived | lanes.passed) & self.bit())
    fail_cluster_half(self, "arrives at the cluster's barrier a second time without having waited");
  lanes.arrived |= self.bit();
  Cluster& cluster = *self.home().home_cluster;
  ++cluster.arrived;
  return cluster;
}

Thread& Machine::cluster_arrive(Where where) {
  Thread& self = *running();
  Cluster& cluster = arrive_in_cluster(self, where);
  emulator::release(self, cluster.phases[cluster.phase & 1]);
  settle(cluster);
  return after_release(self);
}

Thread& Machine::cluster_sync(Where where) {
  Thread& self = *running();
  Cluster& cluster = arrive_in_cluster(self, where);
  self.warp->in_cluster.waiting |= self.bit();
  self.warp->in_cluster.at_once |= self.bit();
  settle(cluster);
  return suspend(self);
}

Thread& Machine::cluster_wait(Where where) {
  Thread& self = *running();
  ClusterLanes& lanes = self.warp->in_cluster;
  self.where = where;
  if (lanes.passed & self.bit()) {
    lanes.passed &= ~self.bit();
    Cluster& cluster = *self.home().home_cluster;
    acquire(self, cluster.phases[(cluster.phase - 1) & 1]);
    return after_release(self);
  }
  if (!(lanes.arrived & self.bit()))
    fail_cluster_half(self, "waits at the cluster's barrier without having arrived");
  lanes.waiting |= self.bit();
  return suspend(self);
}

Arrival cluster_arrive(Where where) {
  return this_machine->go_on_with(this_machine->cluster_arrive(where));
}
Arrival cluster_sync(Where where) {
  return this_machine->go_on_with(this_machine->cluster_sync(where));
}
Arrival cluster_wait(Where where) {
  return this_machine->go_on_with(this_machine->cluster_wait(where));
}

uint3 cluster_shape() { return current->block->cluster; }
unsigned cluster_rank() { return current->block->cluster_rank; }

// ---- the way to a peer

void* peer_address(const void* shared, unsigned rank, Where where) {
  return this_machine->peer_address(shared, rank, where);
}
unsigned peer_rank(const void* shared, Where where) {
  return this_machine->owner_of(shared, where).cluster_rank;
}

// ---- findings

void Machine::fail_written_after_return(const Block& last, const Block& peer,
                                        const unsigned char* byte) {
  record(
      cluster_peer_left, launch_failure,
      "shared memory of " + rank_text(peer) + " was written at byte " +
          std::to_string(byte - peer.shared) +
          " after it had returned: a barrier of the cluster must keep it until its peers are done",
      last.threads[0]);
  leave();
}

void Machine::fail_cluster_half(const Thread& self, const char* what) {
  record(barrier_divergence, launch_failure,
         std::string("a thread ") + what + " at " + place(self.where));
  leave();
}

// Names the block with a thread that has not arrived, and what its threads do.
Finding Machine::explain_cluster_barrier(const Cluster& cluster) const {
  const Block* late = cluster.members[0];
  const Thread* waiting = nullptr;
  for (const Block* block : cluster.blocks())
    for (unsigned w = 0; w < block->warp_count; ++w) {
      const Warp& warp = block->warps[w];
      if (warp.exists & ~warp.in_cluster.arrived) late = block;
      if (warp.in_cluster.arrived)
        waiting = &warp.threads[std::countr_zero(warp.in_cluster.arrived)];
    }
  return make_finding(*request_, barrier_divergence,
                      "the cluster's barrier is reached by " + std::to_string(cluster.arrived) +
                          " of the cluster's " + std::to_string(cluster.threads) + " threads; " +
                          rank_text(*late) + ": " + describe(*late),
                      waiting);
}

void Machine::fail_cluster_barrier(const Cluster& cluster) {
  report_->findings.push_back(explain_cluster_barrier(cluster));
  code_ = launch_failure;
  leave();
}

}  // namespace abn::emulator
