// What the outputs of a tensor file should be: expectations for all of them, from what the file
// declares.
#pragma once

#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/data/tensor_file.hpp"

namespace abn::verify::judge {

struct FileExpectations {
  problem::Inputs exact;  ///< as the oracle takes them
  problem::Saved saved;   ///< what backward worked from, as far as the file holds it
  bool on_saved = false;  ///< is that all that its scheme's backward starts from?
  abn_claims claims{};    ///< the file's, with the kink that its gradients keep to
  std::vector<compare::Expectation> expected;  ///< of every output that the file can be asked for
  std::vector<compare::Expectation> truth;     ///< the gradients at the unrounded x
};

FileExpectations expectations_of(const data::TensorFile& file);

/// Of every output that follows from its inputs, whether the file holds it or not.
std::vector<compare::Expectation> all_expectations_of(const data::TensorFile& file);

/// The outputs of the file with an element above its bound.
std::vector<compare::Output> failed_outputs(const data::TensorFile& file);

}  // namespace abn::verify::judge
