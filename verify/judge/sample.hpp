// A sample of a large case: the channels, and where no sum is taken the samples, that are judged
// element by element. Of all others it is known that they were written, left no trace beside their
// buffers, and are the same in every call.
//
// The last channel is in it, and the first behind 65,535, where indices of 16 bits end; the others
// are drawn from the case's seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/data/cases.hpp"

namespace abn::verify::judge {

struct Sample {
  abn_problem from{};                   ///< the case's problem
  abn_problem problem{};                ///< that of the sample: another n, c and s
  std::vector<std::int64_t> channels;   ///< in ascending order
  std::vector<std::int64_t> positions;  ///< of a channel's samples; empty: all of them

  /// "4 of 65537 channels", "512 of 300000 samples of 2 of 4 channels"
  std::string text() const;
  /// The element of the case that an element of the sample is.
  std::int64_t element_of(bool tensor, std::int64_t element) const;
};

/// Elements that are judged of a case: exact values of f64 cost ten times those of other types.
std::int64_t judged_elements(const abn_problem& problem);

/// Is the case one of which a sample is judged?
bool is_sampled(const data::Case& one);
Sample sample_of(const data::Case& one);

problem::Inputs reduced(const Sample& sample, const problem::Inputs& inputs);
problem::Saved reduced(const Sample& sample, const problem::Saved& saved);
void reduce(const Sample& sample, std::vector<compare::Stored>& outputs);

}  // namespace abn::verify::judge
