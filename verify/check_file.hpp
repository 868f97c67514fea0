// Judges tensors that any framework dumped: one batch norm + activation of one training step in a safetensors file.
//
// fixtures/README.md describes the tensors and the metadata.
#pragma once

#include <string>
#include <vector>

#include "verify/inputs.hpp"
#include "verify/results.hpp"

namespace abn::verify {

/// What a file holds, checked against its problem.
struct TensorFile {
  std::string name;      ///< the file's stem, with anything but letters, digits, '_' and '-' replaced by '_': first part of its check ids
  Inputs inputs;         ///< vectors that the file lacks are empty
  abn_claims claims{};   ///< as declared
  bool declares = false; ///< the file declares how it was computed (needed for check, not for running variants on it)
  struct Stored {
    Output output;
    std::vector<double> values;
  };
  std::vector<Stored> outputs;  ///< in the order of Output
};

/// Throws UsageError for anything but a well-formed file whose tensors have the types and shapes of its problem.
TensorFile read_tensor_file(const std::string& path);

/// Judges every output in the file by what it declares. Records are concluded and ordered by id: NAME/op/dtype/layout/check.
/// Throws UsageError, as above and where the file has no output.
std::vector<Record> check_file(const std::string& path);

/// The variant entry of such a file for a report.
VariantInfo describe_file(const std::string& path);

}  // namespace abn::verify
