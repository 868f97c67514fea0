// Judges tensors that any framework dumped: every output in the file, by what the file declares of
// the kernel that computed it.
#pragma once

#include <string>
#include <vector>

#include "verify/data/tensor_file.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::judge {

/// Records are concluded and ordered by id: NAME/op/dtype/layout/check. Throws UsageError for an
/// unusable file, and for one without outputs.
///
/// Backward is judged on what the file says that it worked from: x, z and the saved statistics for
/// the standard scheme, z and the saved variance for the in-place ones. Where one of these is not
/// in the file, the gradient at x is the standard, and the bound includes the forward errors on the
/// way to it.
std::vector<results::Record> check_file(const std::string& path);

/// The variant entry of such a file for a report.
results::VariantInfo describe_file(const std::string& path);

}  // namespace abn::verify::judge
