// The manners of a variant: claims, refusals, empty problems, and how two_sweep partitions a
// problem into slices.
#include "cuda/device/vector_access.cuh"
#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;
using namespace abn::device;

TEST(KernelsContract, Claims) {
  for (const std::string& name : in_place_variants()) {
    const abn_variant& variant = variant_named(name);
    EXPECT_EQ(variant.abi_version, static_cast<std::uint32_t>(ABN_ABI_VERSION));
    EXPECT_GE(variant.struct_size, sizeof(abn_variant));
    for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64}) {
      abn_problem p = problem_of(4, 5, 6, ABN_NHWC, dtype);
      abn_claims claims{};
      claims.struct_size = sizeof claims;
      ASSERT_EQ(variant.claims(&p, &claims), ABN_OK);
      EXPECT_EQ(claims.scheme, name == "iabn2" ? ABN_IN_PLACE_2 : ABN_IN_PLACE_1);
      EXPECT_EQ(claims.accumulate, dtype == ABN_F64 ? ABN_F64 : ABN_F32);
      EXPECT_EQ(claims.saves, static_cast<std::uint32_t>(ABN_SAVES_Z | ABN_SAVES_VAR));
      EXPECT_EQ(claims.materialises, 0u);
      EXPECT_TRUE(claims.z_may_alias_x && claims.dx_may_alias_dz && claims.deterministic);
    }
  }
}

// A caller with a shorter struct gets the fields that it knows and no byte more.
TEST(KernelsContract, ClaimsOfAnOlderCaller) {
  const abn_problem p = problem_of(4, 5, 6, ABN_NHWC, ABN_F32);
  for (const std::string& name : in_place_variants()) {
    alignas(abn_claims) unsigned char bytes[sizeof(abn_claims)];
    std::memset(bytes, 0xcd, sizeof bytes);
    constexpr std::uint32_t shorter = offsetof(abn_claims, saves);
    std::memcpy(bytes, &shorter, sizeof shorter);
    ASSERT_EQ(variant_named(name).claims(&p, reinterpret_cast<abn_claims*>(bytes)), ABN_OK);
    for (std::size_t i = shorter; i < sizeof bytes; ++i) ASSERT_EQ(bytes[i], 0xcd);
    abn_claims claims;
    std::memcpy(&claims, bytes, sizeof claims);
    EXPECT_EQ(claims.struct_size, shorter);
    EXPECT_GE(claims.scheme, ABN_IN_PLACE_1);
  }
}

TEST(KernelsContract, RefusesWhatItDoesNotKnow) {
  for (const std::string& name : in_place_variants()) {
    const auto refused = [&](auto change) {
      abn_problem p = problem_of(4, 5, 6, ABN_NHWC, ABN_F32);
      change(p);
      abn_claims claims{};
      claims.struct_size = sizeof claims;
      return variant_named(name).claims(&p, &claims) == ABN_ERROR_UNSUPPORTED;
    };
    EXPECT_FALSE(refused([](abn_problem&) {}));
    EXPECT_TRUE(refused([](abn_problem& p) { p.layout = 2; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.dtype = 4; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.param_dtype = ABN_F64; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.activation = 4; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.scale = -1; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.mode = 3; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.n = -1; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.activation_parameter = 0; }));
    // 1/slope is no float
    EXPECT_TRUE(refused([](abn_problem& p) { p.activation_parameter = 0x1p-140; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.eps = not_a_number; }));
    EXPECT_TRUE(refused([](abn_problem& p) { p.struct_size = 8; }));
  }
}

TEST(KernelsContract, EmptyProblemsTouchNothing) {
  for (const std::string& name : in_place_variants())
    for (int mode = ABN_TRAINING; mode <= ABN_FROZEN; ++mode)
      for (const auto& [n, c, s] : {std::tuple{0, 4, 8}, {3, 0, 5}, {2, 6, 0}, {0, 0, 0}}) {
        abn_problem p = problem_of(n, c, s, ABN_NCHW, ABN_F32);
        p.mode = mode;
        const Case empty = case_of(p, 1);
        abn_claims claims{};
        claims.struct_size = sizeof claims;
        EXPECT_EQ(variant_named(name).claims(&p, &claims), ABN_OK);
        EXPECT_GE(claims.depth_statistics, 1);
        EXPECT_EQ(variant_named(name).workspace_bytes(&p, ABN_FORWARD), 0u);
        const Forward f = forward(variant_named(name), empty);
        EXPECT_EQ(f.status, ABN_OK);
        for (const Buffer* buffer : {&f.z, &f.running_mean, &f.running_var, &f.mean, &f.var})
          EXPECT_TRUE(buffer->unwritten());
        if (mode == ABN_INFERENCE) continue;
        const Backward b =
            backward(variant_named(name), empty, {}, std::vector<double>(empty.channels(), 1));
        EXPECT_EQ(b.status, ABN_OK);
        for (const Buffer* buffer : {&b.dx, &b.dgamma, &b.dbeta}) EXPECT_TRUE(buffer->unwritten());
      }
}

TEST(KernelsContract, MissingPointersAndWorkspace) {
  for (const std::string& name : in_place_variants()) {
    const abn_variant& variant = variant_named(name);
    const abn_problem p = problem_of(2, 2, 3, ABN_NCHW, ABN_F32);
    float values[64] = {};
    alignas(256) unsigned char space[1024];
    abn_forward_args f{};
    f.x = values, f.z = values, f.workspace = space, f.workspace_bytes = sizeof space;
    EXPECT_EQ(variant.forward(&p, &f), ABN_OK);
    f.beta = values;  // alone, which they claim: affine_apart
    EXPECT_EQ(variant.forward(&p, &f), ABN_OK);
    f.beta = nullptr, f.x = nullptr;
    EXPECT_EQ(variant.forward(&p, &f), ABN_ERROR_ARGUMENT);
    f.x = values;
    abn_problem inference = p;
    inference.mode = ABN_INFERENCE;
    EXPECT_EQ(variant.forward(&inference, &f), ABN_ERROR_ARGUMENT);
    abn_backward_args b{};
    b.dz = values, b.z = values, b.var = values, b.workspace = space,
    b.workspace_bytes = sizeof space;
    EXPECT_EQ(variant.backward(&p, &b), ABN_OK);
    b.var = nullptr;
    EXPECT_EQ(variant.backward(&p, &b), ABN_ERROR_ARGUMENT);
    b.var = values;
    EXPECT_EQ(variant.backward(&inference, &b), ABN_ERROR_UNSUPPORTED);
    if (variant.workspace_bytes(&p, ABN_BACKWARD) == 0) continue;
    b.workspace_bytes = variant.workspace_bytes(&p, ABN_BACKWARD) - 1;
    EXPECT_EQ(variant.backward(&p, &b), ABN_ERROR_WORKSPACE);
    f.workspace = nullptr;
    EXPECT_EQ(variant.forward(&p, &f), ABN_ERROR_WORKSPACE);
  }
}

// ---- the partition

const abn_problem every_shape[] = {
    problem_of(2, 3, 5, ABN_NCHW, ABN_F16),     problem_of(2, 3, 5, ABN_NHWC, ABN_F16),
    problem_of(1, 1, 1, ABN_NHWC, ABN_F64),     problem_of(8, 64, 49, ABN_NCHW, ABN_F16),
    problem_of(8, 64, 49, ABN_NHWC, ABN_BF16),  problem_of(700, 3, 9, ABN_NCHW, ABN_F32),
    problem_of(2, 2, 70001, ABN_NCHW, ABN_F16), problem_of(2, 2, 70001, ABN_NHWC, ABN_F32),
    problem_of(5, 1027, 3, ABN_NHWC, ABN_F16),  problem_of(3, 1000, 1, ABN_NCHW, ABN_F32),
    problem_of(3, 1, 4000, ABN_NHWC, ABN_F64),  problem_of(1, 300, 64, ABN_NCHW, ABN_F64),
};

TEST(KernelsPartition, CoversEverythingInBoundedSlices) {
  std::vector<abn_problem> problems(std::begin(every_shape), std::end(every_shape));
  const std::int64_t large[][3] = {{256, 64, 12544},
                                   {1, 1, std::int64_t{1} << 33},
                                   {std::int64_t{1} << 33, 1, 1},
                                   {1, std::int64_t{1} << 33, 1},
                                   {1 << 20, 1 << 10, 7},
                                   {1, 3, (std::int64_t{1} << 36) + 5}};
  for (const auto& size : large)
    for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
      for (const int dtype : {ABN_F16, ABN_F32, ABN_F64})
        problems.push_back(problem_of(size[0], size[1], size[2], layout, dtype));
  for (const abn_problem& p : problems) {
    const Partition partition = partition_of(p);
    EXPECT_EQ(partition.n * partition.c * partition.s, p.n * p.c * p.s);
    EXPECT_GE(partition.slices * partition.slice_items, partition.items);
    EXPECT_LT((partition.slices - 1) * partition.slice_items,
              partition.items);  // no slice is empty
    EXPECT_GE(partition.threads(), fewest_threads);
    EXPECT_LE(partition.threads(), most_threads);
    EXPECT_EQ(partition.threads() & (partition.threads() - 1), 0);
    const std::int64_t terms = ceil_div(partition.slice_items, partition.rows) *
                               (partition.layout == ABN_NCHW ? partition.lanes : 1);
    EXPECT_LE(terms, most_terms);
    EXPECT_GE(
        partition.panels * partition.columns * (partition.layout == ABN_NCHW ? 1 : partition.lanes),
        partition.c);
  }
}

// A few channels of a large tensor still give blocks to every processor.
TEST(KernelsPartition, FewChannelsGetSeveralSlices) {
  for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
    EXPECT_GE(partition_of(problem_of(32, 64, 56 * 56, layout, ABN_F16)).units(), 256);
}

template <class T, int Layout>
__global__ void count_visits(Partition partition, int* visits, int* wrong_channels) {
  constexpr int own = owned<T, Layout>;
  const Unit unit = unit_at(partition, blockIdx.x);
  const int64_t first = first_channel<Layout>(partition, unit.panel);
  for (VectorIterator<T, Layout> iterator(partition, unit); iterator.more();) {
    const VectorAccess access = iterator.next();
    for (int j = 0; j < vector_lanes<T>; ++j) {
      if ((access.present >> j & 1) == 0) continue;
      const int64_t at = access.begin + j, channel = first + (own == 1 ? 0 : j);
      visits[at] += 1;
      const int64_t belongs =
          Layout == ABN_NCHW ? at / partition.s % partition.c : at % partition.c;
      if (channel != belongs) *wrong_channels += 1;
    }
  }
}

TEST(KernelsPartition, IteratorsVisitEveryElementOnce) {
  for (const abn_problem& p : every_shape) {
    const Partition partition = partition_of(p);
    std::vector<int> visits(static_cast<std::size_t>(p.n * p.c * p.s));
    int wrong = 0;
    LaunchConfig config;
    config.grid = dim3(static_cast<unsigned>(partition.units()));
    config.block = dim3(static_cast<unsigned>(partition.threads()));
    const int status = with_types(p, [&](auto types) {
      using T = typename decltype(types)::Storage;
      return partition.layout == ABN_NCHW
                 ? launch(config, count_visits<T, ABN_NCHW>, partition, visits.data(), &wrong)
                 : launch(config, count_visits<T, ABN_NHWC>, partition, visits.data(), &wrong);
    });
    ASSERT_EQ(status, 0);
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(visits, std::vector<int>(visits.size(), 1)) << "n" << p.n << "c" << p.c << "s" << p.s;
  }
}

struct Seen {
  int64_t lowest, highest, elements;
};
template <class T, int Layout>
__global__ void measure_unit(Partition partition, int64_t index, Seen* seen) {
  for (VectorIterator<T, Layout> iterator(partition, unit_at(partition, index)); iterator.more();) {
    const VectorAccess access = iterator.next();
    for (int j = 0; j < vector_lanes<T>; ++j) {
      if ((access.present >> j & 1) == 0) continue;
      const int64_t at = access.begin + j;
      if (seen->elements == 0 || at < seen->lowest) seen->lowest = at;
      if (seen->elements == 0 || at > seen->highest) seen->highest = at;
      ++seen->elements;
    }
  }
}

// Offsets beyond 2^31 and 2^32 elements, where nothing can be allocated: the last unit ends with
// the last element.
TEST(KernelsPartition, LastUnitOfHugeTensors) {
  const std::int64_t sizes[][3] = {{2, 3, (std::int64_t{1} << 31) + 5},
                                   {(std::int64_t{1} << 33) + 1, 5, 1},
                                   {(std::int64_t{1} << 31) + 3, 3, 7}};
  for (const auto& size : sizes)
    for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout) {
      const abn_problem p = problem_of(size[0], size[1], size[2], layout, ABN_F16);
      const Partition partition = partition_of(p);
      Seen seen{};
      LaunchConfig config;
      config.grid = dim3(1);
      config.block = dim3(static_cast<unsigned>(partition.threads()));
      ASSERT_EQ(partition.layout == ABN_NCHW ? launch(config, measure_unit<__half, ABN_NCHW>,
                                                      partition, partition.units() - 1, &seen)
                                             : launch(config, measure_unit<__half, ABN_NHWC>,
                                                      partition, partition.units() - 1, &seen),
                0);
      EXPECT_EQ(seen.highest, p.n * p.c * p.s - 1);
      EXPECT_GT(seen.elements, 0);
      EXPECT_GE(seen.lowest, 0);
      if (partition.layout == ABN_NHWC) {
        EXPECT_EQ(seen.elements,
                  (partition.items - (partition.slices - 1) * partition.slice_items) * partition.c);
      }
    }
}

}  // namespace
