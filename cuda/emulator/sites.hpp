// Places in the code from which memory was accessed, and small numbers for them.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/shadow.hpp"

namespace abn::emulator {

struct Place {
  std::string file;  // its last two parts; empty: unknown
  unsigned line = 0;
};
// in lines.cpp: from the line table of the program or shared object that it is in
Place place_in_code(std::uintptr_t return_address);
std::string last_parts(const char* path);
Place place_of(const Where& where);
std::string text_of(const Place& place);  // "device/tree.cuh:41"

// An access is known by the return address of its hook. Functions that every kernel calls (load16,
// atomicAdd) are told by their caller where they were called, and that is what findings name.
class Sites {
 public:
  struct Site {
    std::uintptr_t key = 0;  // return address; 0: free
    SiteId id = 0;
    Region* region = nullptr;  // the one that it accessed last
    std::uint32_t flow = 0;    // of the traffic between the site and that region
  };
  Sites() : table_(1024) {}
  // a bit that no address has: tells two sites at one place apart
  static constexpr std::uintptr_t reading = std::uintptr_t{1} << 63;

  Site& at(std::uintptr_t return_address, const Where* where) {
    for (std::size_t i = slot(return_address);; i = (i + 1) & (table_.size() - 1)) {
      Site& site = table_[i];
      if (site.key == return_address) return site;
      if (site.key == 0) return add(return_address, where);
    }
  }
  Place place(SiteId id) const {
    const Origin& origin = origins_[id & ~atomic_bit];
    return origin.called ? place_of(origin.where) : place_in_code(origin.return_address & ~reading);
  }
  void forget_regions() {
    for (Site& site : table_) site.region = nullptr;
  }

 private:
  struct Origin {
    std::uintptr_t return_address;
    bool called;
    Where where;
  };
  std::size_t slot(std::uintptr_t key) const {
    return (key * 0x9e3779b97f4a7c15u) >> 40 & (table_.size() - 1);
  }
  Site& add(std::uintptr_t return_address, const Where* where);

  std::vector<Site> table_;                               // open addressing, at most half full
  std::vector<Origin> origins_ = std::vector<Origin>(1);  // by id; 0 is nobody
};

}  // namespace abn::emulator
