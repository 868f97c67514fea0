// Timing: which problems, how many sets of buffers, that every timed call meets fresh data, and
// what the tables say of known times.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "cuda/plan.h"
#define ABN_ENTRY_OF_THIS_TEST right_variant_of_speed_test
#include "tests/call/broken_variant.hpp"
#include "verify/bench/plan_study.hpp"
#include "verify/bench/speed_study.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"

namespace {

using namespace abn::verify::bench;

TEST(SpeedProblems, EverySetHoldsTrainableProblemsOnce) {
  for (const SpeedSet& set : speed_sets()) {
    const auto problems = speed_problems(set.name);
    std::set<std::string> seen;
    for (const SpeedProblem& one : problems) {
      EXPECT_TRUE(seen.insert(problem::to_string(one.problem)).second)
          << set.name << ": " << problem::to_string(one.problem) << " twice";
      EXPECT_GT(problem::sample_count(one.problem), 1);
      EXPECT_NO_THROW(problem::validate(one.problem));
    }
    EXPECT_FALSE(problems.empty()) << set.name;
  }
  EXPECT_EQ(speed_problems("resnet50").size(), 9u * 2 * 3 * 2);
  for (const SpeedProblem& one : speed_problems("large"))
    EXPECT_GT(problem::element_count(one.problem), std::int64_t{1} << 31);
  EXPECT_EQ(speed_problems("all").size(), speed_problems("table").size() +
                                              speed_problems("odd").size() +
                                              speed_problems("large").size());
  EXPECT_THROW(speed_problems("resnet5"), problem::UsageError);
}

TEST(SpeedCourse, SetsAreManyForSmallTensorsAndFewForLargeOnes) {
  constexpr double cache = 50e6, plenty = 80e9;
  EXPECT_EQ(sets_of(400e6, cache, plenty), 4);
  EXPECT_EQ(sets_of(10e6, cache, plenty), 15) << "three times the cache";
  EXPECT_EQ(sets_of(1e3, cache, plenty), 256);
  EXPECT_EQ(sets_of(10e9, cache, 25e9), 2) << "as many as fit";
  EXPECT_EQ(sets_of(10e9, cache, 9e9), 0);
  EXPECT_EQ(sets_of(0, cache, plenty), 0);
}

TEST(SpeedCourse, QuantilesAreThoseOfASortedList) {
  std::vector<double> times;
  for (int i = 10; i >= 0; --i) times.push_back(i);
  const Quantiles q = quantiles_of(times);
  EXPECT_DOUBLE_EQ(q.median, 5);
  EXPECT_DOUBLE_EQ(q.p10, 1);
  EXPECT_DOUBLE_EQ(q.p90, 9);
  EXPECT_DOUBLE_EQ(quantiles_of({1, 2}).median, 1.5);
  EXPECT_DOUBLE_EQ(quantiles_of({}).median, 0);
  EXPECT_DOUBLE_EQ(geometric_mean({2, 8}), 4);
  EXPECT_TRUE(std::isnan(geometric_mean({})));
}

TEST(SpeedFloors, CopyAndScaleEveryByte) {
  const abn_floors* const floors = abn_in_tree_floors(ABN_MEMORY_HOST);
  ASSERT_NE(floors, nullptr);
  for (const std::size_t windows : {1u, 511u, 2048u, 2049u, 5000u}) {
    std::vector<float> from(4 * windows + 4, 7), to(4 * windows + 4, 9);
    for (std::size_t i = 0; i < 4 * windows; ++i) from[i] = static_cast<float>(i) - 3;
    const auto aligned = [](std::vector<float>& v) {
      return v.data() + (16 - reinterpret_cast<std::uintptr_t>(v.data()) % 16) % 16 / 4;
    };
    ASSERT_EQ(floors->copy(aligned(to), aligned(from), 16 * windows, nullptr), 0);
    ASSERT_EQ(std::memcmp(aligned(to), aligned(from), 16 * windows), 0);
    ASSERT_EQ(floors->scale(aligned(to), 16 * windows, nullptr), 0);
    for (std::size_t i = 0; i < 4 * windows; ++i) ASSERT_EQ(aligned(to)[i], -aligned(from)[i]) << i;
    const std::size_t rest =
        to.size() - static_cast<std::size_t>(aligned(to) - to.data()) - 4 * windows;
    for (std::size_t i = 0; i < rest; ++i)
      ASSERT_EQ(aligned(to)[4 * windows + i], 9) << "behind the end";
  }
}

/// The host, with a clock that a test sets: each time that is asked for is one larger than the
/// last.
class ToldDevice : public TimingDevice {
 public:
  std::string name() const override { return host_->name(); }
  std::string describe() const override { return "told"; }
  int memory() const override { return host_->memory(); }
  double cache_bytes() const override { return cache; }
  double free_bytes() const override { return free; }
  void* allocate(std::size_t bytes) override { return host_->allocate(bytes); }
  void release(void* pointer) noexcept override { host_->release(pointer); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    host_->upload(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes, std::size_t pitch,
                std::size_t rows) override {
    host_->download(to, from, bytes, pitch, rows);
  }
  bool has_pace() const override { return paced; }
  int copy(void* to, const void* from, std::size_t bytes, void* stream) override {
    return host_->copy(to, from, bytes, stream);
  }
  std::unique_ptr<Recording> record(const DeviceWork& work) override { return host_->record(work); }
  double time(Recording& before, Recording& timed) override {
    before.enqueue();
    timed.enqueue();
    ++asked;
    return variant_takes > 0 && asked % 3 == 0 ? variant_takes : 1000.0 + asked;
  }
  void run(const DeviceWork& work) override { host_->run(work); }

  double cache = 1 << 14, free = 1 << 30;
  int asked = 0;
  bool paced = false;
  double variant_takes = 0;  ///< microseconds for all of its calls; 0: like the floors

 private:
  std::unique_ptr<TimingDevice> host_ = host_timing_device();
};

SpeedGroup measured(ToldDevice& device, int direction,
                    const std::string& problem = "n2c3s40,f32,leaky_relu") {
  const std::vector<Contender> variants{{&broken_variant}};
  return measure_speed(device, {"", problem::parse_problem(problem)}, direction, variants, 0, 1);
}

TEST(SpeedMeasure, EveryCallMeetsFreshDataOnBuffersOfItsOwn) {
  for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
    for (const bool aliases : {true, false}) {
      breakage = {};
      breakage.claims = [&](abn_claims& claims) {
        claims.z_may_alias_x = claims.dx_may_alias_dz = aliases ? 1 : 0;
      };
      std::set<const void*> addresses;
      std::set<std::vector<float>> contents;
      int calls = 0;
      const auto see = [&](const void* input, const void* output, std::int64_t count) {
        EXPECT_EQ(input == output, aliases);
        const auto* const values = static_cast<const float*>(input);
        contents.insert(std::vector<float>(values, values + count));
        addresses.insert(input);
        ++calls;
      };
      breakage.forward = [&](const abn_problem& p, const abn_forward_args& a) {
        if (direction == ABN_FORWARD) see(a.x, a.z, problem::element_count(p));
        return ::forward(&p, &a);
      };
      breakage.backward = [&](const abn_problem& p, const abn_backward_args& a) {
        see(a.dz, a.dx, problem::element_count(p));
        EXPECT_NE(a.var, nullptr);
        return ::backward(&p, &a);
      };
      ToldDevice device;
      const SpeedGroup group = measured(device, direction);
      ASSERT_EQ(group.rows.size(), 1u);
      EXPECT_TRUE(group.rows[0].measured) << group.rows[0].note;
      EXPECT_GE(group.sets, least_sets);
      EXPECT_EQ(addresses.size(), static_cast<std::size_t>(group.sets));
      EXPECT_EQ(group.rounds, least_rounds);
      EXPECT_EQ(calls, group.sets * (1 + 1 + least_rounds) + 3 * (1 + group.sets))
          << "recorded, warmed up, timed; judged before, between and after";
      EXPECT_EQ(contents.size(), 4u) << "recorded, and three times fresh ones";
    }
  }
  breakage = {};
}

TEST(SpeedMeasure, TimesAreOfOneCallAndLeaveTheFirstRoundOut) {
  breakage = {};
  ToldDevice device;
  const SpeedGroup group = measured(device, ABN_FORWARD);
  // Three are timed a round: copy, scale, the variant. Rounds 1 to 11 count; the median is that of
  // round 6.
  EXPECT_DOUBLE_EQ(group.rows[0].microseconds.median, (1000.0 + 3 * 6 + 3) / group.sets);
  EXPECT_DOUBLE_EQ(group.scale.median, (1000.0 + 3 * 6 + 2) / group.sets);
  EXPECT_DOUBLE_EQ(group.tensor_bytes, 4.0 * 2 * 3 * 40);
  EXPECT_DOUBLE_EQ(group.floor_bytes, 2 * group.tensor_bytes);
}

TEST(SpeedMeasure, WhatCannotBeTimedSaysWhy) {
  breakage = {};
  breakage.forward = [](const abn_problem&, const abn_forward_args&) { return ABN_ERROR_LAUNCH; };
  ToldDevice device;
  SpeedGroup group = measured(device, ABN_FORWARD);
  EXPECT_TRUE(group.rows[0].failed);
  EXPECT_FALSE(group.rows[0].measured);
  EXPECT_NE(group.rows[0].note.find("returned 4"), std::string::npos) << group.rows[0].note;
  breakage = {};
  device.free = 1000;
  group = measured(device, ABN_FORWARD);
  EXPECT_NE(group.skipped.find("memory"), std::string::npos) << group.skipped;
  EXPECT_NE(speed_text(group).find("memory"), std::string::npos);
}

/// What bench says of a variant that is right only sometimes: once it has made `good` calls, or in
/// every call but one of a recording.
std::string note_of(int direction, const std::function<bool(int call)>& computes) {
  int calls = 0;
  breakage = {};
  breakage.claims = [](abn_claims& claims) { claims.z_may_alias_x = claims.dx_may_alias_dz = 0; };
  breakage.forward = [&](const abn_problem& p, const abn_forward_args& a) {
    return direction == ABN_BACKWARD || computes(calls++) ? ::forward(&p, &a) : ABN_OK;
  };
  breakage.backward = [&](const abn_problem& p, const abn_backward_args& a) {
    return computes(calls++) ? ::backward(&p, &a) : ABN_OK;
  };
  ToldDevice device;
  const SpeedGroup group = measured(device, direction);
  breakage = {};
  EXPECT_EQ(group.rows[0].failed, !group.rows[0].measured);
  return group.rows[0].failed ? group.rows[0].note : "";
}

TEST(SpeedMeasure, ATimeOfACallThatDoesNotComputeIsNoTime) {
  for (const int direction : {ABN_FORWARD, ABN_BACKWARD}) {
    const auto caught = [&](const char* what, const std::function<bool(int call)>& computes) {
      const std::string note = note_of(direction, computes);
      EXPECT_NE(note.find("its time is no time"), std::string::npos) << what << ": " << note;
    };
    EXPECT_EQ(note_of(direction, [](int) { return true; }), "");
    caught("nothing but the first calls", [](int call) { return call < 100; });
    caught("the first call of many", [](int call) { return call == 0; });
    caught("every second call", [](int call) { return call % 2 == 0; });
    caught("all but every seventh call", [](int call) { return call % 7 != 6; });
  }
}

TEST(SpeedMeasure, AResultOfEarlierDataIsNoTime) {
  breakage = {};
  breakage.claims = [](abn_claims& claims) { claims.z_may_alias_x = 0; };
  std::vector<float> first;  // the result of the first call, served for ever
  breakage.forward = [&](const abn_problem& p, const abn_forward_args& a) {
    auto* const z = static_cast<float*>(a.z);
    const auto count = static_cast<std::size_t>(problem::element_count(p));
    if (!first.empty()) {
      std::copy(first.begin(), first.end(), z);
      return int{ABN_OK};
    }
    const int status = ::forward(&p, &a);
    first.assign(z, z + count);
    return status;
  };
  ToldDevice device;
  const SpeedGroup group = measured(device, ABN_FORWARD);
  breakage = {};
  EXPECT_TRUE(group.rows[0].failed);
  EXPECT_NE(group.rows[0].note.find("times its bound"), std::string::npos) << group.rows[0].note;
}

TEST(SpeedMeasure, ATimeBelowWhatTheBytesAllowIsRefused) {
  breakage = {};
  for (const double takes : {1000.0, 100.0}) {
    ToldDevice device;
    device.paced = true, device.variant_takes = takes;
    const SpeedGroup group = measured(device, ABN_FORWARD);
    const bool possible = takes / group.sets > 0.5 * group.copy.median;
    EXPECT_EQ(possible, takes == 1000.0);
    EXPECT_EQ(group.rows[0].measured, possible) << group.rows[0].note;
    EXPECT_EQ(group.rows[0].note.find("copying as many bytes") != std::string::npos, !possible);
  }
}

SpeedGroup told_group(const std::string& problem, double scale, double two_sweep, double automatic,
                      double predicted) {
  SpeedGroup group;
  group.subject = {"layer", problem::parse_problem(problem)};
  group.tensor_bytes = static_cast<double>(problem::element_count(group.subject.problem)) * 2;
  group.floor_bytes = 2 * group.tensor_bytes;
  group.sets = 4, group.rounds = 11;
  group.scale.median = group.copy.median = scale;
  const auto row = [&](const char* name, double time, double sweeps) {
    SpeedRow one;
    one.variant = name, one.measured = one.claimed = true;
    one.microseconds = {time, time, time};
    one.bytes = sweeps * group.tensor_bytes;
    one.launches = 1;
    return one;
  };
  group.rows = {row("auto", automatic, 2), row("two_sweep", two_sweep, 3)};
  group.rows[0].predicted = predicted;
  return group;
}

TEST(SpeedStudy, SharesRatiosAndSentencesFollowFromTheTimes) {
  // 64 x 256 x 3136 in bf16 are 103 MB. Scaled in place in 80 us; auto takes 100, which is 80 % of
  // the ceiling; two_sweep 150 for 3 sizes
  const std::vector<SpeedGroup> groups{told_group("n64c256s3136,bf16,leaky_relu", 80, 150, 100, 50),
                                       told_group("n32c256s3136,bf16,leaky_relu", 40, 60, 42, 42)};
  const study::Study study = speed_study({"a GPU", "abn-verify bench", 1, groups});
  const study::Table& times = study::table_of(study, "times");
  const auto cell = [&](std::size_t row, const std::string& column) {
    for (std::size_t i = 0; i < times.columns.size(); ++i)
      if (times.columns[i].name == column) return std::get<double>(times.rows.at(row).at(i));
    ADD_FAILURE() << column;
    return 0.0;
  };
  EXPECT_NEAR(cell(0, "share, of the ceiling"), 80, 1e-9);
  EXPECT_NEAR(cell(1, "share, of the ceiling"), 80, 1e-9)
      << "3 sizes in 150 us are as fast as 2 in 100";
  EXPECT_NEAR(cell(1, "share, of the floor"), 100 * 80.0 / 150, 1e-9);
  const study::Table& ratios = study::table_of(study, "ratios");
  ASSERT_EQ(ratios.rows.size(), 1u);
  EXPECT_NEAR(std::get<double>(ratios.rows[0][5]), std::sqrt(1.5 * 60 / 42), 1e-9);
  const study::Table& shares = study::table_of(study, "shares");
  ASSERT_EQ(shares.rows.size(), 1u);
  EXPECT_NEAR(std::get<double>(shares.rows[0][5]), 100 * std::sqrt(0.8 * 40 / 42), 1e-9);
  std::string all;
  for (const std::string& sentence : study.conclusions) all += sentence + "\n";
  EXPECT_NE(all.find("auto: 1 of 2 problems"), std::string::npos) << all;
  EXPECT_NE(all.find("auto: slower than two_sweep by more than 5 % on 0 of 2"), std::string::npos)
      << all;
  EXPECT_NE(all.find("auto: 1.41 times the predicted time"), std::string::npos) << all;

  const std::vector<SpeedProblem> problems{groups[0].subject};
  const study::Study plan = plan_study(problems, &study);
  const study::Table& choices = study::table_of(plan, "choices");
  ASSERT_EQ(choices.rows.size(), 2u) << "forward and backward";
  const auto column = [&](const std::string& name) {
    for (std::size_t i = 0; i < choices.columns.size(); ++i)
      if (choices.columns[i].name == name) return i;
    return std::size_t{0};
  };
  EXPECT_DOUBLE_EQ(std::get<double>(choices.rows[0][column("measured")]), 100);
  EXPECT_TRUE(std::isnan(std::get<double>(choices.rows[1][column("measured")])))
      << "backward was not measured";
  const double predicted = std::get<double>(choices.rows[0][column("predicted")]);
  EXPECT_DOUBLE_EQ(std::get<double>(choices.rows[0][column("measured / predicted")]),
                   100 / predicted);
  EXPECT_DOUBLE_EQ(predicted,
                   abn::plan_rows(groups[0].subject.problem, ABN_FORWARD)[0].microseconds);

  const study::Study back = study::study_from_json(study::study_to_json(study));
  EXPECT_EQ(study::study_to_json(back), study::study_to_json(study));
  study::Study none = study;
  none.tables.clear();
  EXPECT_THROW(plan_study(problems, &none), problem::UsageError);
}

TEST(SpeedStudy, EveryProblemHasOneChoiceInEachDirection) {
  const auto problems = speed_problems("all");
  const study::Study plan = plan_study(problems, nullptr);
  EXPECT_EQ(study::table_of(plan, "choices").rows.size(), 2 * problems.size());
  EXPECT_GT(study::table_of(plan, "candidates").rows.size(), 3 * problems.size());
}

}  // namespace
