// The kernels of the tree under the sanitiser: no false alarm on 200 schedules, the same bits as
// without it, and how many times each sweep goes over the tensors.
#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;
namespace emulator = abn::emulator;

// Every seed another problem: types, layouts, activations, modes, odd sizes, addresses, in place or
// not, and another schedule.
Case drawn_case(std::uint64_t seed) {
  const auto pick = [seed](std::uint64_t index, std::int64_t count) {
    return static_cast<std::int64_t>((noise(seed, 1000 + index) * 0.5 + 0.5) *
                                     static_cast<double>(count));
  };
  const int dtype = static_cast<int>(seed % 4);
  const auto sizes = seed / 4 % 3;  // few long channels, many short ones, vectors
  const std::int64_t n = 1 + pick(0, 4), c = sizes == 1 ? 20 + pick(1, 60) : 1 + pick(1, 9);
  const std::int64_t s = sizes == 0   ? 300 + pick(2, 1200)
                         : sizes == 1 ? 1 + pick(2, 30)
                                      : 4 * (8 + pick(2, 60));
  abn_problem problem =
      problem_of(n, c, s == 1 && n == 1 ? 2 : s, seed / 12 % 2 ? ABN_NHWC : ABN_NCHW, dtype);
  activate(problem, static_cast<int>(pick(3, 3)), 0.5);
  problem.mode = static_cast<int>(pick(4, 3));
  problem.scale = static_cast<int>(pick(5, 2));
  Case made = case_of(problem, seed);
  if (pick(6, 8) == 0) made.gamma.clear(), made.beta.clear();
  return made;
}
Options drawn_options(std::uint64_t seed) {
  Options options;
  options.schedule = seed;
  options.adversary = emulator::Schedule::any;
  options.in_place = noise(seed, 1) < 0;
  options.offset = noise(seed, 2) < 0 ? 0 : seed % 5;
  options.outputs = noise(seed, 3) < 0.7;
  options.sanitize = true;
  return options;
}

// 100 seeds for each of the two kernels, forward and backward.
void expect_no_alarm(const char* name) {
  const abn_variant& instrumented = instrumented_variant_named(name);
  std::uint64_t accesses = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Case c = drawn_case(seed);
    const Options options = drawn_options(seed);
    const Both seen = run(instrumented, c, options);
    for (const auto* traffic : {&seen.f.traffic, &seen.b.traffic})
      for (const emulator::LaunchTraffic& launch : *traffic) accesses += launch.accesses;
    Options plain = options;
    plain.sanitize = false;
    const Both same = run(variant_named(name), c, plain);
    ASSERT_EQ(seen.f.result().bits(), same.f.result().bits());
    ASSERT_TRUE(c.problem.mode != ABN_TRAINING || seen.f.var.bits() == same.f.var.bits());
    ASSERT_TRUE(c.problem.mode == ABN_INFERENCE ||
                seen.b.result().bits() == same.b.result().bits());
    ASSERT_FALSE(testing::Test::HasFailure());
  }
  EXPECT_GT(accesses, 1000000u) << "hardly anything was seen: are these kernels instrumented?";
  std::printf("%s: 100 seeds, %.1f million accesses, no alarm\n", name,
              static_cast<double>(accesses) / 1e6);
}
TEST(SanitizerKernels, NaiveWithoutAlarm) { expect_no_alarm("naive"); }
TEST(SanitizerKernels, TwoSweepWithoutAlarm) { expect_no_alarm("two_sweep"); }

// ---- traffic

// Bytes of a buffer over all launches of a call, in multiples of `unit`.
struct Sweeps {
  double loaded = 0, stored = 0;
};
Sweeps sweeps_of(const std::vector<emulator::LaunchTraffic>& traffic, const std::string& buffer,
                 std::size_t unit) {
  Sweeps sum;
  for (const emulator::LaunchTraffic& launch : traffic)
    for (const emulator::Traffic& one : launch.buffers)
      if (one.buffer == buffer)
        sum.loaded += static_cast<double>(one.bytes_loaded),
            sum.stored += static_cast<double>(one.bytes_stored);
  sum.loaded /= static_cast<double>(unit), sum.stored /= static_cast<double>(unit);
  return sum;
}

struct Expected {
  const char* name;
  double x_loads, z_loads, dz_loads;  // forward and backward in training
};
TEST(SanitizerKernels, SweepsOverTheTensors) {
  for (const Expected& expected : {Expected{"naive", 3, 2, 2}, Expected{"two_sweep", 2, 2, 2}})
    for (const int layout : {ABN_NCHW, ABN_NHWC})
      for (const int dtype : {ABN_F16, ABN_F32, ABN_F64})
        for (const std::int64_t s : {49, 256}) {
          SCOPED_TRACE(std::string(expected.name) + " layout " + std::to_string(layout) + " type " +
                       std::to_string(dtype) + " s " + std::to_string(s));
          const Case c = case_of(problem_of(3, 24, s, layout, dtype), 1);
          Options options;
          options.sanitize = true;
          const Both both = run(instrumented_variant_named(expected.name), c, options);
          const std::size_t tensor = c.elements() * size_of(dtype);
          const Sweeps x = sweeps_of(both.f.traffic, "x", tensor),
                       z = sweeps_of(both.f.traffic, "z", tensor);
          EXPECT_EQ(x.loaded, expected.x_loads);
          EXPECT_EQ(x.stored, 0);
          EXPECT_EQ(z.loaded, 0);
          EXPECT_EQ(z.stored, 1);
          const Sweeps stored_z = sweeps_of(both.b.traffic, "z", tensor),
                       dz = sweeps_of(both.b.traffic, "dz", tensor),
                       dx = sweeps_of(both.b.traffic, "dx", tensor);
          EXPECT_EQ(stored_z.loaded, expected.z_loads);
          EXPECT_EQ(dz.loaded, expected.dz_loads);
          EXPECT_EQ(dx.loaded, 0);
          EXPECT_EQ(dx.stored, 1);
        }
}

// 16 bytes a lane and 512 consecutive bytes a warp: 16 sectors a request, each moved once. Where z
// lies 4 bytes off such a boundary it is written element by element, and each of four requests
// touches all of those sectors, and one more.
TEST(SanitizerKernels, SectorsOfWideSweeps) {
  const Case c = case_of(problem_of(2, 4, 4096, ABN_NCHW, ABN_F32), 1);
  const std::uint64_t sectors = c.elements() * 4 / 32, requests = sectors / 16;
  for (std::uint64_t seed = 0; seed < 5; ++seed)
    for (const bool in_place : {true, false}) {
      Options options;
      options.schedule = seed;
      options.sanitize = true;
      options.in_place = in_place;
      const Forward call = forward(instrumented_variant_named("two_sweep"), c, options);
      emulator::Traffic x, z;
      for (const emulator::LaunchTraffic& launch : call.traffic)
        for (const emulator::Traffic& buffer : launch.buffers) {
          if (buffer.buffer.starts_with("x"))
            x.load_requests += buffer.load_requests, x.load_sectors += buffer.load_sectors;
          if (buffer.buffer.ends_with("z"))
            z.store_requests += buffer.store_requests, z.store_sectors += buffer.store_sectors;
        }
      EXPECT_EQ(x.load_requests, 2 * requests);
      EXPECT_EQ(x.load_sectors, 2 * sectors);
      EXPECT_EQ(z.store_requests, in_place ? requests : 4 * requests);
      EXPECT_EQ(z.store_sectors, in_place ? sectors : 4 * sectors + requests);
    }
}

// NHWC, element by element: a channel's samples are apart, so each of 32 lanes moves a sector of
// its own for 4 bytes.
TEST(SanitizerKernels, SectorsOfStridedSweeps) {
  const Case c = case_of(problem_of(2, 16, 512, ABN_NHWC, ABN_F32), 1);
  Options options;
  options.sanitize = true;
  const Both both = run(instrumented_variant_named("naive"), c, options);
  std::uint64_t loaded = 0, sectors = 0;
  for (const emulator::LaunchTraffic& launch : both.f.traffic)
    for (const emulator::Traffic& buffer : launch.buffers)
      if (buffer.buffer == "x") loaded += buffer.bytes_loaded, sectors += buffer.load_sectors;
  EXPECT_EQ(loaded, 3 * c.elements() * 4);
  EXPECT_EQ(sectors, 3 * c.elements());
}

// The benchmark's figure; what it must reach is for whoever reads it, since a test cannot know what
// else the machine does.
TEST(SanitizerKernels, Speed) {
  const emulator::SanitizerSpeed speed = emulator::measure_sanitizer();
  EXPECT_EQ(speed.trouble, "");
  EXPECT_GT(speed.accesses, 2000000u);
  std::printf(
      "%s: %.1f million accesses in %.3f s, %.1f million a second; %.1f times as long as without "
      "instrumentation\n",
      speed.workload.c_str(), static_cast<double>(speed.accesses) / 1e6, speed.seconds,
      static_cast<double>(speed.accesses) / 1e6 / speed.seconds,
      speed.seconds / speed.plain_seconds);
}

}  // namespace
