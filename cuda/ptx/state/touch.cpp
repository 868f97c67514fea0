// Pages are made when they are first touched, and made finer when a finer access comes.
#include "cuda/ptx/state/touch.hpp"

namespace abn::ptx {
namespace {

Cell copy_of(const Cell& cell) {
  Cell copy{cell.store, cell.load, cell.loaded_by, nullptr};
  if (cell.loads != nullptr) copy.loads = std::make_unique<std::vector<Loads>>(*cell.loads);
  return copy;
}

}  // namespace

Touched::Cells Touched::cells(std::uint64_t begin, std::uint64_t end, std::uint64_t address,
                              unsigned exponent) {
  const std::uint64_t first = begin >> page_shift;
  if (pages_.empty()) pages_.resize((end >> page_shift) - first + 1);
  Page& page = pages_[(address >> page_shift) - first];
  if (page.cells == nullptr) {
    page.cells = std::shared_ptr<Cell[]>(new Cell[page_bytes >> exponent]);
    page.exponent = exponent;
  } else if (page.exponent > exponent) {
    const std::size_t count = page_bytes >> exponent;
    const std::shared_ptr<Cell[]> finer(new Cell[count]);
    for (std::size_t i = 0; i < count; ++i)
      finer[i] = copy_of(page.cells[i >> (page.exponent - exponent)]);
    page.cells = finer, page.exponent = exponent;
  }
  return {&page.cells[(address & (page_bytes - 1)) >> page.exponent],
          1 << (exponent - page.exponent), std::uint64_t{1} << page.exponent};
}

}  // namespace abn::ptx
