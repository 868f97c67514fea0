// What a sanitised session makes of buffers, launches and traffic; the kernels are those of
// planted_kernels/specimens.hpp.
#include <gtest/gtest.h>

#include <array>
#include <stdexcept>

#include "cuda/device/platform.cuh"
#include "tests/cuda/planted_kernels/specimens.hpp"

namespace abn::tests {

Specimens& specimens(Compiler compiler) {
  static Specimens by_compiler[2];
  return by_compiler[static_cast<int>(compiler)];
}

namespace {

using emulator::Finding;
using emulator::Report;
using emulator::Session;
using emulator::Traffic;

constexpr int launch_failure = 719;
const Specimens& gnu = specimens(Compiler::gnu);

emulator::Settings sanitized() { return {.sanitize = true}; }

// 96 floats of input and of output on 256-byte boundaries, with room around them.
struct Pair {
  static constexpr unsigned count = 96;
  alignas(256) std::array<float, 256> before{};
  alignas(256) std::array<float, count> from{};
  alignas(256) std::array<float, count> to{};
  alignas(256) std::array<float, 256> behind{};
  void watch(Session& session) {
    session.watch({"from", from.data(), sizeof from, 4, true, false});
    session.watch({"to", to.data(), sizeof to, 4, false, true});
  }
};

const Traffic& traffic_of(const Report& report, const char* name) {
  for (const Traffic& one : report.traffic.at(0).buffers)
    if (one.buffer == name) return one;
  throw std::runtime_error(std::string("no buffer ") + name);
}

void expect_traffic(const Traffic& traffic, const Traffic& expected) {
  EXPECT_EQ(traffic.bytes_loaded, expected.bytes_loaded);
  EXPECT_EQ(traffic.bytes_stored, expected.bytes_stored);
  EXPECT_EQ(traffic.load_requests, expected.load_requests);
  EXPECT_EQ(traffic.store_requests, expected.store_requests);
  EXPECT_EQ(traffic.load_sectors, expected.load_sectors);
  EXPECT_EQ(traffic.store_sectors, expected.store_sectors);
  EXPECT_EQ(traffic.atomics, expected.atomics);
}

// ---- traffic: 96 elements are 384 bytes, 12 sectors

// Launches `copy` on several schedules and expects the same traffic each time, loads and stores
// alike.
void expect_copies(int (*copy)(const float*, float*, unsigned), std::uint64_t requests,
                   std::uint64_t sectors, std::uint64_t accesses) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Pair pair;
    Session session({.schedule_seed = seed, .schedule = emulator::Schedule::any, .sanitize = true});
    pair.watch(session);
    ASSERT_EQ(copy(pair.from.data(), pair.to.data(), Pair::count), 0);
    const Report report = session.take_report();
    ASSERT_TRUE(report.findings.empty()) << report.findings[0].text;
    ASSERT_EQ(report.traffic.size(), 1u);
    EXPECT_EQ(report.traffic[0].accesses, 2 * accesses);
    expect_traffic(traffic_of(report, "from"),
                   {.bytes_loaded = 384, .load_requests = requests, .load_sectors = sectors});
    expect_traffic(traffic_of(report, "to"),
                   {.bytes_stored = 384, .store_requests = requests, .store_sectors = sectors});
  }
}
TEST(SanitizerTraffic, OneElementAThread) { expect_copies(gnu.copy, 3, 12, 96); }
TEST(SanitizerTraffic, SixteenBytesAThread) { expect_copies(gnu.copy_wide, 1, 12, 24); }
// Two blocks of two warps, the last of which has 16 elements: 8 bytes apart, so every sector is
// touched by both blocks.
TEST(SanitizerTraffic, Strided) { expect_copies(gnu.copy_strided, 4, 24, 96); }
// 32 threads copy 12 bytes each, which are pieces of 4 and 8 bytes, the first ones of some threads
// and the last ones of others.
TEST(SanitizerTraffic, CopiesOfStructs) {
  Pair pair;
  Session session(sanitized());
  pair.watch(session);
  ASSERT_EQ(gnu.copy_structs(pair.from.data(), pair.to.data(), Pair::count), 0);
  const Report report = session.take_report();
  EXPECT_EQ(traffic_of(report, "from").bytes_loaded, 384u);
  EXPECT_EQ(traffic_of(report, "to").bytes_stored, 384u);
}
TEST(SanitizerTraffic, MemcpyAndMemset) {
  expect_copies(gnu.copy_bytes, 24, 24, 24);  // 16 bytes at a time, each piece a request of its own
  Pair pair;
  Session session(sanitized());
  pair.watch(session);
  ASSERT_EQ(gnu.clear(pair.to.data(), Pair::count), 0);
  expect_traffic(traffic_of(session.take_report(), "to"),
                 {.bytes_stored = 384, .store_requests = 24, .store_sectors = 24});
}
TEST(SanitizerTraffic, Atomics) {
  unsigned counter = 0;
  Session session(sanitized());
  session.watch({"counter", &counter, 4, 4, true, true});
  ASSERT_EQ(gnu.count_all(&counter, 5, 40), 0);
  EXPECT_EQ(counter, 200u);
  expect_traffic(traffic_of(session.take_report(), "counter"), {.atomics = 200});
}
// Lanes of a loop that leave it at different times: four requests, of 32, 24, 16 and 8 lanes, each
// 16 bytes from the next.
TEST(SanitizerTraffic, UnevenLoops) {
  alignas(256) std::array<float, 128> from{}, to{};
  Session session(sanitized());
  session.watch({"from", from.data(), sizeof from, 4, true, false});
  session.watch({"to", to.data(), sizeof to, 4, false, true});
  ASSERT_EQ(gnu.uneven(from.data(), to.data()), 0);
  expect_traffic(traffic_of(session.take_report(), "from"),
                 {.bytes_loaded = 320, .load_requests = 4, .load_sectors = 16 + 16 + 8 + 8});
}

// Lanes that pass a place on either side of a __syncwarp do so in two requests.
TEST(SanitizerTraffic, TurnsOfLanes) {
  alignas(256) std::array<float, 32> from{}, to{};
  Session session(sanitized());
  session.watch({"from", from.data(), sizeof from, 4, true, false});
  session.watch({"to", to.data(), sizeof to, 4, false, true});
  ASSERT_EQ(gnu.taking_turns(from.data(), to.data()), 0);
  expect_traffic(traffic_of(session.take_report(), "from"),
                 {.bytes_loaded = 128, .load_requests = 2, .load_sectors = 8});
}

// ---- buffers

TEST(SanitizerSession, BuffersMustMakeSense) {
  std::array<float, 16> values{};
  Session session(sanitized());
  session.watch({"a", values.data(), 32, 4, true, false});
  EXPECT_THROW(session.watch({"b", values.data() + 4, 32, 4, true, true}), std::invalid_argument);
  EXPECT_THROW(session.watch({"c", values.data() + 8, 30, 4, true, true}), std::invalid_argument);
  EXPECT_THROW(session.written(values.data() + 4, 32), std::invalid_argument);
  session.watch({"behind", values.data() + 8, 32, 4, true, true});
  session.watch({"none", nullptr, 0, 4, true, true});
}

// In place: the input is the output, so it is written at first and writable.
TEST(SanitizerSession, OneMemoryUnderTwoNames) {
  Pair pair;
  Session session(sanitized());
  session.watch({"x", pair.to.data(), sizeof pair.to, 4, true, false});
  session.watch({"z", pair.to.data(), sizeof pair.to, 4, false, true});
  ASSERT_EQ(gnu.copy(pair.to.data(), pair.to.data(), Pair::count), 0);
  const Report report = session.take_report();
  EXPECT_TRUE(report.findings.empty());
  expect_traffic(traffic_of(report, "x = z"), {.bytes_loaded = 384,
                                               .bytes_stored = 384,
                                               .load_requests = 3,
                                               .store_requests = 3,
                                               .load_sectors = 12,
                                               .store_sectors = 12});
}

TEST(SanitizerSession, WhatTheHostWrites) {
  Pair pair;
  std::array<float, Pair::count> other{};
  Session session(sanitized());
  pair.watch(session);
  session.watch({"other", other.data(), sizeof other, 4, false, true});
  const auto copies_back = [&] {
    EXPECT_EQ(gnu.copy(pair.to.data(), other.data(), Pair::count), 0);
    return session.take_report().findings;
  };
  std::vector<Finding> findings = copies_back();
  ASSERT_EQ(findings.size(), 1u);  // one pair of lines, one finding, and the kernel went on
  EXPECT_EQ(findings[0].kind, emulator::unwritten_read);
  EXPECT_EQ(findings[0].buffer, "to");

  session.written(pair.to.data(), 95 * 4);
  findings = copies_back();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].element, 95);
  EXPECT_EQ(findings[0].thread[0], 31u);
  EXPECT_EQ(findings[0].block[0], 1u);

  session.written(pair.to.data() + 95, 4);
  EXPECT_TRUE(copies_back().empty());
  session.unwritten(pair.to.data() + 17, 4);
  findings = copies_back();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].element, 17);

  EXPECT_EQ(gnu.copy(pair.from.data(), pair.to.data(), Pair::count), 0);  // a kernel writes it
  EXPECT_TRUE(copies_back().empty());
}

TEST(SanitizerSession, ForgottenBuffers) {
  Pair pair;
  Session session(sanitized());
  pair.watch(session);
  session.forget_buffers();
  session.watch({"to", pair.to.data(), sizeof pair.to, 4, false, true});
  EXPECT_EQ(gnu.copy(pair.from.data(), pair.to.data(), Pair::count), launch_failure);
  const Report report = session.take_report();
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].kind, emulator::out_of_bounds);
  session.forget_buffers();  // nothing is watched: global memory is nobody's business
  EXPECT_EQ(gnu.copy(pair.from.data(), pair.to.data(), Pair::count), 0);
  EXPECT_TRUE(session.take_report().findings.empty());
}

// ---- launches

TEST(SanitizerSession, AnAccessOutsideIsNotMade) {
  for (const long long element : {96LL, -1LL, 96LL + 50, -50LL}) {
    Pair pair;
    Session session(sanitized());
    session.watch({"to", pair.to.data(), sizeof pair.to, 4, false, true});
    EXPECT_EQ(gnu.store_at(pair.to.data(), element), launch_failure);
    const Report report = session.take_report();
    ASSERT_EQ(report.findings.size(), 1u);
    const Finding& finding = report.findings[0];
    EXPECT_EQ(finding.kind, emulator::out_of_bounds);
    EXPECT_EQ(finding.element, element);
    EXPECT_EQ(finding.bytes, 4u);
    EXPECT_EQ(finding.file, "planted_kernels/specimens.cpp");
    EXPECT_NE(finding.text.find("to has 96 elements"), std::string::npos) << finding.text;
    for (const float value : pair.behind) ASSERT_EQ(value, 0);
    for (const float value : pair.from) ASSERT_EQ(value, 0);
    EXPECT_EQ(gnu.store_at(pair.to.data(), 5), 0);  // the session is fit
    EXPECT_EQ(pair.to[5], 1);
  }
}

TEST(SanitizerSession, ARaceIsToldWithBothSides) {
  alignas(256) std::array<float, 8> to{};
  Session session({.shuffle = false, .sanitize = true});
  session.watch({"to", to.data(), sizeof to, 4, false, true});
  EXPECT_EQ(gnu.everyone_writes(to.data() + 3), 0);  // it goes on
  EXPECT_EQ(to[3], 1);
  const Report report = session.take_report();
  ASSERT_EQ(report.findings.size(), 1u);
  const Finding& finding = report.findings[0];
  EXPECT_EQ(finding.kind, emulator::data_race);
  EXPECT_EQ(finding.buffer, "to");
  EXPECT_EQ(finding.element, 3);
  EXPECT_EQ(finding.block[0], 1u);
  EXPECT_EQ(finding.other.block[0], 0u);
  EXPECT_TRUE(finding.other.write && !finding.other.atomic && finding.other.by_thread);
  EXPECT_EQ(finding.line, finding.other.line);
  EXPECT_NE(finding.kernel.find("planted_kernels/specimens.cpp"), std::string::npos)
      << finding.kernel;
  // Launches order everything: the same once more is the same race, and nothing between the two
  // launches.
  EXPECT_EQ(gnu.everyone_writes(to.data() + 3), 0);
  EXPECT_EQ(session.take_report().findings.size(), 1u);
}

// Of the four elements that are read at once, the one that was written.
TEST(SanitizerSession, ARaceNamesTheElement) {
  alignas(256) std::array<float, 8> to{};
  Session session({.shuffle = false, .sanitize = true});
  session.watch({"to", to.data(), sizeof to, 4, true, true});
  EXPECT_EQ(gnu.wide_read_of_one_write(to.data()), 0);
  const Report report = session.take_report();
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].kind, emulator::data_race);
  EXPECT_EQ(report.findings[0].element, 6);
  EXPECT_EQ(report.findings[0].bytes, 16u);
}

__global__ void plain_kernel(float* to) { *to = 1; }

TEST(SanitizerSession, KernelsThatNobodySeesAreRefused) {
  float value = 0;
  Session session(sanitized());
  EXPECT_NE(device::launch({1, 1}, plain_kernel, &value), 0);
  EXPECT_EQ(value, 0);
  const Report report = session.take_report();
  ASSERT_EQ(report.findings.size(), 1u);
  EXPECT_EQ(report.findings[0].kind, emulator::not_instrumented);
}

// A session that does not sanitise runs both builds and looks at neither.
TEST(SanitizerSession, NestedInOneThatDoesNotLook) {
  Pair pair;
  float value = 0;
  Session outer(sanitized());
  pair.watch(outer);
  {
    Session inner;
    EXPECT_EQ(device::launch({1, 1}, plain_kernel, &value), 0);
    // unwritten, and outside
    EXPECT_EQ(gnu.copy(pair.to.data(), pair.behind.data(), Pair::count), 0);
    EXPECT_TRUE(inner.take_report().findings.empty());
  }
  EXPECT_EQ(value, 1);
  EXPECT_EQ(gnu.copy(pair.from.data(), pair.to.data(), Pair::count), 0);
  EXPECT_TRUE(outer.take_report().findings.empty());
}

}  // namespace
}  // namespace abn::tests
