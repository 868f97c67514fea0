// Registers are numbered as they are declared; variables of shared memory lie one behind the other,
// those without a size of their own, whose size the launch says, at the end.
#include "cuda/ptx/run/names.hpp"

#include <algorithm>
#include <cstring>

#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/state/memory.hpp"

namespace abn::ptx {

void Names::declare(const Body& body) {
  declare_registers(body);
  declare_variables(body);
}

const Register* Names::find(std::string_view name) const {
  const auto at = registers_.find(name);
  return at == registers_.end() ? nullptr : &at->second;
}

void Names::declare_register(std::string_view name, std::uint8_t bytes) {
  const auto number = static_cast<std::uint32_t>(widths_.size());
  widths_.push_back(bytes == 8 ? 8 : 4);
  if (!registers_.emplace(name, Register{number, bytes}).second)
    refuse(program_.kernel->line, program_.kernel->name,
           "register " + std::string(name) + " is declared twice; rename one");
}
void Names::declare_registers(const Body& body) {
  for (const Registers& range : body.registers) {
    const auto bytes = static_cast<std::uint8_t>(range.bytes);
    if (range.count == 0) declare_register(range.name, bytes);
    for (std::uint32_t i = 0; i < range.count; ++i) {
      texts_.push_back(std::string(range.name) + std::to_string(i));
      declare_register(texts_.back(), bytes);
    }
  }
}

void Names::declare_variables(const Body& body) {
  std::uint64_t shared = 0, local = 0;
  const auto place = [](std::uint64_t& total, const Variable& variable) {
    const std::uint64_t at = (total + variable.align - 1) / variable.align * variable.align;
    total = at + variable.bytes;
    return at;
  };
  std::vector<const Variable*> dynamic;
  for (const auto* list : {&program_.module->variables, &body.variables})
    for (const Variable& variable : *list) {
      if (variable.space == Space::local)
        addresses_[variable.name] = local_window + place(local, variable);
      else if (variable.space == Space::shared && variable.external)
        dynamic.push_back(&variable);
      else if (variable.space == Space::shared)
        addresses_[variable.name] = shared_begin + place(shared, variable);
    }
  std::uint64_t align = 16;
  for (const Variable* const variable : dynamic) align = std::max(align, variable->align);
  if (!dynamic.empty()) shared = (shared + align - 1) / align * align;
  for (const Variable* const variable : dynamic) addresses_[variable->name] = shared_begin + shared;
  for (const Parameter& parameter : program_.kernel->parameters)
    addresses_[parameter.name] = parameter_window + parameter.offset;
  constexpr std::uint64_t most = std::uint64_t{1} << 24;
  if (shared >= most || local >= most)
    refuse(program_.kernel->line, program_.kernel->name,
           "its variables of shared or local memory take more than 16 MiB; make them smaller");
  program_.static_shared = static_cast<std::uint32_t>(shared);
  program_.local_bytes = static_cast<std::uint32_t>((local + 15) / 16 * 16);
}

const std::uint64_t* Names::address_of(std::string_view name) const {
  if (const auto at = addresses_.find(std::string(name)); at != addresses_.end())
    return &at->second;
  if (const auto at = symbols_.find(name); at != symbols_.end()) return &at->second;
  return nullptr;
}

/// All lanes of a constant. One of 64 bits serves for both widths only where it is asked for.
Source Names::constant(std::uint64_t bits, bool wide) {
  const auto [at, added] = constants_.emplace(std::pair(bits, wide), 0);
  if (added) {
    at->second = static_cast<std::uint32_t>(program_.constants.size());
    const std::size_t width = wide ? 8 : 4;
    program_.constants.resize(at->second + width * lanes);
    for (unsigned i = 0; i < lanes; ++i)
      std::memcpy(program_.constants.data() + at->second + i * width, &bits, width);
  }
  return {Source::Kind::constant, at->second};
}

Source Names::special(Special special) {
  const auto [at, added] = specials_.emplace(special, static_cast<std::uint32_t>(widths_.size()));
  if (added) widths_.push_back(4);
  return {Source::Kind::reg, at->second};
}

}  // namespace abn::ptx
