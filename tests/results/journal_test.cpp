// The journal of a run: what is read back is what was written, a torn end is left out, damage is
// refused, and a full disk loses nothing that fits.
#include "verify/results/journal.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/sha256.hpp"
#include "verify/compare/compare.hpp"
#include "verify/problem/error.hpp"
#include "verify/results/sha256.hpp"

namespace {

namespace fs = std::filesystem;
using namespace abn::verify;
using namespace abn::verify::results;

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

Record record_with(const std::string& check, CheckKind kind, double got, double bound = 1) {
  Record r;
  r.variant = "mine", r.op = "forward", r.dtype = "f32", r.layout = "nchw", r.check = check;
  r.id = "mine/forward/f32/nchw/" + check;
  r.kind = kind;
  compare::Expectation expectation{compare::Output::dx, ABN_F32, {}, {}};
  compare::Point point;
  point.bound = bound, point.fit_bound = 2 * bound;
  expectation.points.push_back(point);
  const double gots[] = {got};
  r.tally = compare::compare_all(expectation, gots);
  r.bias.cases = 1, r.bias.up = {got / 3, got * got};
  r.cases = 1, r.failed_cases = r.tally.failed;
  r.evaluations = {3, 1};
  r.kinds.push_back({"training", "elu", 4, 5, 1, 1, 0, 16, 17, 32, 33, "depth"});
  Witness w;
  w.problem = "n1c1s1", w.where = "dx[n 0, c 0, s 0]", w.got = got, w.ratio = r.tally.max_ratio;
  r.witnesses.push_back(w);
  return r;
}

JournalHeader header_with(std::vector<std::string> parts) {
  JournalHeader header;
  header.arguments = {"run", "--out", "a b%\xff\n\x01é.json", "%", ""};
  header.folder = "/a folder/\xfe";
  header.provenance = {"0.2.0",
                       "abc",
                       "abn-verify run",
                       "g++",
                       "none",
                       "none",
                       "emulator",
                       "smoke",
                       "2026-01-01T00:00:00Z",
                       true,
                       7,
                       0,
                       {{"tool", "abn-verify", "12"}}};
  header.inputs = {{"input", "\xff.tsv", "34"}};
  header.variants.push_back({"mine", "a kernel", "host", {{"scheme", "standard"}}});
  header.parts = std::move(parts);
  return header;
}

Standing standing_with(const std::string& part, std::uint64_t done, std::uint64_t of) {
  Standing standing{part, done, of, {}, 1.5 * static_cast<double>(done), {}};
  for (std::uint64_t i = 0; i < 2; ++i)
    standing.records.push_back(record_with(part + std::to_string(i),
                                           i == 0 ? CheckKind::numbers : CheckKind::contract,
                                           0.1 + 0.01 * static_cast<double>(done)));
  standing.losses = {{}, {2, {{1, 3, 4, 1, "the plug-in crashed"}}}};
  return standing;
}

class JournalFile : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::string out() const { return path("results.json"); }
  std::string journal() const { return path("results.json.journal"); }
  /// Of two parts, the second of which is not done.
  std::string text_of_two() const {
    Journal journal(header_with({"one", "two", "three"}), out());
    journal.append(standing_with("one", 10, 10));
    journal.append(standing_with("two", 3, 9));
    journal.append(standing_with("two", 5, 9));
    return text_of(journal.path());
  }

 private:
  fs::path folder_ = fs::temp_directory_path() / ("abn-journal-test." + std::to_string(getpid()));
};

TEST(Sha256, IsThatOfTheStandardWhateverThePieces) {
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  for (std::size_t length = 0; length < 200; ++length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i) text += static_cast<char>(i * 37 + length);
    EXPECT_EQ(sha256(text), abn::tests::sha256(text)) << length;
    Sha256 in_pieces;
    in_pieces.add(text.substr(0, length / 3)), in_pieces.add(text.substr(length / 3));
    EXPECT_EQ(in_pieces.hex(), sha256(text)) << length;
  }
}

TEST_F(JournalFile, FilesAreHashedAndWhatIsNoneSaysSo) {
  for (const std::size_t length : {0, 1, 65535, 65536, 65537, 200000}) {
    const std::string text(length, 'x');
    write_text(path("file"), text);
    EXPECT_EQ(sha256_of_file(path("file")), sha256(text)) << length;
  }
  EXPECT_EQ(sha256_of_file(path("nonesuch")), "unreadable");
  EXPECT_EQ(sha256_of_file(path(".")), "unreadable");
  EXPECT_EQ(sha256_of_file("/dev/zero"), "unreadable");
}

TEST_F(JournalFile, IsReadBackAsItWasWritten) {
  const JournalHeader header = header_with({"one", "two", "three"});
  const JournalContents found = journal_from_text(text_of_two(), "name");
  EXPECT_EQ(found.header.arguments, header.arguments);
  EXPECT_EQ(found.header.folder, header.folder);
  EXPECT_EQ(found.header.inputs, header.inputs);
  EXPECT_EQ(found.header.provenance.files, header.provenance.files);
  EXPECT_EQ(found.header.parts, header.parts);
  EXPECT_EQ(found.header.variants.front().claims, header.variants.front().claims);
  EXPECT_EQ(found.entries, 4u);
  ASSERT_EQ(found.standings.size(), 2u);
  const Standing& two = found.standings.at("two");
  EXPECT_EQ(two.done, 5u);
  EXPECT_EQ(two.of, 9u);
  EXPECT_EQ(found.seconds, 7.5);
  ASSERT_EQ(found.losses.size(), 2u);
  EXPECT_EQ(found.losses[1].workers, 2);
  EXPECT_EQ(found.losses[1].variants.at(0).first, "the plug-in crashed");
  EXPECT_EQ(found.losses[1].variants.at(0).index, 3u);
}

// The rest of a sum is added to what was read, so nothing of it may be missing or rounded.
TEST_F(JournalFile, ASumGoesOnAsIfItHadNotBeenWritten) {
  for (const CheckKind kind : {CheckKind::numbers, CheckKind::property, CheckKind::contract}) {
    Record straight, broken;
    for (int i = 0; i < 40; ++i) {
      const Record next = record_with("z", kind, 0.1 * (i % 7) + 1e-9 * i, i == 31 ? 0.01 : 1);
      if (i == 0) {
        straight = broken = next;
        continue;
      }
      merge(straight, next), merge(broken, next);
      Standing standing{"one", 1, 2, {broken}, 0, {}};
      const std::string text = journal_line(header_with({"one"})) + journal_line(standing, 1);
      broken = journal_from_text(text, "name").standings.at("one").records.at(0);
    }
    EXPECT_EQ(straight.tally.elements, broken.tally.elements);
    EXPECT_EQ(straight.tally.failed, broken.tally.failed);
    conclude(straight), conclude(broken);
    Results a, b;
    a.records = {straight}, b.records = {broken};
    EXPECT_EQ(to_json(a), to_json(b));
  }
}

TEST_F(JournalFile, ALastLineThatIsNotWholeIsLeftOutAndWrittenOver) {
  const std::string whole = text_of_two();
  const std::size_t last = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t length = last; length < whole.size(); length += 1 + length % 61) {
    const JournalContents found = journal_from_text(whole.substr(0, length), "name");
    EXPECT_EQ(found.bytes, last) << length;
    EXPECT_EQ(found.standings.at("two").done, 3u);
  }
  // A power cut may leave blocks of zeros, or of something else.
  for (const char letter : {'\0', 'x', '\n'}) {
    const std::string torn = whole.substr(0, last + 40) + std::string(5000, letter);
    EXPECT_EQ(journal_from_text(torn, "name").standings.at("two").done, 3u);
  }
  write_text(journal(), whole.substr(0, whole.size() - 7));
  {
    Journal again(journal());
    EXPECT_EQ(again.contents().standings.at("two").done, 3u);
    again.append(standing_with("two", 5, 9));
  }
  EXPECT_EQ(text_of(journal()), whole);
}

TEST_F(JournalFile, DamageBeforeAWholeLineIsRefusedAndEveryFlippedBitIsSeen) {
  const std::string whole = text_of_two();
  const std::size_t second = whole.find('\n') + 1, third = whole.find('\n', second) + 1;
  for (std::size_t at = 0; at < third; at += 1 + at % 89)
    for (const int bit : {1, 64}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ bit);
      EXPECT_THROW(journal_from_text(damaged, "name"), problem::UsageError) << at;
    }
  const auto refused = [](const std::string& text) {
    try {
      journal_from_text(text, "name");
    } catch (const problem::UsageError& wrong) {
      const std::string sentence = wrong.what();
      EXPECT_EQ(sentence.find('\n'), std::string::npos);
      EXPECT_NE(sentence.find("start "), std::string::npos) << sentence;
      return true;
    }
    return false;
  };
  EXPECT_TRUE(refused(whole.substr(0, second) + whole.substr(third))) << "a line is missing";
  EXPECT_TRUE(refused(whole.substr(0, third) + whole.substr(second))) << "a line is there twice";
  EXPECT_TRUE(refused(whole.substr(second))) << "the first line is missing";
  for (const char* const text : {"", "{}\n", "\n\n"}) EXPECT_TRUE(refused(text)) << text;
  const auto line = [](const std::string& entry) {
    return "{\"sha256\":\"" + sha256(entry).substr(0, 16) + "\",\"entry\":" + entry + "}\n";
  };
  EXPECT_TRUE(refused(line("{\"number\":0,\"schema\":\"abn-verify-journal/2\"}")));
  EXPECT_TRUE(refused(line("{\"number\":0,\"schema\":\"abn-verify-journal/1\"}")));
  EXPECT_TRUE(refused(line(std::string(200'000, '['))));
  EXPECT_TRUE(refused(journal_line(header_with({})) + line("{\"number\":1,\"part\":3}")));
}

TEST_F(JournalFile, BelongsToOneRunAtATimeAndEndsWithIt) {
  write_text(out(), "old");
  {
    Journal first(header_with({"one"}), out());
    EXPECT_EQ(first.path(), journal());
    EXPECT_THROW(Journal(header_with({"one"}), out()), problem::UsageError);
    EXPECT_THROW(Journal again(journal()), problem::UsageError);
    EXPECT_EQ(journal_from_text(text_of(journal()), "name").entries, 1u) << "it is there at once";
  }
  {
    Journal second(header_with({"one"}), out());  // there was nothing in the first
    EXPECT_FALSE(fs::exists(journal() + ".old"));
    second.append(standing_with("one", 1, 2));
  }
  {
    Journal third(header_with({"one"}), out());
    EXPECT_TRUE(fs::exists(journal() + ".old"));
    EXPECT_TRUE(third.contents().standings.empty());
    third.remove();
    EXPECT_FALSE(fs::exists(journal()));
  }
  EXPECT_FALSE(fs::exists(journal()));
  EXPECT_EQ(text_of(out()), "old");
  EXPECT_THROW(Journal(header_with({}), path("no/such/folder")), problem::UsageError);
  EXPECT_THROW(Journal none(path("nonesuch.journal")), problem::UsageError);
}

TEST_F(JournalFile, WhatAFullDiskDoesNotTakeIsWrittenWhenThereIsRoomAgain) {
  struct sigaction ignore {
  }, before{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &ignore, &before);
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  const rlim_t all = limit.rlim_cur;
  const auto room = [&](rlim_t bytes) {
    limit.rlim_cur = bytes;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  };
  {
    Journal journal(header_with({"one", "two", "three"}), out());
    journal.append(standing_with("one", 10, 10));
    EXPECT_TRUE(journal.safe());
    const std::string so_far = text_of(journal.path());
    room(so_far.size() + 100);
    journal.append(standing_with("two", 3, 9));
    EXPECT_FALSE(journal.safe());
    EXPECT_EQ(text_of(journal.path()), so_far) << "no torn line stays";
    EXPECT_EQ(journal.contents().standings.at("two").done, 3u) << "nothing is forgotten";
    room(all);
    journal.append(standing_with("two", 5, 9));
    EXPECT_TRUE(journal.safe());
  }
  sigaction(SIGXFSZ, &before, nullptr);
  const std::string text = text_of(journal());
  fs::remove(journal());
  EXPECT_EQ(text, text_of_two());
}

TEST_F(JournalFile, UnfinishedResultsSayWhatRanWhatIsLeftAndHowToGoOn) {
  JournalContents contents = journal_from_text(text_of_two(), "name");
  const Results results = unfinished_results(contents, "r.json.journal");
  EXPECT_EQ(results.unfinished,
            "the run was cut off when 1 of its 3 parts were done; left are two (5 of 9 cases are "
            "done); three. abn-verify run --resume r.json goes on from there.");
  EXPECT_EQ(results.records.size(), 4u);
  EXPECT_EQ(exit_code(results), 1) << "it is no pass";
  EXPECT_EQ(headline(results).rfind("Unfinished: ", 0), 0u) << headline(results);
  for (const Record& record : results.records)
    EXPECT_EQ(record.reason.find("(unfinished: 5 of 9 cases)") != std::string::npos,
              record.check.starts_with("two"))
        << record.reason;
  const Results again = results_from_json(to_json(results));
  EXPECT_EQ(again.unfinished, results.unfinished);
  EXPECT_EQ(again.provenance.files, results.provenance.files);
  contents.header.resumable = false;
  EXPECT_NE(unfinished_results(contents, "x").unfinished.find("cannot be resumed"),
            std::string::npos);
  contents.standings.clear();
  EXPECT_NE(headline(unfinished_results(contents, "")).find("nothing yet"), std::string::npos);
}

TEST_F(JournalFile, IsFoundByTheFileItBelongsToOrByItsOwnName) {
  EXPECT_EQ(journal_of(out()), journal());
  text_of_two();
  EXPECT_EQ(journal_of(out()), journal());
  EXPECT_EQ(journal_of(journal()), journal());
  fs::rename(journal(), path("other"));
  EXPECT_EQ(journal_of(path("other")), path("other"));
  write_text(out(), "{}");
  EXPECT_EQ(journal_of(out()), journal());
  fs::create_symlink(out(), path("link"));
  EXPECT_EQ(journal_of(path("link")), fs::canonical(out()).string() + ".journal");
}

}  // namespace
