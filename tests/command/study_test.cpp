// The verb study: what it refuses, what it writes, and that a report takes it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "verify/command/commands.hpp"
#include "verify/problem/error.hpp"
#include "verify/report/report.hpp"
#include "verify/study/study.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::command;
namespace fs = std::filesystem;

std::string refusal(const StudyArguments& arguments) {
  try {
    study_command(arguments, {});
  } catch (const problem::UsageError& wrong) {
    return wrong.what();
  }
  return "";
}

StudyArguments asking(const std::string& what, const std::string& variant = "") {
  StudyArguments arguments;
  arguments.what = what;
  arguments.variant = variant;
  return arguments;
}

TEST(StudyCommand, RefusesWhatItCannotDoAndSaysWhatToDo) {
  EXPECT_NE(refusal(asking("inverse")).find("ask for inversion, bounds, conventions or judges"),
            std::string::npos);
  EXPECT_NE(refusal(asking("conventions")).find("name it"), std::string::npos);
  EXPECT_NE(refusal(asking("conventions", "two_swep")).find("did you mean two_sweep?"),
            std::string::npos);
  EXPECT_NE(refusal(asking("inversion", "naive")).find("takes no variant"), std::string::npos);
  EXPECT_NE(refusal(asking("bounds", "naive")).find("takes no variant"), std::string::npos);
  StudyArguments counted = asking("inversion");
  counted.channels = 10;
  EXPECT_NE(refusal(counted).find("--channels belongs to study bounds"), std::string::npos);
  StudyArguments nowhere = asking("inversion");
  nowhere.out = "/no/such/folder/study.json";
  EXPECT_NE(refusal(nowhere).find("cannot be written"), std::string::npos);
}

TEST(StudyCommand, WritesAStudyThatAReportShows) {
  const fs::path folder = fs::temp_directory_path() / ("abn_study_" + std::to_string(getpid()));
  fs::create_directories(folder);
  StudyArguments arguments = asking("conventions", "two_sweep");
  arguments.out = (folder / "study.json").string();
  arguments.quiet = true;
  testing::internal::CaptureStdout();
  EXPECT_EQ(study_command(arguments, {}), 0);
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_EQ(said.find("All candidates"), std::string::npos);
  EXPECT_NE(said.find("eps in forward: 1/sqrt(v + eps) ("), std::string::npos);
  std::ifstream in(arguments.out);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_TRUE(study::is_study(text));
  const study::Study study = study::study_from_json(text);
  EXPECT_EQ(study.name, "conventions two_sweep");
  report::write_report({}, (folder / "report").string(), {&study, 1});
  std::ifstream page(folder / "report" / "index.html");
  const std::string html{std::istreambuf_iterator<char>(page), {}};
  EXPECT_NE(html.find("The conventions of two_sweep"), std::string::npos);
  EXPECT_NE(html.find("1/sqrt(v + eps)"), std::string::npos);
  fs::remove_all(folder);
}

}  // namespace
