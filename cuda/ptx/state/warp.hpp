// A warp while it runs: the registers of its 32 lanes and where each lane stands. And an
// instruction as the runner has it, with its operands as places in those registers.
//
// A register is 32 lanes of 4 bytes, or of 8 for 64 bits. Values of 8 and 16 bits lie in the low
// bits of 4 bytes, the others 0; a predicate is 4 bytes a lane, all bits set or none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/ptx/state/clock.hpp"
#include "cuda/ptx/state/form.hpp"

namespace abn::ptx {

struct Block;

/// Where an operand lies: in the warp's registers or among the kernel's constants.
struct Place {
  static constexpr std::uint32_t constant_bit = 0x80000000U, nowhere = 0xffffffffU;
  std::uint32_t bits = nowhere;
  bool present() const { return bits != nowhere; }
};

inline constexpr std::size_t most_places = 10;

struct Instruction {
  Handler handler = nullptr;
  const Form* form = nullptr;
  Place at[most_places];     ///< operands in their order, vectors as their parts
  std::uint64_t offset = 0;  ///< added to the first address
  std::uint64_t second_offset = 0, third_offset = 0;  ///< to further ones
  Place guard;                                        ///< none: always
  std::uint32_t target = 0;                           ///< of a branch
  std::uint32_t line = 0;                             ///< of the PTX
  SourceLine source, outermost;                       ///< by .loc
  std::uint16_t wide = 0;                             ///< bit i: operand i is a register of 64 bits
  Control control = Control::none;
  bool guard_negated = false;
  std::uint8_t flags = 0;  ///< Flag
  std::uint8_t places = 0;
  std::uint8_t first_bytes = 4;  ///< of the register that is the first operand
};

/// Lanes that stand at one instruction.
struct Group {
  enum class State : std::uint8_t { ready, barrier, cluster, together };
  std::uint32_t pc = 0, mask = 0;
  State state = State::ready;
  std::uint32_t waits_for = 0;  ///< barrier: its number; together: the lanes of its mask
};

/// A copy that a lane has begun and that has not landed: of cp.async, 4 to 16 bytes.
struct LateCopy {
  std::uint64_t to = 0, from = 0;     ///< shared, global
  std::uint32_t bytes = 0, read = 0;  ///< what is not read is 0
  const Instruction* instruction = nullptr;
  Moment moment{};  ///< where accesses are looked at: as which it makes its own,
  View view{};      ///< and what its thread knew when it was begun
};

struct Warp {
  const std::byte* base[2] = {nullptr, nullptr};  ///< registers, constants
  std::byte* registers = nullptr;
  Block* block = nullptr;
  std::uint32_t number = 0;  ///< in its block
  std::uint32_t live = 0;    ///< lanes that have not returned
  std::uint32_t active = 0;  ///< lanes that the instruction is for
  std::uint32_t slices = 0;  ///< turns that ended because they had been long
  std::vector<Group> groups;
  /// Of each lane: it has arrived at the cluster's barrier, in this phase.
  std::uint32_t cluster_arrived = 0;
  std::uint64_t cluster_phase[lanes] = {};
  std::vector<std::byte> memory;  ///< behind `registers`
  std::vector<std::byte> local;   ///< of each lane in turn
  /// Of each lane: the copies of the group that is open, and of those that are committed.
  std::vector<LateCopy> open[lanes];
  std::vector<std::vector<LateCopy>> committed[lanes];
  std::uint32_t bulk_groups[lanes] = {};  ///< how many of cp.async.bulk each lane has committed

  template <class T>
  const T* read(Place place) const {
    return reinterpret_cast<const T*>(base[place.bits >> 31] + (place.bits & ~Place::constant_bit));
  }
  template <class T>
  T* write(Place place) const {
    return reinterpret_cast<T*>(registers + place.bits);
  }
};

}  // namespace abn::ptx
