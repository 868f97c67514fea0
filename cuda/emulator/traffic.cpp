// The sums over the requests of a warp.
#include "cuda/emulator/traffic.hpp"

namespace abn::emulator {

void Flow::count(std::uint64_t& bytes, std::uint64_t& requests, std::uint64_t& sectors) {
  bytes += bytes_;
  requests += requests_.size();
  for (const auto* list : {&requests_, &more_})
    for (const Request& request : *list)
      sectors += static_cast<unsigned>(std::popcount(request.sectors));
  bytes_ = 0;
  passes_.fill(0);
  requests_.clear();
  more_.clear();
}

void WarpTraffic::count(const std::vector<FlowKind>& kinds, std::vector<Traffic>& buffers) {
  for (const std::uint32_t number : busy) {
    const FlowKind& kind = kinds[number];
    Traffic& buffer = buffers[static_cast<std::size_t>(kind.buffer)];
    if (kind.store)
      flows[number]->count(buffer.bytes_stored, buffer.store_requests, buffer.store_sectors);
    else
      flows[number]->count(buffer.bytes_loaded, buffer.load_requests, buffer.load_sectors);
  }
  busy.clear();
}

}  // namespace abn::emulator
