// Ranges by address. There are few of them, and neighbours ask for the same one.
#include "cuda/ptx/state/memory.hpp"

#include <algorithm>

namespace abn::ptx {

void GlobalMemory::add(Range range) {
  if (range.watched) {
    watched_ = true;
    range.shadow.resize(range.end - range.begin, 0);
    ranges_.insert(ranges_.begin(), std::move(range));
  } else {
    ranges_.push_back(std::move(range));
  }
}

void GlobalMemory::remove(std::uint64_t begin, std::uint64_t bytes) {
  std::erase_if(ranges_, [&](const Range& range) {
    return !range.watched && range.begin >= begin && range.begin < begin + bytes;
  });
}

void GlobalMemory::forget_watched() {
  std::erase_if(ranges_, [](const Range& range) { return range.watched; });
  watched_ = false;
}

Range* GlobalMemory::find(std::uint64_t address) {
  for (Range& range : ranges_)
    if (address >= range.begin && address < range.end && !(watched_ && range.around)) return &range;
  return nullptr;
}

void GlobalMemory::begin_launch() {
  for (Range& range : ranges_) {
    range.touched.forget();
    for (std::uint8_t& byte : range.shadow)
      byte = static_cast<std::uint8_t>(byte & ~byte_stored_by_launch);
  }
}

}  // namespace abn::ptx
