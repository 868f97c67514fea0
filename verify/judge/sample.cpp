// Which channels and samples, and how tensors and vectors are cut down to them.
#include "verify/judge/sample.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "verify/data/random.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::judge {
namespace {

// Beyond this nobody waits for exact values of everything, and half a kilobyte an element.
constexpr std::int64_t most_elements = std::int64_t{1} << 24;
constexpr std::int64_t first_of_17_bits = 65'536;

/// `wanted` of `count` numbers: the last one, the first of 17 bits, and drawn ones.
std::vector<std::int64_t> drawn(std::int64_t count, std::int64_t wanted, const data::Stream& draw) {
  std::set<std::int64_t> chosen;
  if (wanted >= count) {
    for (std::int64_t i = 0; i < count; ++i) chosen.insert(chosen.end(), i);
    return {chosen.begin(), chosen.end()};
  }
  chosen.insert(count - 1);
  if (count > first_of_17_bits && wanted > 1) chosen.insert(first_of_17_bits);
  for (std::uint64_t i = 0; static_cast<std::int64_t>(chosen.size()) < wanted; ++i)
    chosen.insert(static_cast<std::int64_t>(draw.below(static_cast<std::uint64_t>(count), i)));
  return {chosen.begin(), chosen.end()};
}

template <class Value>
std::vector<Value> cut_vector(const Sample& sample, const std::vector<Value>& all) {
  if (all.empty()) return {};
  std::vector<Value> out;
  for (const std::int64_t c : sample.channels) out.push_back(all[static_cast<std::size_t>(c)]);
  return out;
}

std::vector<double> cut_tensor(const Sample& sample, const std::vector<double>& all) {
  if (all.empty()) return {};
  std::vector<double> out(static_cast<std::size_t>(problem::element_count(sample.problem)));
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = all[static_cast<std::size_t>(sample.element_of(true, static_cast<std::int64_t>(i)))];
  return out;
}

}  // namespace

std::string Sample::text() const {
  std::string of_channels = fmt::format("{} of {} channels", channels.size(), from.c);
  if (positions.empty()) return of_channels;
  return fmt::format("{} of {} samples of {}", positions.size(), problem::sample_count(from),
                     of_channels);
}

std::int64_t Sample::element_of(bool tensor, std::int64_t element) const {
  const auto at = [](const std::vector<std::int64_t>& list, std::int64_t i) {
    return list[static_cast<std::size_t>(i)];
  };
  if (!tensor) return at(channels, element);
  const bool nhwc = problem.layout == ABN_NHWC;
  const std::int64_t c = nhwc ? element % problem.c : element / problem.s % problem.c;
  const std::int64_t i = nhwc ? element / problem.c
                              : element / (problem.s * problem.c) * problem.s + element % problem.s;
  return problem::sample_offset(from, at(channels, c), positions.empty() ? i : at(positions, i));
}

std::int64_t judged_elements(const abn_problem& problem) {
  return problem.dtype == ABN_F64 ? 1500 : 6000;
}

bool is_sampled(const data::Case& one) {
  const std::int64_t elements = problem::element_count(one.problem);
  return elements > (one.sampled ? judged_elements(one.problem) : most_elements);
}

Sample sample_of(const data::Case& one) {
  const data::Stream draw = data::Stream(one.seed).fork(23);
  Sample sample;
  sample.from = sample.problem = one.problem;
  const std::int64_t m = problem::sample_count(one.problem),
                     budget = one.sampled ? judged_elements(one.problem) : most_elements / 64;
  sample.channels = drawn(one.problem.c, std::max<std::int64_t>(2, budget / m), draw.fork(0));
  const auto channels = static_cast<std::int64_t>(sample.channels.size());
  sample.problem.c = channels;
  if (one.problem.mode == ABN_INFERENCE && m * channels > budget) {
    sample.positions = drawn(m, std::max<std::int64_t>(2, budget / channels), draw.fork(1));
    sample.problem.n = 1, sample.problem.s = static_cast<std::int64_t>(sample.positions.size());
  }
  return sample;
}

problem::Inputs reduced(const Sample& sample, const problem::Inputs& inputs) {
  problem::Inputs out;
  out.problem = sample.problem;
  out.affine = inputs.affine;
  out.x = cut_tensor(sample, inputs.x), out.dz = cut_tensor(sample, inputs.dz);
  out.gamma = cut_vector(sample, inputs.gamma), out.beta = cut_vector(sample, inputs.beta);
  out.running_mean = cut_vector(sample, inputs.running_mean);
  out.running_var = cut_vector(sample, inputs.running_var);
  out.unit_scale = inputs.unit_scale, out.zero_shift = inputs.zero_shift;
  out.whole.samples = inputs.whole.samples;
  out.whole.mean = cut_vector(sample, inputs.whole.mean);
  out.whole.variance = cut_vector(sample, inputs.whole.variance);
  out.whole.sum_dy = cut_vector(sample, inputs.whole.sum_dy);
  out.whole.sum_dy_xhat = cut_vector(sample, inputs.whole.sum_dy_xhat);
  return out;
}

problem::Saved reduced(const Sample& sample, const problem::Saved& saved) {
  return {cut_tensor(sample, saved.z),      cut_tensor(sample, saved.xhat),
          cut_vector(sample, saved.mean),   cut_vector(sample, saved.variance),
          cut_vector(sample, saved.invstd), saved.narrowed};
}

void reduce(const Sample& sample, std::vector<compare::Stored>& outputs) {
  for (compare::Stored& one : outputs)
    one.values = compare::is_tensor(one.output) ? cut_tensor(sample, one.values)
                                                : cut_vector(sample, one.values);
}

}  // namespace abn::verify::judge
