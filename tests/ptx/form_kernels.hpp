// Forms that no function of one lane describes, each in a kernel with what it has to leave in
// memory: accesses in every space and width, atomics, operations of warps, barriers, copies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/ptx/support.hpp"

namespace abn::ptx::test {

struct FormKernel {
  std::string text;
  std::vector<std::uint32_t> before, after;  ///< the words of its buffer
  How how{};
  std::string finding{};  ///< the kind of what it has to find, where that is what it is for
};

std::vector<FormKernel> form_kernels();

/// Those whose effect another thread sees (order_kernels.cpp): barriers, fences, ends.
void add_order_kernels(std::vector<FormKernel>& all);

/// Those of addresses, copies and mbarriers (copy_kernels.cpp).
void add_copy_kernels(std::vector<FormKernel>& all);

}  // namespace abn::ptx::test
