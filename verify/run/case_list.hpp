// Lists of hard inputs: a text file with one case a line, which a hunt writes and a run takes.
//
//   # two_sweep/backward/f32/nchw/dx  ratio 0.91
//   n2c1s3,f32,leaky_relu:0.01<TAB>given:x=0x1p+0,...<TAB>4711
//
// Problem, data and seed as the command line has them; what begins with # and empty lines are for
// readers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "verify/data/cases.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::run {

/// The cases of a file, in order. Throws UsageError with the line that is none.
std::vector<data::Case> read_case_list(const std::string& path);
/// The same of a text; `path` is what its errors call it.
std::vector<data::Case> cases_of_text(const std::string& text, const std::string& path);

/// The worst case of every check of numbers, each case once, with the checks that it is the worst
/// of and their ratios above it.
std::string case_list_text(std::span<const results::Record> records);

}  // namespace abn::verify::run
