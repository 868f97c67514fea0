// The group of the halves: right halves pass, each planted mistake fails, and a variant without
// halves has no such check.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "verify/call/device.hpp"
#include "verify/check/sync/checks.hpp"
#include "verify/check/sync/sharded.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

using namespace abn::verify;

namespace {

enum class Bug {
  none,
  writes_nothing,
  unweighted,
  spread_of_means_left_out,
  unbiased_over_the_shard,
  sums_of_the_shard,
  divided_by_the_shard,
  gradients_of_all_ranks,
  empty_shard_writes_no_partial,
  last_rank_left_out,
  fused_in_another_order
};

// In place I, f32, identity and leaky ReLU, signed gamma; every sum in double. A partial is the
// number of samples, then two numbers a channel: mean and sum of squares, or S0 and S1.
template <Bug bug>
struct Halves {
  static std::size_t at(const abn_problem& p, std::int64_t c, std::int64_t i) {
    return static_cast<std::size_t>(problem::sample_offset(p, c, i));
  }
  static std::int64_t count(const abn_problem& p) { return problem::sample_count(p); }
  static float g(const void* gamma, std::int64_t c) {
    return gamma == nullptr ? 1.0F : static_cast<const float*>(gamma)[c];
  }
  static float shift(const void* beta, std::int64_t c) {
    return beta == nullptr ? 0.0F : static_cast<const float*>(beta)[c];
  }
  static int claims(const abn_problem* p, abn_claims* out) {
    if (p->dtype != ABN_F32 || p->scale != ABN_SCALE_SIGNED || p->param_dtype != ABN_F32 ||
        (p->activation != ABN_IDENTITY && p->activation != ABN_LEAKY_RELU) ||
        p->mode != ABN_TRAINING)
      return ABN_ERROR_UNSUPPORTED;
    out->scheme = ABN_IN_PLACE_1;
    out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
    out->kink = ABN_KINK_RIGHT;
    out->accumulate = ABN_F32;
    out->deterministic = 1;
    out->depth_statistics = out->depth_backward = 8;
    return ABN_OK;
  }
  static std::size_t no_workspace(const abn_problem*, int) { return 0; }
  static std::size_t partial_bytes(const abn_problem* p, int) {
    return (1 + 2 * static_cast<std::size_t>(p->c)) * sizeof(double) / 16 * 16 + 16;
  }
  static const double* partial_of(const abn_problem& p, const void* all, int rank) {
    return static_cast<const double*>(all) +
           static_cast<std::size_t>(rank) * partial_bytes(&p, 0) / sizeof(double);
  }

  static int forward_local(const abn_problem* p, const abn_forward_args* a, void* partial) {
    if (bug == Bug::writes_nothing) return ABN_OK;
    if (bug == Bug::empty_shard_writes_no_partial && p->n == 0) return ABN_OK;
    auto* const out = static_cast<double*>(partial);
    const auto* const x = static_cast<const float*>(a->x);
    out[0] = static_cast<double>(count(*p));
    for (std::int64_t c = 0; c < p->c; ++c) {
      double sum = 0, squares = 0;
      for (std::int64_t i = 0; i < count(*p); ++i) sum += x[at(*p, c, i)];
      const double mean = count(*p) > 0 ? sum / out[0] : 0;
      for (std::int64_t i = 0; i < count(*p); ++i)
        squares += (x[at(*p, c, i)] - mean) * (x[at(*p, c, i)] - mean);
      out[1 + 2 * c] = mean, out[2 + 2 * c] = squares;
    }
    return ABN_OK;
  }

  static int forward_apply(const abn_problem* p, const abn_forward_args* a, const void* partials,
                           std::int32_t ranks) {
    if (bug == Bug::writes_nothing) return ABN_OK;
    if (bug == Bug::last_rank_left_out && ranks > 1) --ranks;
    double samples = 0;
    for (int rank = 0; rank < ranks; ++rank) samples += partial_of(*p, partials, rank)[0];
    if (samples == 0) return ABN_OK;
    for (std::int64_t c = 0; c < p->c; ++c) {
      double mean = 0, squares = 0, seen = 0, plain_mean = 0, plain_variance = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const double* const one = partial_of(*p, partials, rank);
        if (one[0] == 0) continue;
        const double delta = one[1 + 2 * c] - mean;
        plain_mean += one[1 + 2 * c] / ranks, plain_variance += one[2 + 2 * c] / one[0] / ranks;
        squares += one[2 + 2 * c];
        if (bug != Bug::spread_of_means_left_out)
          squares += delta * delta * (seen * one[0] / (seen + one[0]));
        mean += delta * one[0] / (seen + one[0]);
        seen += one[0];
      }
      double variance = squares / samples;
      if (bug == Bug::unweighted) mean = plain_mean, variance = plain_variance;
      const double m =
          bug == Bug::unbiased_over_the_shard ? static_cast<double>(count(*p)) : samples;
      if (a->mean != nullptr) static_cast<float*>(a->mean)[c] = static_cast<float>(mean);
      if (a->var != nullptr) static_cast<float*>(a->var)[c] = static_cast<float>(variance);
      const auto average = [&](void* running, double value) {
        if (running == nullptr) return;
        float& old = static_cast<float*>(running)[c];
        old = static_cast<float>((1 - p->momentum) * old + p->momentum * value);
      };
      average(a->running_mean, mean);
      average(a->running_var, m > 1 ? variance * m / (m - 1) : variance);
      const double r = 1 / std::sqrt(variance + p->eps);
      for (std::int64_t i = 0; i < count(*p); ++i) {
        const double y =
            g(a->gamma, c) * ((static_cast<const float*>(a->x)[at(*p, c, i)] - mean) * r) +
            shift(a->beta, c);
        const double z = p->activation == ABN_LEAKY_RELU && y < 0 ? p->activation_parameter * y
                         : p->activation == ABN_LEAKY_RELU        ? y + 0.0
                                                                  : y;
        static_cast<float*>(a->z)[at(*p, c, i)] = static_cast<float>(z);
      }
    }
    return ABN_OK;
  }

  struct Found {
    double xhat, dy;
  };
  static Found found(const abn_problem& p, const abn_backward_args& a, std::int64_t c,
                     std::int64_t i) {
    const float z = static_cast<const float*>(a.z)[at(p, c, i)];
    const bool negative = p.activation == ABN_LEAKY_RELU && std::signbit(z);
    const double y = negative ? z / p.activation_parameter : z, scale = g(a.gamma, c);
    return {scale == 0 ? 0 : (y - shift(a.beta, c)) / scale,
            static_cast<const float*>(a.dz)[at(p, c, i)] * (negative ? p.activation_parameter : 1)};
  }

  static int backward_local(const abn_problem* p, const abn_backward_args* a, void* partial) {
    if (bug == Bug::writes_nothing) return ABN_OK;
    if (bug == Bug::empty_shard_writes_no_partial && p->n == 0) return ABN_OK;
    auto* const out = static_cast<double*>(partial);
    out[0] = static_cast<double>(count(*p));
    for (std::int64_t c = 0; c < p->c; ++c) {
      double s0 = 0, s1 = 0;
      for (std::int64_t i = 0; i < count(*p); ++i) {
        const Found one = found(*p, *a, c, i);
        s0 += one.dy, s1 += one.dy * one.xhat;
      }
      out[1 + 2 * c] = s0, out[2 + 2 * c] = s1;
      if (count(*p) > 0) write(*a, c, s0, s1);
    }
    return ABN_OK;
  }
  static void write(const abn_backward_args& a, std::int64_t c, double s0, double s1) {
    if (a.dgamma != nullptr) static_cast<float*>(a.dgamma)[c] = static_cast<float>(s1);
    if (a.dbeta != nullptr) static_cast<float*>(a.dbeta)[c] = static_cast<float>(s0);
  }

  static int backward_apply(const abn_problem* p, const abn_backward_args* a, const void* partials,
                            std::int32_t ranks) {
    if (bug == Bug::writes_nothing) return ABN_OK;
    for (std::int64_t c = 0; c < p->c; ++c) {
      double s0 = 0, s1 = 0, m = 0, own0 = 0, own1 = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const double* const one = partial_of(*p, partials, rank);
        if (one[0] == 0) continue;
        m += one[0], s0 += one[1 + 2 * c], s1 += one[2 + 2 * c];
      }
      for (std::int64_t i = 0; i < count(*p); ++i) {
        const Found one = found(*p, *a, c, i);
        own0 += one.dy, own1 += one.dy * one.xhat;
      }
      if (bug == Bug::gradients_of_all_ranks && count(*p) > 0) write(*a, c, s0, s1);
      if (bug == Bug::sums_of_the_shard) s0 = own0, s1 = own1;
      if (bug == Bug::divided_by_the_shard) m = static_cast<double>(count(*p));
      if (a->dx == nullptr) continue;
      const double scale =
          g(a->gamma, c) / std::sqrt(static_cast<const float*>(a->var)[c] + p->eps);
      for (std::int64_t i = 0; i < count(*p); ++i) {
        const Found one = found(*p, *a, c, i);
        const double dx = scale * (one.dy - s0 / m - one.xhat * s1 / m);
        static_cast<float*>(a->dx)[at(*p, c, i)] = static_cast<float>(scale == 0 ? 0 : dx);
      }
    }
    return ABN_OK;
  }

  static int forward(const abn_problem* p, const abn_forward_args* a) {
    std::vector<double> partial(partial_bytes(p, 0) / sizeof(double));
    if (problem::element_count(*p) == 0) return ABN_OK;
    Halves<Bug::none>::forward_local(p, a, partial.data());
    if (bug == Bug::fused_in_another_order)
      for (std::int64_t c = 0; c < p->c; ++c)
        partial[static_cast<std::size_t>(1 + 2 * c)] *= 1 + 0x1p-23;
    return Halves<Bug::none>::forward_apply(p, a, partial.data(), 1);
  }
  static int backward(const abn_problem* p, const abn_backward_args* a) {
    std::vector<double> partial(partial_bytes(p, 0) / sizeof(double));
    if (problem::element_count(*p) == 0) return ABN_OK;
    Halves<Bug::none>::backward_local(p, a, partial.data());
    return Halves<Bug::none>::backward_apply(p, a, partial.data(), 1);
  }

  static inline const abn_split_variant variant{
      {ABN_ABI_VERSION, sizeof(abn_split_variant), "halves", "a test", ABN_MEMORY_HOST, 0, claims,
       no_workspace, forward, backward},
      partial_bytes,
      forward_local,
      forward_apply,
      backward_local,
      backward_apply};
};

std::vector<results::Record> records_of(const abn_variant& variant, std::uint64_t seed = 1) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  std::vector<data::Case> cases;
  for (const data::Case& one : check::sync::sync_checks.cases(data::Tier::full, seed)) {
    abn_claims claims{};
    if (Halves<Bug::none>::claims(&one.problem, &claims) == ABN_OK) cases.push_back(one);
  }
  return run::run(check::sync::sync_checks, std::vector{subject}, cases, {});
}

std::set<std::string> failed(const abn_variant& variant) {
  std::set<std::string> checks;
  for (const results::Record& record : records_of(variant))
    if (record.verdict == results::Verdict::fail || record.verdict == results::Verdict::error)
      checks.insert(record.check);
  return checks;
}

TEST(Sync, RightHalvesPassEveryCheck) {
  const auto records = records_of(Halves<Bug::none>::variant.base);
  EXPECT_GE(records.size(), 14u);
  for (const results::Record& record : records) {
    EXPECT_EQ(record.verdict, results::Verdict::pass) << results::failure_text(record);
    EXPECT_EQ(record.op, "sync");
  }
}

template <Bug bug>
std::set<std::string> failed_with() {
  return failed(Halves<bug>::variant.base);
}

TEST(Sync, EveryPlantedMistakeFails) {
  EXPECT_TRUE(failed_with<Bug::writes_nothing>().contains("unwritten"));
  for (const char* const check : {"mean", "variance", "z", "running_var"})
    EXPECT_TRUE(failed_with<Bug::unweighted>().contains(check)) << check;
  EXPECT_TRUE(failed_with<Bug::spread_of_means_left_out>().contains("variance"));
  EXPECT_TRUE(failed_with<Bug::unbiased_over_the_shard>().contains("running_var"));
  EXPECT_TRUE(failed_with<Bug::sums_of_the_shard>().contains("dx"));
  EXPECT_TRUE(failed_with<Bug::divided_by_the_shard>().contains("dx"));
  EXPECT_TRUE(failed_with<Bug::gradients_of_all_ranks>().contains("dgamma"));
  EXPECT_FALSE(failed_with<Bug::empty_shard_writes_no_partial>().empty());
  EXPECT_TRUE(failed_with<Bug::last_rank_left_out>().contains("mean"));
  EXPECT_EQ(failed_with<Bug::fused_in_another_order>(), std::set<std::string>{"fused"});
}

TEST(Sync, ThePartialsOfEachRankMakeSumsOneStepLonger) {
  const abn_problem p = problem::parse_problem("n9c3s4,leaky_relu");
  abn_claims base{}, cut{};
  base.struct_size = cut.struct_size = sizeof base;
  ASSERT_EQ(Halves<Bug::none>::claims(&p, &base), ABN_OK);
  const check::sync::Sharded sharded(Halves<Bug::none>::variant, {{4, 3, 2}, 0});
  ASSERT_EQ(sharded.variant().claims(&p, &cut), ABN_OK);
  EXPECT_EQ(cut.depth_statistics, base.depth_statistics + 3);
  EXPECT_EQ(cut.depth_backward, base.depth_backward + 3);
}

TEST(Sync, AVariantWithoutHalvesHasNoSuchCheck) {
  abn_variant alone = Halves<Bug::none>::variant.base;
  alone.struct_size = sizeof alone;
  EXPECT_TRUE(records_of(alone).empty());
}

TEST(Sync, PlansAddUpAndMeetEmptyShardsAndSingleImages) {
  std::set<std::size_t> ranks;
  bool empty = false, single = false, uneven = false;
  abn_problem p = problem::parse_problem("n9c3s4,leaky_relu");
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    const check::sync::ShardPlan plan = check::sync::plan_of(p, seed);
    EXPECT_EQ(std::accumulate(plan.images.begin(), plan.images.end(), std::int64_t{0}), p.n);
    EXPECT_LT(plan.shown, plan.images.size());
    ranks.insert(plan.images.size());
    for (const std::int64_t images : plan.images)
      empty |= images == 0, single |= images == 1, uneven |= images != plan.images[0];
  }
  EXPECT_EQ(ranks, (std::set<std::size_t>{1, 2, 3, 7}));
  EXPECT_TRUE(empty && single && uneven);
}

}  // namespace
