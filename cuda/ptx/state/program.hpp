// A kernel made executable: its instructions with operands as places, its constants, and how much
// of everything a warp and a block of it need.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "cuda/ptx/read/module.hpp"
#include "cuda/ptx/state/warp.hpp"

namespace abn::ptx {

/// Special registers that a warp begins with.
enum class Special : std::uint8_t {
  tid_x,
  tid_y,
  tid_z,
  ntid_x,
  ntid_y,
  ntid_z,
  ctaid_x,
  ctaid_y,
  ctaid_z,
  nctaid_x,
  nctaid_y,
  nctaid_z,
  laneid,
  warpid,
  nwarpid,
  smid,
  nsmid,
  gridid,
  envreg1,
  envreg2,
  clusterid_x,
  clusterid_y,
  clusterid_z,
  nclusterid_x,
  nclusterid_y,
  nclusterid_z,
  cluster_ctaid_x,
  cluster_ctaid_y,
  cluster_ctaid_z,
  cluster_nctaid_x,
  cluster_nctaid_y,
  cluster_nctaid_z,
  cluster_ctarank,
  cluster_nctarank,
  is_explicit_cluster,
  lanemask_eq,
  lanemask_le,
  lanemask_lt,
  lanemask_ge,
  lanemask_gt,
  dynamic_smem_size,
  total_smem_size
};

struct Program {
  const Kernel* kernel = nullptr;
  const Module* module = nullptr;
  std::vector<Instruction> code{};
  std::vector<std::byte> constants{};
  std::uint32_t register_bytes = 0;
  std::vector<std::pair<Special, Place>> specials{};
  std::uint32_t static_shared = 0;  ///< bytes of variables, the dynamic part behind them
  std::uint32_t local_bytes = 0;    ///< of a lane
};

}  // namespace abn::ptx
