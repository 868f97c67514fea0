// From statements to instructions: forms are looked up, operands held against their patterns, and
// names resolved to registers, constants, symbols and labels.
#include "cuda/ptx/run/decode.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>
#include <unordered_map>

#include "cuda/ptx/forms/approximation.hpp"
#include "cuda/ptx/read/parser.hpp"
#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/run/fuse.hpp"
#include "cuda/ptx/run/names.hpp"
#include "cuda/ptx/run/registers.hpp"
#include "cuda/ptx/state/memory.hpp"
#include "cuda/ptx/state/special.hpp"

namespace abn::ptx {
namespace {

class Decoder {
 public:
  Decoder(const Module& module, const Kernel& kernel, const Symbols& symbols)
      : kernel_(kernel), names_(program_, symbols) {
    program_.kernel = &kernel, program_.module = &module;
  }

  Program decode() {
    const Body body = parse_body(kernel_);
    names_.declare(body);
    for (const Statement& statement : body.statements) {
      if (!statement.label.empty()) {
        labels_[statement.label] = pending_.size();
        continue;
      }
      pending_.push_back(instruction_of(statement));
    }
    // Whoever runs past the last instruction has returned.
    Statement end;
    end.line = body.statements.empty() ? kernel_.line : body.statements.back().line;
    end.opcode = "ret";
    pending_.push_back(instruction_of(end));
    resolve_labels();
    if (approximation() == Approximation::fused) fuse(pending_, labels());
    place();
    return std::move(program_);
  }

 private:
  [[noreturn]] void refuse_here(const Statement& statement, const std::string& what) const {
    refuse(statement.line, kernel_.name, what);
  }

  std::uint64_t immediate(const Statement& statement, const Operand& operand,
                          const Pattern& pattern) const {
    switch (operand.kind) {
      case Operand::Kind::real32:
        if (pattern.bytes != 4)
          refuse_here(statement, "a constant of 32 bits for an operand of " +
                                     std::to_string(8 * pattern.bytes) +
                                     " bits; give it the operand's type");
        return operand.bits;
      case Operand::Kind::real64:
        if (pattern.bytes == 4)
          return std::bit_cast<std::uint32_t>(
              static_cast<float>(std::bit_cast<double>(operand.bits)));
        return operand.bits;
      default:
        break;
    }
    if (pattern.bytes == 0) return operand.bits != 0 ? full_mask : 0;
    return pattern.bytes == 8 ? operand.bits
                              : operand.bits & ((std::uint64_t{1} << 8 * pattern.bytes) - 1);
  }

  /// One scalar: a register, a special register, a symbol or a constant.
  Source value(const Statement& statement, const Operand& operand, const Pattern& pattern,
               Pending& pending, std::size_t place) {
    if (operand.kind == Operand::Kind::sink) {
      if (!pattern.result) refuse_here(statement, "'_' stands where a value is read; name one");
      return {};
    }
    if (operand.kind == Operand::Kind::address || operand.kind == Operand::Kind::vector)
      refuse_here(statement, "an operand of " + std::string(statement.opcode) +
                                 " has brackets that it must not have; take them off");
    const bool wide = pattern.bytes == 8;
    if (operand.kind != Operand::Kind::name) {
      if (pattern.result) refuse_here(statement, "a result is a constant; name a register");
      return names_.constant(immediate(statement, operand, pattern), wide);
    }
    if (operand.negated) refuse_here(statement, "'!' of an operand is not known; negate it before");
    if (const Register* const reg = names_.find(operand.name)) {
      check_width(statement, operand, *reg, pattern);
      if (reg->bytes == 8)
        pending.instruction.wide =
            static_cast<std::uint16_t>(pending.instruction.wide | 1U << place);
      if (place == 0) pending.instruction.first_bytes = reg->bytes == 0 ? 4 : reg->bytes;
      return {Source::Kind::reg, reg->number};
    }
    if (const std::optional<Special> special = special_of(operand.name))
      return names_.special(*special);
    if (operand.name == "WARP_SZ") return names_.constant(lanes, wide);
    if (const std::uint64_t* const address = names_.address_of(operand.name))
      return names_.constant(*address, wide);
    refuse_here(statement, "\"" + std::string(operand.name) +
                               "\" is neither a register nor a symbol that is known; declare it");
  }

  void check_width(const Statement& statement, const Operand& operand, const Register& reg,
                   const Pattern& pattern) const {
    const bool fits = pattern.bytes == 0 || reg.bytes == 0 ? pattern.bytes == reg.bytes
                      : pattern.wider                      ? reg.bytes >= pattern.bytes
                                      : reg.bytes == std::max<std::uint8_t>(pattern.bytes, 2);
    if (fits) return;
    const auto words = [](unsigned bytes) {
      return bytes == 0 ? std::string("a predicate") : std::to_string(8 * bytes) + " bits";
    };
    refuse_here(statement, std::string(statement.opcode) + " takes " + words(pattern.bytes) +
                               " and " + std::string(operand.name) + " has " + words(reg.bytes) +
                               "; use a register of the right type");
  }

  void address(const Statement& statement, const Operand& operand, Pending& pending,
               std::size_t place, std::uint64_t& offset, bool global) {
    if (operand.kind != Operand::Kind::address)
      refuse_here(statement, std::string(statement.opcode) +
                                 " wants an address in brackets; write [register+offset]");
    offset = operand.bits;
    Source& source = pending.sources[place];
    if (operand.name.empty()) {
      source = names_.constant(0, true);
      pending.instruction.wide |= static_cast<std::uint16_t>(1U << place);
    } else if (const Register* const reg = names_.find(operand.name)) {
      if (reg->bytes != 4 && reg->bytes != 8)
        refuse_here(statement, "an address in register " + std::string(operand.name) +
                                   ", which has too few bits; use one of 64");
      const Space space = pending.instruction.form->space;
      if (reg->bytes == 4 && (space != Space::shared || global))
        refuse_here(statement, "an address of 32 bits in register " + std::string(operand.name) +
                                   " for memory that has 64; pass a pointer as \"l\"");
      source = {Source::Kind::reg, reg->number};
      if (reg->bytes == 8) pending.instruction.wide |= static_cast<std::uint16_t>(1U << place);
    } else if (const std::uint64_t* const symbol = names_.address_of(operand.name)) {
      source = names_.constant(*symbol, true);
      pending.instruction.wide |= static_cast<std::uint16_t>(1U << place);
    } else {
      refuse_here(statement,
                  "\"" + std::string(operand.name) + "\" is not known as an address; declare it");
    }
  }

  const Form& form_of(const Statement& statement, std::uint8_t& flags) const {
    Normalised normalised = normalise(statement.opcode);
    flags = normalised.flags;
    if (normalised.name.starts_with("mov.b"))
      for (std::size_t i = 0; i < 2 && i < statement.operands.size(); ++i)
        if (statement.operands[i].kind == Operand::Kind::vector)
          normalised.name += (i == 0 ? "{unpack" : "{pack") +
                             std::to_string(statement.operands[i].parts.size()) + "}";
    const Form* const form = find_form(normalised.name);
    if (form == nullptr)
      refuse_here(statement, "the instruction " + std::string(statement.opcode) +
                                 " is not known; add a row for " + normalised.name +
                                 " to cuda/ptx/forms or avoid it");
    return *form;
  }

  Pending instruction_of(const Statement& statement) {
    Pending pending;
    Instruction& in = pending.instruction;
    const Form& form = form_of(statement, in.flags);
    in.form = &form, in.handler = form.handler, in.control = form.control;
    in.line = statement.line, in.source = statement.source, in.outermost = statement.outermost;
    if (!statement.guard.empty()) {
      const Register* const reg = names_.find(statement.guard);
      if (reg == nullptr || reg->bytes != 0)
        refuse_here(statement, std::string(statement.guard) +
                                   " guards an instruction and is not a predicate; declare it");
      pending.guard = {Source::Kind::reg, reg->number};
      in.guard_negated = statement.guard_negated;
    }
    std::size_t place = 0, given = 0;
    std::uint64_t* const offsets[] = {&in.offset, &in.second_offset, &in.third_offset};
    std::size_t addresses = 0;
    const std::size_t operands =
        statement.operands.size() - ((in.flags & flag_cache_hint) != 0 ? 1 : 0);
    for (const Pattern& pattern : form.operands) {
      if (given == operands) {
        if (pattern.optional) break;
        refuse_here(statement, std::string(statement.opcode) + " has too few operands; it takes " +
                                   std::to_string(form.operands.size()));
      }
      const Operand& operand = statement.operands[given++];
      if (place + pattern.count + 1 > most_places)
        refuse_here(statement, "too many operands; see cuda/ptx/state/warp.hpp");
      switch (pattern.kind) {
        case Pattern::Kind::label:
          pending.label = operand.name, pending.is_branch = true;
          break;
        case Pattern::Kind::constant:
          if (operand.kind != Operand::Kind::integer)
            refuse_here(statement,
                        std::string(statement.opcode) + " wants a constant; write a number");
          *offsets[std::min<std::size_t>(addresses, 2)] = operand.bits;
          break;
        case Pattern::Kind::address:
          address(statement, operand, pending, place,
                  *offsets[std::min<std::size_t>(addresses++, 2)], pattern.global);
          ++place;
          break;
        case Pattern::Kind::value:
          place = values(statement, operand, pattern, pending, place);
          break;
      }
    }
    if (given != operands)
      refuse_here(statement, std::string(statement.opcode) + " has too many operands; it takes " +
                                 std::to_string(form.operands.size()));
    in.places = static_cast<std::uint8_t>(place);
    return pending;
  }

  std::size_t values(const Statement& statement, const Operand& operand, const Pattern& pattern,
                     Pending& pending, std::size_t place) {
    if (pattern.count > 1) {
      if (operand.kind != Operand::Kind::vector || operand.parts.size() != pattern.count)
        refuse_here(statement, std::string(statement.opcode) + " wants {" +
                                   std::to_string(pattern.count) + " values}; write as many");
      for (const Operand& part : operand.parts) {
        pending.sources[place] = value(statement, part, pattern, pending, place);
        ++place;
      }
      return place;
    }
    // Triton writes "ld.global.b32 { %r1 }, [%rd1]".
    const bool one_in_braces =
        operand.kind == Operand::Kind::vector && operand.parts.size() == 1 &&
        (statement.opcode.starts_with("ld.") || statement.opcode.starts_with("st."));
    pending.sources[place] =
        value(statement, one_in_braces ? operand.parts.front() : operand, pattern, pending, place);
    ++place;
    if (pattern.pair) {
      if (!operand.second.empty() && operand.second != "_") {
        Operand second;
        second.name = operand.second;
        Pattern predicate = pattern;
        predicate.bytes = 0;
        pending.sources[place] = value(statement, second, predicate, pending, place);
      }
      ++place;
    } else if (!operand.second.empty()) {
      refuse_here(statement, std::string(statement.opcode) +
                                 " has one result and not a pair; take off what follows '|'");
    }
    return place;
  }

  void resolve_labels() {
    for (Pending& pending : pending_) {
      if (!pending.is_branch) continue;
      const auto at = labels_.find(pending.label);
      if (at == labels_.end())
        refuse(pending.instruction.line, kernel_.name,
               "there is no label " + std::string(pending.label) + "; write one");
      pending.instruction.target = static_cast<std::uint32_t>(at->second);
    }
  }

  /// Where other instructions than the one before may come from.
  std::set<std::size_t> labels() const {
    std::set<std::size_t> all;
    for (const auto& [name, index] : labels_) all.insert(index);
    return all;
  }

  void place() {
    std::vector<Uses> code;
    // Special registers are written before the first instruction.
    Uses before;
    for (const auto& [special, number] : names_.specials()) before.written.push_back(number);
    code.push_back(before);
    for (const Pending& pending : pending_) {
      Uses uses;
      const std::array<bool, most_places> result = results_of(*pending.instruction.form);
      for (std::size_t i = 0; i < most_places; ++i)
        if (pending.sources[i].kind == Source::Kind::reg)
          (result[i] ? uses.written : uses.read).push_back(pending.sources[i].number);
      if (pending.guard.kind == Source::Kind::reg) {
        uses.read.push_back(pending.guard.number);
        uses.conditional = true;
      }
      if (pending.is_branch) {
        uses.target = pending.instruction.target + 1;
        uses.falls_through = pending.guard.kind == Source::Kind::reg;
      } else if (pending.instruction.control == Control::exit) {
        uses.falls_through = pending.guard.kind == Source::Kind::reg;
      }
      code.push_back(std::move(uses));
    }
    const std::vector<std::uint32_t> offsets =
        place_registers(code, names_.widths(), program_.register_bytes);
    const auto place_of = [&](const Source& source) {
      Place at;
      if (source.kind == Source::Kind::reg) at.bits = offsets[source.number];
      if (source.kind == Source::Kind::constant) at.bits = source.number | Place::constant_bit;
      return at;
    };
    for (const auto& [special, number] : names_.specials())
      program_.specials.emplace_back(special, Place{offsets[number]});
    program_.code.reserve(pending_.size());
    for (Pending& pending : pending_) {
      for (std::size_t i = 0; i < most_places; ++i)
        pending.instruction.at[i] = place_of(pending.sources[i]);
      pending.instruction.guard = place_of(pending.guard);
      program_.code.push_back(pending.instruction);
    }
  }

  const Kernel& kernel_;
  Program program_;
  Names names_;
  std::unordered_map<std::string_view, std::size_t> labels_;
  std::vector<Pending> pending_;
};

}  // namespace

Program decode(const Module& module, const Kernel& kernel, const Symbols& symbols) {
  return Decoder(module, kernel, symbols).decode();
}

}  // namespace abn::ptx
