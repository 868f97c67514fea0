// Within a basic block it is known which registers hold a product whose factors are unchanged.
#include "cuda/ptx/run/fuse.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace abn::ptx {

namespace {

/// Registers that hold products, with the mul that made each.
using Products = std::unordered_map<std::uint32_t, const Pending*>;

bool is_of(const Source& source, std::uint32_t reg) {
  return source.kind == Source::Kind::reg && source.number == reg;
}

/// A product is one no more when it or one of its factors is written.
void forget(Products& products, std::uint32_t written) {
  products.erase(written);
  std::erase_if(products, [&](const auto& product) {
    return is_of(product.second->sources[1], written) || is_of(product.second->sources[2], written);
  });
}

/// "mul" and ".f32" of "mul.f32". Without a dot the type is empty.
struct Opcode {
  std::string_view head, rest;
};
Opcode opcode_of(const Form& form) {
  const std::string_view name = form.name;
  const std::size_t dot = std::min(name.find('.'), name.size());
  return {name.substr(0, dot), name.substr(dot)};
}

/// ".f32" of ".sat.f32": a sum is saturated after it is made, a product before.
std::string without_saturation(std::string_view rest) {
  std::string text(rest);
  if (const std::size_t at = text.find(".sat"); at != text.npos) text.erase(at, 4);
  return text;
}

/// The form of a sum whose operand `which`, 1 or 2, is this product; null where they stay two.
const Form* fused_form(const Form& product, const Form& sum, std::size_t which) {
  const Opcode first = opcode_of(product), second = opcode_of(sum);
  if (first.head != "mul" || first.rest != without_saturation(second.rest)) return nullptr;
  const bool add = second.head == "add", sub = second.head == "sub";
  if (!add && !sub) return nullptr;
  const std::string head = add ? "mul+add" : which == 1 ? "mul+sub" : "sub+mul";
  return find_fused_form(head + std::string(second.rest));
}

void fuse_into(Pending& sum, const Products& products) {
  for (const std::size_t which : {1U, 2U}) {
    const Source& operand = sum.sources[which];
    if (operand.kind != Source::Kind::reg) continue;
    const auto product = products.find(operand.number);
    if (product == products.end()) continue;
    const Form* const form =
        fused_form(*product->second->instruction.form, *sum.instruction.form, which);
    if (form == nullptr) continue;
    const Source other = sum.sources[3 - which];
    sum.sources[1] = product->second->sources[1], sum.sources[2] = product->second->sources[2];
    sum.sources[3] = other;
    sum.instruction.form = form, sum.instruction.handler = form->handler;
    sum.instruction.places = 4;
    return;
  }
}

}  // namespace

void fuse(std::vector<Pending>& code, const std::set<std::size_t>& labels) {
  Products products;
  for (std::size_t i = 0; i < code.size(); ++i) {
    Pending& pending = code[i];
    if (labels.contains(i)) products.clear();
    if (pending.instruction.places == 3) fuse_into(pending, products);
    const std::array<bool, most_places> result = results_of(*pending.instruction.form);
    for (std::size_t place = 0; place < most_places; ++place)
      if (result[place] && pending.sources[place].kind == Source::Kind::reg)
        forget(products, pending.sources[place].number);
    const Source& to = pending.sources[0];
    if (opcode_of(*pending.instruction.form).head == "mul" && to.kind == Source::Kind::reg &&
        pending.guard.kind == Source::Kind::none && !is_of(pending.sources[1], to.number) &&
        !is_of(pending.sources[2], to.number))
      products[to.number] = &pending;
    if (pending.is_branch) products.clear();
  }
}

}  // namespace abn::ptx
