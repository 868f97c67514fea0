// The single sweep: every way in which the blocks of a channel meet gives the bits of the two
// sweeps with the same partition, and tiles hold every element once.
#include <numeric>

#include "cuda/device/resident.cuh"
#include "cuda/device/smem_tile.cuh"
#include "cuda/device/sweeps.cuh"
#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;
using namespace abn::device;

std::size_t workspace_bytes(const abn_problem* p, int direction) {
  return resident::workspace_bytes(smem_tiling_of(*p, direction), *p, direction);
}
template <SyncScope Way, std::int64_t MostGroups = most_blocks>
abn_variant scope() {
  abn_variant variant = variant_named("resident");
  variant.workspace_bytes = workspace_bytes;
  variant.forward = [](const abn_problem* p, const abn_forward_args* args) {
    return resident::forward(smem_tiling_of(*p, ABN_FORWARD), *p, *args, Way, MostGroups);
  };
  variant.backward = [](const abn_problem* p, const abn_backward_args* args) {
    return resident::backward(smem_tiling_of(*p, ABN_BACKWARD), *p, *args, Way, MostGroups);
  };
  return variant;
}
abn_variant by_two_sweeps() {
  abn_variant variant = variant_named("resident");
  variant.workspace_bytes = workspace_bytes;
  variant.forward = [](const abn_problem* p, const abn_forward_args* args) {
    return sweeps::forward(smem_tiling_of(*p, ABN_FORWARD).partition, *p, *args);
  };
  variant.backward = [](const abn_problem* p, const abn_backward_args* args) {
    return sweeps::backward(smem_tiling_of(*p, ABN_BACKWARD).partition, *p, *args);
  };
  return variant;
}

std::vector<std::uint64_t> all_bits(const Both& both) {
  std::vector<std::uint64_t> out;
  for (const Buffer* buffer :
       {&both.f.result(), &both.f.running_mean, &both.f.running_var, &both.f.mean, &both.f.var,
        &both.b.result(), &both.b.dgamma, &both.b.dbeta})
    for (const std::uint64_t bits : buffer->bits()) out.push_back(bits);
  return out;
}

struct Kind {
  std::int64_t n, c, s;
  int layout, dtype;
  std::int64_t forward_slices;
};
Case case_of(const Kind& k, int activation) {
  abn_problem p = problem_of(k.n, k.c, k.s, k.layout, k.dtype);
  activate(p, activation, 0.3);
  p.scale = activation == ABN_IDENTITY ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
  return abn::tests::case_of(p, static_cast<std::uint64_t>(k.n * k.s));
}

// Runs that slices cut anywhere, packed ragged runs, groups with a shorter last one, pixels that
// are no whole vectors, slices of one row, more channels than every block merges for itself.
constexpr Kind kinds[] = {
    {2, 3, 4500, ABN_NCHW, ABN_F32, 3},  {1, 2, 5001, ABN_NCHW, ABN_F64, 3},
    {3, 2, 5999, ABN_NCHW, ABN_BF16, 3}, {70, 7, 49, ABN_NCHW, ABN_F32, 4},
    {60, 11, 49, ABN_NCHW, ABN_F16, 3},  {45, 3, 196, ABN_NCHW, ABN_BF16, 3},
    {1, 70, 400, ABN_NHWC, ABN_F32, 4},  {5, 24, 240, ABN_NHWC, ABN_F16, 4},
    {3, 3, 3001, ABN_NHWC, ABN_F16, 4},  {2, 64, 600, ABN_NHWC, ABN_BF16, 10},
    {2, 17, 300, ABN_NHWC, ABN_F64, 6},
};

TEST(KernelsResident, EveryScopeGivesTheBitsOfTheTwoSweeps) {
  int activation = ABN_IDENTITY;
  std::uint64_t schedule = 0;
  for (const Kind& k : kinds) {
    SCOPED_TRACE(testing::Message() << "n" << k.n << "c" << k.c << "s" << k.s << " layout "
                                    << k.layout << " dtype " << k.dtype);
    const Case c = case_of(k, activation++ % 3);
    const SmemTiling f = smem_tiling_of(c.problem, ABN_FORWARD),
                     b = smem_tiling_of(c.problem, ABN_BACKWARD);
    EXPECT_EQ(f.partition.slices, k.forward_slices);
    EXPECT_GT(b.partition.slices, 1);
    const auto expected = all_bits(run(by_two_sweeps(), c));
    for (const bool in_place : {false, true}) {
      const Options options{.schedule = ++schedule, .in_place = in_place, .offset = schedule % 3};
      EXPECT_EQ(all_bits(run(scope<SyncScope::cluster>(), c, options)), expected) << "in clusters";
      EXPECT_EQ(all_bits(run(scope<SyncScope::grid>(), c, options)), expected) << "in groups";
    }
    if (HasFailure()) return;
  }
}

TEST(KernelsResident, NoScheduleChangesABit) {
  for (const Kind& k : {kinds[3], kinds[7], kinds[9]}) {
    const Case c = case_of(k, ABN_LEAKY_RELU);
    const auto expected = all_bits(run(by_two_sweeps(), c));
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      EXPECT_EQ(all_bits(run(scope<SyncScope::cluster>(), c, {.schedule = seed})), expected)
          << "in clusters, seed " << seed;
      EXPECT_EQ(all_bits(run(scope<SyncScope::grid>(), c, {.schedule = seed})), expected)
          << "in groups, seed " << seed;
      if (HasFailure()) return;
    }
  }
}

// One or two groups in flight, so that blocks hold one tile after the other and meet again and
// again.
TEST(KernelsResident, BlocksThatTakeSeveralGroups) {
  for (const Kind& k : {kinds[0], kinds[4], kinds[6], Kind{4, 40, 49, ABN_NCHW, ABN_F16, 1},
                        Kind{2, 150, 20, ABN_NHWC, ABN_F32, 1}}) {
    SCOPED_TRACE(testing::Message() << "n" << k.n << "c" << k.c << "s" << k.s << " layout "
                                    << k.layout << " dtype " << k.dtype);
    const Case c = case_of(k, ABN_LEAKY_RELU);
    EXPECT_GE(smem_tiling_of(c.problem, ABN_FORWARD).groups, 2);
    const auto expected = all_bits(run(by_two_sweeps(), c));
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      const Options options{.schedule = seed, .in_place = seed % 2 == 0};
      if (k.forward_slices == 1) {
        EXPECT_EQ(all_bits(run(scope<SyncScope::block, 1>(), c, options)), expected)
            << "alone, seed " << seed;
        EXPECT_EQ(all_bits(run(scope<SyncScope::block, 2>(), c, options)), expected)
            << "alone in two, seed " << seed;
      } else {
        EXPECT_EQ(all_bits(run(scope<SyncScope::cluster, 1>(), c, options)), expected)
            << "in clusters, seed " << seed;
        EXPECT_EQ(all_bits(run(scope<SyncScope::grid, 1>(), c, options)), expected)
            << "in groups, seed " << seed;
        EXPECT_EQ(all_bits(run(scope<SyncScope::grid, 2>(), c, options)), expected)
            << "in two groups, seed " << seed;
      }
      if (HasFailure()) return;
    }
  }
}

// With given statistics the next group's parameters are there before anybody has computed anything.
TEST(KernelsResident, BlocksThatTakeSeveralGroupsOfGivenStatistics) {
  for (const Kind& k :
       {Kind{4, 40, 49, ABN_NCHW, ABN_F16, 1}, Kind{2, 150, 20, ABN_NHWC, ABN_F32, 1}}) {
    Case c = case_of(k, ABN_LEAKY_RELU);
    c.problem.mode = ABN_INFERENCE;
    const auto expected = run(by_two_sweeps(), c).f.z.bits();
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
      Options options{.schedule = seed};
      options.adversary = abn::emulator::Schedule::any;
      EXPECT_EQ(run(scope<SyncScope::block, 1>(), c, options).f.z.bits(), expected)
          << "seed " << seed;
    }
  }
}

// More slices than a cluster has blocks, in one group and in several.
TEST(KernelsResident, LargeGroupsGiveTheBitsOfTheTwoSweeps) {
  for (const Kind& k :
       {Kind{1, 5, 17000, ABN_NHWC, ABN_F32, 21}, Kind{1, 2, 45000, ABN_NCHW, ABN_F64, 22}}) {
    const Case c = case_of(k, ABN_LEAKY_RELU);
    EXPECT_EQ(smem_tiling_of(c.problem, ABN_FORWARD).partition.slices, k.forward_slices);
    const auto expected = all_bits(run(by_two_sweeps(), c));
    EXPECT_EQ(all_bits(run(variant_named("resident"), c, {.schedule = 3})), expected);
  }
}

// Whole channels in a block: the sweeps agree here, too.
TEST(KernelsResident, SingleSlicesGiveTheBitsOfTheTwoSweeps) {
  std::uint64_t schedule = 0;
  for (const Kind& k :
       {Kind{8, 24, 49, ABN_NCHW, ABN_F16, 1}, Kind{8, 9, 49, ABN_NCHW, ABN_BF16, 1},
        Kind{4, 6, 196, ABN_NCHW, ABN_F16, 1}, Kind{3, 5, 221, ABN_NCHW, ABN_F32, 1},
        Kind{2, 1030, 3, ABN_NCHW, ABN_F16, 1}, Kind{2, 1100, 64, ABN_NCHW, ABN_F16, 1},
        Kind{9, 65, 3, ABN_NHWC, ABN_F16, 1}, Kind{9, 200, 2, ABN_NHWC, ABN_F32, 1},
        Kind{33, 3, 7, ABN_NHWC, ABN_F64, 1}, Kind{6, 2049, 1, ABN_NCHW, ABN_BF16, 1},
        Kind{700, 1, 1, ABN_NHWC, ABN_F32, 1}}) {
    const Case c = case_of(k, static_cast<int>(schedule) % 3);
    SCOPED_TRACE(testing::Message() << "n" << k.n << "c" << k.c << "s" << k.s << " layout "
                                    << k.layout << " dtype " << k.dtype);
    EXPECT_EQ(smem_tiling_of(c.problem, ABN_FORWARD).partition.slices, 1);
    const auto expected = all_bits(run(by_two_sweeps(), c));
    for (const bool in_place : {false, true})
      EXPECT_EQ(
          all_bits(run(variant_named("resident"), c,
                       {.schedule = ++schedule, .in_place = in_place, .offset = schedule % 4})),
          expected);
    if (HasFailure()) return;
  }
}

// ---- tiles

template <class T>
__global__ void count_visits(SmemTiling tiling, int* visits, unsigned char* taken, int* wrong) {
  constexpr int lanes = vector_lanes<T>;
  const int64_t group = blockIdx.x / tiling.partition.slices,
                slice = blockIdx.x % tiling.partition.slices;
  const SmemTile tile = smem_tile_of(tiling, group, slice);
  int slot = static_cast<int>(threadIdx.x);
  for (VectorIterator<T, ABN_NCHW> iterator =
           iterator_of<T>(tile, slot, static_cast<int>(blockDim.x));
       iterator.more(); slot += static_cast<int>(blockDim.x)) {
    const VectorAccess access = iterator.next();
    if (slot >= tiling.slots) *wrong += 1;
    for (int l = 0; l < lanes; ++l) {
      if ((access.present >> l & 1) == 0) continue;
      visits[access.begin + l] += 1;
      const int64_t at = access.begin + l,
                    channel = tiling.partition.layout == ABN_NCHW
                                  ? at / tiling.partition.s % tiling.partition.c
                                  : at % tiling.partition.c;
      if (channel < tile.channel || channel >= tile.channel + tile.channels) *wrong += 1;
      taken[(static_cast<int64_t>(blockIdx.x) * tiling.slots + slot) * lanes + l] =
          static_cast<unsigned char>(access.begin / lanes % 251 + 1);
    }
  }
}

// The iterators of the reductions: the same element in the same place of the tile, each once.
template <class T, int Layout>
__global__ void count_reduced(SmemTiling tiling, int* reduced, const unsigned char* taken,
                              int* wrong) {
  constexpr int lanes = vector_lanes<T>;
  const int64_t group = blockIdx.x / tiling.partition.slices,
                slice = blockIdx.x % tiling.partition.slices;
  const SmemTile tile = smem_tile_of(tiling, group, slice);
  const int column = static_cast<int>(threadIdx.x) % tiling.columns;
  for (int first = 0; first < tile.channels; first += tiling.columns * owned<T, Layout>) {
    for (SmemIterator<T, Layout> iterator(tiling, tile, slice, first + column); iterator.more();) {
      const VectorAccess access = iterator.next();
      for (int l = 0; l < lanes; ++l) {
        if ((access.present >> l & 1) == 0) continue;
        const int64_t at =
            static_cast<int64_t>(blockIdx.x) * tiling.slots * lanes + access.begin + l;
        if (access.begin + l >= static_cast<int64_t>(tiling.slots) * lanes || taken[at] == 0)
          *wrong += 1;
        reduced[at] += 1;
      }
    }
  }
}

TEST(KernelsTile, HoldsEveryElementOnceAndReducesItOnce) {
  std::vector<Kind> all(std::begin(kinds), std::end(kinds));
  for (const Kind& k :
       {Kind{8, 24, 49, ABN_NCHW, ABN_F16, 1}, Kind{8, 9, 49, ABN_NCHW, ABN_F16, 1},
        Kind{2, 1100, 64, ABN_NCHW, ABN_F16, 1}, Kind{9, 65, 3, ABN_NHWC, ABN_F16, 1},
        Kind{3, 200, 21, ABN_NHWC, ABN_F32, 1}, Kind{9, 1027, 2, ABN_NHWC, ABN_F16, 1}})
    all.push_back(k);
  for (const Kind& k : all)
    for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
      SCOPED_TRACE(testing::Message() << "n" << k.n << "c" << k.c << "s" << k.s << " layout "
                                      << k.layout << " dtype " << k.dtype);
      const abn_problem p = problem_of(k.n, k.c, k.s, k.layout, k.dtype);
      const SmemTiling tiling = smem_tiling_of(p, direction);
      const auto elements = static_cast<std::size_t>(k.n * k.c * k.s);
      const auto places =
          static_cast<std::size_t>(tiling.units() * tiling.slots * tiling.partition.lanes);
      std::vector<int> visits(elements), reduced(places);
      std::vector<unsigned char> taken(places);
      int wrong = 0;
      LaunchConfig config;
      config.grid = dim3(static_cast<unsigned>(tiling.units()));
      config.block = dim3(static_cast<unsigned>(tiling.threads()));
      with_types(p, [&](auto types) {
        using T = typename decltype(types)::Storage;
        EXPECT_EQ(launch(config, count_visits<T>, tiling, visits.data(), taken.data(), &wrong), 0);
        const auto kernel = tiling.partition.layout == ABN_NCHW ? count_reduced<T, ABN_NCHW>
                                                                : count_reduced<T, ABN_NHWC>;
        EXPECT_EQ(launch(config, kernel, tiling, reduced.data(), taken.data(), &wrong), 0);
      });
      EXPECT_EQ(wrong, 0);
      EXPECT_EQ(visits, std::vector<int>(elements, 1));
      EXPECT_EQ(std::accumulate(reduced.begin(), reduced.end(), std::size_t{0}), elements);
      for (const int count : reduced) ASSERT_LE(count, 1);
    }
}

// What the networks of the survey need of the GPU, from the shape alone: everything fits, with at
// most 96 KiB a block.
TEST(KernelsTile, FitsEveryLayerOfTheSurveyAndNothingBeyondTheGpu) {
  constexpr std::int64_t layers[][2] = {{64, 112 * 112},  {64, 56 * 56},  {256, 56 * 56},
                                        {128, 28 * 28},   {512, 28 * 28}, {256, 14 * 14},
                                        {1024, 14 * 14},  {512, 7 * 7},   {2048, 7 * 7},
                                        {128, 112 * 112}, {256, 97 * 97}, {256, 1}};
  for (const auto& [c, s] : layers)
    for (const std::int64_t n : {2, 8, 32, 64, 256})
      for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
        SCOPED_TRACE(testing::Message()
                     << "n" << n << "c" << c << "s" << s << " direction " << direction);
        const SmemTiling tiling = smem_tiling_of(problem_of(n, c, s, ABN_NCHW, ABN_F16), direction);
        EXPECT_TRUE(tiling.fits);
        EXPECT_LE(tiling.slots * tiling.tensors, largest_smem_tile);
        EXPECT_LE(tiling.threads(), most_threads);
        EXPECT_GE(tiling.threads(), fewest_threads);
        EXPECT_LE(tiling.merge.threads(), tiling.threads());
        EXPECT_GE(tiling.merge.columns, 1);
      }
  const auto fits = [](std::int64_t n, std::int64_t c, std::int64_t s, int layout) {
    return smem_tiling_of(problem_of(n, c, s, layout, ABN_F16), ABN_FORWARD).fits;
  };
  EXPECT_TRUE(fits(256, 64, 224 * 224, ABN_NCHW));
  EXPECT_FALSE(fits(300, 64, 224 * 224, ABN_NCHW));  // 30 MB a channel
  EXPECT_TRUE(fits(110, 256, 56 * 56, ABN_NHWC));
  EXPECT_FALSE(fits(256, 256, 56 * 56, ABN_NHWC));  // 51 MB for 64 bytes a pixel
}

// Sizes beyond any memory: a tile is as large as ever, or the two sweeps take over.
TEST(KernelsTile, HugeTensors) {
  constexpr std::int64_t big = std::int64_t{1} << 33;
  constexpr std::int64_t sizes[][3] = {{256, 64, 12544}, {1, 1, big},           {big, 1, 1},
                                       {1, big, 1},      {1 << 20, 1 << 10, 7}, {1, 3, 8 * big + 5},
                                       {big, 5, 1},      {2, big, 3},           {1, big, 49},
                                       {big / 8, 3, 49}, {3, 65, big + 1}};
  for (const auto& [n, c, s] : sizes)
    for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
      for (const int dtype : {ABN_F16, ABN_F32, ABN_F64})
        for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
          SCOPED_TRACE(testing::Message() << "n" << n << "c" << c << "s" << s << " layout "
                                          << layout << " dtype " << dtype);
          const abn_problem p = problem_of(n, c, s, layout, dtype);
          const SmemTiling tiling = smem_tiling_of(p, direction);
          if (!tiling.fits) {
            EXPECT_EQ(tiling.partition.slices, partition_of(p).slices);
            continue;
          }
          EXPECT_GT(tiling.slots, 0);
          EXPECT_LE(tiling.slots * tiling.tensors, largest_smem_tile);
          EXPECT_GE(tiling.groups * tiling.pack, tiling.partition.c);
          EXPECT_GE(tiling.partition.slices * tiling.partition.slice_items, tiling.partition.items);
        }
}

// Runs of 7 x 7 in 16 bit are packed in eights, so that only the ends of a group can be ragged.
TEST(KernelsTile, PacksRaggedRuns) {
  EXPECT_EQ(smem_tiling_of(problem_of(32, 512, 49, ABN_NCHW, ABN_F16), ABN_FORWARD).pack, 8);
  EXPECT_EQ(smem_tiling_of(problem_of(32, 512, 49, ABN_NCHW, ABN_F32), ABN_FORWARD).pack, 4);
  EXPECT_EQ(smem_tiling_of(problem_of(256, 1024, 196, ABN_NCHW, ABN_F16), ABN_FORWARD).pack, 2);
  EXPECT_EQ(smem_tiling_of(problem_of(32, 64, 56 * 56, ABN_NCHW, ABN_F16), ABN_FORWARD).pack, 1);
  EXPECT_EQ(smem_tiling_of(problem_of(32, 512, 49, ABN_NCHW, ABN_F16), ABN_FORWARD).vectors, 49);
}

}  // namespace
