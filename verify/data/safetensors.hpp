// The safetensors container: reads files that strangers wrote without trusting a byte of them, and
// writes our own.
//
//   8 bytes         length L of the header, little-endian
//   L bytes         JSON object {name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin,
//                   end]}, ..., "__metadata__": {string:
//   string}},
//                   starting with '{', padded with blanks
//   the rest        raw little-endian tensor data, row-major; the offsets count from here and cover
//                   it without gap or overlap
//
// What abn-verify expects inside such a file is described in fixtures/README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "verify/problem/error.hpp"

namespace abn::verify::data {

struct Tensor {
  std::string name;
  std::string dtype;                ///< as in the file: "F16", "BF16", "F32", "F64", "I64", ...
  std::vector<std::int64_t> shape;  ///< empty for a scalar
  /// product of shape times the size of dtype, little-endian, row-major
  std::vector<std::byte> bytes;
};

struct SafetensorsFile {
  std::map<std::string, std::string> metadata;
  std::map<std::string, Tensor> tensors;  ///< by name; the key equals Tensor::name
};

/// Reads a whole file. Throws UsageError, with one sentence that names the path and ends in what to
/// do next, for anything that is not a well-formed safetensors file of at most 4 GiB. Memory is
/// allocated only for bytes that the file is known to have.
SafetensorsFile read_safetensors(const std::string& path);
/// The same of bytes in memory, called `name` in sentences.
SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& name);

/// Writes through a temporary file in the same folder and a rename, so that a reader sees the old
/// file, the new file or none. Throws UsageError if the folder cannot be written,
/// std::invalid_argument if a tensor's bytes do not match its dtype and shape, its name differs
/// from its key or is "__metadata__", or a string is not UTF-8.
void write_safetensors(const std::string& path, const SafetensorsFile& file);

}  // namespace abn::verify::data
