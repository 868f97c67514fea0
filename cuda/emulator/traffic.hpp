// Counts what a launch moves between buffers and threads, as a GPU would: by requests of warps and
// 32-byte sectors.
//
// On a GPU the lanes of a warp execute one load together, a request, and it moves the sectors that
// they touch, each once. Here the lanes run one after another, so requests are put together
// afterwards: the n-th time that a lane passes a site belongs to the same request as the n-th time
// that another lane of its warp does. Counting begins anew at each barrier and at each warp
// operation that takes the whole warp, where the lanes are together on a GPU as well.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/emulator/report.h"

namespace abn::emulator {

// From one site to one buffer, by one warp.
class Flow {
 public:
  void pass(unsigned lane, std::uintptr_t address, unsigned bytes) {
    const std::uint32_t turn = passes_[lane]++;
    if (turn == requests_.size()) requests_.push_back({address >> window_shift, 0, none});
    bytes_ += bytes;
    std::uint64_t bit = std::uint64_t{1} << (address >> sector_shift & 63);
    std::uint64_t window = address >> window_shift;
    Request* request = &requests_[turn];
    while (request->window != window) {
      if (request->next == none) {
        request->next = static_cast<std::uint32_t>(more_.size());
        more_.push_back({window, bit, none});
        return;
      }
      request = &more_[request->next];
    }
    request->sectors |= bit;
  }
  bool idle() const { return requests_.empty(); }
  // Adds everything to the sums and begins anew.
  void count(std::uint64_t& bytes, std::uint64_t& requests, std::uint64_t& sectors);

 private:
  static constexpr int sector_shift = 5, window_shift = 11;
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  struct Request {
    std::uint64_t window;   // 64 sectors
    std::uint64_t sectors;  // of the window, one a bit
    std::uint32_t next;     // in more_: another window of the same request
  };
  std::array<std::uint32_t, 32> passes_{};
  std::uint64_t bytes_ = 0;
  std::vector<Request> requests_, more_;
};

// The flows of a session are numbered; each warp has those that it uses.
struct FlowKind {
  std::uint32_t site;
  int buffer;
  bool store;
};
struct WarpTraffic {
  std::vector<std::unique_ptr<Flow>> flows;  // by number
  std::vector<std::uint32_t> busy;           // those with something to count
  Flow& flow(std::uint32_t number) {
    if (number >= flows.size()) flows.resize(number + 1);
    std::unique_ptr<Flow>& flow = flows[number];
    if (!flow) flow = std::make_unique<Flow>();
    if (flow->idle()) busy.push_back(number);
    return *flow;
  }
  void count(const std::vector<FlowKind>& kinds, std::vector<Traffic>& buffers);
};

}  // namespace abn::emulator
