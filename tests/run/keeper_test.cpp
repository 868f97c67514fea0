// A run that goes on from what an earlier one kept ends with the same records, wherever that was
// cut off and whatever the number of threads.
#define ABN_ENTRY_OF_THIS_TEST right_variant_of_keeper_test
#include "verify/run/keeper.hpp"
#include "tests/call/broken_variant.hpp"
#include "verify/results/journal.hpp"

namespace {

using RunKeeper = BrokenVariant;

/// Keeps everything, as text, and hands out what it is told to.
struct EveryStep : run::Keeper {
  run::Progress before(const Subject&, std::uint64_t cases) override {
    EXPECT_EQ(cases, begin.of == 0 ? cases : begin.of);
    return begin;
  }
  bool due() override { return true; }
  void keep(const Subject&, run::Progress progress) override { steps.push_back(progress); }

  run::Progress begin;
  std::vector<run::Progress> steps;
};

run::Progress through_the_journal(const run::Progress& progress) {
  const results::Standing standing{"part", progress.done, progress.of, progress.records, 0, {}};
  const std::string text =
      results::journal_line(results::JournalHeader{}) + results::journal_line(standing, 1);
  const results::Standing found = results::journal_from_text(text, "name").standings.at("part");
  return {found.done, found.of, found.records};
}

TEST_F(RunKeeper, GoesOnFromEveryStepToTheSameBytes) {
  // Wrong in some cases, so that there are failures, witnesses and skips to be kept.
  breakage.forward = [](const abn_problem& p, const abn_forward_args& a) {
    const int status = ::forward(&p, &a);
    if (p.dtype == ABN_F32 && p.n > 2) static_cast<float*>(a.z)[1] += 1e-6f;
    return status;
  };
  std::vector<data::Case> cases;
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    for (const char* const problem :
         {"n3c4s7,f32,elu", "n2c3s5,nhwc,f32,leaky_relu", "n2c2s3,f64,identity,inference"})
      cases.push_back(data::replay(problem, "standard", seed));
  const std::vector<Subject> subjects{subject_of(broken_variant)};
  check::RunOptions options;
  const auto text = [&](int threads, run::Keeper* keeper) {
    options.threads = threads;
    results::Results all;
    all.records = run::run(check::output_checks, subjects, cases, options, keeper);
    return results::to_json(all);
  };
  const std::string unbroken = text(1, nullptr);
  EXPECT_NE(unbroken.find("\"fail\""), std::string::npos);
  EveryStep first;
  EXPECT_EQ(text(1, &first), unbroken);
  ASSERT_EQ(first.steps.size(), cases.size());
  for (std::size_t i = 0; i < first.steps.size(); ++i) {
    EXPECT_EQ(first.steps[i].done, i + 1);
    for (const int threads : {1, 3}) {
      EveryStep again;
      again.begin = through_the_journal(first.steps[i]);
      EXPECT_EQ(text(threads, &again), unbroken) << "from case " << i + 1;
      EXPECT_EQ(again.steps.empty(), i + 1 == cases.size()) << "what is done is not done again";
    }
  }
  // Threads keep only what has no gap before it.
  EveryStep several;
  EXPECT_EQ(text(3, &several), unbroken);
  for (const run::Progress& step : several.steps) {
    EveryStep again;
    again.begin = step;
    EXPECT_EQ(text(2, &again), unbroken) << "from case " << step.done;
  }
}

}  // namespace
