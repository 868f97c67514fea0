// Branches, ends, barriers, fences and sleeps. Fences do nothing here: memory is as strong as it
// can be.
#include "cuda/ptx/state/form.hpp"

namespace abn::ptx {
namespace {

void nothing(Warp&, const Instruction&, std::uint32_t) {}

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
    table.add(name + scope, "", &nothing, Control::pause).variant = scope == "cta" ? 0 : releases;
  };
  for (const char* scope : {"cta", "gl", "sys"}) add_fence("membar.", scope);
  for (const char* scope : {"cta", "cluster", "gpu", "sys"})
    add_fence("fence.sc.", scope), add_fence("fence.acq_rel.", scope);
  for (const char* name : {"fence.proxy.async", "fence.proxy.async.global",
                           "fence.proxy.async.shared::cta", "fence.proxy.async.shared::cluster",
                           "fence.proxy.alias", "fence.mbarrier_init.release.cluster",
                           "griddepcontrol.wait", "griddepcontrol.launch_dependents"})
    table.add(name, "", &nothing);
  table.add("nanosleep.u32", "4", &nothing, Control::pause);
  table.add("discard.global.L2", "@ #", &nothing);
}

}  // namespace abn::ptx
