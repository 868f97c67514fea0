// The full Jacobian of the reference: the hand-derived gradients pass, wrong ones do not, and the
// bars are sharp enough to tell.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "verify/check/gradient/reference_jacobian.hpp"
#include "verify/data/cases.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;
using namespace abn::verify::check::gradient;
using abn::reference::Channel;
using abn::reference::Double8;
using abn::reference::Forward;
using abn::reference::Gradients;
using abn::reference::Recovered;

std::map<std::string, results::Record> jacobian(const std::string& problem,
                                                const PackBackward& backward = standard_backward,
                                                std::uint64_t seed = 3) {
  const data::Case one = data::replay(problem, "standard", seed);
  std::map<std::string, results::Record> by_check;
  for (results::Record& record :
       check_reference_jacobian(data::inputs_of(one), one.data, seed, "*", backward))
    by_check[record.check] = std::move(record);
  return by_check;
}

TEST(ReferenceJacobian, TheHandDerivedGradientsAreWithinTheBars) {
  for (const char* text : {"n8c3s16,f64,leaky_relu", "n3c4s7,f64,elu:1",
                           "n3c4s7,f64,elu:0.5,abs_eps", "n2c3s5,f64,leaky_relu:0.2,abs_eps",
                           "n1c2s2,f64,identity", "n3c3s3,f64,leaky_relu,frozen,nhwc",
                           "n5c2s3,f64,elu:1.7,frozen", "n1c5s129,f64,leaky_relu,eps:0"})
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      const abn_problem p = problem::parse_problem(text);
      for (const auto& [check, record] : jacobian(text, standard_backward, seed)) {
        EXPECT_EQ(record.verdict, results::Verdict::pass) << results::failure_text(record);
        EXPECT_EQ(record.tally.elements, static_cast<std::uint64_t>(problem::element_count(p)))
            << check;
      }
    }
}

TEST(ReferenceJacobian, TheBarsAreFarBelowWhatABugWouldChange) {
  // At 0 % of a bar everything would pass: the worst entry uses more than 1 % of its own.
  const auto records = jacobian("n8c3s16,f64,leaky_relu");
  EXPECT_GT(records.at("jacobian_dx").tally.max_ratio, 0.01);
  EXPECT_LT(records.at("jacobian_dx").witnesses.front().bound, 1e-9);
}

/// A backward that is wrong as `spoil` says, on a channel of m samples.
template <class Spoil>
PackBackward wrong(Spoil spoil) {
  return [spoil](const Forward<Double8>& f, const Channel<Double8>& channel,
                 const abn::reference::Vector<Double8>& dz, bool frozen,
                 Recovered<Double8>& recovered) {
    Gradients<Double8> gradients = standard_backward(f, channel, dz, frozen, recovered);
    spoil(gradients, f, recovered);
    return gradients;
  };
}

void expect_failing(const char* name, const PackBackward& backward, const std::string& check) {
  for (const char* text : {"n8c2s16,f64,leaky_relu", "n2c2s3,f64,elu:1"})
    for (const auto& [made, record] : jacobian(text, backward)) {
      const std::string failure = results::failure_text(record);
      EXPECT_EQ(record.verdict, made == check ? results::Verdict::fail : results::Verdict::pass)
          << name << " " << text << "\n"
          << failure;
      const bool replays = failure.find("reproduce abn-verify grad reference/gradient/f64/nchw/" +
                                        made) != std::string::npos;
      EXPECT_TRUE(replays) << failure;
    }
}

TEST(ReferenceJacobian, WrongGradientsFailInTheirOwnCheckAndInNoOther) {
  using Grads = Gradients<Double8>;
  using F = Forward<Double8>;
  using R = Recovered<Double8>;
  expect_failing("dx = 0", wrong([](Grads& g, const F&, const R&) { g.dx = g.dx * Double8(0.0); }),
                 "jacobian_dx");
  expect_failing("missing rstd", wrong([](Grads& g, const F& f, const R&) { g.dx = g.dx / f.r; }),
                 "jacobian_dx");
  expect_failing("missing mean term", wrong([](Grads& g, const F& f, const R& r) {
                   g.dx = g.dx + f.g * f.r * (g.dbeta / Double8(double(r.dy.size())));
                 }),
                 "jacobian_dx");
  expect_failing("missing xhat term", wrong([](Grads& g, const F& f, const R& r) {
                   g.dx = g.dx + f.g * f.r * (g.dgamma / Double8(double(r.dy.size()))) * r.xhat;
                 }),
                 "jacobian_dx");
  expect_failing("the mean over m - 1", wrong([](Grads& g, const F& f, const R& r) {
                   const double m = double(r.dy.size());
                   g.dx = g.dx - f.g * f.r * g.dbeta * Double8(1 / (m - 1) - 1 / m);
                 }),
                 "jacobian_dx");
  expect_failing("one input off by 1e-6",
                 wrong([](Grads& g, const F&, const R&) { g.dx[3] *= Double8(1 + 1e-6); }),
                 "jacobian_dx");
  expect_failing("NaN in one entry",
                 wrong([](Grads& g, const F&, const R&) { g.dx[1].lane[2] = std::nan(""); }),
                 "jacobian_dx");
  expect_failing("sign of dgamma",
                 wrong([](Grads& g, const F&, const R&) { g.dgamma = -g.dgamma; }),
                 "jacobian_dgamma");
  expect_failing("dbeta without phi'",
                 wrong([](Grads& g, const F&, const R&) { g.dbeta = Double8(1.0); }),
                 "jacobian_dbeta");
}

TEST(ReferenceJacobian, ARightGradientOfAnotherBranchFails) {
  const PackBackward no_branch = [](const Forward<Double8>& f, const Channel<Double8>& channel,
                                    const abn::reference::Vector<Double8>& dz, bool frozen,
                                    Recovered<Double8>& recovered) {
    Forward<Double8> positive = f;
    for (Double8& z : positive.z) z = Double8(1.0);
    return standard_backward(positive, channel, dz, frozen, recovered);
  };
  for (const auto& [check, record] : jacobian("n4c2s8,f64,leaky_relu", no_branch))
    EXPECT_EQ(record.verdict, results::Verdict::fail) << check;
}

TEST(ReferenceJacobian, OtherProblemsAreRefused) {
  for (const char* text : {"n3c4s7,f32,leaky_relu", "n3c4s7,f64,param:f32,leaky_relu",
                           "n3c4s7,f64,inference,leaky_relu"})
    EXPECT_THROW(jacobian(text), problem::UsageError) << text;
  problem::Inputs at_the_kink =
      data::inputs_of(data::replay("n2c2s2,f64,leaky_relu", "standard", 1));
  at_the_kink.gamma = {0, 0}, at_the_kink.beta = {0, 0};  // y is 0 whatever x is
  EXPECT_THROW(check_reference_jacobian(at_the_kink, "x", 1, "*"), problem::UsageError);
}

}  // namespace
