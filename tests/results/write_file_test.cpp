// Where results are written: a file appears whole or not at all, and nothing that is no file is
// replaced by one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "verify/problem/error.hpp"
#include "verify/results/results.hpp"

namespace {

namespace fs = std::filesystem;
using namespace abn::verify;
using namespace abn::verify::results;

class WriteFile : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::ptrdiff_t entries() const { return std::distance(fs::directory_iterator(folder_), {}); }
  static std::string text_of(const std::string& path) {
    std::string text;
    std::ifstream(path) >> text;
    return text;
  }

 private:
  fs::path folder_ =
      fs::temp_directory_path() / ("abn-write-file-test." + std::to_string(getpid()));
};

TEST_F(WriteFile, AGoodFileSurvivesAFailedWrite) {
  write_file_atomically(path("results.json"), "old");
  write_file_atomically(path("results.json"), "new");
  EXPECT_EQ(text_of(path("results.json")), "new");
  EXPECT_EQ(entries(), 1) << "no temporary file is left";
  EXPECT_THROW(write_file_atomically(path("no/such/folder"), "x"), problem::UsageError);
  EXPECT_THROW(write_file_atomically(path("."), "x"), problem::UsageError);
  EXPECT_EQ(entries(), 1);
}

TEST_F(WriteFile, APipeIsWrittenToAndStaysAPipe) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  fs::create_symlink(path("pipe"), path("link"));
  const int reader = open(path("pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  for (const char* name : {"pipe", "link"}) {
    write_file_atomically(path(name), "text");
    char got[8] = {};
    EXPECT_EQ(read(reader, got, sizeof got), 4) << name;
    EXPECT_STREQ(got, "text") << name;
  }
  close(reader);
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(entries(), 2);
}

TEST_F(WriteFile, BehindASymbolicLinkTheFileIsReplacedAndNotTheLink) {
  write_file_atomically(path("file"), "old");
  fs::create_symlink("file", path("link"));
  write_file_atomically(path("link"), "new");
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(text_of(path("file")), "new");
  EXPECT_EQ(entries(), 2);
}

}  // namespace
