// The loop over instructions, and what branches, ends and barriers do to groups.
#include "cuda/ptx/run/step.hpp"

#include <algorithm>
#include <bit>

#include "cuda/ptx/forms/lanes.hpp"
#include "cuda/ptx/state/copies.hpp"
#include "cuda/ptx/state/race.hpp"

namespace abn::ptx {
namespace {

constexpr std::uint32_t no_limit = 0xffffffffU;

/// Groups that stand at one instruction and are not held by a barrier become one.
void merge(Warp& warp) {
  std::vector<Group>& groups = warp.groups;
  for (std::size_t i = 0; i < groups.size(); ++i)
    for (std::size_t j = groups.size(); j-- > i + 1;) {
      const auto held = [](const Group& group) {
        return group.state == Group::State::barrier || group.state == Group::State::cluster;
      };
      if (groups[i].pc != groups[j].pc || held(groups[i]) || held(groups[j])) continue;
      groups[i].mask |= groups[j].mask;
      groups[i].state = Group::State::ready;  // looks again whether all have come
      groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(j));
    }
}

/// The group to go on with; null where all wait.
Group* choose(Warp& warp) {
  Group *lowest = nullptr, *highest = nullptr;
  for (Group& group : warp.groups) {
    if (group.state != Group::State::ready) continue;
    if (lowest == nullptr || group.pc < lowest->pc) lowest = &group;
    if (highest == nullptr || group.pc > highest->pc) highest = &group;
  }
  // Lanes that spin must not keep those from running that they wait for.
  return warp.slices % 8 == 7 ? highest : lowest;
}

/// Where the chosen group may meet another one.
std::uint32_t next_meeting(const Warp& warp, const Group& chosen) {
  std::uint32_t limit = no_limit;
  for (const Group& group : warp.groups)
    if (&group != &chosen && group.pc > chosen.pc && group.state != Group::State::barrier &&
        group.state != Group::State::cluster)
      limit = std::min(limit, group.pc);
  return limit;
}

void leave(Warp& warp, const Instruction& in, std::uint32_t mask) {
  Block& block = *warp.block;
  warp.live &= ~mask;
  block.live -= static_cast<std::uint32_t>(std::popcount(mask));
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0 && any_copies(warp, lane))
      stop(warp, in, lane, emulator::async_copy,
           "a thread returns and has not waited for its copies");
  for (const BulkCopy& copy : block.cluster->copies)
    if (copy.counted_in == nullptr && copy.by == &warp && (mask >> copy.lane & 1) != 0)
      stop(warp, in, copy.lane, emulator::async_copy,
           "a thread returns and has not waited for its bulk copy of PTX line " +
               std::to_string(copy.instruction->line));
  if (block.live == 0) {
    if (block.launch->order != nullptr && block.cluster->blocks.size() > 1)
      look_whether_peers_are_done(warp, in, static_cast<unsigned>(std::countr_zero(mask)), block);
    for (const BulkCopy& copy : block.cluster->copies)
      if (copy.counted_in == &block)
        stop(*copy.by, *copy.instruction, copy.lane, emulator::async_copy,
             "nobody has waited for the bulk copy, and the block returns to whose shared memory it "
             "goes");
    block.left = true;
  }
  settle_cluster_barrier(*block.cluster);
}

/// Operand of a barrier: the same number in all lanes.
std::uint32_t uniform(const Warp& warp, Place place, std::uint32_t mask) {
  return warp.read<std::uint32_t>(place)[std::countr_zero(mask)];
}

void acquire(Warp& warp, std::uint32_t mask, Sync& sync) {
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0)
      warp.block->launch->order->acquire(warp.block->clocks, warp.number * lanes + lane, sync);
}

/// True if the group may go on.
bool at_barrier(Warp& warp, const Instruction& in, Group& group, std::uint32_t mask, bool waits) {
  Block& block = *warp.block;
  const auto lane = static_cast<unsigned>(std::countr_zero(mask));
  const std::uint32_t number = uniform(warp, in.at[0], mask);
  if (number >= block.barriers.size())
    stop(warp, in, lane, emulator::barrier_divergence,
         "barrier " + std::to_string(number) + " of 16");
  Barrier& barrier = block.barriers[number];
  const std::uint32_t count = in.at[1].present() ? uniform(warp, in.at[1], mask) : block.threads;
  if (in.at[1].present() && (count == 0 || count % lanes != 0))
    stop(warp, in, lane, emulator::barrier_divergence,
         "a barrier for " + std::to_string(count) + " threads, which is not a multiple of 32");
  if (barrier.arrived != 0 && barrier.expected != count)
    stop(warp, in, lane, emulator::barrier_divergence,
         "a barrier for " + std::to_string(count) + " threads at which others wait for " +
             std::to_string(barrier.expected));
  const bool aligned = in.form->name.starts_with("bar.");
  if (barrier.arrived != 0 && !in.at[1].present() && aligned && barrier.at != &in)
    stop(warp, in, lane, emulator::barrier_divergence,
         "others of the block wait at the barrier of PTX line " + std::to_string(barrier.at->line));
  if (barrier.arrived == 0) barrier.at = &in, barrier.expected = count;
  barrier.arrived += in.at[1].present() ? lanes  // a barrier of some warps counts whole ones
                                        : static_cast<std::uint32_t>(std::popcount(mask));
  Order* const order = block.launch->order.get();
  if (order != nullptr && in.at[1].present())
    order->release(block.clocks, warp.number, mask, barrier.sync);
  if (barrier.arrived >= barrier.expected) {
    barrier.arrived = 0;
    if (order != nullptr && !in.at[1].present()) order->block_barrier(block.clocks);
    if (order != nullptr && in.at[1].present() && waits) acquire(warp, mask, barrier.sync);
    release_barrier(block, number);
    return true;
  }
  if (!waits) return true;
  group.state = Group::State::barrier, group.waits_for = number;
  return false;
}

void arrive_at_cluster(Warp& warp, const Instruction& in, std::uint32_t mask) {
  Cluster& cluster = *warp.block->cluster;
  if ((warp.cluster_arrived & mask) != 0)
    stop(warp, in, static_cast<unsigned>(std::countr_zero(warp.cluster_arrived & mask)),
         emulator::barrier_divergence, "a thread arrives twice at the cluster's barrier");
  warp.cluster_arrived |= mask;
  if (Order* const order = warp.block->launch->order.get();
      order != nullptr && in.form->name.find("relaxed") == std::string::npos)
    order->release(warp.block->clocks, warp.number, mask, cluster.syncs[cluster.phase % 2]);
  for (unsigned i = 0; i < lanes; ++i)
    if ((mask >> i & 1) != 0) warp.cluster_phase[i] = cluster.phase;
  cluster.arrived += static_cast<std::uint32_t>(std::popcount(mask));
  settle_cluster_barrier(cluster);
}

/// True if the group may go on.
bool wait_for_cluster(Warp& warp, const Instruction& in, Group& group, std::uint32_t mask) {
  const auto lane = static_cast<unsigned>(std::countr_zero(mask));
  if ((warp.cluster_arrived & mask) != mask)
    stop(warp, in, static_cast<unsigned>(std::countr_zero(mask & ~warp.cluster_arrived)),
         emulator::barrier_divergence,
         "a thread waits at the cluster's barrier and has not arrived at it");
  if (warp.block->cluster->phase == warp.cluster_phase[lane]) {
    group.state = Group::State::cluster;
    return false;
  }
  if (warp.block->launch->order != nullptr)
    acquire(warp, mask, warp.block->cluster->syncs[warp.cluster_phase[lane] % 2]);
  warp.cluster_arrived &= ~mask;
  warp.block->met_peers = true;
  return true;
}

/// True if all lanes are here that the instruction names.
bool all_have_come(Warp& warp, const Instruction& in, Group& group) {
  const auto* const members = warp.read<std::uint32_t>(in.at[in.form->members]);
  const auto lane = static_cast<unsigned>(std::countr_zero(group.mask));
  for (unsigned i = 0; i < lanes; ++i) {
    if ((group.mask >> i & 1) == 0) continue;
    if ((members[i] >> i & 1) == 0)
      stop(warp, in, i, emulator::shuffle_mask,
           "lane " + std::to_string(i) + " is not in the member mask that it gives");
  }
  const std::uint32_t needed = members[lane] & warp.live;
  if ((group.mask & needed) == needed) return true;
  group.state = Group::State::together, group.waits_for = needed;
  return false;
}

void check_idle(Warp& warp, const Instruction& in, std::uint32_t mask) {
  Launch& launch = *warp.block->launch;
  if (++launch.idle > launch.configuration.most_idle)
    stop(warp, in, mask == 0 ? 0 : static_cast<unsigned>(std::countr_zero(mask)),
         emulator::endless_loop, "threads poll and no memory changes any more");
}

/// Runs one group until it ends, waits, meets another or has had its turn. `at` is its index, as
/// groups move in memory when one splits.
std::uint64_t run_group(Warp& warp, std::size_t at, std::uint32_t limit, std::uint64_t budget) {
  Launch& launch = *warp.block->launch;
  const Instruction* const code = launch.program->code.data();
  std::uint64_t* const executed = launch.executed.empty() ? nullptr : launch.executed.data();
  std::uint32_t pc = warp.groups[at].pc, mask = warp.groups[at].mask;
  std::uint64_t done = 0, lane_count = 0;
  const auto finish = [&](bool keep) {
    if (keep)
      warp.groups[at].pc = pc, warp.groups[at].mask = mask;
    else
      warp.groups.erase(warp.groups.begin() + static_cast<std::ptrdiff_t>(at));
    launch.instructions += done, launch.lane_instructions += lane_count;
    return done;
  };
  for (;;) {
    const Instruction& in = code[pc];
    std::uint32_t active = mask;
    if (in.guard.present()) {
      const std::uint32_t bits = bits_of(warp.read<std::uint32_t>(in.guard));
      active &= in.guard_negated ? ~bits : bits;
    }
    if (executed != nullptr) ++executed[pc], warp.active = active;
    ++done, lane_count += static_cast<std::uint32_t>(std::popcount(active));
    switch (in.control) {
      case Control::none:
        if (active != 0) in.handler(warp, in, active);
        ++pc;
        if ((in.flags & flag_ordered) != 0) {
          check_idle(warp, in, active);
          if (done >= budget / 16) return finish(true);
        }
        break;
      case Control::pause:
        if (active != 0) in.handler(warp, in, active);
        ++pc;
        check_idle(warp, in, active);
        if (done >= budget / 16) return finish(true);
        break;
      case Control::branch:
        if (active == mask) {
          pc = in.target;
        } else if (active == 0) {
          ++pc;
        } else {
          ++launch.splits;
          Group other;
          other.pc = in.target, other.mask = active;
          ++pc, mask &= ~active;
          finish(true);
          warp.groups.push_back(other);
          return done;
        }
        break;
      case Control::exit:
        if (active != 0) leave(warp, in, active);
        ++pc, mask &= ~active;
        if (mask == 0) return finish(false);
        break;
      case Control::trap:
        if (active != 0)
          stop(warp, in, static_cast<unsigned>(std::countr_zero(active)), "trap",
               "the kernel gives up");
        ++pc;
        break;
      case Control::barrier:
      case Control::barrier_arrive:
      case Control::cluster_arrive:
      case Control::cluster_wait:
      case Control::together:
        if (active == 0) {
          ++pc;
          break;
        }
        if (active != mask) {  // those who skip it go ahead
          Group others;
          others.pc = pc + 1, others.mask = mask & ~active;
          mask = active;
          finish(true);
          warp.groups.push_back(others);
          return done;
        }
        if (in.control == Control::together) {
          if (!all_have_come(warp, in, warp.groups[at] = {pc, mask, Group::State::ready, 0}))
            return finish(true);
          in.handler(warp, in, mask);
        } else if (in.control == Control::cluster_arrive) {
          arrive_at_cluster(warp, in, mask);
        } else if (in.control == Control::cluster_wait) {
          if (!wait_for_cluster(warp, in, warp.groups[at], mask)) return finish(true);
        } else if (!at_barrier(warp, in, warp.groups[at], mask, in.control == Control::barrier)) {
          return finish(true);
        }
        ++pc;
        break;
    }
    if (pc >= limit || done >= budget) {
      if (done >= budget) ++warp.slices;
      return finish(true);
    }
  }
}

}  // namespace

void release_barrier(Block& block, std::uint32_t number) {
  Sync& sync = block.barriers[number].sync;
  for (Warp& warp : block.warps)
    for (Group& group : warp.groups)
      if (group.state == Group::State::barrier && group.waits_for == number) {
        const Instruction& in = block.launch->program->code[group.pc];
        if (block.launch->order != nullptr && in.at[1].present()) acquire(warp, group.mask, sync);
        group.state = Group::State::ready, ++group.pc;
      }
  sync.clear();
}

void settle_cluster_barrier(Cluster& cluster) {
  std::uint32_t live = 0;
  for (const auto& block : cluster.blocks) live += block->live;
  if (cluster.arrived == 0 || cluster.arrived < live) return;
  cluster.arrived = 0, ++cluster.phase;
  cluster.syncs[cluster.phase % 2].clear();
  for (const auto& block : cluster.blocks)
    for (Warp& warp : block->warps)
      for (Group& group : warp.groups)
        if (group.state == Group::State::cluster) group.state = Group::State::ready;
}

std::uint64_t run_warp(Warp& warp, std::uint64_t budget) {
  std::uint64_t done = 0;
  while (done < budget) {
    if (warp.groups.size() > 1) merge(warp);
    Group* const chosen = choose(warp);
    if (chosen == nullptr) return done;
    const auto at = static_cast<std::size_t>(chosen - warp.groups.data());
    const std::uint32_t limit = warp.groups.size() > 1 ? next_meeting(warp, *chosen) : no_limit;
    done += run_group(warp, at, limit, budget - done);
    if (warp.groups.empty()) return done;
    const bool pausing = warp.block->launch->idle != 0;
    if (pausing && warp.groups.size() > 1) ++warp.slices;
    if (pausing && done >= budget / 16) return done;
  }
  return done;
}

}  // namespace abn::ptx
