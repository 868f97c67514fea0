// Copies that threads have begun and that have not landed.
#pragma once

#include "cuda/ptx/state/block.hpp"

namespace abn::ptx {

void land(Warp& warp, unsigned lane, const LateCopy& copy);

/// All of this thread, committed or not.
void land_all(Warp& warp, unsigned lane);

bool any_copies(const Warp& warp, unsigned lane);

/// The oldest bulk copy that counts at this mbarrier lands, if there is one.
bool land_bulk(Warp& warp, Block& block, std::uint32_t mbarrier);

/// Bytes of a copy, which was this moment, have arrived for the mbarrier at this address in the
/// shared window.
void count_at_mbarrier(Warp& warp, const Instruction& in, unsigned lane, std::uint64_t address,
                       std::uint32_t bytes, const Moment& copy);

/// While it lives the accesses of lanes are those of a copy, where accesses are looked at.
class Landing {
 public:
  Landing(Launch& launch, const Moment& moment, const View& view)
      : launch_(launch), copy_{moment, view} {
    if (launch.order != nullptr) launch.copy = &copy_;
  }
  ~Landing() { launch_.copy = nullptr; }
  Landing(const Landing&) = delete;
  Landing& operator=(const Landing&) = delete;

 private:
  Launch& launch_;
  CopyUnderWay copy_;
};

}  // namespace abn::ptx
