// Of operands in their order, those that are written.
#include "cuda/ptx/run/pending.hpp"

namespace abn::ptx {

std::array<bool, most_places> results_of(const Form& form) {
  std::array<bool, most_places> result{};
  std::size_t place = 0;
  for (const Pattern& pattern : form.operands) {
    if (pattern.kind == Pattern::Kind::label || pattern.kind == Pattern::Kind::constant) continue;
    const std::size_t count = pattern.count + (pattern.pair ? 1U : 0U);
    for (std::size_t i = 0; i < count && place < most_places; ++i) result[place++] = pattern.result;
  }
  return result;
}

}  // namespace abn::ptx
