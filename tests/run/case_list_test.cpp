// Case lists: what a hunt kept is read back as the same cases, bad lines are named, and the kernels
// of the tree pass the lists in fixtures/.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/call/broken_variant.hpp"
#include "verify/data/given.hpp"
#include "verify/problem/error.hpp"
#include "verify/run/case_list.hpp"

namespace {

using namespace abn::verify::run;

std::string scratch(const std::string& text) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("abn-cases-" + std::to_string(getpid()))).string();
  std::ofstream(path) << text;
  return path;
}

std::string refusal(const std::string& text) {
  const std::string path = scratch(text);
  std::string said;
  try {
    read_case_list(path);
  } catch (const problem::UsageError& wrong) {
    said = wrong.what();
  }
  std::filesystem::remove(path);
  return said;
}

TEST(CaseList, KeepsTheWorstCaseOfEveryCheckOnce) {
  std::vector<results::Record> records;
  for (auto& [id, record] : run_one("n2c2s3,f32,leaky_relu", "spikes", 12))
    records.push_back(record);
  const std::string path = scratch(case_list_text(records));
  const std::vector<data::Case> cases = read_case_list(path);
  std::filesystem::remove(path);
  ASSERT_EQ(cases.size(), 1u) << "all checks have the same worst case here";
  EXPECT_EQ(problem::to_string(cases.front().problem),
            problem::to_string(problem::parse_problem("n2c2s3,f32,leaky_relu")));
  EXPECT_EQ(cases.front().data, "spikes");
  EXPECT_EQ(cases.front().seed, 12u);
}

TEST(CaseList, NamesTheLineThatIsNoCase) {
  EXPECT_NE(refusal("# a remark\nn2c1s3,f32 standard 4\n").find("Line 2 of "), std::string::npos);
  EXPECT_NE(refusal("n2c1s3,f32\tstandard\t-4\n").find("a problem, its data and a seed"),
            std::string::npos);
  EXPECT_NE(refusal("n2c1s3,f32\tno_such_recipe\t4\n").find("Line 1 of "), std::string::npos);
  EXPECT_NE(refusal("# nothing\n").find("holds no case"), std::string::npos);
}

TEST(CaseList, WhatWasHuntedIsPassedByTheKernelsOfTheTree) {
  const char* const root = std::getenv("ABN_SOURCE_DIR");
  call::DeviceChoice choice = call::choose_device("emulator");
  const auto subjects = call::subjects_of(choice, {}, false);
  ASSERT_FALSE(subjects.empty());
  check::RunOptions options;
  options.device = "emulator";
  for (const char* const name : {"naive", "two_sweep"}) {
    const std::vector<data::Case> cases = read_case_list(std::string(root != nullptr ? root : ".") +
                                                         "/fixtures/hunted/" + name + ".tsv");
    EXPECT_GE(cases.size(), 50u) << name;
    double largest = 0;
    for (const results::Record& record : run::run(check::output_checks, subjects, cases, options)) {
      EXPECT_EQ(record.verdict, results::Verdict::pass) << record.id << ": " << record.reason;
      if (record.kind == results::CheckKind::numbers)
        largest = std::max(largest, record.tally.max_ratio);
    }
    EXPECT_GT(largest, 0.9) << "hard cases use the bounds";
  }
}

}  // namespace
