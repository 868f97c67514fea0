// The same kernel without a bug, in every design and convention that the ABI knows, passes
// everywhere: no alarm over more than 10,000 channels.
//
// Each design gets a share of the smoke tier's cases, with as many channels as keep a case small,
// and where it does not do them the nearest that it does; ABN_TIER=full goes on with further seeds
// of the tier until 5 * 10^6 channels have been judged, or as many as ABN_TWIN_CHANNELS says.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/mutants/correct_kernels.hpp"
#include "verify/call/device.hpp"
#include "verify/check/moved.hpp"
#include "verify/check/outputs.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/problem.hpp"
#include "verify/results/results.hpp"
#include "verify/run/runner.hpp"

namespace {

using namespace abn::verify;
using abn::mutants::correct_kernels, abn::mutants::kernels_of_conventions;

std::vector<const abn_variant*> all_kernels() {
  std::vector<const abn_variant*> all;
  for (const abn_variant& kernel : correct_kernels) all.push_back(&kernel);
  for (const abn_variant& kernel : kernels_of_conventions) all.push_back(&kernel);
  return all;
}

/// The tier's cases for one kernel: every one that falls to it, widened to about `elements`
/// elements.
std::vector<data::Case> cases_for(std::size_t kernel, std::size_t kernels, std::uint64_t seed) {
  constexpr std::int64_t elements = 2000;
  std::vector<data::Case> all = data::cases_of(data::Tier::smoke, seed), out;
  // sizes_test.cpp has those that are there for their sizes
  std::erase_if(all, [](const data::Case& one) { return one.sampled; });
  for (std::size_t i = 0; i < all.size(); ++i) {
    // shifted each time round, so that all kernels meet all combinations
    if ((i + i / kernels) % kernels != kernel) continue;
    abn_problem& p = all[i].problem;
    if (const std::int64_t size = problem::element_count(p); size > 0)
      p.c *= std::max<std::int64_t>(elements / size, 1);
    out.push_back(std::move(all[i]));
  }
  return out;
}

std::int64_t judged_channels(const call::Subject& subject, const std::vector<data::Case>& cases) {
  std::int64_t channels = 0;
  for (const data::Case& one : cases)
    if (problem::element_count(one.problem) > 0 &&
        problem::claims_of(*subject.variant, one.problem).status == ABN_OK)
      channels += one.problem.c;
  return channels;
}

TEST(CleanTwins, RaiseNoAlarm) {
  const char* const tier = std::getenv("ABN_TIER");
  const bool full = tier != nullptr && std::string(tier) == "full";
  const char* const asked = std::getenv("ABN_TWIN_CHANNELS");
  const std::int64_t wanted = asked != nullptr ? std::strtoll(asked, nullptr, 10)
                              : full           ? 5'000'000
                                               : 10'000;
  const std::vector<const abn_variant*> kernels = all_kernels();
  ASSERT_GE(kernels.size(), 30u);
  constexpr std::uint64_t first_seed = 1;
  std::uint64_t seed = first_seed;
  std::int64_t channels = 0;
  std::size_t alarms = 0, compared = 0;
  std::vector<std::int64_t> channels_of(kernels.size());
  for (; channels < wanted; ++seed)
    for (std::size_t k = 0; k < kernels.size(); ++k) {
      call::Subject subject;
      subject.variant = kernels[k];
      subject.device = call::host_device();
      check::RunOptions options;
      options.threads = 1;
      const std::vector<data::Case> wished = cases_for(k, kernels.size(), seed),
                                    cases =
                                        check::moved_cases(check::output_checks, subject, wished)
                                            .cases;
      const std::int64_t judged = judged_channels(subject, cases);
      channels += judged, channels_of[k] += judged;
      for (const results::Record& record :
           run::run(check::output_checks, std::span(&subject, 1), cases, options)) {
        compared += record.tally.elements;
        if (record.verdict == results::Verdict::pass || record.verdict == results::Verdict::skip)
          continue;
        // A share of a tier may have one case of a check, of zeros, which tells nothing.
        constexpr std::uint64_t few = 3;
        if (record.verdict == results::Verdict::inconclusive &&
            record.cases - record.skipped_cases <= few)
          continue;
        ++alarms;
        ADD_FAILURE() << "seed " << seed << "\n" << results::failure_text(record);
      }
    }
  fmt::print("{} alarms over {} channels, {} elements; {} designs, seeds {} to {}\n", alarms,
             channels, compared, kernels.size(), first_seed, seed - 1);
  EXPECT_GE(channels, wanted);
  for (std::size_t k = 0; k < kernels.size(); ++k)
    EXPECT_GT(channels_of[k], 50) << kernels[k]->name;
}

}  // namespace
