// Shadow memory: for every piece of a watched memory, who wrote it last and who read it since.
//
// A region is a buffer or a block's shared memory. It is divided into pages of 256 bytes, and a
// page into cells of 1 to 16 bytes: as fine as the finest access that the page has met, so that a
// kernel which goes 16 bytes at a time needs one cell for each, and two threads may still write two
// bytes side by side. A cell that becomes too coarse is copied to all of its pieces.
//
// A cell remembers the last write and the last read (FastTrack's epochs). A read that is not
// ordered after the one before it turns the reads into a set: for each warp and time, the lanes. A
// write ends them all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/emulator/clock.hpp"

namespace abn::emulator {

// Where in the code an access was made: a number from Sites, and whether it was an atomic.
using SiteId = std::uint32_t;
inline constexpr SiteId atomic_bit = 1u << 31, reads_are_set = ~SiteId{0};

struct Cell {
  Epoch write;  // 0: never
  Epoch read;   // 0: not since the last write; the number of a set where read_site is reads_are_set
  SiteId write_site, read_site;
};

struct ReadSet {
  struct Entry {
    Epoch warp;  // the epoch of lane 0
    std::uint32_t lanes;
    SiteId site;
  };
  std::vector<Entry> entries;
};

inline constexpr std::size_t page_bytes = 256;
inline constexpr int page_shift = 8, coarsest = 4;  // as exponents of two, in bytes

struct Page {
  Cell* cells = nullptr;  // null: as at first
  int size = coarsest;    // of a cell's bytes, the exponent of two
};

struct Region {
  std::string name;
  std::uintptr_t begin = 0, end = 0;
  unsigned element_bytes = 4;
  bool written = true;  // at first
  bool writable = true;
  // false: nothing of it can go wrong (inputs, which are written and read-only)
  bool shadowed = true;
  int buffer = -1;  // its number among the session's; -1: shared memory
  // the actor before which everything here is forgotten: shared memory begins anew with each block
  std::uint32_t born = 1;
  std::uint64_t owner = 0;  // the sanitiser whose cells these are
  std::vector<Page> pages;  // of [first_page, ...)
  std::uintptr_t first_page = 0;

  bool holds(std::uintptr_t address, std::size_t bytes) const {
    return address >= begin && address + bytes <= end;
  }
  Page& page(std::uintptr_t address) { return pages[(address >> page_shift) - first_page]; }
};

// The cells of all regions.
class Shadow {
 public:
  Shadow() = default;
  Shadow(const Shadow&) = delete;
  Shadow& operator=(const Shadow&) = delete;

  void lay_out(Region& region, std::uintptr_t begin, std::size_t bytes);  // drops what was there
  void clear(Region& region);

  // The cells of `bytes` (1, 2, 4, 8 or 16, a multiple of which `address` is): the first of them
  // and how many.
  struct Cells {
    Cell* first;
    int count;
  };
  Cells cells(Region& region, std::uintptr_t address, int exponent) {
    Page& page = region.page(address);
    if (page.cells == nullptr || page.size > exponent) refine(region, page, exponent);
    return {page.cells + ((address & (page_bytes - 1)) >> page.size), 1 << (exponent - page.size)};
  }
  // by the host
  void mark(Region& region, std::uintptr_t address, std::size_t bytes, bool written);

  ReadSet& reads(const Cell& cell) { return sets_[cell.read]; }
  void make_set(Cell& cell);  // of the single read that it has
  void drop_reads(Cell& cell) {
    if (cell.read_site == reads_are_set)
      free_sets_.push_back(cell.read), sets_[cell.read].entries.clear();
    cell.read = 0;
    cell.read_site = 0;
  }
  void forget_epochs(Region& region);  // whatever was written was so by the host

 private:
  void refine(Region& region, Page& page, int exponent);
  Cell* take(int exponent);
  void give_back(Page& page);

  std::vector<std::vector<Cell>> slabs_;
  std::size_t slab_used_ = 0;
  std::vector<Cell*> free_[coarsest + 1];
  std::vector<ReadSet> sets_;
  std::vector<std::uint64_t> free_sets_;
};

// One access by width: exponent of two, 0 to 4. Chunks of a longer one are aligned pieces, as large
// as can be.
inline int chunk_exponent(std::uintptr_t address, std::size_t bytes) {
  int exponent = address % 16 == 0 ? coarsest : __builtin_ctzll(address);
  while ((std::size_t{1} << exponent) > bytes) --exponent;
  return exponent;
}

}  // namespace abn::emulator
