// The single sweep, InPlace-ABN II and the halves of a sharded pass under the sanitiser: no race,
// no read of what nobody wrote, no access out of bounds on any schedule; and each tensor crosses
// the memory once.
#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;
namespace emulator = abn::emulator;

struct Kind {
  std::int64_t n, c, s;
  int layout, dtype, mode;
};
// A block alone, clusters, groups; packed, ragged and strided; merges by every block for itself and
// shared out; given statistics.
constexpr Kind kinds[] = {
    {4, 24, 49, ABN_NCHW, ABN_F16, ABN_TRAINING},   {3, 9, 49, ABN_NCHW, ABN_BF16, ABN_TRAINING},
    {2, 3, 4500, ABN_NCHW, ABN_F32, ABN_TRAINING},  {70, 7, 49, ABN_NCHW, ABN_F32, ABN_TRAINING},
    {1, 70, 400, ABN_NHWC, ABN_F32, ABN_TRAINING},  {3, 3, 3001, ABN_NHWC, ABN_F16, ABN_TRAINING},
    {2, 64, 600, ABN_NHWC, ABN_BF16, ABN_TRAINING}, {1, 5, 17000, ABN_NHWC, ABN_F32, ABN_TRAINING},
    {9, 65, 3, ABN_NHWC, ABN_F16, ABN_TRAINING},    {40, 9, 49, ABN_NCHW, ABN_F64, ABN_FROZEN},
    {9, 11, 49, ABN_NCHW, ABN_F16, ABN_INFERENCE},  {2, 17, 300, ABN_NHWC, ABN_F64, ABN_FROZEN}};

Case case_of(const Kind& k) {
  abn_problem p = problem_of(k.n, k.c, k.s, k.layout, k.dtype);
  activate(p, static_cast<int>((k.n + k.c) % 3), 0.3);
  p.mode = k.mode;
  return abn::tests::case_of(p, static_cast<std::uint64_t>(k.n * k.s));
}

TEST(KernelsSanitized, NoAlarmOnAnySchedule) {
  for (const auto& [name, repeats] : {std::pair{"resident", 2}, {"iabn2", 1}, {"auto", 1}}) {
    std::uint64_t accesses = 0, seed = 0;
    for (const Kind& k : kinds)
      for (int repeat = 0; repeat < repeats; ++repeat, ++seed) {
        SCOPED_TRACE(testing::Message()
                     << name << " n" << k.n << "c" << k.c << "s" << k.s << " layout " << k.layout
                     << " dtype " << k.dtype << " seed " << seed);
        const Case c = case_of(k);
        Options options{.schedule = seed, .in_place = seed % 2 == 1, .offset = seed % 3};
        options.adversary = emulator::Schedule::any;
        const Both plain = run(variant_named(name), c, options);
        options.sanitize = true;
        const Both seen = run(instrumented_variant_named(name), c, options);
        EXPECT_EQ(seen.f.result().bits(), plain.f.result().bits());
        for (const auto* traffic : {&seen.f.traffic, &seen.b.traffic})
          for (const emulator::LaunchTraffic& launch : *traffic) accesses += launch.accesses;
        if (HasFailure()) return;
      }
    EXPECT_GT(accesses, 1000000u) << name << ": hardly anything was seen; is it instrumented?";
  }
}

// ---- the halves, on one rank, whose partial is all there is to gather

// The partial is part of the workspace here, so that the sanitiser watches it.
const abn_split_variant& instrumented_halves() {
  return *abn_split_of(&instrumented_variant_named("two_sweep"));
}
template <class Args>
Args behind_partial(const abn_problem& p, const Args& args, int direction) {
  Args own = args;
  const std::size_t bytes = instrumented_halves().partial_bytes(&p, direction);
  own.workspace = static_cast<char*>(args.workspace) + bytes;
  own.workspace_bytes -= bytes;
  return own;
}
abn_variant as_whole(const abn_split_variant& split) {
  abn_variant variant = split.base;
  variant.workspace_bytes = [](const abn_problem* p, int direction) {
    return instrumented_halves().partial_bytes(p, direction) +
           instrumented_halves().base.workspace_bytes(p, direction);
  };
  variant.forward = [](const abn_problem* p, const abn_forward_args* args) {
    const abn_forward_args own = behind_partial(*p, *args, ABN_FORWARD);
    const int status = instrumented_halves().forward_local(p, &own, args->workspace);
    return status != ABN_OK ? status
                            : instrumented_halves().forward_apply(p, &own, args->workspace, 1);
  };
  variant.backward = [](const abn_problem* p, const abn_backward_args* args) {
    const abn_backward_args own = behind_partial(*p, *args, ABN_BACKWARD);
    const int status = instrumented_halves().backward_local(p, &own, args->workspace);
    return status != ABN_OK ? status
                            : instrumented_halves().backward_apply(p, &own, args->workspace, 1);
  };
  return variant;
}

TEST(KernelsSanitized, HalvesOfAShardedPassWithoutAlarm) {
  for (const Kind& k : {kinds[0], kinds[2], kinds[4]}) {
    const Case c = case_of(k);
    Options options{.schedule = static_cast<std::uint64_t>(k.s)};
    options.sanitize = true;
    EXPECT_EQ(run(as_whole(instrumented_halves()), c, options).f.result().bits(),
              run(variant_named("two_sweep"), c).f.result().bits());
  }
}

// ---- traffic

struct Moved {
  double loaded = 0, stored = 0;
  std::uint64_t load_sectors = 0, store_sectors = 0, load_requests = 0, store_requests = 0;
};
Moved moved(const std::vector<emulator::LaunchTraffic>& traffic, const std::string& buffer,
            const Case& c) {
  Moved sum;
  const auto tensor = static_cast<double>(c.elements() * size_of(c.problem.dtype));
  for (const emulator::LaunchTraffic& launch : traffic)
    for (const emulator::Traffic& one : launch.buffers)
      if (one.buffer == buffer) {
        sum.loaded += static_cast<double>(one.bytes_loaded) / tensor,
            sum.stored += static_cast<double>(one.bytes_stored) / tensor;
        sum.load_sectors += one.load_sectors, sum.store_sectors += one.store_sectors;
        sum.load_requests += one.load_requests, sum.store_requests += one.store_requests;
      }
  return sum;
}

// Forward moves two tensor sizes and backward three, whatever the blocks are together for.
TEST(KernelsSanitized, OneSweepCrossesTheMemoryOnce) {
  for (const Kind& k : kinds) {
    if (k.mode != ABN_TRAINING) continue;
    SCOPED_TRACE(testing::Message() << "n" << k.n << "c" << k.c << "s" << k.s << " layout "
                                    << k.layout << " dtype " << k.dtype);
    const Case c = case_of(k);
    Options options;
    options.sanitize = true;
    const Both both = run(instrumented_variant_named("resident"), c, options);
    EXPECT_EQ(both.f.traffic.size(), 1u);
    EXPECT_EQ(moved(both.f.traffic, "x", c).loaded, 1);
    EXPECT_EQ(moved(both.f.traffic, "z", c).loaded, 0);
    EXPECT_EQ(moved(both.f.traffic, "z", c).stored, 1);
    EXPECT_EQ(both.b.traffic.size(), 1u);
    EXPECT_EQ(moved(both.b.traffic, "z", c).loaded, 1);
    EXPECT_EQ(moved(both.b.traffic, "dz", c).loaded, 1);
    EXPECT_EQ(moved(both.b.traffic, "dx", c).stored, 1);
    EXPECT_EQ(moved(both.b.traffic, "dx", c).loaded, 0);
  }
}

// 7 x 7 in 16 bit, in place on a boundary: channels in eights make whole vectors, so that every
// request of a warp but the last of an image moves 16 bytes a lane, and no sector is touched twice
// except where two images' groups meet in one.
TEST(KernelsSanitized, RaggedRunsMoveInWholeVectors) {
  const Case c = case_of({4, 24, 49, ABN_NCHW, ABN_F16, ABN_TRAINING});
  Options options;
  options.sanitize = options.in_place = true;
  const Forward call = forward(instrumented_variant_named("resident"), c, options);
  std::uint64_t loads = 0, stores = 0;
  for (const emulator::LaunchTraffic& launch : call.traffic)
    for (const emulator::Traffic& one : launch.buffers)
      if (one.buffer.starts_with("x")) loads += one.load_requests, stores += one.store_requests;
  const std::uint64_t vectors = c.elements() / 8;  // 49 of a group of 8 channels of an image
  EXPECT_GE(loads, vectors / 32);
  EXPECT_LE(loads, vectors / 32 + 3 * 2);  // the last warp of a block is not full
  EXPECT_LE(stores, vectors / 32 + 3 * 2);
}

}  // namespace
