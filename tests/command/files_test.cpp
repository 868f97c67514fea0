// Files that nobody of this project wrote, and words that mean nothing: each ends in one sentence
// and exit code 2, and what they hold never reaches a terminal that would obey it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Said {
  int code;
  std::string output;  // of both streams
};

Said in_shell(const std::string& command) {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  FILE* const pipe =
      popen(("cd '" + here.string() + "' && { " + command + "; } 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> chunk;
  while (const std::size_t got = fread(chunk.data(), 1, chunk.size(), pipe))
    output.append(chunk.data(), got);
  const int status = pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), output};
}

/// Ten seconds are plenty: what hangs ends with 124.
Said tool(const std::string& arguments) {
  return in_shell("timeout 200 ./abn-verify " + arguments);
}

class StrangeFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    ASSERT_EQ(tool("run 'two_sweep/*/f32/nchw/*' --device emulator --problem "
                   "n2c3s5,f32,leaky_relu --seed 3 --quiet --out " +
                   path("good.json"))
                  .code,
              0);
    std::ifstream in(path("good.json"));
    good_ = Json::parse(in);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string written(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  Said report(const std::string& files) { return tool("report " + files + " --out " + path("r")); }
  Said report(const Json& results) { return report(written("changed.json", results.dump())); }
  /// The first record of numbers.
  static Json& numbers_in(Json& results) {
    for (Json& one : results.at("checks"))
      if (one.at("kind") == "numbers") return one;
    throw std::logic_error("no record of numbers");
  }

  fs::path folder_ = fs::temp_directory_path() / ("abn-files-" + std::to_string(getpid()));
  Json good_;
};

void expect_sentence(const Said& run, const std::string& wanted, const std::string& what) {
  EXPECT_EQ(run.code, 2) << what << "\n" << run.output;
  EXPECT_NE(run.output.find(wanted), std::string::npos) << what << "\n" << run.output;
  EXPECT_EQ(run.output.find("fault of the tool"), std::string::npos) << what << run.output;
  EXPECT_EQ(std::count(run.output.begin(), run.output.end(), '\n'), 1) << what << run.output;
  EXPECT_TRUE(std::none_of(run.output.begin(), run.output.end(), [](unsigned char c) {
    return (c < ' ' && c != '\n') || c == 0x7f;
  })) << what;
}

}  // namespace

TEST_F(StrangeFiles, NoReaderWaitsForWhatNeverEnds) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  fs::create_symlink("b", path("a")), fs::create_symlink("a", path("b"));
  fs::resize_file(written("huge", "x"), std::uintmax_t{1} << 40);
  const std::vector<std::string> readers = {"report --out " + path("r") + " ", "check ",
                                            "plan --measured ", "run two_sweep --cases ",
                                            "run two_sweep --tensors "};
  for (const std::string& reader : readers) {
    for (const std::string& file : {path("fifo"), std::string("/dev/zero")})
      expect_sentence(tool(reader + file), "this is not a regular file; copy", reader + file);
    expect_sentence(tool(reader + path("a")), "links lead in a circle; name", reader + "a");
    expect_sentence(tool(reader + path("huge")), "more than the ", reader + "huge");
    expect_sentence(tool(reader + folder_.string()), "folder", reader + "a folder");
  }
}

TEST_F(StrangeFiles, NestedJsonIsRefusedWhereverItLies) {
  const std::string deep(60000, '['), ends(60000, ']');
  for (const std::string& text :
       {deep + ends, deep, R"({"schema":"abn-verify/1","provenance":)" + deep + ends + "}",
        R"({"schema":"abn-verify-study/1","seed":)" + deep + ends + "}"}) {
    const std::string file = written("deep.json", text);
    expect_sentence(report(file), "nested too deep", "report");
    expect_sentence(tool("plan --measured " + file), "abn-verify bench", "plan");
  }
}

TEST_F(StrangeFiles, APassWithFailuresIsNotBelieved) {
  Json elements = good_, cases = good_;
  numbers_in(elements).at("tally").at("failed") = 77;
  expect_sentence(report(elements), "says pass and has 77 failed elements", "elements");
  numbers_in(cases).at("failed_cases") = 1;
  expect_sentence(report(cases), "in 1 failed cases", "cases");
}

TEST_F(StrangeFiles, NumbersThatDoNotFitAreRefused) {
  const std::vector<Json> numbers = {1e308, -1, 1.5, "1", nullptr, Json::array()};
  for (const Json& number : numbers) {
    Json seed = good_, failed = good_, m = good_, channel = good_;
    seed.at("provenance").at("seed") = number;
    expect_sentence(report(seed), "a count is expected", "seed " + number.dump());
    numbers_in(failed).at("tally").at("failed") = number;
    expect_sentence(report(failed), "a count is expected", "failed " + number.dump());
    if (number == Json(-1)) continue;  // an index of nothing
    numbers_in(m).at("tally").at("worst") = number;
    expect_sentence(report(m), "an index is expected", "worst " + number.dump());
  }
  Json worst = good_;
  numbers_in(worst).at("tally").at("worst") = ~std::uint64_t{0};
  expect_sentence(report(worst), "an index is expected", "worst");
  Json kinds = good_;
  numbers_in(kinds)["kinds"] = Json::array({{{"mode", "training"},
                                             {"activation", "elu"},
                                             {"samples", std::uint64_t{1} << 40},
                                             {"channels", 3},
                                             {"cases", 1},
                                             {"telling", 0},
                                             {"empty", 0},
                                             {"m", {1, 2}},
                                             {"c", {1, 2}},
                                             {"claims", ""}}});
  expect_sentence(report(kinds), "a count is expected", "samples");
  numbers_in(kinds).at("kinds").at(0).at("samples") = 4;
  numbers_in(kinds).at("kinds").at(0).at("m") = {1, 1e308};
  expect_sentence(report(kinds), "an index is expected", "m");

  ASSERT_EQ(tool("plan --problem n2c3s5,leaky_relu --out " + path("study.json")).code, 0);
  std::ifstream in(path("study.json"));
  Json study = Json::parse(in);
  study.at("seed") = 1e308;
  expect_sentence(report(study), "its seed is no whole number", "study");
}

TEST_F(StrangeFiles, TheirControlCharactersAreNotPrinted) {
  Json results = good_;
  for (Json& one : results.at("checks")) {
    one.at("verdict") = "fail";
    for (const char* name : {"id", "variant", "op", "reason"})
      one.at(name) = one.at(name).get<std::string>() + "\x1b]0;title\x07\xc2\x9b[31m\nAll pass";
  }
  const Said reported = report(results);
  EXPECT_EQ(reported.code, 1) << reported.output;
  EXPECT_NE(reported.output.find("?]0;title??[31m All pass"), std::string::npos) << reported.output;
  EXPECT_EQ(reported.output.find("\nAll pass"), std::string::npos) << "a line of its own";
  EXPECT_TRUE(std::none_of(reported.output.begin(), reported.output.end(),
                           [](unsigned char c) { return c < ' ' && c != '\n'; }));
  expect_sentence(report(written("bad.json", "\x1b[31m{")), "not a file of results (parse error",
                  "a parser's words");
  expect_sentence(tool("run --problem \"$(printf 'n2c3s5,\\033[31m')\""),
                  "n2c3s5,?[31m\" holds characters that nobody can see", "a word");
  const std::string header =
      R"({"__metadata__":{"abn.format":"1","abn.problem":"n1c1s2,\u001b]0;t\u0007"},)"
      R"("x\u0000\u001b[31m":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  file += header + std::string(8, '\0');
  expect_sentence(tool("check " + written("names.safetensors", file)), "tensor \"x??[31m\"",
                  "a tensor's name, of which the end was lost");
}

TEST_F(StrangeFiles, AReportHasTheExitCodeOfItsVerdicts) {
  EXPECT_EQ(report(path("good.json")).code, 0);
  Json results = good_;
  numbers_in(results).at("verdict") = "fail";
  EXPECT_EQ(report(results).code, 1);
  for (Json& one : results.at("checks")) one.at("verdict") = "skip";
  EXPECT_EQ(report(results).code, 77);
  Json one = good_;
  one.at("checks") = Json::array({numbers_in(one)});
  one.at("checks").at(0).at("verdict") = "inconclusive";
  EXPECT_NE(report(one).output.find("Of 1 check, 1 is inconclusive; "), std::string::npos);
  one.at("checks").at(0).at("verdict") = "skip";
  EXPECT_NE(report(one).output.find("the only check was skipped"), std::string::npos);
}

TEST_F(StrangeFiles, AFileThatIsNamedTwiceCountsOnce) {
  fs::copy_file(path("good.json"), path("copy.json"));
  const Said once = report(path("good.json")),
             twice = report(path("good.json") + " " + path("copy.json"));
  EXPECT_NE(twice.output.find("is counted once.\n" + once.output), std::string::npos)
      << twice.output;
}

TEST(StrangeWords, EndInOneSentence) {
  const std::string one = " --problem n2c3s5,f32,leaky_relu";
  const struct {
    std::string arguments, says;
  } tries[] = {
      {"run two_sweep --hunt nan", "nan is no number from 0"},
      {"run two_sweep --hunt -1", "-1 is no number from 0"},
      {"run two_sweep --call-seconds nan" + one, "nan is no number from 0.05"},
      {"bench two_sweep --device emulator --seconds nan" + one, "nan is no number from 0"},
      {"run two_sweep --patterns garbage" + one, "\"garbage\" is not a range of bit patterns"},
      {"run two_sweep --patterns garbage", "\"garbage\" is not a range of bit patterns"},
      {"run two_sweep --patterns 0x0-0x10" + one, "leave it out where --problem"},
      {"run two_sweep --problem ''", "--problem is given as an empty text; leave it out"},
      {"run two_sweep --data ''", "--data is given as an empty text; leave it out"},
      {"run two_sweep --tensors ''", "--tensors is given as an empty text; leave it out"},
      {"run two_sweep --cases ''", "--cases is given as an empty text; leave it out"},
      {"run ''", "GLOB is given as an empty text; leave it out"},
      {"plan --measured ''", "--measured is given as an empty text; leave it out"},
      {"run two_sweep --problem n1c1s2,f64,identity --data given:x=1e400,0",
       "outside of the range of a double; write"},
      {"traffic --nonesuch", "traffic has no option --nonesuch; see abn-verify traffic --help"},
      {"study --nonesuch", "study has no option --nonesuch; see"},
      {"check --nonesuch", "check has no option --nonesuch; see"},
      {"report --nonesuch", "report has no option --nonesuch; see"},
      {"report", "FILE is required; see abn-verify report --help"},
      {"help nonesuch", "\"nonesuch\" is not a verb"},
  };
  for (const auto& [arguments, says] : tries) expect_sentence(tool(arguments), says, arguments);
}

TEST(StrangeWords, HelpIsAVerbAndAVariantStandsForItsChecks) {
  EXPECT_EQ(tool("help").output, tool("--help").output);
  EXPECT_EQ(tool("help report").output, tool("report --help").output);
  EXPECT_EQ(tool("help").code, 0);
  EXPECT_EQ(tool("list two_sweep").code, 0);
}

TEST(StrangeWords, AClosedStandardErrorChangesNoExitCode) {
  EXPECT_EQ(in_shell("./abn-verify run nosuch 2>&-").code, 2);
  EXPECT_EQ(in_shell("./abn-verify run --nonesuch 2>&-").code, 2);
}

// A range of sixteen patterns is sixteen patterns, whatever the size of the tier's cases.
TEST(StrangeWords, PatternsAreThoseThatWereAskedFor) {
  const Said run = tool("run 'two_sweep/patterns/f16/*' --patterns 0x3c00-0x3c0f --quiet");
  EXPECT_EQ(run.code, 0) << run.output;
  EXPECT_NE(run.output.find(" 1024 elements compared"), std::string::npos) << run.output;
}
