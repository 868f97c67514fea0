// A run that is ended at any moment leaves a valid unfinished result and the old file, and --resume
// ends with the bytes of an unbroken run.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "tests/command/process.hpp"
#include "verify/problem/error.hpp"
#include "verify/results/journal.hpp"

namespace {

using namespace abn::tests;
using namespace abn::verify;

/// The beginning of a list of cases.
std::string short_list(const Folder& folder, std::size_t lines) {
  std::ifstream in(folder_of_this_binary() / "fixtures/hunted/naive.tsv");
  std::ofstream out(folder.file("cases.tsv"));
  std::string line;
  for (std::size_t i = 0; i < lines && std::getline(in, line); ++i) out << line << "\n";
  return folder.file("cases.tsv");
}

struct Asked {
  const char* name;
  std::vector<std::string> arguments;
};

/// Few parts of many cases, and many parts of one.
Asked few_parts(const Folder& folder) {
  return {"few parts",
          {"run", "@(naive|two_sweep)/@(forward|backward)/*", "--device", "emulator", "--cases",
           short_list(folder, 60), "--quiet"}};
}
Asked many_parts() {
  return {"many parts",
          {"run", "@(auto|naive|standard|two_sweep)/@(forward|backward|exact|sync)/*", "--device",
           "emulator", "--problem", "n2c3s5,f32,leaky_relu", "--data", "standard", "--quiet"}};
}

std::vector<std::string> with_out(std::vector<std::string> arguments, const std::string& out) {
  arguments.insert(arguments.end(), {"--out", out});
  return arguments;
}

void pause(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

constexpr const char* old_text = "what an earlier run had found\n";

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

class KilledAtAnyMoment : public testing::TestWithParam<bool> {};

TEST_P(KilledAtAnyMoment, LeavesAValidResultAndResumesToTheSameBytes) {
  constexpr int moments = 25;  // of each kind
  const Folder folder(GetParam() ? "killed-few" : "killed-many");
  const Asked run = GetParam() ? few_parts(folder) : many_parts();
  const std::string out = folder.file("results.json"), journal = out + ".journal",
                    printed = folder.file("printed");
  const auto begin = std::chrono::steady_clock::now();
  const auto gone = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  Judge first(with_out(run.arguments, out), printed);
  EXPECT_TRUE(comes_true([&] { return fs::exists(journal) || !first.runs(); }));
  const double start = gone();
  const int code = first.wait();
  ASSERT_LE(code, 1) << contents(printed);
  const double whole = gone();
  const std::string unbroken = timeless(out);
  ASSERT_GT(unbroken.size(), 5000u);

  std::mt19937_64 draw(17);
  std::uniform_real_distribution<double> moment(0, whole);
  int in_between = 0, resumed = 0;
  for (int i = 0; i < moments; ++i) {
    fs::remove(journal);
    write(out, old_text);
    std::vector<std::string> next = with_out(run.arguments, out);
    // Every third is also killed while it is resumed.
    for (int kills = i % 3 == 0 ? 2 : 1; kills > 0; --kills) {
      Judge judge(next, printed);
      // One of four at any moment, the others when it has begun.
      if (i % 4 != 0) comes_true([&] { return fs::exists(journal) || !judge.runs(); });
      pause(i % 4 != 0 ? moment(draw) * (1 - start / whole) : moment(draw));
      judge.end(SIGKILL);
      judge.wait();
      const bool finished = contents(out) != old_text;
      if (finished) {
        EXPECT_TRUE(timeless(out) == unbroken);
      }
      if (fs::exists(journal)) {
        const auto found = results::journal_from_text(contents(journal), journal);
        const results::Results so_far = results::unfinished_results(found, journal);
        EXPECT_NE(so_far.unfinished.find("run --resume " + out), std::string::npos);
        EXPECT_NO_THROW(results::results_from_json(results::to_json(so_far)));
        in_between += found.standings.empty() || finished ? 0 : 1;
        if (i < 4) {
          const EndedShell report =
              in_shell("./abn-verify report " + journal + " --out " + folder.file("report"));
          EXPECT_EQ(report.code, 1) << report.output;  // no pass
          EXPECT_NE(report.output.find("Unfinished: "), std::string::npos) << report.output;
          EXPECT_NE(contents(folder.file("report/index.html")).find("Unfinished: "),
                    std::string::npos);
        }
        next = {"run", "--resume", out, "--threads", std::to_string(1 + i % 2)};
        ++resumed;
      } else {
        next = with_out(run.arguments, out);  // it had not begun, or it had ended
      }
    }
    Judge last(next, printed);
    EXPECT_EQ(last.wait(), code);
    EXPECT_TRUE(timeless(out) == unbroken) << run.name << ", moment " << i;
    EXPECT_FALSE(fs::exists(journal));
  }
  EXPECT_GT(resumed, moments / 5) << "else the moments were none in mid-run";
  EXPECT_GT(in_between, moments / 8);
  // Neither a temporary file nor a part of one.
  for (const auto& entry : fs::directory_iterator(folder.path)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".new")) continue;  // of a kill between two system calls
    EXPECT_TRUE(name == "results.json" || name == "printed" || name == "report" ||
                name == "cases.tsv")
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, KilledAtAnyMoment, testing::Values(true, false),
                         [](const auto& p) { return std::string(p.param ? "Few" : "Many"); });

/// A journal of `run` with at least one part, by a kill.
bool cut_off(const Asked& run, const std::string& out, const std::string& printed) {
  const std::string journal = out + ".journal";
  for (int tries = 0; tries < 20; ++tries) {
    Judge judge(with_out(run.arguments, out), printed);
    const auto lines = [&] {
      const std::string text = contents(journal);
      return std::count(text.begin(), text.end(), '\n');
    };
    comes_true([&] { return lines() > 2 || !judge.runs(); });
    judge.end(SIGKILL);
    judge.wait();
    if (lines() > 2) return true;
    fs::remove(out);
  }
  return false;
}

TEST(Resume, RefusesAnotherBuildAndWhatIsNoJournalAndOtherOptions) {
  const Folder folder("refused");
  const std::string out = folder.file("results.json"), journal = out + ".journal";
  ASSERT_TRUE(cut_off(many_parts(), out, folder.file("printed")));
  const std::string whole = contents(journal);
  const auto resume = [&](const std::string& more = {}) {
    return in_shell("./abn-verify run --resume " + out + more);
  };
  const auto expect_refused = [&](const EndedShell& ended, const std::string& why) {
    EXPECT_EQ(ended.code, 2) << ended.output;
    EXPECT_NE(ended.output.find(why), std::string::npos) << ended.output;
    EXPECT_EQ(std::count(ended.output.begin(), ended.output.end(), '\n'), 1) << ended.output;
    EXPECT_FALSE(fs::exists(out));
  };
  expect_refused(resume(" --tier full"), "leave --tier away");
  expect_refused(resume(" 'naive/*'"), "leave ");
  expect_refused(in_shell("./abn-verify grad --resume " + out), "say abn-verify run --resume");

  results::JournalHeader header = results::journal_from_text(whole, journal).header;
  const std::string rest = whole.substr(whole.find('\n') + 1);
  header.provenance.files.front().sha256[0] ^= 1;
  write(journal, results::journal_line(header) + rest);
  expect_refused(resume(), "was begun by another build of abn-verify");
  header.provenance.files.front().sha256[0] ^= 1;
  header.provenance.device = "another";
  write(journal, results::journal_line(header) + rest);
  expect_refused(resume(), "was begun on the device \"another\"");

  std::string damaged = whole;
  damaged[whole.find('\n') + 100] ^= 1;
  write(journal, damaged);
  expect_refused(resume(), "Line 2 of ");
  expect_refused(in_shell("./abn-verify report " + journal + " --out " + folder.file("report")),
                 "Line 2 of ");
  write(journal, "no journal\n");
  expect_refused(resume(), "is not the journal of a run");
  fs::remove(journal);
  expect_refused(resume(), "had not begun; start it again");

  write(journal, whole);
  const EndedShell ended = resume();
  EXPECT_EQ(ended.code, 0) << ended.output;
  EXPECT_TRUE(fs::exists(out));
}

TEST(Resume, RefusesAnotherPluginAndOtherInputs) {
  const Folder folder("other-files");
  const std::string out = folder.file("results.json"), plugin = folder.file("correct.so");
  fs::copy_file(folder_of_this_binary() / "plugins/correct.so", plugin);
  Asked run = few_parts(folder);
  run.arguments[1] = "*";
  run.arguments.insert(run.arguments.end(), {"--plugin", plugin});
  ASSERT_TRUE(cut_off(run, out, folder.file("printed")));
  const auto resume = [&] { return in_shell("./abn-verify run --resume " + out); };
  std::ofstream(plugin, std::ios::app) << "x";
  EndedShell refused = resume();
  EXPECT_EQ(refused.code, 2) << refused.output;
  EXPECT_NE(refused.output.find("another plug-in than this"), std::string::npos) << refused.output;
  fs::resize_file(plugin, fs::file_size(plugin) - 1);
  std::ofstream(folder.file("cases.tsv"), std::ios::app) << "\n";
  refused = resume();
  EXPECT_EQ(refused.code, 2) << refused.output;
  EXPECT_NE(refused.output.find("another input file than this"), std::string::npos)
      << refused.output;
  fs::resize_file(folder.file("cases.tsv"), fs::file_size(folder.file("cases.tsv")) - 1);
  EXPECT_LE(resume().code, 1);
  EXPECT_TRUE(fs::exists(out));
}

// A variant is called until it has lost three calls; those of before the end count.
TEST(Resume, WhatAPluginHasLostIsNotForgotten) {
  const Folder folder("lost");
  const std::string out = folder.file("results.json"), journal = out + ".journal";
  const Asked run{"lost",
                  {"run", "crash/@(forward|exact|calls|property)/*", "--tier", "smoke", "--plugin",
                   "./plugins/crash.so", "--only-plugins", "--seed", "1", "--threads", "1"}};
  ASSERT_EQ(Judge(with_out(run.arguments, out), folder.file("printed")).wait(), 1);
  const std::string unbroken = timeless(out);
  EXPECT_NE(unbroken.find("not run: 3 calls had been lost before"), std::string::npos);
  fs::remove(out);
  ASSERT_TRUE(cut_off(run, out, folder.file("printed")));
  EXPECT_EQ(in_shell("./abn-verify run --resume " + out).code, 1);
  EXPECT_TRUE(timeless(out) == unbroken) << timeless(out).substr(0, 3000);
}

TEST(Resume, AnotherRunToTheSameFileWaitsOrKeepsTheOldJournal) {
  const Folder folder("same-file");
  const std::string out = folder.file("results.json"), journal = out + ".journal";
  const Asked run = many_parts();
  ASSERT_TRUE(cut_off(run, out, folder.file("printed")));
  const std::string first = contents(journal);
  {
    Judge judge(with_out(run.arguments, out), folder.file("printed"));
    EXPECT_TRUE(comes_true([&] { return fs::exists(journal + ".old"); }));
    EXPECT_EQ(contents(journal + ".old"), first);
    EXPECT_TRUE(comes_true([&] { return fs::exists(journal) || !judge.runs(); }));
    if (judge.runs()) {
      judge.end(SIGSTOP);
      Judge second(with_out(run.arguments, out), folder.file("second"));
      EXPECT_EQ(second.wait(), 2);
      EXPECT_NE(second.output().find("is being written by another run"), std::string::npos)
          << second.output();
      judge.end(SIGCONT);
    }
    EXPECT_EQ(judge.wait(), 0) << judge.output();
  }
  const std::string whole = timeless(out);
  fs::remove(out);
  EXPECT_EQ(in_shell("./abn-verify run --resume " + journal + ".old").code, 0);
  EXPECT_EQ(timeless(out), whole);
  EXPECT_FALSE(fs::exists(journal + ".old"));
}

TEST(Resume, AFullDiskLeavesWhatItTookAndTheOldFile) {
  const Folder folder("full-disk");
  const Asked run = many_parts();
  const std::string out = folder.file("results.json"), journal = out + ".journal";
  ASSERT_EQ(Judge(with_out(run.arguments, out), folder.file("printed")).wait(), 0);
  const std::string unbroken = timeless(out);
  std::string command = "./abn-verify";
  for (const std::string& word : with_out(run.arguments, out)) command += " '" + word + "'";
  for (const int blocks : {150, 300}) {  // of 512 bytes; the results take more
    write(out, old_text);
    const EndedShell ended = in_shell("ulimit -f " + std::to_string(blocks) + "; " + command);
    EXPECT_EQ(ended.code, 2) << ended.output;
    EXPECT_NE(ended.output.find("checks pass"), std::string::npos) << ended.output;
    EXPECT_NE(ended.output.find("could not be written to its end"), std::string::npos);
    EXPECT_EQ(contents(out), old_text);
    const auto found = results::journal_from_text(contents(journal), journal);
    EXPECT_GT(found.standings.size(), 0u);
    EXPECT_LT(found.standings.size(), found.header.parts.size());
    EXPECT_EQ(in_shell("./abn-verify run --resume " + out).code, 0);
    EXPECT_EQ(timeless(out), unbroken);
  }
  // No room for the first line: nothing is lost, for nothing has run.
  write(out, old_text);
  const EndedShell refused = in_shell("ulimit -f 1; " + command);
  EXPECT_EQ(refused.code, 2) << refused.output;
  EXPECT_NE(refused.output.find("make room"), std::string::npos) << refused.output;
  EXPECT_EQ(contents(out), old_text);
  EXPECT_FALSE(fs::exists(journal));
}

TEST(Resume, ADiskThatIsReallyFullLikewise) {
  if (getuid() != 0 || in_shell("unshare -m true").code != 0)
    GTEST_SKIP() << "only root may mount a small disk";
  const Folder folder("small-disk");
  const std::string disk = folder.file("disk"), out = disk + "/results.json";
  fs::create_directory(disk);
  std::string command = "./abn-verify";
  for (const std::string& word : with_out(many_parts().arguments, out))
    command += " '" + word + "'";
  const EndedShell ended =
      in_shell("unshare -m sh -c \"mount -t tmpfs -o size=96k none " + disk +
               " || exit 99; echo old > " + out + "; " + command + "; echo code \\$?; cat " + out +
               "; ./abn-verify report " + out + ".journal --out " + folder.file("report") +
               "; mount -o remount,size=10m " + disk + "; ./abn-verify run --quiet --resume " +
               out + "; echo resumed \\$?; cp " + out + " " + folder.file("resumed.json") + "\"");
  if (ended.code == 99) GTEST_SKIP() << "no small disk can be mounted here";
  EXPECT_NE(ended.output.find("code 2\nold\n"), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("Unfinished: "), std::string::npos) << ended.output;
  EXPECT_NE(ended.output.find("resumed 0\n"), std::string::npos) << ended.output;
  const std::string again = folder.file("again.json");
  ASSERT_EQ(Judge(with_out(many_parts().arguments, again), folder.file("printed")).wait(), 0);
  EXPECT_EQ(timeless(folder.file("resumed.json"), true), timeless(again, true));
}

}  // namespace
