// One property against one subject on generated cases, with RapidCheck's settings.
#pragma once

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <random>
#include <string>

#include "tests/check/property/generators.hpp"
#include "verify/check/property/property.hpp"
#include "verify/problem/claims.hpp"

namespace property_tests {

using namespace abn::verify::check;
using namespace abn::verify::check::property;

inline constexpr std::uint64_t fixed_seed = 20261123;

inline bool full_tier() {
  const char* const tier = std::getenv("ABN_TIER");
  return tier != nullptr && std::string(tier) == "full";
}

/// Settings of RapidCheck. Without RC_PARAMS in the environment the seed is fixed, or with
/// ABN_TIER=full a random one, and RapidCheck prints it; max_success in RC_PARAMS goes before
/// `cases`, of which the full tier takes ten times as many.
inline rc::detail::TestParams settings(int cases) {
  static const bool given = [] {
    const char* const words = std::getenv("RC_PARAMS");
    if (words != nullptr) return std::string(words).find("max_success") != std::string::npos;
    const std::uint64_t seed =
        full_tier() ? std::uint64_t{std::random_device{}()} << 32 | std::random_device{}()
                    : fixed_seed;
    setenv("RC_PARAMS", fmt::format("seed={}", seed).c_str(), 0);
    return false;
  }();
  rc::detail::TestParams out = rc::detail::configuration().testParams;
  constexpr int more = 10;
  if (!given) out.maxSuccess = full_tier() ? cases * more : cases;
  return out;
}

inline call::Subject on_host(const abn_variant& variant, bool emulated = false) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  subject.emulated = emulated;
  return subject;
}

/// What came of a property on generated cases.
struct Outcome {
  bool held = false;
  int compared = 0;        ///< cases in which anything could be compared
  std::string text;        ///< of the failure, with the minimal case
  GeneratedCase smallest;  ///< the minimal case, where it failed
  results::Record record;  ///< what it failed with
};

inline results::Record record_of(const Property& property, const call::Subject& subject,
                                 const GeneratedCase& one) {
  judge::Origin origin;
  origin.variant = subject.variant->name;
  origin.problem = one.inputs.problem;
  origin.data = "given";
  origin.seed = one.seed;
  origin.command_head =
      replay_command(judge::id_of(origin.variant, origin.problem, "property", property.name), one);
  origin.command_names_id = false;
  results::Record record = examine(property, subject, one.inputs, one.seed, origin);
  results::conclude(record);
  return record;
}

inline Outcome outcome_of(const Property& property, const call::Subject& subject, int cases) {
  const auto fits = [&](const abn_problem& problem) {
    const problem::Claimed claimed = problem::claims_of(*subject.variant, problem);
    return claimed.status == ABN_OK && claimed.nonsense.empty() &&
           property.applies(problem, claimed.claims);
  };
  Outcome out;
  const auto holds = [&] {
    const GeneratedCase one = *generated_case(fits);
    results::Record record = record_of(property, subject, one);
    if (record.verdict == results::Verdict::skip) return;
    ++out.compared;
    if (record.verdict == results::Verdict::pass) return;
    // Shrinking goes on from what failed, so the last failure is the smallest.
    out.smallest = one;
    const std::string text = results::failure_text(record);
    out.record = std::move(record);
    RC_FAIL(text);
  };
  rc::detail::TestMetadata metadata;
  metadata.id = metadata.description = fmt::format("{} {}", subject.variant->name, property.name);
  const rc::detail::TestResult result = rc::detail::checkTestable(holds, metadata, settings(cases));
  out.held = result.is<rc::detail::SuccessResult>();
  if (!out.held) {
    std::ostringstream text;
    rc::detail::printResultMessage(result, text);
    out.text = fmt::format("{}\n{}", property.statement, text.str());
  }
  return out;
}

}  // namespace property_tests
