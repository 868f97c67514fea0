// An instruction form is an opcode with its modifiers, such as "add.rn.f32": what operands it has
// and the function that does it for the 32 lanes of a warp. The table of all forms that are known
// is made of rows in the other files of this folder; an opcode without a row is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/ptx/read/module.hpp"

namespace abn::ptx {

inline constexpr unsigned lanes = 32;
inline constexpr std::uint32_t full_mask = 0xffffffffU;

struct Warp;
struct Instruction;
using Handler = void (*)(Warp& warp, const Instruction& instruction, std::uint32_t mask);

/// What the runner has to do beside calling the handler.
enum class Control : std::uint8_t {
  none,
  branch,
  exit,
  trap,
  barrier,         ///< of the block; the handler is not called
  barrier_arrive,  ///< likewise, without waiting
  cluster_arrive,
  cluster_wait,
  together,  ///< the lanes that the operand `members` names have to come here, too
  pause,     ///< others may run first: a sleep, or a poll
};

/// One operand of a form.
struct Pattern {
  enum class Kind : std::uint8_t { value, address, label, constant };
  Kind kind = Kind::value;
  bool result = false;
  bool pair = false;       ///< may be written %p|%q, where the second is a predicate
  bool wider = false;      ///< a register may have more bits than the type
  bool optional = false;   ///< may be left out, at the end
  bool global = false;     ///< an address of 64 bits, whatever the form's space is
  std::uint8_t count = 1;  ///< of a vector; 0: a scalar, or a vector of any length
  std::uint8_t bytes = 4;  ///< of each; 0: a predicate
};

struct Form {
  std::string name{};
  /// As in "=4 4 4": '=' a result, digits the bytes, p a predicate, "=4x2" a vector of two, '@' an
  /// address, 'G' one of global memory, 'L' a label, '#' an integer constant, '+' behind the bytes:
  /// a register may be wider, '|' may be a pair with a predicate, '?' in front: may be left out.
  std::string signature{};
  Handler handler = nullptr;
  Control control = Control::none;
  Space space = Space::generic;  ///< of its address
  std::uint8_t members = 0;      ///< of Control::together: the operand with the mask
  std::uint8_t variant = 0;      ///< what a handler of several forms has to tell apart
  std::vector<Pattern> operands{};
};

/// Modifiers that change nothing that is computed, and are taken off before a form is looked up.
enum Flag : std::uint8_t {
  flag_non_coherent = 1,  ///< .nc
  flag_ordered = 2,       ///< .acquire, .release, .acq_rel, .relaxed, .volatile
  flag_cache_hint = 4,    ///< .L2::cache_hint, with one more operand
  flag_releases = 8,      ///< .release and .acq_rel
  flag_acquires = 16,     ///< .acquire and .acq_rel
  flag_of_block = 32,     ///< .cta
};

/// The opcode as the table knows it.
struct Normalised {
  std::string name{};
  std::uint8_t flags = 0;
};
Normalised normalise(std::string_view opcode);

class Table {
 public:
  Form& add(std::string name, std::string signature, Handler handler,
            Control control = Control::none);
  const std::vector<Form>& all() const { return forms_; }

 private:
  std::vector<Form> forms_;
};

/// Every form that is known.
const std::vector<Form>& all_forms();
/// Null where there is none.
const Form* find_form(std::string_view name);
/// Two instructions in one rounding, with the operands of the mul and then the other one of the add
/// or sub: "mul+add.f32" is a*b + c, "mul+sub.f32" a*b - c and "sub+mul.f32" c - a*b, with .ftz and
/// .sat as in add.ftz.sat.f32. No PTX has these names.
const std::vector<Form>& all_fused_forms();
const Form* find_fused_form(std::string_view name);

// The files of this folder, each with its rows.
void add_integer_forms(Table& table);
void add_float_forms(Table& table);
void add_half_forms(Table& table);
void add_fused_float_forms(Table& table);
void add_fused_half_forms(Table& table);
void add_comparison_forms(Table& table);
void add_logic_forms(Table& table);
void add_move_forms(Table& table);
void add_integer_conversion_forms(Table& table);
void add_float_conversion_forms(Table& table);
void add_approximate_forms(Table& table);
void add_memory_forms(Table& table);
void add_address_forms(Table& table);
void add_atomic_forms(Table& table);
void add_warp_forms(Table& table);
void add_copy_forms(Table& table);
void add_mbarrier_forms(Table& table);
void add_bulk_forms(Table& table);
void add_control_forms(Table& table);

}  // namespace abn::ptx
