// Data in the command line: what is written is read back, and what cannot be meant is refused.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "verify/data/cases.hpp"
#include "verify/data/given.hpp"
#include "verify/data/recipes.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::data;

void expect_same(const std::vector<double>& a, const std::vector<double>& b, const char* what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_TRUE((std::isnan(a[i]) && std::isnan(b[i])) ||
                (a[i] == b[i] && std::signbit(a[i]) == std::signbit(b[i])))
        << what << " " << i;
}

TEST(GivenData, EveryRecipeIsReadBackAsItWasWritten) {
  for (const char* text :
       {"n2c3s2,f16,leaky_relu", "n2c3s2,nhwc,bf16,elu:1", "n2c3s2,f64,frozen,leaky_relu"}) {
    const abn_problem problem = problem::parse_problem(text);
    for (const Recipe& recipe : recipes()) {
      const problem::Inputs made = make_inputs(problem, recipe.name, 3);
      const Case one = replay(text, given_text(made), 3);
      ASSERT_TRUE(one.given) << recipe.name;
      const problem::Inputs read = inputs_of(one);
      EXPECT_EQ(read.affine, made.affine);
      expect_same(read.x, made.x, "x");
      expect_same(read.dz, made.dz, "dz");
      expect_same(read.gamma, made.gamma, "gamma");
      expect_same(read.beta, made.beta, "beta");
      expect_same(read.running_mean, made.running_mean, "running_mean");
      expect_same(read.running_var, made.running_var, "running_var");
    }
  }
}

TEST(GivenData, WhatIsLeftOutHasItsDefault) {
  const problem::Inputs read =
      parse_given("given:x=1,-0x1p-3", problem::parse_problem("n2c1s1,f32,leaky_relu"));
  EXPECT_EQ(read.x, (std::vector<double>{1, -0.125}));
  EXPECT_FALSE(read.affine);
  EXPECT_TRUE(read.dz.empty());
  EXPECT_EQ(read.running_mean, std::vector<double>{0});
  EXPECT_EQ(read.running_var, std::vector<double>{1});
}

TEST(GivenData, WhatNoDoubleHoldsIsNoInfinityAndNoZero) {
  const abn_problem problem = problem::parse_problem("n1c1s2,f64,identity");
  for (const char* text : {"given:x=1e400,0", "given:x=0,-1e400", "given:x=1e-400,0",
                           "given:x=0x1p-1080,0", "given:x=0x1p1024,0"})
    EXPECT_THROW(parse_given(text, problem), problem::UsageError) << text;
  EXPECT_TRUE(std::isinf(parse_given("given:x=inf,0", problem).x[0]));
  EXPECT_EQ(parse_given("given:x=0x1p-1074,0", problem).x[0], 0x1p-1074);
  EXPECT_THROW(parse_given("given:x= 1,0", problem), problem::UsageError) << "a blank";
}

TEST(GivenData, WhatCannotBeMeantIsRefused) {
  for (const char* wrong :
       {"given:", "given:x=1", "given:x=1,2,3", "given:x=1,2;x=1,2", "given:y=1,2", "given:x=1,two",
        "given:x=1,,2", "given:x=1,0.1", "given:x=1,2;gamma=1", "given:x=1,2;beta=1",
        "given:x=1,2;gamma=1;beta=1,2", "given:x=1,1e9"})
    EXPECT_THROW(replay("n2c1s1,f16,leaky_relu", wrong, 1), problem::UsageError) << wrong;
  EXPECT_THROW(replay("", "given:x=1,2", 1), problem::UsageError);
  const std::string too_long_for_a_file(300, 'a');
  EXPECT_THROW(replay("n2c1s1,f16,leaky_relu", too_long_for_a_file, 1), problem::UsageError);
}

}  // namespace
