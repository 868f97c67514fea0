// The stand-in for the CUDA runtime, called as nvcc's code does: fat binaries, kernels, launches,
// memory, and errors.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include "cuda/ptx/ptx.h"
#include "cuda/ptx/read/fat_binary.hpp"
#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/runtime/state.hpp"
#include "tests/ptx/registered.hpp"

using abn::ptx::runtime::Dim3;
using abn::ptx::runtime::LaunchAttribute;
using abn::ptx::runtime::LaunchConfig;

extern "C" {
unsigned __cudaPushCallConfiguration(Dim3, Dim3, std::size_t, void*);
int __cudaPopCallConfiguration(Dim3*, Dim3*, std::size_t*, void*);
int __cudaGetKernel(const void**, const void*);
int __cudaLaunchKernel(const void*, Dim3, Dim3, void**, std::size_t, void*);
int cudaLaunchKernelExC(const LaunchConfig*, const void*, void**);
int cudaFuncSetAttribute(const void*, int, int);
int cudaMalloc(void**, std::size_t);
int cudaFree(void*);
int cudaMemcpyFromSymbol(void*, const void*, std::size_t, std::size_t, int);
int cudaGetLastError();
int cudaPeekAtLastError();
int cudaDeviceSynchronize();
int cudaDeviceReset();
int cudaStreamSynchronize(void*);
int cudaMemcpy(void*, const void*, std::size_t, int);
int cudaMemset(void*, int, std::size_t);
const char* cudaGetErrorName(int);
int cudaGetDeviceProperties(void*, int);
int cudaDeviceGetAttribute(int*, int, int);
}

namespace {

using namespace abn::ptx;
using namespace abn::ptx::test;

std::string why_refused(const std::vector<std::byte>& bytes) {
  try {
    ptx_of(bytes.data());
  } catch (const Refused& why) {
    return why.what();
  }
  return "";
}

TEST(PtxFatBinary, PlainAndCompressedTextIsFound) {
  const std::string text = ".version 9.0\n";
  EXPECT_EQ(ptx_of(fat_binary(text, 1, 0, 0).data()).at(0), text);
  // A frame of zstd by hand: one segment, its size in a byte, one raw block, the last.
  std::string frame = {'\x28', '\xb5', '\x2f', '\xfd', '\x20', static_cast<char>(text.size())};
  const std::uint32_t block = 1 | static_cast<std::uint32_t>(text.size()) << 3;
  for (int i = 0; i < 3; ++i) frame += static_cast<char>(block >> 8 * i);
  frame += text;
  EXPECT_EQ(ptx_of(fat_binary(frame, 1, 0x8000, text.size()).data()).at(0), text);
  frame[9] = 'x', frame[5] = '\x70';
  EXPECT_NE(why_refused(fat_binary(frame, 1, 0x8000, text.size())).find("-no-compress"),
            std::string::npos);
}

TEST(PtxFatBinary, SoIsTextOfOlderToolkits) {
  const std::string text = ".version 8.0\n";
  // A block of LZ4 by hand: so many literals, and no match.
  const std::string block = static_cast<char>(text.size() << 4) + text;
  const auto packed = fat_binary(block, 1, 0x2000, text.size());
  if (dlopen("liblz4.so.1", RTLD_NOW | RTLD_LOCAL) == nullptr) {
    EXPECT_NE(why_refused(packed).find("install it (Debian: liblz4-1)"), std::string::npos);
    return;
  }
  EXPECT_EQ(ptx_of(packed.data()).at(0), text);
  for (const std::uint64_t size : {std::uint64_t{0}, text.size() + 1, ~std::uint64_t{0}})
    EXPECT_NE(why_refused(fat_binary(block, 1, 0x2000, size)).find("-no-compress"),
              std::string::npos)
        << size;
}

TEST(PtxFatBinary, OthersAreRefusedWithTheFlagToUse) {
  EXPECT_NE(why_refused(fat_binary("x", 2, 0, 1)).find("code=compute_90"), std::string::npos);
  EXPECT_NE(why_refused(std::vector<std::byte>(64)).find("nvcc 12 or 13"), std::string::npos);
  auto cut = fat_binary("xxxx", 1, 0, 0);
  cut[24] = std::byte{0xff};  // the entry says that it is longer
  EXPECT_NE(why_refused(cut).find("do not fit"), std::string::npos);
}

TEST(PtxRuntime, LaunchesAsNvccsCodeDoes) {
  Registered kernel;
  void* memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 32 * 4), 0);
  std::uint32_t value = 7;
  void* arguments[] = {&memory, &value};
  // <<<1, 32>>>
  __cudaPushCallConfiguration({1, 1, 1}, {32, 1, 1}, 0, nullptr);
  Dim3 grid{}, block{};
  std::size_t shared = 1;
  void* stream = &value;
  ASSERT_EQ(__cudaPopCallConfiguration(&grid, &block, &shared, &stream), 0);
  EXPECT_EQ(block.x, 32U);
  EXPECT_EQ(shared, 0U);
  EXPECT_EQ(stream, nullptr);
  const void* found = nullptr;
  ASSERT_EQ(__cudaGetKernel(&found, kernel.stub), 0);
  EXPECT_EQ(__cudaLaunchKernel(found, grid, block, arguments, shared, stream), 0);
  for (int i = 0; i < 32; ++i) EXPECT_EQ(static_cast<std::uint32_t*>(memory)[i], 108U);
  // A cluster by an attribute.
  LaunchAttribute cluster{};
  cluster.id = runtime::attribute_cluster, cluster.value.cluster = {4, 1, 1};
  const LaunchConfig config{{4, 1, 1}, {32, 1, 1}, 0, nullptr, &cluster, 1};
  EXPECT_EQ(cudaLaunchKernelExC(&config, kernel.stub, arguments), 0);
  EXPECT_EQ(static_cast<std::uint32_t*>(memory)[5], 111U);
  std::uint32_t counter = 0;
  EXPECT_EQ(cudaMemcpyFromSymbol(&counter, kernel.variable, 4, 0, 2), 0);
  EXPECT_EQ(counter, 100U);
  EXPECT_EQ(cudaFree(memory), 0);
}

TEST(PtxRuntime, ErrorsAreReturnedAndRemembered) {
  Registered kernel;
  void* memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 16 * 4), 0);
  std::uint32_t value = 7;
  void* arguments[] = {&memory, &value};
  EXPECT_EQ(cudaGetLastError(), 0);
  EXPECT_STREQ(cudaGetErrorName(
                   __cudaLaunchKernel(kernel.stub, {1, 1, 1}, {2048, 1, 1}, arguments, 0, nullptr)),
               "cudaErrorInvalidConfiguration");
  EXPECT_STREQ(cudaGetErrorName(cudaPeekAtLastError()), "cudaErrorInvalidConfiguration");
  EXPECT_STREQ(cudaGetErrorName(cudaGetLastError()), "cudaErrorInvalidConfiguration");
  EXPECT_EQ(cudaGetLastError(), 0) << "what was never launched leaves nothing behind";
  // More than 48 KiB have to be opted in to.
  EXPECT_NE(__cudaLaunchKernel(kernel.stub, {1, 1, 1}, {16, 1, 1}, arguments, 60000, nullptr), 0);
  EXPECT_EQ(cudaFuncSetAttribute(kernel.stub, 8, 60000), 0);
  EXPECT_EQ(__cudaLaunchKernel(kernel.stub, {1, 1, 1}, {16, 1, 1}, arguments, 60000, nullptr), 0);
  EXPECT_STREQ(
      cudaGetErrorName(__cudaLaunchKernel(&value, {1, 1, 1}, {16, 1, 1}, arguments, 0, nullptr)),
      "cudaErrorInvalidDeviceFunction");
  EXPECT_EQ(cudaFree(memory), 0);
  EXPECT_NE(cudaFree(memory), 0);
  cudaGetLastError();
}

TEST(PtxRuntime, TheErrorOfAKernelThatHasFaultedStays) {
  Registered kernel;
  void *memory = nullptr, *more = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 16 * 4), 0);
  std::uint32_t value = 7, copy = 1;
  void* arguments[] = {&memory, &value};
  const auto launch = [&](unsigned threads) {
    return __cudaLaunchKernel(kernel.stub, {1, 1, 1}, {threads, 1, 1}, arguments, 0, nullptr);
  };
  ASSERT_EQ(launch(16), 0);
  EXPECT_EQ(abn_ptx_context_error(), 0);
  constexpr int illegal = abn::ptx::runtime::illegal_address;
  EXPECT_STREQ(cudaGetErrorName(illegal), "cudaErrorIllegalAddress");
  EXPECT_EQ(launch(32), illegal) << "32 threads and room for 16";
  EXPECT_NE(std::string(abn_ptx_last_finding()).find("out of bounds"), std::string::npos);
  EXPECT_EQ(abn_ptx_context_error(), illegal);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(cudaGetLastError(), illegal) << "asking does not take it away";
    EXPECT_EQ(cudaDeviceSynchronize(), illegal);
    EXPECT_EQ(cudaStreamSynchronize(nullptr), illegal);
    EXPECT_EQ(cudaMalloc(&more, 64), illegal);
    EXPECT_EQ(more, nullptr);
    EXPECT_EQ(cudaMemset(memory, 0, 4), illegal);
    EXPECT_EQ(cudaMemcpy(&copy, memory, 4, 2), illegal);
    EXPECT_EQ(copy, 1U) << "nothing is copied";
    EXPECT_EQ(launch(16), illegal) << "a launch that was right before";
    EXPECT_EQ(cudaFree(memory), illegal);
  }
  EXPECT_EQ(cudaDeviceReset(), 0);
  cudaGetLastError();
  EXPECT_EQ(launch(16), 0);
  EXPECT_EQ(cudaFree(memory), 0);
}

TEST(PtxRuntime, TheDeviceIsANominalH100) {
  std::vector<std::byte> properties(1008);
  ASSERT_EQ(cudaGetDeviceProperties(properties.data(), 0), 0);
  const auto number = [&](std::size_t at) {
    int value = 0;
    std::memcpy(&value, properties.data() + at, sizeof value);
    return value;
  };
  EXPECT_EQ(number(384), 132);  // multiProcessorCount
  EXPECT_EQ(number(360), 9);    // major
  int value = 0;
  EXPECT_EQ(cudaDeviceGetAttribute(&value, 16, 0), 0);
  EXPECT_EQ(value, 132);
  EXPECT_NE(cudaDeviceGetAttribute(&value, 16, 1), 0);
  EXPECT_NE(cudaDeviceGetAttribute(&value, 9999, 0), 0);
  cudaGetLastError();
}

}  // namespace
