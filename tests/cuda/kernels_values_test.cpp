// Do the kernels compute the right numbers? Every type, layout, activation, mode and convention
// over awkward shapes, against plain double loops. The sharp judgement is the judge's; this finds
// mistakes.
#include "tests/cuda/kernel_plain.hpp"

namespace {

using namespace abn::tests;

struct Shape {
  std::int64_t n, c, s;
};

std::string describe(const Case& c, const Options& options) {
  const abn_problem& p = c.problem;
  return "n" + std::to_string(p.n) + "c" + std::to_string(p.c) + "s" + std::to_string(p.s) +
         " layout " + std::to_string(p.layout) + " dtype " + std::to_string(p.dtype) + "/" +
         std::to_string(p.param_dtype) + " activation " + std::to_string(p.activation) + " scale " +
         std::to_string(p.scale) + " mode " + std::to_string(p.mode) + " offset " +
         std::to_string(options.offset);
}

void check(const abn_variant& variant, const Case& c, const Options& options) {
  SCOPED_TRACE(variant.name + (" " + describe(c, options)));
  const Both got = run(variant, c, options);
  const Plain plain(c);
  const Expected f = plain.forward();
  expect_all("z", got.f.result().values(), f.z);
  const bool training = c.problem.mode == ABN_TRAINING;
  if (training && options.outputs) {
    expect_all("mean", got.f.mean.values(), f.mean);
    expect_all("var", got.f.var.values(), f.var);
    expect_all("running_mean", got.f.running_mean.values(), f.running_mean);
    expect_all("running_var", got.f.running_var.values(), f.running_var);
  }
  if (c.problem.mode == ABN_INFERENCE) return;
  const Expected b =
      plain.backward(got.f.result().values(), training ? got.f.var.values() : c.running_var);
  if (options.outputs || options.in_place) expect_all("dx", got.b.result().values(), b.dx);
  if (!options.outputs) return;
  expect_all("dgamma", got.b.dgamma.values(), b.dgamma);
  expect_all("dbeta", got.b.dbeta.values(), b.dbeta);
}

// Sizes that are multiples of nothing, of everything, and the smallest.
constexpr Shape shapes[] = {{2, 3, 5},  {3, 8, 16}, {2, 1, 1},   {7, 1, 33},
                            {5, 65, 3}, {3, 17, 1}, {1, 5, 129}, {2, 33, 31},
                            {4, 9, 49}, {16, 6, 1}, {1, 70, 2},  {9, 12, 4}};
constexpr double parameters[] = {0.01, 0.25, 1.5};

// Every combination, each with another shape, parameter and placement.
void check_every_combination(const std::string& name) {
  const abn_variant& variant = variant_named(name);
  std::uint64_t index = 0;
  for (const auto& [dtype, parameter] : {std::pair{ABN_F16, ABN_F32},
                                         {ABN_BF16, ABN_F32},
                                         {ABN_F32, ABN_F32},
                                         {ABN_F64, ABN_F32},
                                         {ABN_F64, ABN_F64}})
    for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
      for (int activation = ABN_IDENTITY; activation <= ABN_CELU; ++activation)
        for (int mode = ABN_TRAINING; mode <= ABN_FROZEN; ++mode)
          for (int scale = ABN_SCALE_SIGNED; scale <= ABN_SCALE_ABS_EPS; ++scale)
            for (int repeat = 0; repeat < 3; ++repeat, ++index) {
              const Shape shape = shapes[(index * 5 + index / 12) % std::size(shapes)];
              abn_problem p = problem_of(shape.n, shape.c, shape.s, layout, dtype);
              p.param_dtype = parameter;
              p.eps = rounded(parameter, index % 2 == 0 ? 1e-5 : 1e-2);
              p.momentum = rounded(parameter, 0.1);
              p.scale = scale;
              p.mode = mode;
              activate(p, activation, parameters[index % 3]);
              Options options;
              options.schedule = index;
              options.offset = index % 4 == 0 ? 0 : index % 5;
              options.in_place = index % 3 == 2;
              options.outputs = index % 7 != 6;
              Case c = case_of(p, index);
              if (index % 11 == 10) c.gamma.clear(), c.beta.clear();
              check(variant, c, options);
              if (testing::Test::HasFailure()) return;
            }
}

TEST(KernelsValues, EveryCombination) {
  for (const std::string& name : in_place_variants()) check_every_combination(name);
}

// Several slices a channel, long rows, long columns, more channels than a panel.
constexpr Shape large_shapes[] = {{2, 2, 4099}, {3, 1, 9001}, {700, 3, 9},  {1, 300, 40},
                                  {40, 2, 261}, {6, 1030, 2}, {5000, 4, 1}, {90, 9, 49}};

void check_large(const std::string& name) {
  std::uint64_t index = 0;
  for (const Shape& shape : large_shapes)
    for (int layout = ABN_NCHW; layout <= ABN_NHWC; ++layout)
      for (const int dtype : {ABN_F16, ABN_F32, ABN_F64}) {
        ++index;
        abn_problem p = problem_of(shape.n, shape.c, shape.s, layout, dtype);
        p.mode = index % 4 == 0 ? ABN_FROZEN : index % 9 == 5 ? ABN_INFERENCE : ABN_TRAINING;
        check(variant_named(name), case_of(p, index),
              {.schedule = index, .in_place = index % 2 == 0, .offset = index % 6 == 5 ? 1u : 0u});
        if (testing::Test::HasFailure()) return;
      }
}
TEST(KernelsValues, LargerShapes) {
  for (const std::string& name : in_place_variants()) check_large(name);
}

// More channels than a launch has blocks.
TEST(KernelsValues, MoreChannelsThanBlocks) {
  for (const std::string name : {"naive", "two_sweep", "resident"}) {
    abn_problem p = problem_of(1, 65600, 2, ABN_NCHW, ABN_BF16);
    check(variant_named(name), case_of(p, 1), {});
    p = problem_of(1, 65600, 1, ABN_NHWC, ABN_F32);
    p.mode = ABN_FROZEN;
    check(variant_named(name), case_of(p, 2), {});
  }
}

// A constant layout change permutes memory only.
TEST(KernelsValues, LayoutsAgree) {
  for (const std::string& name : in_place_variants())
    for (const Shape& shape : {Shape{3, 5, 21}, Shape{2, 16, 64}, Shape{2, 3, 2500}}) {
      const Case nchw = case_of(problem_of(shape.n, shape.c, shape.s, ABN_NCHW, ABN_F32), 3);
      Case nhwc = nchw;
      nhwc.problem.layout = ABN_NHWC;
      for (std::size_t c = 0; c < nchw.channels(); ++c)
        for (std::size_t i = 0; i < nchw.samples(); ++i)
          nhwc.x[nhwc.at(c, i)] = nchw.x[nchw.at(c, i)],
                            nhwc.dz[nhwc.at(c, i)] = nchw.dz[nchw.at(c, i)];
      const Both a = run(variant_named(name), nchw), b = run(variant_named(name), nhwc);
      const auto za = a.f.z.values(), zb = b.f.z.values(), da = a.b.dx.values(),
                 db = b.b.dx.values();
      for (std::size_t c = 0; c < nchw.channels(); ++c)
        for (std::size_t i = 0; i < nchw.samples(); ++i) {
          ASSERT_NEAR(za[nchw.at(c, i)], zb[nhwc.at(c, i)], 1e-5) << name;
          ASSERT_NEAR(da[nchw.at(c, i)], db[nhwc.at(c, i)], 1e-5) << name;
        }
    }
}

}  // namespace
