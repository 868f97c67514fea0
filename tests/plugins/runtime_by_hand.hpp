// The CUDA runtime as nvcc's code calls it, for plug-ins that are built without a toolkit: the
// entry points of its public headers as far as they are used, and the kernels of PTX_FILE
// registered as a fat binary. Such a plug-in is linked with a library of the right name that has
// nothing in it (runtime_stub.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

extern "C" {
struct dim3 {
  unsigned x, y, z;
};
using cudaStream_t = struct CUstream_st*;
void** __cudaRegisterFatBinary(void*);
void __cudaRegisterFatBinaryEnd(void**);
void __cudaRegisterFunction(void**, const char*, char*, const char*, int, void*, void*, dim3*,
                            dim3*, int*);
int cudaLaunchKernel(const void*, dim3, dim3, void**, std::size_t, cudaStream_t);
int cudaGetLastError();
int cudaMemcpyAsync(void*, const void*, std::size_t, int, cudaStream_t);

extern const char text_begin[], text_end[];
}
asm(".section .rodata\n.globl text_begin\n.hidden text_begin\ntext_begin:\n.incbin \"" PTX_FILE
    "\"\n.globl text_end\n.hidden text_end\ntext_end:\n.byte 0\n.previous\n");

namespace by_hand {

/// What a kernel is launched by: the address of something.
inline char forward_stub[1], backward_stub[1];

/// Registers both kernels before anything is launched, as a constructor of nvcc's code does.
class Kernels {
 public:
  Kernels() {
    const std::size_t text = static_cast<std::size_t>(text_end - text_begin) + 1;
    const auto append = [&](auto value) {
      const auto* const from = reinterpret_cast<const char*>(&value);
      bytes_.insert(bytes_.end(), from, from + sizeof value);
    };
    append(std::uint32_t{0xba55ed50}), append(std::uint16_t{1}), append(std::uint16_t{16});
    append(std::uint64_t{64 + text});
    append(std::uint16_t{1}), append(std::uint16_t{0x101}), append(std::uint32_t{64});
    append(std::uint64_t{text}), append(static_cast<std::uint32_t>(text));
    append(std::uint64_t{0}), append(std::uint32_t{90});
    for (int i = 0; i < 4; ++i) append(std::uint64_t{0});
    bytes_.insert(bytes_.end(), text_begin, text_begin + text);
    wrapper_ = {0x466243b1, 1, bytes_.data(), nullptr};
    void** const handle = __cudaRegisterFatBinary(&wrapper_);
    __cudaRegisterFunction(handle, forward_stub, forward_stub, "forward_kernel", -1, nullptr,
                           nullptr, nullptr, nullptr, nullptr);
    __cudaRegisterFunction(handle, backward_stub, backward_stub, "backward_kernel", -1, nullptr,
                           nullptr, nullptr, nullptr, nullptr);
    __cudaRegisterFatBinaryEnd(handle);
  }

 private:
  std::vector<char> bytes_;
  struct {
    int magic, version;
    const void* data;
    void* unused;
  } wrapper_{};
};
inline const Kernels kernels;

}  // namespace by_hand
