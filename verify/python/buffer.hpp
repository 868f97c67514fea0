// One tensor of a call as Python sees it: memory that the judge shares, which any framework takes
// by DLPack and NumPy by its array interface, and nothing is copied.
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "cuda/kernel.h"

namespace abn::verify::python {

/// The memory stays while a Buffer, or an array made of one, is alive: a kernel that keeps an array
/// from one call to the next reads old numbers, and does not crash.
class Buffer {
 public:
  Buffer(void* data, int dtype, std::vector<std::int64_t> shape, std::vector<std::int64_t> strides,
         std::shared_ptr<const void> memory);

  const char* dtype() const;  ///< "f32"
  nanobind::tuple shape() const;
  nanobind::tuple strides() const;         ///< in elements
  nanobind::dict array_interface() const;  ///< bfloat16, which NumPy lacks, as 16-bit words
  static nanobind::object dlpack(nanobind::handle self, const nanobind::kwargs& options);

  static void bind(nanobind::module_& module);

 private:
  void* data_;
  int dtype_;
  std::vector<std::int64_t> shape_, strides_;
  std::shared_ptr<const void> memory_;
};

/// A tensor of shape (n, c, s), whatever the layout: channels-last differs in its strides.
nanobind::object tensor_of(const void* data, int dtype, const abn_problem& problem);
/// One number a channel, shape (c,). Both are None for a null pointer.
nanobind::object vector_of(const void* data, const abn_problem& problem);

}  // namespace abn::verify::python
