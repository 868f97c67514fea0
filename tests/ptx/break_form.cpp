// Breaks, by other functions for the instructions of a program.
#include "tests/ptx/break_form.hpp"

#include <optional>

#include "cuda/ptx/state/warp.hpp"

namespace abn::ptx::test {
namespace {

unsigned bit_to_turn = 0;

void pass_by(Warp&, const Instruction&, std::uint32_t) {}

struct Result {
  std::size_t place = 0;
  bool predicate = false;
};

/// The first result that the instruction keeps: "_" is none.
std::optional<Result> result_of(const Instruction& in) {
  std::size_t place = 0;
  for (const Pattern& pattern : in.form->operands) {
    if (pattern.kind == Pattern::Kind::label || pattern.kind == Pattern::Kind::constant) continue;
    const std::size_t parts =
        pattern.kind == Pattern::Kind::value && pattern.count > 1 ? pattern.count : 1;
    for (std::size_t i = 0; i < parts; ++i, ++place)
      if (pattern.result && in.at[place].present()) return Result{place, pattern.bytes == 0};
    if (pattern.pair && pattern.result && in.at[place].present()) return Result{place, true};
    place += pattern.pair ? 1 : 0;
  }
  return {};
}

void turn_a_bit(Warp& warp, const Instruction& in, std::uint32_t mask) {
  in.form->handler(warp, in, mask);
  const Result result = *result_of(in);
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    if (result.predicate)
      warp.write<std::uint32_t>(in.at[result.place])[lane] ^= ~std::uint32_t{0};
    else if ((in.wide >> result.place & 1) != 0)
      warp.write<std::uint64_t>(in.at[result.place])[lane] ^= std::uint64_t{1} << bit_to_turn;
    else
      warp.write<std::uint32_t>(in.at[result.place])[lane] ^= std::uint32_t{1} << bit_to_turn;
  }
}

}  // namespace

bool has_effect(const Form& form) {
  // A sleep only takes time, and nobody looks at the bits of a policy for the cache.
  if (form.name == "nanosleep.u32" || form.name.starts_with("createpolicy.")) return false;
  // All that do nothing share three functions; fences do more than theirs, by Control::pause.
  return form.control != Control::none ||
         (form.handler != find_form("griddepcontrol.wait")->handler &&
          form.handler != find_form("prefetch.global.L2::evict_last")->handler &&
          form.handler != find_form("cp.async.bulk.prefetch.L2.global")->handler);
}

void break_form(Program& program, const Form& form, unsigned bit) {
  bit_to_turn = bit;
  for (Instruction& in : program.code) {
    if (in.form != &form) continue;
    if (result_of(in)) {
      in.handler = turn_a_bit;
    } else if (&in != &program.code.back()) {  // the last one ends the kernel
      in.control = Control::none, in.handler = pass_by;
    }
  }
}

}  // namespace abn::ptx::test
