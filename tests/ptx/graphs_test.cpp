// Graphs of the runtime's stand-in: a capture records and does not run, with the parameters as they
// were; a launch does all of it, every time; what nothing orders shows; and what is not allowed in
// a capture returns the error that the toolkit documents.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <thread>

#include "cuda/ptx/ptx.h"
#include "cuda/ptx/runtime/state.hpp"
#include "tests/ptx/registered.hpp"

using abn::ptx::runtime::Dim3;
using abn::ptx::runtime::GraphUpdateResult;
using abn::ptx::runtime::KernelNodeParams;
using abn::ptx::runtime::Memcpy3dParams;
using abn::ptx::runtime::MemsetParams;

extern "C" {
int cudaLaunchKernel(const void*, Dim3, Dim3, void**, std::size_t, void*);
int cudaMalloc(void**, std::size_t);
int cudaMallocAsync(void**, std::size_t, void*);
int cudaFree(void*);
int cudaMemset(void*, int, std::size_t);
int cudaMemsetAsync(void*, int, std::size_t, void*);
int cudaMemcpyAsync(void*, const void*, std::size_t, int, void*);
int cudaGetLastError();
int cudaDeviceSynchronize();
int cudaDeviceReset();
int cudaStreamCreate(void**);
int cudaStreamCreateWithFlags(void**, unsigned);
int cudaStreamDestroy(void*);
int cudaStreamSynchronize(void*);
int cudaStreamWaitEvent(void*, void*, unsigned);
int cudaLaunchHostFunc(void*, void (*)(void*), void*);
int cudaEventCreate(void**);
int cudaEventRecord(void*, void*);
int cudaEventQuery(void*);
int cudaEventDestroy(void*);
int cudaStreamBeginCapture(void*, int);
int cudaStreamEndCapture(void*, void**);
int cudaStreamIsCapturing(void*, int*);
int cudaThreadExchangeStreamCaptureMode(int*);
int cudaStreamGetCaptureInfo(void*, int*, std::uint64_t*, void**, void* const**, const void**,
                             std::size_t*);
int cudaGraphCreate(void**, unsigned);
int cudaGraphDestroy(void*);
int cudaGraphAddKernelNode(void**, void*, const void* const*, std::size_t, const KernelNodeParams*);
int cudaGraphAddMemsetNode(void**, void*, const void* const*, std::size_t, const MemsetParams*);
int cudaGraphAddMemcpyNode(void**, void*, const void* const*, std::size_t, const Memcpy3dParams*);
int cudaGraphAddMemcpyNode1D(void**, void*, const void* const*, std::size_t, void*, const void*,
                             std::size_t, int);
int cudaGraphAddEmptyNode(void**, void*, const void* const*, std::size_t);
int cudaGraphAddChildGraphNode(void**, void*, const void* const*, std::size_t, void*);
int cudaGraphAddDependencies(void*, const void* const*, const void* const*, const void*,
                             std::size_t);
int cudaGraphGetNodes(void*, void**, std::size_t*);
int cudaGraphNodeGetType(void*, int*);
int cudaGraphKernelNodeSetParams(void*, const KernelNodeParams*);
int cudaGraphInstantiate(void**, void*, unsigned long long);
int cudaGraphInstantiateWithFlags(void**, void*, unsigned long long);
int cudaGraphLaunch(void*, void*);
int cudaGraphExecDestroy(void*);
int cudaGraphExecKernelNodeSetParams(void*, void*, const KernelNodeParams*);
int cudaGraphExecMemcpyNodeSetParams1D(void*, void*, void*, const void*, std::size_t, int);
int cudaGraphExecUpdate(void*, void*, GraphUpdateResult*);
}

namespace {

using namespace abn::ptx;
using runtime::capture_implicit;

constexpr int global_mode = 0, thread_mode = 1, relaxed_mode = 2;
constexpr std::size_t words = 32, bytes = words * 4;

/// Memory of 32 words that begins with 0, a stream that waits for nothing, and a kernel that makes
/// 3*out + value of out: the order of two launches shows in what they leave.
class PtxGraphs : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cudaMalloc(&memory_, bytes), 0);
    ASSERT_EQ(cudaMemset(memory_, 0, bytes), 0);
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream_, 1), 0);
    ASSERT_EQ(cudaStreamCreateWithFlags(&other_, 1), 0);
  }
  void TearDown() override {
    for (void* const one : executables_) EXPECT_EQ(cudaGraphExecDestroy(one), 0);
    for (void* const one : graphs_) EXPECT_EQ(cudaGraphDestroy(one), 0);
    EXPECT_EQ(cudaStreamDestroy(stream_), 0);
    EXPECT_EQ(cudaStreamDestroy(other_), 0);
    EXPECT_EQ(cudaFree(memory_), 0);
    cudaGetLastError();
  }
  int launch(std::uint32_t value, void* stream) {
    void* arguments[] = {&memory_, &value};
    return cudaLaunchKernel(kernel_.stub, {1, 1, 1}, {words, 1, 1}, arguments, 0, stream);
  }
  std::uint32_t word(std::size_t at = 5) const {
    return static_cast<const std::uint32_t*>(memory_)[at];
  }
  void* end() {
    void* graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), 0);
    graphs_.push_back(graph);
    return graph;
  }
  void* make() {
    void* graph = nullptr;
    EXPECT_EQ(cudaGraphCreate(&graph, 0), 0);
    graphs_.push_back(graph);
    return graph;
  }
  void* instantiate(void* graph) {
    void* made = nullptr;
    EXPECT_EQ(cudaGraphInstantiate(&made, graph, 0), 0);
    executables_.push_back(made);
    return made;
  }
  /// A node that launches the kernel with this value, after another or after none.
  void* node(void* graph, std::uint32_t value, void* after) {
    void* arguments[] = {&memory_, &value};
    const KernelNodeParams params{kernel_.stub, {1, 1, 1}, {words, 1, 1}, 0, arguments, nullptr};
    void* made = nullptr;
    EXPECT_EQ(cudaGraphAddKernelNode(&made, graph, &after, after == nullptr ? 0 : 1, &params), 0);
    return made;
  }
  KernelNodeParams params(void** arguments) const {
    return {kernel_.stub, {1, 1, 1}, {words, 1, 1}, 0, arguments, nullptr};
  }

  test::Registered kernel_{test::text_of(
      ".param .u64 out, .param .u32 value",
      ".reg .b32 %r<8>;\n.reg .b64 %d<4>;\nld.param.u64 %d1, [out];\nld.param.u32 %r1, [value];\n"
      "mov.u32 %r2, %tid.x;\nmul.wide.u32 %d2, %r2, 4;\nadd.s64 %d1, %d1, %d2;\n"
      "ld.global.u32 %r3, [%d1];\nmad.lo.u32 %r3, %r3, 3, %r1;\nst.global.u32 [%d1], %r3;",
      ".global .align 4 .u32 counter = {0};")};
  void *memory_ = nullptr, *stream_ = nullptr, *other_ = nullptr;
  std::vector<void*> graphs_, executables_;
};

TEST_F(PtxGraphs, ACaptureRecordsAndALaunchRuns) {
  ASSERT_EQ(cudaStreamBeginCapture(stream_, global_mode), 0);
  int called = 0, status = 0;
  EXPECT_EQ(cudaStreamIsCapturing(stream_, &status), 0);
  EXPECT_EQ(status, 1);
  {
    std::uint32_t value = 7;
    void* arguments[] = {&memory_, &value};
    EXPECT_EQ(cudaLaunchKernel(kernel_.stub, {1, 1, 1}, {words, 1, 1}, arguments, 0, stream_), 0);
    value = 1000;  // too late to matter
  }
  EXPECT_EQ(launch(1, stream_), 0);
  EXPECT_EQ(cudaLaunchHostFunc(
                stream_, [](void* count) { ++*static_cast<int*>(count); }, &called),
            0);
  EXPECT_EQ(word(), 0U) << "nothing has run";
  EXPECT_EQ(launch(2, other_), 0) << "another stream is not captured";
  EXPECT_EQ(word(), 2U);
  void* const graph = end();
  EXPECT_EQ(cudaStreamIsCapturing(stream_, &status), 0);
  EXPECT_EQ(status, 0);
  void* const executable = instantiate(graph);
  EXPECT_EQ(word(), 2U);
  EXPECT_EQ(called, 0);
  std::uint32_t expected = 2;
  for (int i = 1; i <= 2; ++i) {
    EXPECT_EQ(cudaGraphLaunch(executable, stream_), 0);
    expected = (expected * 3 + 7) * 3 + 1;
    EXPECT_EQ(word(), expected);
    EXPECT_EQ(called, i);
  }
  std::size_t count = 0;
  EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &count), 0);
  EXPECT_EQ(count, 3U);
}

TEST_F(PtxGraphs, CopiesAndSetsAreCapturedToo) {
  void* copy = nullptr;
  ASSERT_EQ(cudaMalloc(&copy, bytes), 0);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, relaxed_mode), 0);
  EXPECT_EQ(cudaMemsetAsync(memory_, 1, bytes, stream_), 0);
  EXPECT_EQ(launch(1, stream_), 0);
  EXPECT_EQ(cudaMemcpyAsync(copy, memory_, bytes, 3, stream_), 0);
  EXPECT_EQ(word(), 0U);
  void* const graph = end();
  EXPECT_EQ(cudaGraphLaunch(instantiate(graph), nullptr), 0);
  EXPECT_EQ(static_cast<std::uint32_t*>(copy)[31], 0x03030304U);
  std::array<void*, 4> nodes{};
  std::size_t count = nodes.size();
  EXPECT_EQ(cudaGraphGetNodes(graph, nodes.data(), &count), 0);
  ASSERT_EQ(count, 3U);
  constexpr int types[] = {2, 0, 1};  // memset, kernel, memcpy
  for (std::size_t i = 0; i < 3; ++i) {
    int type = -1;
    EXPECT_EQ(cudaGraphNodeGetType(nodes[i], &type), 0);
    EXPECT_EQ(type, types[i]);
  }
  EXPECT_EQ(cudaFree(copy), 0);
}

TEST_F(PtxGraphs, EventsForkAndJoinACapture) {
  void *forked = nullptr, *joined = nullptr;
  ASSERT_EQ(cudaEventCreate(&forked), 0);
  ASSERT_EQ(cudaEventCreate(&joined), 0);
  for (const bool joins : {true, false}) {
    ASSERT_EQ(cudaStreamBeginCapture(stream_, global_mode), 0);
    EXPECT_EQ(launch(1, stream_), 0);
    EXPECT_EQ(cudaEventRecord(forked, stream_), 0);
    EXPECT_EQ(cudaStreamWaitEvent(other_, forked, 0), 0);
    EXPECT_EQ(launch(2, other_), 0) << "now it is captured";
    EXPECT_EQ(word(), 0U);
    EXPECT_EQ(cudaEventRecord(joined, other_), 0);
    void* graph = nullptr;
    if (joins) {
      EXPECT_EQ(cudaStreamWaitEvent(stream_, joined, 0), 0);
      EXPECT_EQ(launch(3, stream_), 0);
      EXPECT_EQ(cudaGraphLaunch(instantiate(end()), stream_), 0);
      EXPECT_EQ(word(), (1 * 3 + 2) * 3 + 3U) << "in the order of the events";
      EXPECT_EQ(cudaMemset(memory_, 0, bytes), 0);
    } else {
      EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), runtime::capture_unjoined);
      EXPECT_EQ(graph, nullptr);
    }
    EXPECT_EQ(launch(0, other_), 0) << "it is no more captured";
  }
  EXPECT_EQ(cudaEventDestroy(forked), 0);
  EXPECT_EQ(cudaEventDestroy(joined), 0);
}

TEST_F(PtxGraphs, WhatNothingOrdersRunsTheYoungestFirst) {
  void* const ordered = make();
  node(ordered, 2, node(ordered, 1, nullptr));
  EXPECT_EQ(cudaGraphLaunch(instantiate(ordered), stream_), 0);
  EXPECT_EQ(word(), 5U);
  EXPECT_EQ(cudaMemset(memory_, 0, bytes), 0);
  void* const forgotten = make();
  void* const first = node(forgotten, 1, nullptr);
  void* const second = node(forgotten, 2, nullptr);
  EXPECT_EQ(cudaGraphLaunch(instantiate(forgotten), stream_), 0);
  EXPECT_EQ(word(), 7U) << "a forgotten dependency shows";
  EXPECT_EQ(cudaMemset(memory_, 0, bytes), 0);
  EXPECT_EQ(cudaGraphAddDependencies(forgotten, &first, &second, nullptr, 1), 0);
  EXPECT_NE(cudaGraphAddDependencies(forgotten, &second, &first, nullptr, 1), 0) << "a cycle";
  EXPECT_NE(cudaGraphAddDependencies(forgotten, &first, &second, nullptr, 1), 0) << "once more";
  EXPECT_NE(cudaGraphAddDependencies(ordered, &first, &second, nullptr, 1), 0) << "no nodes of it";
  EXPECT_EQ(cudaGraphLaunch(instantiate(forgotten), stream_), 0);
  EXPECT_EQ(word(), 5U);
}

TEST_F(PtxGraphs, NodesOfAllKindsRun) {
  void* copy = nullptr;
  ASSERT_EQ(cudaMalloc(&copy, bytes), 0);
  ASSERT_EQ(cudaMemset(copy, 0xff, bytes), 0);
  void *const graph = make(), *const child = make();
  node(child, 4, nullptr);
  // 2 rows of 3 words of a pitch of 8; then the child's 3*w + 4; then rows and a row are copied.
  const MemsetParams fill{memory_, 32, 5, 4, 3, 2};
  void *filled = nullptr, *nested = nullptr, *empty = nullptr, *rows = nullptr, *row = nullptr;
  EXPECT_EQ(cudaGraphAddMemsetNode(&filled, graph, nullptr, 0, &fill), 0);
  EXPECT_EQ(cudaGraphAddChildGraphNode(&nested, graph, &filled, 1, child), 0);
  EXPECT_EQ(cudaGraphAddEmptyNode(&empty, graph, &nested, 1), 0);
  Memcpy3dParams block{};
  block.from = {memory_, 32, 32, 4}, block.to = {copy, 16, 16, 8};
  block.from_position.y = 1, block.extent = {12, 2, 1}, block.kind = 3;
  EXPECT_EQ(cudaGraphAddMemcpyNode(&rows, graph, &empty, 1, &block), 0);
  EXPECT_EQ(cudaGraphAddMemcpyNode1D(&row, graph, &empty, 1, static_cast<std::byte*>(copy) + 64,
                                     memory_, 12, 3),
            0);
  EXPECT_EQ(cudaGraphLaunch(instantiate(graph), stream_), 0);
  const auto* const got = static_cast<const std::uint32_t*>(copy);
  constexpr std::uint32_t none = 0xffffffff;
  const std::vector<std::uint32_t> expected{19,   19,   19,   none, 4,    4,    4,
                                            none, none, none, none, none, none, none,
                                            none, none, 19,   19,   19,   none};
  EXPECT_EQ(std::vector<std::uint32_t>(got, got + expected.size()), expected);
  EXPECT_EQ(cudaFree(copy), 0);
}

TEST_F(PtxGraphs, ParametersChangeWhereTheyAreChanged) {
  void* const graph = make();
  void* const one = node(graph, 1, nullptr);
  void* const executable = instantiate(graph);
  std::uint32_t value = 10;
  void* arguments[] = {&memory_, &value};
  const KernelNodeParams ten = params(arguments);
  EXPECT_EQ(cudaGraphKernelNodeSetParams(one, &ten), 0);
  EXPECT_EQ(cudaGraphLaunch(executable, stream_), 0);
  EXPECT_EQ(word(), 1U) << "what was instantiated stays";
  EXPECT_EQ(cudaGraphLaunch(instantiate(graph), stream_), 0);
  EXPECT_EQ(word(), 13U);
  value = 20;
  EXPECT_EQ(cudaGraphExecKernelNodeSetParams(executable, one, &ten), 0);
  EXPECT_EQ(cudaGraphLaunch(executable, stream_), 0);
  EXPECT_EQ(word(), 59U);
  // By a graph of the same form, and by one of another.
  void *const same = make(), *const longer = make(), *const other = make();
  node(same, 5, nullptr), node(longer, 2, node(longer, 1, nullptr));
  void* filled = nullptr;
  const MemsetParams fill{memory_, 0, 0, 4, words, 1};
  EXPECT_EQ(cudaGraphAddMemsetNode(&filled, other, nullptr, 0, &fill), 0);
  GraphUpdateResult result{};
  EXPECT_EQ(cudaGraphExecUpdate(executable, same, &result), 0);
  EXPECT_EQ(result.result, 0);
  EXPECT_EQ(cudaGraphLaunch(executable, stream_), 0);
  EXPECT_EQ(word(), 182U);
  EXPECT_EQ(cudaGraphExecUpdate(executable, longer, &result), runtime::graph_update_failure);
  EXPECT_EQ(result.result, 2);
  EXPECT_EQ(cudaGraphExecUpdate(executable, other, &result), runtime::graph_update_failure);
  EXPECT_EQ(result.result, 3);
  EXPECT_EQ(result.error_node, filled);
  EXPECT_NE(cudaGraphExecMemcpyNodeSetParams1D(executable, one, memory_, memory_, 4, 3), 0);
  EXPECT_EQ(cudaGraphLaunch(executable, stream_), 0) << "and it is as it was";
  EXPECT_EQ(word(), 551U);
}

/// What ends a capture: from then on its streams return an error, and so does its end.
TEST_F(PtxGraphs, WhatACaptureForbidsEndsIt) {
  void *event = nullptr, *more = nullptr, *blocking = nullptr;
  ASSERT_EQ(cudaEventCreate(&event), 0);
  ASSERT_EQ(cudaEventRecord(event, other_), 0);
  ASSERT_EQ(cudaStreamCreate(&blocking), 0);
  const auto breaks = [&](int error, const std::function<int()>& call, int mode = global_mode) {
    ASSERT_EQ(cudaStreamBeginCapture(stream_, mode), 0);
    EXPECT_EQ(launch(1, stream_), 0);
    EXPECT_EQ(call(), error);
    EXPECT_EQ(launch(1, stream_), runtime::capture_invalidated);
    int status = 0;
    EXPECT_EQ(cudaStreamIsCapturing(stream_, &status), 0);
    EXPECT_EQ(status, 2);
    void* graph = &status;
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), runtime::capture_invalidated);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(cudaStreamIsCapturing(stream_, &status), 0);
    EXPECT_EQ(status, 0) << "the stream can be used again";
  };
  breaks(runtime::capture_unsupported, [&] { return cudaMalloc(&more, 64); });
  EXPECT_EQ(more, nullptr);
  breaks(
      runtime::capture_unsupported, [&] { return cudaMalloc(&more, 64); }, thread_mode);
  breaks(runtime::capture_unsupported, [&] { return cudaFree(memory_); });
  breaks(
      runtime::capture_unsupported, [&] { return cudaDeviceSynchronize(); }, relaxed_mode);
  breaks(runtime::capture_unsupported, [&] { return cudaStreamSynchronize(stream_); });
  breaks(runtime::capture_isolation, [&] { return cudaStreamWaitEvent(stream_, event, 0); });
  breaks(runtime::captured_event, [&] {
    EXPECT_EQ(cudaEventRecord(event, stream_), 0);
    return cudaEventQuery(event);
  });
  breaks(runtime::capture_merge, [&] {
    EXPECT_EQ(cudaStreamBeginCapture(other_, global_mode), 0);
    EXPECT_EQ(cudaEventRecord(event, other_), 0);
    const int error = cudaStreamWaitEvent(stream_, event, 0);
    void* graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(other_, &graph), runtime::capture_invalidated);
    return error;
  });
  breaks(runtime::capture_unmatched, [&] {
    EXPECT_EQ(cudaEventRecord(event, stream_), 0);
    EXPECT_EQ(cudaStreamWaitEvent(other_, event, 0), 0);
    void* graph = nullptr;
    return cudaStreamEndCapture(other_, &graph);
  });
  std::swap(stream_, blocking);  // one that waits for the default stream
  breaks(capture_implicit, [&] { return launch(1, nullptr); });
  breaks(capture_implicit, [&] { return cudaMemset(memory_, 0, bytes); });
  std::swap(stream_, blocking);
  EXPECT_EQ(word(), 0U) << "nothing of all this has run";
  EXPECT_EQ(cudaEventDestroy(event), 0);
  EXPECT_EQ(cudaStreamDestroy(blocking), 0);
}

TEST_F(PtxGraphs, WhatACaptureAllowsDoesNotEndIt) {
  void* more = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, relaxed_mode), 0);
  EXPECT_EQ(cudaMalloc(&more, 64), 0);
  EXPECT_EQ(launch(1, stream_), 0);
  EXPECT_EQ(launch(4, nullptr), 0) << "this stream does not wait for the default one";
  end();
  ASSERT_EQ(cudaStreamBeginCapture(stream_, global_mode), 0);
  int mode = relaxed_mode;
  EXPECT_EQ(cudaThreadExchangeStreamCaptureMode(&mode), 0);
  EXPECT_EQ(mode, global_mode);
  EXPECT_EQ(cudaFree(more), 0) << "this thread says that it knows what it does";
  EXPECT_EQ(cudaThreadExchangeStreamCaptureMode(&mode), 0);
  int wrong_thread = 0, forbidden = 0;
  void *graph = nullptr, *again = nullptr;
  std::thread([&] { wrong_thread = cudaStreamEndCapture(stream_, &graph); }).join();
  EXPECT_EQ(wrong_thread, runtime::capture_wrong_thread);
  end();
  ASSERT_EQ(cudaStreamBeginCapture(stream_, thread_mode), 0);
  std::thread([&] { forbidden = cudaMalloc(&again, 64); }).join();
  EXPECT_EQ(forbidden, 0) << "another thread's calls are its own";
  end();
  EXPECT_EQ(cudaFree(again), 0);
  EXPECT_EQ(word(), 4U);
}

TEST_F(PtxGraphs, CapturesKnowWhereTheyAre) {
  int status = 0;
  std::uint64_t first = 0, id = 0;
  void* graph = nullptr;
  void* const* after = nullptr;
  std::size_t count = 9;
  const auto ask = [&] {
    return cudaStreamGetCaptureInfo(stream_, &status, &id, &graph, &after, nullptr, &count);
  };
  EXPECT_EQ(ask(), 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, global_mode), runtime::capture_unsupported);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, global_mode), 0);
  EXPECT_NE(cudaStreamBeginCapture(stream_, global_mode), 0) << "it has begun";
  EXPECT_EQ(ask(), 0);
  EXPECT_EQ(status, 1);
  EXPECT_EQ(count, 0U);
  first = id;
  EXPECT_EQ(launch(1, stream_), 0);
  EXPECT_EQ(ask(), 0);
  EXPECT_EQ(count, 1U);
  void* const ended = end();
  EXPECT_EQ(ended, graph);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, global_mode), 0);
  EXPECT_EQ(ask(), 0);
  EXPECT_NE(id, first);
  EXPECT_EQ(cudaMallocAsync(&graph, 64, stream_), runtime::not_supported);
  EXPECT_NE(std::string(abn_ptx_last_finding()).find("allocate before the capture"),
            std::string::npos);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), runtime::capture_invalidated);
  EXPECT_NE(cudaStreamEndCapture(stream_, &graph), 0) << "there is none";
  EXPECT_EQ(cudaGraphLaunch(ended, stream_), runtime::invalid_value) << "not instantiated";
  EXPECT_EQ(launch(1, &status), runtime::invalid_handle);
}

TEST_F(PtxGraphs, AFaultInAGraphStaysAsThatOfALaunch) {
  void* graph = make();
  node(graph, 3, node(graph, 1, nullptr));
  void* const executable = instantiate(graph);
  void* const memory = memory_;
  ASSERT_EQ(cudaFree(memory), 0);
  EXPECT_EQ(cudaGraphLaunch(executable, stream_), runtime::illegal_address) << "of freed memory";
  EXPECT_EQ(cudaGetLastError(), runtime::illegal_address);
  EXPECT_EQ(cudaDeviceReset(), 0);
  cudaGetLastError();
  ASSERT_EQ(cudaMalloc(&memory_, bytes), 0);
}

}  // namespace
