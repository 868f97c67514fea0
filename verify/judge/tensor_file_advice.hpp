// What a file that fails would pass as: another declaration, or another way to write its tensors.
//
// A right kernel whose convention was not declared fails like a wrong one. Each piece of advice is
// tried: it is given only where the outputs that failed pass under it and no other output fails.
#pragma once

#include <vector>

#include "verify/data/tensor_file.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::judge {

/// Puts the first piece of advice that holds into the diagnosis of the failed records.
void advise(const data::TensorFile& file, std::vector<results::Record>& records);

/// All of them with what they mean.
std::span<const problem::Word> advice_words();

}  // namespace abn::verify::judge
