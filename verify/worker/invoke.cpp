// The arguments of each function, in the order of their struct's fields.
#include "verify/worker/invoke.hpp"

#include <algorithm>
#include <cstring>

#include "verify/worker/float_state.hpp"
#include "verify/worker/foreign.hpp"

namespace abn::verify::worker {
namespace {

/// Deals out the addresses of a call in the order of the struct's fields.
class Addresses {
 public:
  Addresses(const CallQuestion& question, std::byte* memory)
      : question_(question), memory_(memory) {}
  template <class Pointer>
  void to(Pointer& pointer) {
    if (next_ >= question_.offsets.size()) throw NoMessage("too few arguments");
    const std::uint64_t offset = question_.offsets[next_++];
    if (offset == nowhere) {
      pointer = nullptr;
      return;
    }
    if (offset < question_.begin || offset - question_.begin > question_.bytes)
      throw NoMessage("an argument outside of its memory");
    pointer = memory_ + (offset - question_.begin);
  }

 private:
  const CallQuestion& question_;
  std::byte* memory_;
  std::size_t next_ = 0;
};

}  // namespace

int invoke(const CallQuestion& question, const abn_variant& variant, abn_problem& problem,
           std::byte* memory, void* stream, std::uint32_t& marks) {
  Addresses at(question, memory);
  const abn_split_variant* const halves = abn_split_of(&variant);
  if (question.entry > Entry::backward && halves == nullptr)
    throw NoMessage("a variant without halves");
  void* partial = nullptr;
  const auto called = [&](auto& args, const auto& entry) {
    args.struct_size = sizeof args, args.workspace_bytes = question.workspace_bytes;
    args.stream = stream;
    if (question.entry > Entry::backward) at.to(partial);
    std::byte before[sizeof args];
    std::memcpy(before, &args, sizeof args);
    const FloatState ours;
    const int status = call_foreign(entry, args);
    marks |= ours.marks();
    if (!std::equal(before, before + sizeof args, reinterpret_cast<const std::byte*>(&args)))
      marks |= arguments_written;
    return status;
  };
  const bool forward = question.entry == Entry::forward || question.entry == Entry::forward_local ||
                       question.entry == Entry::forward_apply;
  if (forward) {
    abn_forward_args args;
    std::memset(&args, 0, sizeof args);
    at.to(args.x), at.to(args.z), at.to(args.xhat), at.to(args.gamma), at.to(args.beta);
    at.to(args.running_mean), at.to(args.running_var), at.to(args.mean), at.to(args.var);
    at.to(args.workspace);
    return called(args, [&](const abn_forward_args& a) {
      if (question.entry == Entry::forward) return variant.forward(&problem, &a);
      return question.entry == Entry::forward_local
                 ? halves->forward_local(&problem, &a, partial)
                 : halves->forward_apply(&problem, &a, partial, question.ranks);
    });
  }
  abn_backward_args args;
  std::memset(&args, 0, sizeof args);
  at.to(args.dz), at.to(args.x), at.to(args.z), at.to(args.xhat), at.to(args.dx);
  at.to(args.gamma), at.to(args.beta), at.to(args.mean), at.to(args.var);
  at.to(args.dgamma), at.to(args.dbeta), at.to(args.workspace);
  return called(args, [&](const abn_backward_args& a) {
    if (question.entry == Entry::backward) return variant.backward(&problem, &a);
    return question.entry == Entry::backward_local
               ? halves->backward_local(&problem, &a, partial)
               : halves->backward_apply(&problem, &a, partial, question.ranks);
  });
}

}  // namespace abn::verify::worker
