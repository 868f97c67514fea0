// Functions without a context for variants that need one: the ABI's entries take nothing but a
// problem and arguments, so every variant of a plug-in gets functions of its own, by number.
#pragma once

#include <cstddef>

#include "cuda/kernel.h"
#include "verify/worker/protocol.hpp"

namespace abn::verify::worker {

/// Who answers for one variant. Throws CallLost where its worker does not.
class Answerer {
 public:
  virtual ~Answerer() = default;
  virtual int claims(const abn_problem& problem, abn_claims& out) = 0;
  virtual std::size_t size(const abn_problem& problem, Size what, int direction) = 0;
  virtual int forward(Entry entry, const abn_problem& problem, const abn_forward_args& args,
                      const void* partial, int ranks) = 0;
  virtual int backward(Entry entry, const abn_problem& problem, const abn_backward_args& args,
                       const void* partial, int ranks) = 0;
};

/// A number and functions for the answerer, with every field but the functions left at zero. Throws
/// UsageError where there are no more.
struct EntryPoints {
  std::size_t number = 0;
  abn_split_variant functions{};
};
EntryPoints entry_points_for(Answerer& answerer);

/// Gives the number back; its functions may not be called any more.
void return_entry_points(std::size_t number);

}  // namespace abn::verify::worker
