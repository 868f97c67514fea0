// Words by bank, for the lanes that are served together.
#include "cuda/ptx/state/banks.hpp"

#include <algorithm>
#include <array>

#include "cuda/ptx/state/form.hpp"

namespace abn::ptx {

std::uint64_t replays_of(const std::uint64_t* addresses, std::uint32_t mask, unsigned bytes) {
  constexpr unsigned banks = 32, word_bytes = 4, turn_bytes = banks * word_bytes;
  const unsigned words = std::max(bytes / word_bytes, 1U);
  const unsigned together = std::min(lanes, turn_bytes / (words * word_bytes));
  std::uint64_t replays = 0;
  for (unsigned first = 0; first < lanes; first += together) {
    std::array<std::uint64_t, banks> seen{};  // all words that the lanes want, each once
    std::array<unsigned, banks> of_bank{};
    unsigned count = 0, turns = 0;
    for (unsigned lane = first; lane < first + together; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      for (unsigned i = 0; i < words; ++i) {
        const std::uint64_t word = addresses[lane] / word_bytes + i;
        if (std::find(seen.begin(), seen.begin() + count, word) != seen.begin() + count) continue;
        seen[count++] = word;
        turns = std::max(turns, ++of_bank[word % banks]);
      }
    }
    if (turns > 0) replays += turns - 1;
  }
  return replays;
}

}  // namespace abn::ptx
