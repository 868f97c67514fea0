// PTX out of the fat binaries that nvcc embeds: as it is, or compressed by zstd.
#pragma once

#include <string>
#include <vector>

namespace abn::ptx {

/// What a compiler registers: a wrapper, or the fat binary itself. Its PTX texts, newest
/// architecture last. Throws Refused where there are none or where they cannot be unpacked.
std::vector<std::string> ptx_of(const void* fat_binary);

}  // namespace abn::ptx
