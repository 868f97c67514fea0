// A right kernel, that of cuda/examples, with a place to break it: tests say what a variant does
// besides computing the right thing.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "verify/check/outputs.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

// The kernel as part of this file, with another name for its entry.
#define abn_plugin ABN_ENTRY_OF_THIS_TEST
#include "cuda/examples/host_kernel.cpp"
#undef abn_plugin

namespace {

using namespace abn::verify;
using namespace abn::verify::call;

/// What a broken variant does besides computing the right thing; plain functions reach it through
/// these.
struct Breakage {
  std::function<int(const abn_problem&, const abn_forward_args&)> forward =
      [](const abn_problem& p, const abn_forward_args& a) { return ::forward(&p, &a); };
  std::function<int(const abn_problem&, const abn_backward_args&)> backward =
      [](const abn_problem& p, const abn_backward_args& a) { return ::backward(&p, &a); };
  std::function<void(abn_claims&)> claims = [](abn_claims&) {};
};
Breakage breakage;

int broken_claims(const abn_problem* p, abn_claims* out) {
  const int status = ::claims(p, out);
  if (status == ABN_OK) breakage.claims(*out);
  return status;
}
int broken_forward(const abn_problem* p, const abn_forward_args* a) {
  return breakage.forward(*p, *a);
}
int broken_backward(const abn_problem* p, const abn_backward_args* a) {
  return breakage.backward(*p, *a);
}
size_t some_workspace(const abn_problem*, int) { return 96; }

const abn_variant broken_variant = {ABN_ABI_VERSION, sizeof(abn_variant),
                                    "broken",        "breaks what the test says",
                                    ABN_MEMORY_HOST, 0,
                                    broken_claims,   some_workspace,
                                    broken_forward,  broken_backward};

Subject subject_of(const abn_variant& which) {
  Subject subject;
  subject.variant = &which;
  subject.device = host_device();
  return subject;
}

std::map<std::string, results::Record> run_one(const std::string& problem,
                                               const std::string& data = "standard",
                                               std::uint64_t seed = 4,
                                               const std::string& pattern = "*") {
  const std::vector<Subject> subjects{subject_of(broken_variant)};
  const std::vector<data::Case> cases{data::replay(problem, data, seed)};
  check::RunOptions options;
  options.pattern = pattern;
  options.threads = 1;
  std::map<std::string, results::Record> by_check;
  for (results::Record& record : run::run(check::output_checks, subjects, cases, options))
    by_check[record.op + "/" + record.check] = record;
  return by_check;
}

/// Runs with this breakage over several seeds (placements and poison differ) and expects that
/// exactly the named checks fail.
[[maybe_unused]] void expect_failures(const Breakage& planted,
                                      const std::set<std::string>& expected,
                                      const std::string& problem = "n3c4s7,f32,leaky_relu",
                                      std::uint64_t seeds = 6) {
  breakage = planted;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    std::set<std::string> failed;
    for (const auto& [check, record] : run_one(problem, "standard", seed))
      if (record.verdict != results::Verdict::pass && record.verdict != results::Verdict::skip) {
        failed.insert(check);
        EXPECT_FALSE(record.witnesses.empty()) << check;
        for (const results::Witness& witness : record.witnesses)
          EXPECT_NE(witness.reproduce.find(record.id), std::string::npos) << check;
      }
    EXPECT_EQ(failed, expected) << "seed " << seed;
  }
  breakage = {};
}

/// Each test starts from the unbroken variant.
class BrokenVariant : public testing::Test {
 protected:
  void SetUp() override { breakage = {}; }
};

}  // namespace
