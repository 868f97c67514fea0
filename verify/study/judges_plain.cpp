// One channel after the other, in float or double.
#include "verify/study/judges_plain.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::study {
namespace {

/// A is the type of the arithmetic.
template <class A>
struct Plain {
  const problem::Inputs& inputs;
  const abn_problem& p = inputs.problem;
  const problem::Format &storage = problem::format_of(p.dtype),
                        &parameter = problem::format_of(p.param_dtype);
  A eps = static_cast<A>(p.eps), slope = static_cast<A>(p.activation_parameter);
  problem::Phi phi = problem::phi_of(p);
  A lambda = static_cast<A>(phi.lambda), width = static_cast<A>(phi.width);
  std::int64_t m = problem::sample_count(p);
  A count = static_cast<A>(m);

  A stored(A value) const {
    return static_cast<A>(problem::round_to(storage, static_cast<double>(value)));
  }
  A at(const std::vector<double>& tensor, std::int64_t c, std::int64_t i) const {
    return static_cast<A>(tensor[static_cast<std::size_t>(problem::sample_offset(p, c, i))]);
  }
  static A of(const std::vector<double>& vector, std::int64_t c) {
    return static_cast<A>(vector[static_cast<std::size_t>(c)]);
  }
  A g(std::int64_t c) const {
    if (!inputs.affine) return 1;
    const A gamma = of(inputs.gamma, c);
    return p.scale == ABN_SCALE_ABS_EPS ? std::fabs(gamma) + eps : gamma;
  }
  A beta(std::int64_t c) const { return inputs.affine ? of(inputs.beta, c) : A(0); }

  template <class Term>
  A sum(const Term& term) const {
    std::array<A, 32> lane{};
    for (std::int64_t i = 0; i < m; ++i) lane[static_cast<std::size_t>(i) % lane.size()] += term(i);
    for (std::size_t half = lane.size() / 2; half > 0; half /= 2)
      for (std::size_t k = 0; k < half; ++k) lane[k] += lane[k + half];
    return lane[0];
  }

  A activated(A y) const {
    if (phi.linear() || !(y < 0)) return y;
    return phi.curved() ? slope * std::expm1(y / width) : slope * y;
  }
  /// A z that has saturated is taken for the next one above.
  A inverted(A z) const {
    if (phi.linear() || !std::signbit(z)) return z;
    if (!phi.curved()) return z / slope;
    const A lowest =
        static_cast<A>(problem::next_above(storage, static_cast<double>(stored(-slope))));
    return width * std::log1p(std::max(z, lowest) / slope);
  }
  A derivative(A y) const {
    if (phi.linear() || !std::signbit(y)) return 1;
    return phi.curved() ? lambda * std::exp(y / width) : lambda;
  }

  Numbers forward() const {
    Numbers out;
    std::vector<double>&z = out[compare::Output::z], &xhat = out[compare::Output::xhat];
    z.resize(inputs.x.size()), xhat.resize(inputs.x.size());
    const auto keep = [&](compare::Output output, A value) {
      out[output].push_back(problem::round_to(parameter, static_cast<double>(value)));
    };
    for (std::int64_t c = 0; c < p.c; ++c) {
      A mean = of(inputs.running_mean, c), variance = of(inputs.running_var, c);
      if (p.mode == ABN_TRAINING) {
        const A old_mean = mean, old_variance = variance, momentum = static_cast<A>(p.momentum);
        mean = sum([&](std::int64_t i) { return at(inputs.x, c, i); }) / count;
        variance = sum([&](std::int64_t i) {
                     return (at(inputs.x, c, i) - mean) * (at(inputs.x, c, i) - mean);
                   }) /
                   count;
        keep(compare::Output::mean, mean), keep(compare::Output::variance, variance);
        keep(compare::Output::running_mean, (1 - momentum) * old_mean + momentum * mean);
        keep(compare::Output::running_var,
             (1 - momentum) * old_variance + momentum * (variance * count / (count - 1)));
      }
      const A r = 1 / std::sqrt(variance + eps);
      for (std::int64_t i = 0; i < m; ++i) {
        const auto where = static_cast<std::size_t>(problem::sample_offset(p, c, i));
        const A normalised = (at(inputs.x, c, i) - mean) * r;
        xhat[where] = static_cast<double>(stored(normalised));
        z[where] = static_cast<double>(stored(activated(stored(g(c) * normalised + beta(c)))));
      }
    }
    return out;
  }

  Numbers backward(const problem::Saved& saved, bool in_place) const {
    Numbers out;
    std::vector<double>& dx = out[compare::Output::dx];
    dx.resize(inputs.dz.size());
    // A scheme that reads x again may keep no statistics.
    const bool training = p.mode == ABN_TRAINING,
               found_again = training && (saved.variance.empty() ||
                                          (!in_place && saved.xhat.empty() && saved.mean.empty()));
    const Numbers again = found_again ? forward() : Numbers{};
    const std::vector<double>& means = found_again ? again.at(compare::Output::mean)
                                       : training  ? saved.mean
                                                   : inputs.running_mean;
    const std::vector<double>& variances = found_again ? again.at(compare::Output::variance)
                                           : training  ? saved.variance
                                                       : inputs.running_var;
    std::vector<A> xhat(static_cast<std::size_t>(m)), dy(static_cast<std::size_t>(m));
    for (std::int64_t c = 0; c < p.c; ++c) {
      const A scale = g(c), r = 1 / std::sqrt(of(variances, c) + eps);
      for (std::int64_t i = 0; i < m; ++i) {
        const auto k = static_cast<std::size_t>(i);
        A y = 0;
        if (in_place) {
          y = stored(inverted(at(saved.z, c, i)));
          xhat[k] = scale == 0 ? A(0) : stored((y - beta(c)) / scale);
        } else {
          xhat[k] =
              saved.xhat.empty() ? (at(inputs.x, c, i) - of(means, c)) * r : at(saved.xhat, c, i);
          y = stored(scale * xhat[k] + beta(c));
        }
        dy[k] = stored(at(inputs.dz, c, i) * derivative(y));
      }
      const A s0 = sum([&](std::int64_t i) { return dy[static_cast<std::size_t>(i)]; });
      const A s1 = sum([&](std::int64_t i) {
        return dy[static_cast<std::size_t>(i)] * xhat[static_cast<std::size_t>(i)];
      });
      const bool turned = inputs.affine && p.scale == ABN_SCALE_ABS_EPS && of(inputs.gamma, c) < 0;
      out[compare::Output::dgamma].push_back(
          problem::round_to(parameter, static_cast<double>(turned ? -s1 : s1)));
      out[compare::Output::dbeta].push_back(problem::round_to(parameter, static_cast<double>(s0)));
      for (std::int64_t i = 0; i < m; ++i) {
        const auto k = static_cast<std::size_t>(i);
        const A inner = p.mode == ABN_TRAINING ? dy[k] - s0 / count - xhat[k] * s1 / count : dy[k];
        dx[static_cast<std::size_t>(problem::sample_offset(p, c, i))] =
            static_cast<double>(stored(scale * r * inner));
      }
    }
    return out;
  }
};

}  // namespace

Numbers plain_forward(const problem::Inputs& inputs) {
  return inputs.problem.dtype == ABN_F64 ? Plain<double>{inputs}.forward()
                                         : Plain<float>{inputs}.forward();
}

Numbers plain_backward(const problem::Inputs& inputs, const problem::Saved& saved, bool in_place) {
  return inputs.problem.dtype == ABN_F64 ? Plain<double>{inputs}.backward(saved, in_place)
                                         : Plain<float>{inputs}.backward(saved, in_place);
}

}  // namespace abn::verify::study
