// Files of strangers: what is read, and what is refused before a byte of it is read.
#include "verify/problem/bounded_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "verify/problem/error.hpp"

using namespace abn::verify::problem;
namespace fs = std::filesystem;

namespace {

constexpr FileKind kind{1000, "name a file in it", "cut it", "write it again"};

class BoundedFiles : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  std::string written(const char* name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  /// The sentence behind the path; empty where it was read.
  static std::string refusal(const std::string& path) {
    try {
      read_bounded(path, kind);
    } catch (const UsageError& refused) {
      const std::string sentence = refused.what();
      EXPECT_EQ(sentence.find(path), path.empty() ? sentence.find("") : 0u) << sentence;
      return sentence.substr(sentence.find(": ") + 2);
    }
    return {};
  }

  fs::path folder_ = fs::temp_directory_path() / ("abn-bounded-" + std::to_string(getpid()));
};

}  // namespace

TEST_F(BoundedFiles, ARegularFileIsReadByteForByte) {
  const std::string bytes("a\0\xff\n", 4);
  EXPECT_EQ(read_bounded(written("file", bytes), kind), bytes);
  fs::create_symlink(path("file"), path("link"));
  EXPECT_EQ(read_bounded(path("link"), kind), bytes);
  EXPECT_EQ(read_bounded(written("full", std::string(1000, 'x')), kind).size(), 1000u);
}

TEST_F(BoundedFiles, WhatIsNoRegularFileIsRefused) {
  EXPECT_EQ(refusal(path("absent")), "there is no such file; check the path");
  EXPECT_EQ(refusal(folder_.string()), "this is a folder; name a file in it");
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  for (const std::string& other :
       {path("fifo"), std::string("/dev/zero"), std::string("/dev/null")})
    EXPECT_EQ(refusal(other), "this is not a regular file; copy the data to a file first") << other;
  fs::create_symlink("b", path("a")), fs::create_symlink("a", path("b"));
  EXPECT_EQ(refusal(path("a")), "its symbolic links lead in a circle; name the file itself");
  EXPECT_EQ(refusal(""), "the name of the file is empty; give one");
}

TEST_F(BoundedFiles, WhatIsTooLargeOrEmptyIsRefused) {
  EXPECT_EQ(refusal(written("empty", "")), "the file is empty; write it again");
  EXPECT_EQ(refusal(written("long", std::string(1001, 'x'))),
            "the file has 1001 bytes, more than the 1000 that are read; cut it");
  fs::resize_file(written("sparse", "x"), std::uintmax_t{1} << 40);
  EXPECT_NE(refusal(path("sparse")).find("1099511627776 bytes"), std::string::npos);
}

TEST_F(BoundedFiles, APieceIsWhatIsLeft) {
  BoundedFile file(written("file", "abcdef"), kind);
  EXPECT_EQ(file.bytes(), 6u);
  char some[8] = {};
  EXPECT_EQ(file.read(some, 4), 4u);
  EXPECT_EQ(file.read(some, 4), 2u);
  EXPECT_EQ(some[0], 'e');
  EXPECT_EQ(file.read(some, 4), 0u);
}
