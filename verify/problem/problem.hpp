// A problem (sizes, layout, types, activation, eps, mode) as one string that people type and
// records carry.
//
//   n2c64s12,nhwc,bf16,leaky_relu:0.01,eps:1e-05,momentum:0.1,abs_eps,frozen
//
// The sizes come first, then options in any order: nchw|nhwc, f16|bf16|f32|f64, param:TYPE,
// out:TYPE, an activation as in the table of activations (identity, leaky_relu[:slope] ...), eps:E,
// momentum:P or momentum:1/K, signed|abs_eps, training|inference|frozen. Left out means: nchw, f32,
// param f64 with f64 and else f32, out as the storage type, eps:1e-05, momentum:0.1, signed,
// training. The activation must be named: nobody's default is everybody's.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cuda/kernel.h"
#include "verify/problem/activation.hpp"
#include "verify/problem/word.hpp"

namespace abn::verify::problem {

/// Is training on one sample a channel a problem?
enum class SingleSample { refused, accepted };

/// Parses and validates a problem string; eps, slope, alpha and momentum are rounded to
/// scalar_type_of it. `param_dtype` is the type of the parameters where the string names none; -1:
/// the usual one. Throws UsageError with one sentence that ends in what to do next.
abn_problem parse_problem(std::string_view text, int param_dtype = -1,
                          SingleSample single = SingleSample::refused);

/// The canonical string: every field that differs from its default, in a fixed order; parse_problem
/// inverts it exactly.
std::string to_string(const abn_problem& problem);

/// Refuses what no kernel may be asked: slope or alpha <= 0, eps < 0, negative or overflowing
/// sizes, m = 1 in training (a kernel that was run all the same left a file that can be judged).
void validate(const abn_problem& problem, SingleSample single = SingleSample::refused);

std::int64_t sample_count(const abn_problem& problem);   ///< m = N*S
std::int64_t element_count(const abn_problem& problem);  ///< N*C*S

/// Position of (n, c, s) in a dense tensor of the problem's layout.
std::int64_t element_offset(const abn_problem& problem, std::int64_t n, std::int64_t c,
                            std::int64_t s);

/// Position of channel c's i-th sample, i = n*S + s.
inline std::int64_t sample_offset(const abn_problem& problem, std::int64_t c, std::int64_t i) {
  return element_offset(problem, i / problem.s, c, i % problem.s);
}

/// Channel of the element at a position.
inline std::int64_t channel_of(const abn_problem& problem, std::int64_t element) {
  return problem.layout == ABN_NHWC ? element % problem.c : element / problem.s % problem.c;
}

/// visit(i, position) for every sample of channel c, in order and without a division each.
template <class Visit>
void for_each_sample(const abn_problem& problem, std::int64_t c, const Visit& visit) {
  const std::int64_t step = problem.layout == ABN_NHWC ? problem.c : 1;
  std::size_t i = 0;
  for (std::int64_t n = 0; n < problem.n; ++n) {
    const std::int64_t first = element_offset(problem, n, c, 0);
    for (std::int64_t s = 0; s < problem.s; ++s)
      visit(i++, static_cast<std::size_t>(first + s * step));
  }
}

/// "z[n 0, c 3, s 17]" for an element of a tensor, "mean[c 3]" for one of a vector.
std::string place_of(const abn_problem& problem, const std::string& name, bool tensor,
                     std::int64_t element);

/// n16c64s64 in these, the rest by default: the problem by which a variant is asked what it does.
abn_problem example_problem(int dtype, int layout, int mode);

// The words of check ids, JSON and the command line; the inverse functions throw UsageError on an
// unknown word.
const char* dtype_name(int dtype);
const char* layout_name(int layout);
const char* scale_name(int scale);
const char* mode_name(int mode);
const char* scheme_name(int scheme);
const char* statistics_name(int statistics);
const char* normalise_name(int normalise);
const char* accumulate_name(int dtype);
const char* kink_name(int kink);
const char* running_variance_name(int running_variance);
int dtype_from_name(std::string_view name);
int scheme_from_name(std::string_view name);
int statistics_from_name(std::string_view name);
int normalise_from_name(std::string_view name);
int accumulate_from_name(std::string_view name);
int kink_from_name(std::string_view name);
int running_variance_from_name(std::string_view name);

/// All of these words with what they mean.
std::span<const WordGroup> problem_words();

}  // namespace abn::verify::problem
