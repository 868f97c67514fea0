// SHA-256 (FIPS 180-4): what ties a verdict to a file, and tells a whole line of a journal from a
// torn one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace abn::verify::results {

class Sha256 {
 public:
  void add(std::string_view bytes);
  /// Lower-case hex, 64 letters; once.
  std::string hex();

 private:
  void take_block(const unsigned char* block);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> rest_{};
  std::size_t waiting_ = 0;  // bytes of rest_
  std::uint64_t bytes_ = 0;
};

std::string sha256(std::string_view text);

/// Of what a file holds; "unreadable" where it cannot be read to its end, or is none.
std::string sha256_of_file(const std::string& path);

}  // namespace abn::verify::results
