// The inputs of `study judges`: one list of problems, with data of three grades.
//
// easy              x and dz from N(0,1), gamma 1, beta 0, fresh running statistics: what most
//                   tests of kernels draw
// realistic         moderate means and spreads, |gamma| from 0.1 to 1 and of either sign, gradients
//                   of about 1e-6
// ill-conditioned   in turn: |mean|/sigma = 1000 (as far as the storage type resolves it), |gamma|
//                   from 2^-10 to 2^-6, |beta|/|gamma| from 16 to 256
#pragma once

#include <cstdint>
#include <vector>

#include "verify/problem/inputs.hpp"

namespace abn::verify::study {

enum class Grade : std::uint8_t { easy, realistic, ill_conditioned };
inline constexpr Grade grades[] = {Grade::easy, Grade::realistic, Grade::ill_conditioned};
const char* grade_name(Grade grade);

/// The problems of a grade in one storage type, with their data, in the order in which a kernel
/// meets them.
std::vector<problem::Inputs> graded_cases(Grade grade, int dtype, std::uint64_t seed);

}  // namespace abn::verify::study
