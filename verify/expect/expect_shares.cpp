// The shares of one element's bound, from its channel alone: what a witness shows is not worth
// computing for every element.
#include <stdexcept>

#include "verify/expect/expect.hpp"
#include "verify/expect/shared.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::expect {
namespace {

std::vector<double> one_of(const std::vector<double>& vector, std::int64_t c) {
  return vector.empty() ? vector : std::vector<double>{vector[static_cast<std::size_t>(c)]};
}

std::vector<double> samples_of(const abn_problem& problem, const std::vector<double>& tensor,
                               std::int64_t c) {
  std::vector<double> out;
  if (!tensor.empty()) gather(problem, tensor, c, out);
  return out;
}

}  // namespace

compare::Shares shares_of(const problem::Inputs& inputs, const problem::Saved* saved,
                          const abn_claims& claims, compare::Output output, std::int64_t element) {
  const abn_problem& p = inputs.problem;
  const std::int64_t c = compare::is_tensor(output) ? problem::channel_of(p, element) : element;
  const std::int64_t sample = !compare::is_tensor(output) ? 0
                              : p.layout == ABN_NHWC      ? element / p.c
                                                     : element / (p.c * p.s) * p.s + element % p.s;
  problem::Inputs one{
      p,
      inputs.affine,
      samples_of(p, inputs.x, c),
      samples_of(p, inputs.dz, c),
      one_of(inputs.gamma, c),
      one_of(inputs.beta, c),
      one_of(inputs.running_mean, c),
      one_of(inputs.running_var, c),
      inputs.unit_scale,
      inputs.zero_shift,
      {inputs.whole.samples, one_of(inputs.whole.mean, c), one_of(inputs.whole.variance, c),
       one_of(inputs.whole.sum_dy, c), one_of(inputs.whole.sum_dy_xhat, c)}};
  one.problem.c = 1;
  const bool backward = output == compare::Output::dx || output == compare::Output::dgamma ||
                        output == compare::Output::dbeta;
  std::vector<compare::Expectation> expected;
  if (!backward) {
    expected = expect_forward(one, claims, Detail::shares);
  } else if (saved == nullptr) {
    expected = expect_gradient(one, claims, Detail::shares);
  } else {
    const problem::Saved kept{samples_of(p, saved->z, c), samples_of(p, saved->xhat, c),
                              one_of(saved->mean, c),     one_of(saved->variance, c),
                              one_of(saved->invstd, c),   saved->narrowed};
    expected = expect_backward(one, kept, claims, Detail::shares);
  }
  if (const auto* const found = compare::find_output(expected, output))
    return found->shares[static_cast<std::size_t>(sample)];
  throw std::invalid_argument(
      "These claims and this mode have no such output; ask for one that expect_forward or "
      "expect_backward give.");
}

}  // namespace abn::verify::expect
