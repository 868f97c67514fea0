// The one way in which files of strangers are opened: a regular file of a bounded size, or a
// sentence that says what to do.
//
// A pipe may never end and a device such as /dev/zero never does; both are refused before a byte of
// them is read, and so is what is too large.
#pragma once

#include <cstdint>
#include <string>

namespace abn::verify::problem {

/// What a reader expects, and the ends of its sentences.
struct FileKind {
  std::uint64_t largest;   ///< bytes
  const char* in_folder;   ///< "name a file in it that ...": instead of a folder
  const char* if_larger;   ///< "dump one layer of one step a file"
  const char* make_again;  ///< "dump it again": for one that is empty
};

/// JSON that this program wrote: results and studies. A check takes some 3 kB.
inline constexpr FileKind own_json{
    std::uint64_t{128} << 20, "name a file in it that abn-verify wrote with --out",
    "run fewer variants or checks a file", "write it again with abn-verify --out"};

/// What a run keeps while it goes on; it grows with the run.
inline constexpr FileKind own_journal{std::uint64_t{1} << 30, "name the FILE of the --out of a run",
                                      "it cannot be resumed; start the run again",
                                      "start the run again"};

class BoundedFile {
 public:
  /// Throws UsageError, with the path in front, for anything but a regular file that can be read
  /// and has from 1 to kind.largest bytes.
  BoundedFile(const std::string& path, const FileKind& kind);
  ~BoundedFile();
  BoundedFile(const BoundedFile&) = delete;
  BoundedFile& operator=(const BoundedFile&) = delete;

  std::uint64_t bytes() const { return bytes_; }  ///< as it was opened
  /// The next bytes, up to `most`: how many there were.
  std::uint64_t read(void* to, std::uint64_t most);

 private:
  std::string path_;
  int file_ = -1;
  std::uint64_t bytes_ = 0;
};

/// All of such a file.
std::string read_bounded(const std::string& path, const FileKind& kind);

}  // namespace abn::verify::problem
