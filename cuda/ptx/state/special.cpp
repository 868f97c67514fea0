// The table of special registers. Each row says what a lane reads.
#include "cuda/ptx/state/special.hpp"

#include <algorithm>

namespace abn::ptx {
namespace {

constexpr struct {
  std::string_view name;
  Special special;
} names[] = {{"%tid.x", Special::tid_x},
             {"%tid.y", Special::tid_y},
             {"%tid.z", Special::tid_z},
             {"%ntid.x", Special::ntid_x},
             {"%ntid.y", Special::ntid_y},
             {"%ntid.z", Special::ntid_z},
             {"%ctaid.x", Special::ctaid_x},
             {"%ctaid.y", Special::ctaid_y},
             {"%ctaid.z", Special::ctaid_z},
             {"%nctaid.x", Special::nctaid_x},
             {"%nctaid.y", Special::nctaid_y},
             {"%nctaid.z", Special::nctaid_z},
             {"%laneid", Special::laneid},
             {"%warpid", Special::warpid},
             {"%nwarpid", Special::nwarpid},
             {"%smid", Special::smid},
             {"%nsmid", Special::nsmid},
             {"%gridid", Special::gridid},
             {"%envreg1", Special::envreg1},
             {"%envreg2", Special::envreg2},
             {"%clusterid.x", Special::clusterid_x},
             {"%clusterid.y", Special::clusterid_y},
             {"%clusterid.z", Special::clusterid_z},
             {"%nclusterid.x", Special::nclusterid_x},
             {"%nclusterid.y", Special::nclusterid_y},
             {"%nclusterid.z", Special::nclusterid_z},
             {"%cluster_ctaid.x", Special::cluster_ctaid_x},
             {"%cluster_ctaid.y", Special::cluster_ctaid_y},
             {"%cluster_ctaid.z", Special::cluster_ctaid_z},
             {"%cluster_nctaid.x", Special::cluster_nctaid_x},
             {"%cluster_nctaid.y", Special::cluster_nctaid_y},
             {"%cluster_nctaid.z", Special::cluster_nctaid_z},
             {"%cluster_ctarank", Special::cluster_ctarank},
             {"%cluster_nctarank", Special::cluster_nctarank},
             {"%lanemask_eq", Special::lanemask_eq},
             {"%lanemask_le", Special::lanemask_le},
             {"%lanemask_lt", Special::lanemask_lt},
             {"%lanemask_ge", Special::lanemask_ge},
             {"%lanemask_gt", Special::lanemask_gt},
             {"%dynamic_smem_size", Special::dynamic_smem_size},
             {"%total_smem_size", Special::total_smem_size}};

constexpr std::uint32_t multiprocessors = 132;  // of the H100 that is stood in for

std::uint32_t component(const Size3& size, Special special, Special x) {
  const int which = static_cast<int>(special) - static_cast<int>(x);
  return which == 0 ? size.x : which == 1 ? size.y : size.z;
}

std::uint32_t value_of(const Warp& warp, Special special, unsigned lane) {
  const Block& block = *warp.block;
  const Launch& launch = *block.launch;
  const Configuration& how = launch.configuration;
  const Size3 clusters{how.grid.x / how.cluster.x, how.grid.y / how.cluster.y,
                       how.grid.z / how.cluster.z};
  const Size3 inside{block.index.x % how.cluster.x, block.index.y % how.cluster.y,
                     block.index.z % how.cluster.z};
  const auto workspace = reinterpret_cast<std::uint64_t>(launch.grid_workspace.data());
  using enum Special;
  switch (special) {
    case tid_x:
    case tid_y:
    case tid_z:
      return component(thread_of(warp, lane), special, tid_x);
    case ntid_x:
    case ntid_y:
    case ntid_z:
      return component(how.block, special, ntid_x);
    case ctaid_x:
    case ctaid_y:
    case ctaid_z:
      return component(block.index, special, ctaid_x);
    case nctaid_x:
    case nctaid_y:
    case nctaid_z:
      return component(how.grid, special, nctaid_x);
    case clusterid_x:
    case clusterid_y:
    case clusterid_z:
      return component(block.cluster->index, special, clusterid_x);
    case nclusterid_x:
    case nclusterid_y:
    case nclusterid_z:
      return component(clusters, special, nclusterid_x);
    case cluster_ctaid_x:
    case cluster_ctaid_y:
    case cluster_ctaid_z:
      return component(inside, special, cluster_ctaid_x);
    case cluster_nctaid_x:
    case cluster_nctaid_y:
    case cluster_nctaid_z:
      return component(how.cluster, special, cluster_nctaid_x);
    case laneid:
      return lane;
    case warpid:
      return warp.number;
    case nwarpid:
      return static_cast<std::uint32_t>(block.warps.size());
    case smid:
      return (block.index.x + block.index.y * how.grid.x) % multiprocessors;
    case nsmid:
      return multiprocessors;
    case gridid:
      return 1;
    case envreg1:
      return static_cast<std::uint32_t>(workspace >> 32);
    case envreg2:
      return static_cast<std::uint32_t>(workspace);
    case cluster_ctarank:
      return block.rank;
    case cluster_nctarank:
      return static_cast<std::uint32_t>(how.cluster.count());
    case is_explicit_cluster:
      return how.cluster.count() > 1 ? 1 : 0;
    case lanemask_eq:
      return 1U << lane;
    case lanemask_le:
      return 1U << lane | ((1U << lane) - 1);
    case lanemask_lt:
      return (1U << lane) - 1;
    case lanemask_ge:
      return ~((1U << lane) - 1);
    case lanemask_gt:
      return ~((1U << lane) - 1) & ~(1U << lane);
    case dynamic_smem_size:
      return how.dynamic_shared;
    case total_smem_size:
      return static_cast<std::uint32_t>(block.shared.size());
  }
  return 0;
}

}  // namespace

std::optional<Special> special_of(std::string_view name) {
  const auto* const at = std::find_if(std::begin(names), std::end(names),
                                      [&](const auto& row) { return row.name == name; });
  if (at == std::end(names)) return {};
  return at->special;
}

Size3 thread_of(const Warp& warp, unsigned lane) {
  const Size3& size = warp.block->launch->configuration.block;
  const std::uint32_t linear = warp.number * lanes + lane;
  return {linear % size.x, linear / size.x % size.y, linear / size.x / size.y};
}

void write_specials(Warp& warp) {
  for (const auto& [special, place] : warp.block->launch->program->specials) {
    auto* const to = warp.write<std::uint32_t>(place);
    for (unsigned lane = 0; lane < lanes; ++lane) to[lane] = value_of(warp, special, lane);
  }
}

}  // namespace abn::ptx
