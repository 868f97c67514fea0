// Who touched a place of memory last, where accesses are looked at.
//
// Memory is divided into pages of 256 bytes, and a page into cells that are as fine as the finest
// access that it has met: where lanes take 16 bytes at a time a cell stands for all of them, and
// yet two threads may store two bytes side by side.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/ptx/state/clock.hpp"

namespace abn::ptx {

struct Instruction;

struct Touch {
  Moment moment{};
  const Instruction* at = nullptr;
  bool strong = false;  ///< an atomic, or another access that may meet its like
};

/// Loads of one instruction by lanes of one warp at one time: by the moment of lane 0.
struct Loads {
  Touch first{};
  std::uint32_t lanes = 0;
};

struct Cell {
  Touch store{}, load{};
  /// By which instruction the thread that stored had loaded the place before.
  const Instruction* loaded_by = nullptr;
  /// Loads since the last store, where no single one stands for all.
  std::unique_ptr<std::vector<Loads>> loads{};
};

/// The cells of a piece of memory.
class Touched {
 public:
  struct Cells {
    Cell* first;
    int count;
    std::uint64_t bytes;  ///< of each
  };
  /// Of 2^exponent aligned bytes; the piece of memory begins at `begin` and ends at `end`.
  Cells cells(std::uint64_t begin, std::uint64_t end, std::uint64_t address, unsigned exponent);
  void forget() { pages_.clear(); }
  template <class Each>
  void for_each(const Each& each) const {
    for (const Page& page : pages_)
      if (page.cells != nullptr)
        for (std::size_t i = 0; i < page_bytes >> page.exponent; ++i) each(page.cells[i]);
  }

 private:
  static constexpr std::uint64_t page_bytes = 256;
  static constexpr unsigned page_shift = 8, coarsest = 4;
  struct Page {
    std::shared_ptr<Cell[]> cells{};  // shared only so that a piece of memory may be copied
    unsigned exponent = coarsest;
  };
  std::vector<Page> pages_;
};

}  // namespace abn::ptx
