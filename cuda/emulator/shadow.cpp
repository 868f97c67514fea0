// Pages of cells: made when they are first touched, made finer when a finer access comes.
#include "cuda/emulator/shadow.hpp"

#include <algorithm>

namespace abn::emulator {
namespace {

constexpr std::size_t slab_cells = 1 << 16;

constexpr std::size_t cells_of(int exponent) { return page_bytes >> exponent; }

}  // namespace

Cell* Shadow::take(int exponent) {
  if (!free_[exponent].empty()) {
    Cell* cells = free_[exponent].back();
    free_[exponent].pop_back();
    return cells;
  }
  const std::size_t count = cells_of(exponent);
  if (slabs_.empty() || slab_used_ + count > slab_cells) {
    slabs_.emplace_back(slab_cells);
    slab_used_ = 0;
  }
  Cell* cells = slabs_.back().data() + slab_used_;
  slab_used_ += count;
  return cells;
}

void Shadow::give_back(Page& page) {
  if (page.cells == nullptr) return;
  for (std::size_t i = 0; i < cells_of(page.size); ++i) drop_reads(page.cells[i]);
  free_[page.size].push_back(page.cells);
  page = {};
}

[[gnu::noinline]] void Shadow::refine(Region& region, Page& page, int exponent) {
  Cell* finer = take(exponent);
  const std::size_t count = cells_of(exponent);
  if (page.cells == nullptr) {
    const Cell first{region.written ? make_epoch(host_actor, 0, 0) : 0, 0, 0, 0};
    std::fill(finer, finer + count, first);
  } else {
    const std::size_t pieces = std::size_t{1} << (page.size - exponent);
    for (std::size_t i = 0; i < count; ++i) {
      const Cell& coarse = page.cells[i / pieces];
      finer[i] = coarse;
      if (coarse.read_site != reads_are_set) continue;
      finer[i].read = 0, finer[i].read_site = 0;
      make_set(finer[i]);
      reads(finer[i]).entries = reads(coarse).entries;
    }
    give_back(page);
  }
  page.cells = finer;
  page.size = exponent;
}

void Shadow::make_set(Cell& cell) {
  std::uint64_t number;
  if (free_sets_.empty()) {
    number = sets_.size();
    sets_.emplace_back();
  } else {
    number = free_sets_.back();
    free_sets_.pop_back();
  }
  if (cell.read != 0) {
    constexpr Epoch lane_bits = Epoch{31} << time_bits;
    sets_[number].entries.push_back(
        {cell.read & ~lane_bits, 1u << (rank_of(cell.read) & 31), cell.read_site});
  }
  cell.read = number;
  cell.read_site = reads_are_set;
}

void Shadow::lay_out(Region& region, std::uintptr_t begin, std::size_t bytes) {
  clear(region);
  region.begin = begin;
  region.end = begin + bytes;
  region.first_page = begin >> page_shift;
  region.pages.assign(bytes == 0 ? 0 : ((region.end - 1) >> page_shift) - region.first_page + 1,
                      Page{});
}

void Shadow::clear(Region& region) {
  for (Page& page : region.pages) give_back(page);
}

void Shadow::mark(Region& region, std::uintptr_t address, std::size_t bytes, bool written) {
  while (bytes > 0) {
    const int exponent = chunk_exponent(address, bytes);
    const Cells range = cells(region, address, exponent);
    for (Cell* cell = range.first; cell < range.first + range.count; ++cell) {
      drop_reads(*cell);
      *cell = {written ? make_epoch(host_actor, 0, 0) : 0, 0, 0, 0};
    }
    address += std::size_t{1} << exponent;
    bytes -= std::size_t{1} << exponent;
  }
}

void Shadow::forget_epochs(Region& region) {
  for (Page& page : region.pages) {
    if (page.cells == nullptr) continue;
    for (std::size_t i = 0; i < cells_of(page.size); ++i) {
      Cell& cell = page.cells[i];
      drop_reads(cell);
      if (cell.write != 0) cell.write = make_epoch(host_actor, 0, 0);
    }
  }
}

}  // namespace abn::emulator
