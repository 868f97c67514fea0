// One batch norm + activation of one training step in a safetensors file: its tensors and
// declarations, checked against its problem.
//
// fixtures/README.md describes both for those who write such files.
#pragma once

#include <string>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/data/safetensors.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::data {

struct TensorFile {
  /// the file's stem, with anything but letters, digits, '_' and '-' replaced by '_': first part of
  /// its check ids
  std::string name;
  problem::Inputs inputs;  ///< vectors and dz that the file lacks are empty
  /// it says how its outputs were computed; needed to judge them, not to run variants on its inputs
  bool declares = false;
  abn_claims claims{};                   ///< what it says
  std::vector<compare::Stored> outputs;  ///< in the order of Output
};

/// Throws UsageError for anything but a well-formed file whose tensors have the types and shapes of
/// its problem.
TensorFile read_tensor_file(const std::string& path);
/// The same of a container that has been read, and is called `path` in sentences.
TensorFile tensor_file_of(SafetensorsFile file, const std::string& path);

}  // namespace abn::verify::data
