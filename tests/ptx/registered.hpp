// Kernels registered as nvcc's code registers them, for the tests of the runtime's stand-in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "cuda/ptx/runtime/api.hpp"
#include "tests/ptx/support.hpp"

extern "C" {
void** __cudaRegisterFatBinary(void*);
void __cudaUnregisterFatBinary(void**);
void __cudaRegisterFunction(void**, const char*, char*, const char*, int, void*, void*, void*,
                            void*, int*);
void __cudaRegisterVar(void**, char*, char*, const char*, int, std::size_t, int, int);
}

namespace abn::ptx::test {

template <class T>
void append(std::vector<std::byte>& to, T value) {
  std::byte bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  to.insert(to.end(), bytes, bytes + sizeof value);
}

/// A fat binary with one entry.
inline std::vector<std::byte> fat_binary(const std::string& payload, std::uint16_t kind,
                                         std::uint64_t flags, std::uint64_t size) {
  constexpr std::uint32_t entry_header = 64;
  std::vector<std::byte> bytes;
  append(bytes, std::uint32_t{0xba55ed50}), append(bytes, std::uint16_t{1});
  append(bytes, std::uint16_t{16}), append(bytes, std::uint64_t{entry_header + payload.size()});
  append(bytes, kind), append(bytes, std::uint16_t{0x101}), append(bytes, entry_header);
  append(bytes, std::uint64_t{payload.size()});
  append(bytes, static_cast<std::uint32_t>(payload.size())), append(bytes, std::uint32_t{0});
  append(bytes, std::uint32_t{0}), append(bytes, std::uint32_t{90});
  append(bytes, std::uint64_t{0}), append(bytes, flags), append(bytes, std::uint64_t{0});
  append(bytes, size);
  for (const char letter : payload) bytes.push_back(static_cast<std::byte>(letter));
  return bytes;
}

/// A kernel k, registered as nvcc's code registers it; with a variable, counter, or without.
struct Registered {
  /// out[thread] = counter + value.
  Registered()
      : Registered(
            text_of(".param .u64 out, .param .u32 value",
                    ".reg .b32 %r<8>;\n.reg .b64 %d<4>;\nld.param.u64 %d1, [out];\nld.param.u32 "
                    "%r1, [value];\n"
                    "mov.u32 %r2, %tid.x;\nld.global.u32 %r3, [counter];\nadd.u32 %r1, %r1, %r3;\n"
                    "mov.u32 %r4, %cluster_nctarank;\nadd.u32 %r1, %r1, %r4;\n"
                    "mul.wide.u32 %d2, %r2, 4;\nadd.s64 %d1, %d1, %d2;\nst.global.u32 [%d1], %r1;",
                    ".global .align 4 .u32 counter = {100};")) {}
  explicit Registered(const std::string& text) {
    image = fat_binary(text, 1, 0, 0);
    handle = __cudaRegisterFatBinary(image.data());
    __cudaRegisterFunction(handle, stub, stub, "k", -1, nullptr, nullptr, nullptr, nullptr,
                           nullptr);
    __cudaRegisterVar(handle, variable, variable, "counter", 0, 4, 0, 0);
  }
  ~Registered() { __cudaUnregisterFatBinary(handle); }
  std::vector<std::byte> image;
  void** handle = nullptr;
  char stub[8] = {}, variable[8] = {};
};

}  // namespace abn::ptx::test
