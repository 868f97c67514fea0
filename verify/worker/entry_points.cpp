// A table of functions made by the compiler, one set for each number.
#include "verify/worker/entry_points.hpp"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <utility>

#include "verify/problem/error.hpp"

namespace abn::verify::worker {
namespace {

constexpr std::size_t most = 1024;
std::array<std::atomic<Answerer*>, most> answerers{};

Answerer& at(std::size_t number) {
  Answerer* const answerer = answerers[number].load(std::memory_order_acquire);
  if (answerer == nullptr) throw std::logic_error("a variant is called whose plug-in is gone");
  return *answerer;
}

template <std::size_t number>
struct Entries {
  static int claims(const abn_problem* p, abn_claims* out) { return at(number).claims(*p, *out); }
  static std::size_t workspace_bytes(const abn_problem* p, int direction) {
    return at(number).size(*p, Size::workspace, direction);
  }
  static std::size_t partial_bytes(const abn_problem* p, int direction) {
    return at(number).size(*p, Size::partial, direction);
  }
  static int forward(const abn_problem* p, const abn_forward_args* a) {
    return at(number).forward(Entry::forward, *p, *a, nullptr, 0);
  }
  static int backward(const abn_problem* p, const abn_backward_args* a) {
    return at(number).backward(Entry::backward, *p, *a, nullptr, 0);
  }
  static int forward_local(const abn_problem* p, const abn_forward_args* a, void* partial) {
    return at(number).forward(Entry::forward_local, *p, *a, partial, 0);
  }
  static int forward_apply(const abn_problem* p, const abn_forward_args* a, const void* partials,
                           std::int32_t ranks) {
    return at(number).forward(Entry::forward_apply, *p, *a, partials, ranks);
  }
  static int backward_local(const abn_problem* p, const abn_backward_args* a, void* partial) {
    return at(number).backward(Entry::backward_local, *p, *a, partial, 0);
  }
  static int backward_apply(const abn_problem* p, const abn_backward_args* a, const void* partials,
                            std::int32_t ranks) {
    return at(number).backward(Entry::backward_apply, *p, *a, partials, ranks);
  }
  static abn_split_variant all() {
    abn_split_variant variant{};
    variant.base.claims = claims, variant.base.workspace_bytes = workspace_bytes;
    variant.base.forward = forward, variant.base.backward = backward;
    variant.partial_bytes = partial_bytes;
    variant.forward_local = forward_local, variant.forward_apply = forward_apply;
    variant.backward_local = backward_local, variant.backward_apply = backward_apply;
    return variant;
  }
};

template <std::size_t... numbers>
abn_split_variant functions_of(std::size_t number, std::index_sequence<numbers...>) {
  using Make = abn_split_variant (*)();
  static constexpr Make table[] = {&Entries<numbers>::all...};
  return table[number]();
}

}  // namespace

EntryPoints entry_points_for(Answerer& answerer) {
  for (std::size_t number = 0; number < most; ++number) {
    Answerer* nobody = nullptr;
    if (answerers[number].compare_exchange_strong(nobody, &answerer))
      return {number, functions_of(number, std::make_index_sequence<most>{})};
  }
  throw problem::UsageError(
      fmt::format("The plug-ins have more than {} variants together; judge them one plug-in at a "
                  "time",
                  most));
}

void return_entry_points(std::size_t number) { answerers[number].store(nullptr); }

}  // namespace abn::verify::worker
