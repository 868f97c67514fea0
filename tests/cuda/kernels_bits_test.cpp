// What must not change a single bit: the schedule, the aliasing of buffers, the addresses of
// buffers, a repetition.
#include "tests/cuda/kernel_harness.hpp"

namespace {

using namespace abn::tests;

// Every output of both passes, NaNs alike.
std::vector<std::uint64_t> all_bits(const Both& both) {
  std::vector<std::uint64_t> out;
  for (const Buffer* buffer :
       {&both.f.result(), &both.f.running_mean, &both.f.running_var, &both.f.mean, &both.f.var,
        &both.b.result(), &both.b.dgamma, &both.b.dbeta})
    for (const std::uint64_t bits : buffer->bits()) out.push_back(bits);
  return out;
}

// Several blocks, warps and slices; ragged vectors; every activation and type once.
std::vector<Case> cases() {
  std::vector<Case> out;
  struct Kind {
    std::int64_t n, c, s;
    int layout, dtype, activation, mode;
  };
  for (const Kind& k : {Kind{3, 2, 1300, ABN_NCHW, ABN_F32, ABN_LEAKY_RELU, ABN_TRAINING},
                        Kind{3, 5, 47, ABN_NCHW, ABN_F16, ABN_ELU, ABN_TRAINING},
                        Kind{3, 2, 1300, ABN_NHWC, ABN_BF16, ABN_IDENTITY, ABN_TRAINING},
                        Kind{2, 9, 333, ABN_NHWC, ABN_F64, ABN_LEAKY_RELU, ABN_TRAINING},
                        Kind{2, 16, 700, ABN_NHWC, ABN_F16, ABN_LEAKY_RELU, ABN_FROZEN},
                        Kind{2, 3, 2100, ABN_NCHW, ABN_BF16, ABN_ELU, ABN_FROZEN},
                        Kind{2, 5, 411, ABN_NHWC, ABN_F32, ABN_CELU, ABN_TRAINING}}) {
    abn_problem p = problem_of(k.n, k.c, k.s, k.layout, k.dtype);
    activate(p, k.activation, 0.3);
    p.mode = k.mode;
    out.push_back(case_of(p, static_cast<std::uint64_t>(k.s)));
  }
  return out;
}

void expect_same(const char* what, const Options& changed, const Options& base = {}) {
  for (const std::string& name : in_place_variants())
    for (const Case& c : cases()) {
      const auto expected = all_bits(run(variant_named(name), c, base)),
                 got = all_bits(run(variant_named(name), c, changed));
      ASSERT_FALSE(expected.empty());
      EXPECT_EQ(got, expected) << name << " dtype " << c.problem.dtype << " layout "
                               << c.problem.layout << ": " << what << " changed the bits";
    }
}

TEST(KernelsBits, SameUnderEverySchedule) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    expect_same("a schedule", {.schedule = seed});
    if (HasFailure()) return;
  }
}
TEST(KernelsBits, SameInPlace) {
  expect_same("writing z over x and dx over dz", {.in_place = true});
}
TEST(KernelsBits, SameAtEveryAddress) {
  for (std::size_t offset = 1; offset <= 9; ++offset)
    expect_same("another address", {.offset = offset});
}
TEST(KernelsBits, SameInPlaceAtOddAddresses) {
  expect_same("in place at odd addresses", {.schedule = 5, .in_place = true, .offset = 3});
}
TEST(KernelsBits, SameWithoutOptionalOutputs) {
  for (const std::string& name : in_place_variants())
    for (const Case& c : cases()) {
      const Both full = run(variant_named(name), c),
                 bare = run(variant_named(name), c, {.outputs = false});
      EXPECT_EQ(bare.f.z.bits(), full.f.z.bits());
      EXPECT_EQ(bare.f.var.bits(), full.f.var.bits());
    }
}

// One output at a time is enough to be asked for.
TEST(KernelsBits, SameForEachOptionalGradientAlone) {
  for (const std::string& name : in_place_variants())
    for (const Case& c : cases()) {
      const abn_variant& variant = variant_named(name);
      const Both full = run(variant, c);
      for (int which = 0; which < 3; ++which) {
        const auto z = full.f.z.values();
        const auto var = c.problem.mode == ABN_TRAINING ? full.f.var.values() : c.running_var;
        Buffer dz(c.problem.dtype, c.dz, 0), stored(c.problem.dtype, z, 0),
            gamma(c.problem.param_dtype, c.gamma, 0), beta(c.problem.param_dtype, c.beta, 0),
            variance(c.problem.param_dtype, var, 0),
            out(which == 0 ? c.problem.dtype : c.problem.param_dtype,
                which == 0 ? c.elements() : c.channels(), 0);
        Workspace workspace(variant, c.problem, ABN_BACKWARD);
        abn_backward_args args{};
        args.struct_size = sizeof args;
        args.dz = dz.data(), args.z = stored.data(), args.gamma = gamma.data(),
        args.beta = beta.data(), args.var = variance.data();
        (which == 0 ? args.dx : which == 1 ? args.dgamma : args.dbeta) = out.data();
        args.workspace = workspace.data(), args.workspace_bytes = workspace.bytes();
        ASSERT_EQ(variant.backward(&c.problem, &args), ABN_OK);
        EXPECT_EQ(out.bits(), (which == 0   ? full.b.dx
                               : which == 1 ? full.b.dgamma
                                            : full.b.dbeta)
                                  .bits())
            << name << " output " << which;
      }
    }
}

}  // namespace
