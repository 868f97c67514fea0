// A plain implementation in the precision of the kernels under test, for rules that measure an
// error against another one.
//
// It is what a framework does operation by operation: arithmetic in float, sums over 32 lanes and
// then a tree, and every tensor between two operations (y, the recovered y and xhat, dy) rounded to
// the storage type. f64 is computed in double.
#pragma once

#include <map>
#include <vector>

#include "verify/compare/expectation.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::study {

using Numbers = std::map<compare::Output, std::vector<double>>;

/// z and xhat; in training also the statistics and the running buffers.
Numbers plain_forward(const problem::Inputs& inputs);

/// dx, dgamma and dbeta from what a forward kept: `in_place` from its z, else from its xhat or,
/// without one, from x.
Numbers plain_backward(const problem::Inputs& inputs, const problem::Saved& saved, bool in_place);

}  // namespace abn::verify::study
