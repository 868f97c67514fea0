// Cases whose tensors would not fit into memory as doubles: beyond 2^31 elements, say.
//
// Every number of a recipe is a function of its channel and sample, so nothing has to be kept
// beside the kernel's own tensors: they are filled in the storage type, in place where the variant
// claims that it may, and after the call each channel's inputs are made once more and judged like
// any other problem of one channel. So every element is compared. What needs a second call of the
// same data (alias, repetition, unwritten elements) has no record here.
#pragma once

#include <vector>

#include "verify/check/group.hpp"

namespace abn::verify::check {

/// The records of a case that data::is_streamed; skips that say so where the memory is missing.
/// Throws DeviceError.
std::vector<results::Record> streamed_records(const Work& work);

}  // namespace abn::verify::check
