// A kernel that is a Python object, as a variant of the C ABI: its functions are entry points that
// ask the object with the interpreter's lock held.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string>

#include "cuda/kernel.h"
#include "verify/worker/entry_points.hpp"

namespace abn::verify::python {

/// The object has
///
///   name, summary          texts
///   types, param_types, layouts, activations, scales, modes
///                          bit masks over the codes of kernel.h, of what it may support; they are
///                          looked at without the interpreter. A mask of 0 for param_types stands
///                          for the usual one of each type.
///   leaves_out             bits of worker::LeftOut
///   claims(problem)        {field of abn_claims: number}, or None where it does not do the problem
///   call(backward, problem, buffers)
///                          makes the call; None, or a sentence on what it raised
///
/// where `problem` is the tuple of the numbers of abn_problem in their order, and `buffers` has a
/// Buffer or None for every pointer, by its name in kernel.h. Constructed and destroyed with the
/// interpreter's lock held.
class PythonVariant : public worker::Answerer {
 public:
  explicit PythonVariant(nanobind::object kernel);
  ~PythonVariant() override;
  PythonVariant(const PythonVariant&) = delete;
  PythonVariant& operator=(const PythonVariant&) = delete;

  const abn_variant* variant() const { return &entries_.functions.base; }
  std::uint32_t leaves_out() const { return leaves_out_; }  ///< bits of worker::LeftOut

  int claims(const abn_problem& problem, abn_claims& out) override;
  std::size_t size(const abn_problem& problem, worker::Size what, int direction) override;
  int forward(worker::Entry entry, const abn_problem& problem, const abn_forward_args& args,
              const void* partial, int ranks) override;
  int backward(worker::Entry entry, const abn_problem& problem, const abn_backward_args& args,
               const void* partial, int ranks) override;

 private:
  bool may_support(const abn_problem& problem) const;
  void call(bool backward, const abn_problem& problem, const nanobind::dict& buffers) const;

  nanobind::object kernel_;
  std::string name_, summary_;
  std::uint32_t types_, param_types_, layouts_, activations_, scales_, modes_, leaves_out_;
  worker::EntryPoints entries_;
};

}  // namespace abn::verify::python
