// The channels on which the gradients of the reference are checked: every activation, convention
// and mode, and the edges of each.
#include <fmt/format.h>

#include "verify/check/gradient/reference_derivation.hpp"
#include "verify/data/random.hpp"
#include "verify/problem/activation.hpp"

namespace abn::verify::check::gradient {
namespace {

using reference::Activation;
using reference::ActivationKind;
using reference::Channel;
using reference::ScaleConvention;

constexpr Eigen::Index usual_samples = 8;
constexpr double usual_gamma = 1.375, usual_beta = -0.1875;
constexpr double usual_eps = 0x1p-10;
constexpr double saturated_beta = -30;  // e^30 = 1e13: of 16 digits three are left in 1 + z
constexpr double far_offset = 1000, huge_outlier = 1e8;

std::vector<Eigen::Index> shards_of(Eigen::Index m) {
  return m == 2 ? std::vector<Eigen::Index>{1, 0, 1} : std::vector<Eigen::Index>{1, 5, 0, m - 6};
}

/// r and g as the forward pass takes them.
std::pair<Real100, Real100> scales(const OneChannel<Real100>& setup) {
  const Real100 variance =
      setup.frozen ? setup.running_variance : reference::statistics(setup.x).variance();
  return {reference::reciprocal_deviation(variance, setup.channel.eps),
          reference::effective_scale(setup.channel)};
}

}  // namespace

const char* data_name(Data data) {
  switch (data) {
    case Data::ordinary:
      return "ordinary";
    case Data::kink:
      return "kink";
    case Data::tiny_variance:
      return "tiny_variance";
    case Data::eps_zero:
      return "eps_zero";
    case Data::gamma_zero:
      return "gamma_zero";
    case Data::outlier:
      return "outlier";
    case Data::constant:
      return "constant";
    case Data::two_samples:
      return "two_samples";
    case Data::saturated:
      return "saturated";
    case Data::offset:
      return "offset";
  }
  return "?";
}

/// The kinds of reference/ stand in the order of the table (verify/oracle/activation.hpp).
const problem::Activation& row_of(const Activation<double>& activation) {
  return problem::activation_of(static_cast<int>(activation.kind));
}

std::string describe(const ReferenceCase& one) {
  const problem::Activation& row = row_of(one.activation);
  const std::string activation = row.has_parameter()
                                     ? fmt::format("{}:{}", row.name, one.activation.parameter)
                                     : std::string(row.name);
  return fmt::format("{}, {}, gamma {} 0, {}, {}", activation,
                     one.scale == ScaleConvention::abs_eps ? "abs_eps" : "signed",
                     one.data == Data::gamma_zero ? "="
                     : one.negative_gamma         ? "<"
                                                  : ">",
                     one.frozen ? "frozen" : "training", data_name(one.data));
}

std::vector<ReferenceCase> reference_cases() {
  const Activation<double> activations[] = {
      {ActivationKind::identity, 1},     {ActivationKind::leaky_relu, 0.01},
      {ActivationKind::leaky_relu, 0.5}, {ActivationKind::leaky_relu, 2},
      {ActivationKind::elu, 1},          {ActivationKind::elu, 0.5},
      {ActivationKind::elu, 2.5}};
  constexpr Data kinds[] = {Data::ordinary,   Data::kink,    Data::tiny_variance, Data::eps_zero,
                            Data::gamma_zero, Data::outlier, Data::constant,      Data::two_samples,
                            Data::saturated,  Data::offset};
  std::vector<ReferenceCase> cases;
  for (const auto& activation : activations)
    for (const ScaleConvention scale : {ScaleConvention::signed_gamma, ScaleConvention::abs_eps})
      for (const bool negative : {false, true})
        for (const bool frozen : {false, true})
          for (const Data data : kinds) {
            const bool no_kink = row_of(activation).shape == problem::BranchShape::same;
            if (data == Data::gamma_zero && negative) continue;
            if (no_kink && (data == Data::kink || data == Data::saturated)) continue;
            cases.push_back({activation, scale, negative, frozen, data});
          }
  return cases;
}

OneChannel<Real100> make_setup(const ReferenceCase& one, std::uint64_t seed,
                               const Real100& margin) {
  // The same numbers for every activation and mode of one kind of data: what differs between two
  // cases is what their names say.
  const data::Stream stream = data::Stream(seed)
                                  .fork(static_cast<std::uint64_t>(one.data))
                                  .fork(one.negative_gamma ? 1 : 0);
  const Eigen::Index m = one.data == Data::two_samples ? 2 : usual_samples;
  OneChannel<Real100> setup;
  setup.frozen = one.frozen;
  setup.shards = shards_of(m);
  setup.x.resize(m), setup.dz.resize(m);
  const data::Stream samples = stream.fork(0), weights = stream.fork(1);
  constexpr double weight_mean = 0.25;  // what a gradient that leaves out mean(dy) is caught by
  for (Eigen::Index i = 0; i < m; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    const double sample = samples.normal(index);
    const double sign = i == 0 ? 1 : i == 1 ? -1 : weights.sign(index);
    setup.x[i] = one.data == Data::tiny_variance ? 1 + 1e-6 * sample
                 : one.data == Data::constant    ? 0.75
                 : one.data == Data::offset      ? far_offset + sample
                                                 : sample;
    setup.dz[i] = sign * weights.uniform(0.25, 1.5, index + 64) + weight_mean;
  }
  if (one.data == Data::outlier) setup.x[m / 2] = huge_outlier;
  setup.running_mean = one.data == Data::offset          ? far_offset
                       : one.data == Data::tiny_variance ? 1
                                                         : 0.125;
  setup.running_variance = one.data == Data::tiny_variance ? 1e-12
                           : one.data == Data::outlier     ? 1e14
                                                           : 0.8125;

  Channel<Real100>& channel = setup.channel;
  channel.eps = one.data == Data::eps_zero ? 0 : usual_eps;
  channel.gamma = one.data == Data::gamma_zero ? 0
                  : one.negative_gamma         ? -usual_gamma
                                               : usual_gamma;
  channel.beta = one.data == Data::saturated ? saturated_beta : usual_beta;
  channel.scale = one.scale;
  channel.activation = {one.activation.kind, Real100(one.activation.parameter)};
  if (one.data == Data::kink) {
    setup.x[2] = 0.25, setup.x[5] = 0.25;
    const auto [r, g] = scales(setup);
    setup.x[5] += exact_step<Real100>(2 * margin / (abs(g) * r));
    const reference::Forward<Real100> placed = forward(setup);
    channel.beta = -placed.g * (placed.xhat[2] + placed.xhat[5]) / 2;
  }
  return setup;
}

}  // namespace abn::verify::check::gradient
