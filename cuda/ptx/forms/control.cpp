// Branches, ends, barriers, fences and sleeps. Memory is as strong as it can be here; what fences
// order is kept where accesses are looked at.
#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {
namespace {

void nothing(Warp&, const Instruction&, std::uint32_t) {}

template <class Function>
void each_rank(Warp& warp, std::uint32_t mask, const Function& function) {
  if (warp.block->launch->order == nullptr) return;
  for (unsigned lane = 0; lane < lanes; ++lane)
    if ((mask >> lane & 1) != 0) function(*warp.block->launch->order, warp.number * lanes + lane);
}

template <bool of_block>
void fence(Warp& warp, const Instruction&, std::uint32_t mask) {
  each_rank(warp, mask, [&](Order& order, std::uint32_t rank) {
    order.fence(warp.block->clocks, rank, of_block);
  });
}

/// The mbarriers that these threads have initialised may be seen by copies.
void fence_initialised(Warp& warp, const Instruction&, std::uint32_t mask) {
  each_rank(warp, mask, [&](Order&, std::uint32_t rank) {
    const Clocks& clocks = warp.block->clocks;
    for (auto& [place, handover] : warp.block->clocks.mbarriers)
      if (handover.initialised_by == clocks.moment(rank).who) handover.fenced = true;
  });
}

/// What these threads know of is there for bulk copies.
void fence_proxy(Warp& warp, const Instruction& in, std::uint32_t mask) {
  each_rank(warp, mask, [&](Order& order, std::uint32_t rank) {
    order.take_picture(warp.block->clocks, rank);
  });
  fence_initialised(warp, in, mask);
}

}  // namespace

void add_control_forms(Table& table) {
  for (const char* name : {"bra", "bra.uni"}) table.add(name, "L", nullptr, Control::branch);
  for (const char* name : {"ret", "ret.uni", "exit"}) table.add(name, "", nullptr, Control::exit);
  table.add("trap", "", nullptr, Control::trap);
  for (const char* name : {"bar.sync", "barrier.sync", "barrier.sync.aligned", "bar.cta.sync",
                           "barrier.cta.sync", "barrier.cta.sync.aligned"})
    table.add(name, "4 ?4", nullptr, Control::barrier);
  for (const char* name : {"bar.arrive", "barrier.arrive", "barrier.arrive.aligned",
                           "bar.cta.arrive", "barrier.cta.arrive", "barrier.cta.arrive.aligned"})
    table.add(name, "4 4", nullptr, Control::barrier_arrive);
  for (const char* order : {"", ".release", ".relaxed"})
    for (const char* aligned : {"", ".aligned"})
      table.add(std::string("barrier.cluster.arrive") + order + aligned, "", nullptr,
                Control::cluster_arrive);
  for (const char* order : {"", ".acquire"})
    for (const char* aligned : {"", ".aligned"})
      table.add(std::string("barrier.cluster.wait") + order + aligned, "", nullptr,
                Control::cluster_wait);
  const auto add_fence = [&](const char* name, const std::string& scope) {
    table.add(name + scope, "", scope == "cta" ? &fence<true> : &fence<false>, Control::pause);
  };
  for (const char* scope : {"cta", "gl", "sys"}) add_fence("membar.", scope);
  for (const char* scope : {"cta", "cluster", "gpu", "sys"})
    add_fence("fence.sc.", scope), add_fence("fence.acq_rel.", scope);
  for (const char* name :
       {"fence.proxy.async", "fence.proxy.async.shared::cta", "fence.proxy.async.shared::cluster"})
    table.add(name, "", &fence_proxy);
  table.add("fence.mbarrier_init.release.cluster", "", &fence_initialised);
  for (const char* name : {"fence.proxy.async.global", "fence.proxy.alias", "griddepcontrol.wait",
                           "griddepcontrol.launch_dependents"})
    table.add(name, "", &nothing);
  table.add("nanosleep.u32", "4", &nothing, Control::pause);
  table.add("discard.global.L2", "@ #", &nothing);
}

}  // namespace abn::ptx
