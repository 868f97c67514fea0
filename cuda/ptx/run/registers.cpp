// Live ranges by data flow over basic blocks, as one interval a register, and a linear scan over
// them. An interval that spans a loop's branch back is alive in all of the loop, as the data flow
// says it is at both of its ends.
#include "cuda/ptx/run/registers.hpp"

#include <algorithm>
#include <bit>
#include <map>

#include "cuda/ptx/state/form.hpp"

namespace abn::ptx {
namespace {

class Bits {
 public:
  explicit Bits(std::size_t count) : words_((count + 63) / 64) {}
  void set(std::uint32_t bit) { words_[bit / 64] |= std::uint64_t{1} << bit % 64; }
  /// Adds (others - killed); true where anything is new.
  bool add(const Bits& others, const Bits& killed) {
    bool changed = false;
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const std::uint64_t sum = words_[i] | (others.words_[i] & ~killed.words_[i]);
      changed = changed || sum != words_[i];
      words_[i] = sum;
    }
    return changed;
  }
  bool test(std::uint32_t bit) const { return (words_[bit / 64] >> bit % 64 & 1) != 0; }
  template <class Function>
  void each(const Function& function) const {
    for (std::size_t i = 0; i < words_.size(); ++i)
      for (std::uint64_t word = words_[i]; word != 0; word &= word - 1)
        function(static_cast<std::uint32_t>(64 * i + std::countr_zero(word)));
  }

 private:
  std::vector<std::uint64_t> words_;
};

struct BasicBlock {
  BasicBlock(std::size_t from, std::size_t registers)
      : begin(from), in(registers), out(registers), killed(registers) {}
  std::size_t begin, end = 0;
  Bits in, out, killed;
  std::vector<std::size_t> next{};
};

std::vector<BasicBlock> blocks_of(const std::vector<Uses>& code, std::size_t registers) {
  std::vector<bool> leader(code.size() + 1, false);
  leader[0] = true;
  for (std::size_t i = 0; i < code.size(); ++i)
    if (code[i].target >= 0 || !code[i].falls_through) {
      leader[i + 1] = true;
      if (code[i].target >= 0) leader[static_cast<std::size_t>(code[i].target)] = true;
    }
  std::vector<BasicBlock> blocks;
  std::map<std::size_t, std::size_t> at;
  for (std::size_t i = 0; i < code.size(); ++i)
    if (leader[i]) at.emplace(i, blocks.size()), blocks.emplace_back(i, registers);
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    BasicBlock& block = blocks[b];
    block.end = b + 1 < blocks.size() ? blocks[b + 1].begin : code.size();
    const Uses& last = code[block.end - 1];
    if (last.target >= 0)
      if (const auto to = at.find(static_cast<std::size_t>(last.target)); to != at.end())
        block.next.push_back(to->second);
    if (last.falls_through && b + 1 < blocks.size()) block.next.push_back(b + 1);
    for (std::size_t i = block.begin; i < block.end; ++i) {
      for (const std::uint32_t reg : code[i].read)
        if (!block.killed.test(reg)) block.in.set(reg);
      for (const std::uint32_t reg : code[i].written) {
        if (!code[i].conditional)
          block.killed.set(reg);
        else if (!block.killed.test(reg))
          block.in.set(reg);
      }
    }
  }
  return blocks;
}

struct Interval {
  std::size_t begin = ~std::size_t{0}, end = 0;
  void cover(std::size_t at) { begin = std::min(begin, at), end = std::max(end, at); }
};

}  // namespace

std::vector<std::uint32_t> place_registers(const std::vector<Uses>& code,
                                           const std::vector<std::uint8_t>& widths,
                                           std::uint32_t& total) {
  std::vector<std::uint32_t> offsets(widths.size(), 0);
  total = 0;
  if (code.empty()) return offsets;
  std::vector<BasicBlock> blocks = blocks_of(code, widths.size());
  const Bits none(widths.size());
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t b = blocks.size(); b-- > 0;) {
      for (const std::size_t next : blocks[b].next) blocks[b].out.add(blocks[next].in, none);
      changed = blocks[b].in.add(blocks[b].out, blocks[b].killed) || changed;
    }
  }
  std::vector<Interval> intervals(widths.size());
  for (const BasicBlock& block : blocks) {
    block.in.each([&](std::uint32_t reg) { intervals[reg].cover(block.begin); });
    block.out.each([&](std::uint32_t reg) { intervals[reg].cover(block.end); });
    for (std::size_t i = block.begin; i < block.end; ++i) {
      for (const std::uint32_t reg : code[i].read) intervals[reg].cover(i);
      for (const std::uint32_t reg : code[i].written) intervals[reg].cover(i + 1);
      // A result must not lie where an operand of the same instruction does: handlers write some
      // results before they have read everything.
      for (const std::uint32_t reg : code[i].read) intervals[reg].cover(i + 1);
    }
  }
  std::vector<std::uint32_t> order;
  for (std::uint32_t reg = 0; reg < widths.size(); ++reg)
    if (intervals[reg].begin <= intervals[reg].end) order.push_back(reg);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return intervals[a].begin < intervals[b].begin;
  });
  // One pool of places for each width.
  for (const std::uint32_t width : {4U, 8U}) {
    std::vector<std::uint32_t> free;
    std::multimap<std::size_t, std::uint32_t> busy;  // by the end of their interval
    for (const std::uint32_t reg : order) {
      if (widths[reg] != width) continue;
      while (!busy.empty() && busy.begin()->first < intervals[reg].begin)
        free.push_back(busy.begin()->second), busy.erase(busy.begin());
      if (free.empty()) {
        free.push_back(total);
        total += width * lanes;
      }
      offsets[reg] = free.back();
      free.pop_back();
      busy.emplace(intervals[reg].end, offsets[reg]);
    }
  }
  return offsets;
}

}  // namespace abn::ptx
