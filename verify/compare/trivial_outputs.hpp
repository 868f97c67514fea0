// Would a kernel that computes nothing pass? If so, the data of a case say nothing of the kernel
// that passed.
//
// What such a kernel leaves in its output: zeros, a constant, a copy of its input, what an earlier
// call left there (the right values of other data), or what inference would have given where
// training was asked for.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::compare {

/// An output without the work: the value of each element.
using TrivialOutput = std::function<double(std::size_t)>;

/// Zeros and a constant are tried always. True where every null output fails on at least one
/// element.
bool discriminates(const Expectation& expectation, std::span<const TrivialOutput> trivial);

/// The null outputs that an output has beside those. They refer to the arguments.
std::vector<TrivialOutput> nulls_of(const problem::Inputs& inputs, const Expectation& expectation);

}  // namespace abn::verify::compare
