// The gradients of the reference under every scheme, and how exact a correct evaluation of them is:
// what the gradient check of the reference checks.
//
// The derivation is an argument of the check, a function of (setup, scheme) for each scalar, so
// that a wrong one can be put in its place.
//
// Rounding. Let u be the unit roundoff of the scalar, A = max|x|. To first order, with constants
// gathered in `roundings`(m):
//   xhat_j   is off by u e_j,      e_j = A r + |xhat_j| + 1
//            mean off by u A; r by u relatively; 1 >= mean|xhat| for the sum of deviations
//            recovered from z:     e_j += (|y_j| + |beta| + e^-y_j)/|g|
//            y - beta cancels; ELU's log1p(z/alpha) (e^-y only there)
//   phi'_j   is off by u E_j relatively; E_j = 1 for straight lines, for the negative branch of ELU
//            1 + |g| e_j + |beta| (e^y), and 2 e^-y_j more where it is read off z as alpha + z
// and a gradient by u M, M the sum of the absolute terms, each with the factor by which it is off:
//   M(dbeta)  = sum |dy_j| E_j
//   M(dgamma) = sum |dy_j| (E_j |xhat_j| + e_j)
//   M(dx_i)   = |g| r [ E_i |dy_i| + mean_j |dy_j| ( E_j (1 + |xhat_i xhat_j|) + e_j |xhat_i|
//               + e_i |xhat_j| ) ]; frozen: the first term alone
// M over the size of the gradient, |g| r max|dz| for dx, sum|dz xhat| for dgamma, sum|dz| for
// dbeta, is the condition number of the problem. What differentiates the forward pass by the chain
// rule adds up the same terms, with e_j and E_j as they are without z.
//
// Source of the formulas: reference/backward.hpp, and N. J. Higham, "Accuracy and Stability of
// Numerical Algorithms", 2nd ed. (2002), chapter 3.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "reference/backward.hpp"
#include "reference/dual.hpp"
#include "reference/multiprecision.hpp"
#include "verify/check/gradient/methods.hpp"
#include "verify/problem/activation.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::check::gradient {

using reference::Real100;
using reference::Real50;
using reference::Vector;

/// sync is standard batch norm over shards; sync_in_place in-place II over the same shards. Both
/// are reported as "sync".
enum class Scheme : std::uint8_t {
  standard,
  checkpoint_x,
  checkpoint_xhat,
  in_place_1,
  in_place_2,
  sync,
  sync_in_place
};
inline constexpr Scheme all_schemes[] = {
    Scheme::standard,   Scheme::checkpoint_x, Scheme::checkpoint_xhat, Scheme::in_place_1,
    Scheme::in_place_2, Scheme::sync,         Scheme::sync_in_place};
const char* scheme_name(Scheme scheme);
/// Does the backward pass know xhat only through z, so that it needs g != 0?
inline bool inverts(Scheme scheme) {
  return scheme == Scheme::in_place_1 || scheme == Scheme::in_place_2 ||
         scheme == Scheme::sync_in_place;
}

/// One channel with its objective sum dz_j z_j, in some scalar.
template <class T>
struct OneChannel {
  Vector<T> x, dz;
  reference::Channel<T> channel;
  bool frozen = false;
  T running_mean{0}, running_variance{1};
  std::vector<Eigen::Index> shards;  ///< sizes that add up to x.size()
};

template <class To, class From>
OneChannel<To> convert(const OneChannel<From>& from) {
  const auto one = [](const From& value) { return To(static_cast<To>(value)); };
  OneChannel<To> to;
  to.x = from.x.unaryExpr(one);
  to.dz = from.dz.unaryExpr(one);
  to.channel = {one(from.channel.gamma),
                one(from.channel.beta),
                one(from.channel.eps),
                from.channel.scale,
                {from.channel.activation.kind, one(from.channel.activation.parameter)}};
  to.frozen = from.frozen;
  to.running_mean = one(from.running_mean), to.running_variance = one(from.running_variance);
  to.shards = from.shards;
  return to;
}

template <class T>
reference::Forward<T> forward(const OneChannel<T>& setup) {
  return setup.frozen ? reference::forward_inference(setup.x, setup.running_mean,
                                                     setup.running_variance, setup.channel)
                      : reference::forward_training(setup.x, setup.channel);
}

/// The function that is differentiated.
template <class T>
T objective(const OneChannel<T>& setup) {
  return (setup.dz * forward(setup).z).sum();
}

/// The hand-derived gradients over the shards of `setup`; `in_place` chooses in-place II within a
/// shard.
template <class T>
reference::Gradients<T> synchronised(const OneChannel<T>& setup, bool in_place) {
  using namespace reference;
  std::vector<Statistics<T>> statistics_of;
  Eigen::Index begin = 0;
  for (const Eigen::Index size : setup.shards) {
    statistics_of.push_back(statistics<T>(setup.x.segment(begin, size)));
    begin += size;
  }
  const Statistics<T> all = merge(statistics_of);
  const T mean = setup.frozen ? setup.running_mean : all.mean;
  const T variance = setup.frozen ? setup.running_variance : all.variance();
  const T g = effective_scale(setup.channel), r = reciprocal_deviation(variance, setup.channel.eps);

  std::vector<Vector<T>> z, dz;
  std::vector<Recovered<T>> recovered;
  std::vector<Sums<T>> local;
  begin = 0;
  for (const Eigen::Index size : setup.shards) {
    const Vector<T> x = setup.x.segment(begin, size);
    dz.push_back(setup.dz.segment(begin, size));
    z.push_back(forward_inference(x, mean, variance, setup.channel).z);
    if (in_place) {
      recovered.push_back(recover_in_place(z.back(), setup.channel, dz.back()));
      local.push_back(sums_in_place_two(recovered.back().y, recovered.back().dy, setup.channel));
    } else {
      recovered.push_back(recover_standard(x, z.back(), mean, variance, setup.channel, dz.back()));
      local.push_back(sums(recovered.back()));
    }
    begin += size;
  }
  const Sums<T> global = merge(local);

  Gradients<T> out{Vector<T>(setup.x.size()), T(0), T(0)};
  begin = 0;
  for (std::size_t shard = 0; shard < setup.shards.size(); ++shard) {
    const T factor = dgamma_factor(setup.channel);
    const Gradients<T> part =
        setup.frozen ? gradients_frozen(recovered[shard], local[shard], g, r, factor)
        : in_place   ? gradients_in_place_two(z[shard], variance, setup.channel, dz[shard],
                                              local[shard], global)
                     : gradients_synchronised(recovered[shard], local[shard], global, g, r, factor);
    out.dx.segment(begin, setup.shards[shard]) = part.dx;
    out.dgamma += part.dgamma;
    out.dbeta += part.dbeta;
    begin += setup.shards[shard];
  }
  return out;
}

/// The hand-derived gradients of reference/backward.hpp; what a scheme keeps is taken from the
/// forward pass in the same scalar.
template <class T>
reference::Gradients<T> hand_derived(const OneChannel<T>& setup, Scheme scheme) {
  using namespace reference;
  if (scheme == Scheme::sync || scheme == Scheme::sync_in_place)
    return synchronised(setup, scheme == Scheme::sync_in_place);
  const Forward<T> kept = forward(setup);
  const Channel<T>& channel = setup.channel;
  if (scheme == Scheme::in_place_2 && !setup.frozen)
    return gradients_in_place_two(kept.z, kept.variance, channel, setup.dz);
  Recovered<T> recovered;
  switch (scheme) {
    case Scheme::standard:
      recovered = recover_standard(setup.x, kept.z, kept.mean, kept.variance, channel, setup.dz);
      break;
    case Scheme::checkpoint_x:
      recovered = recover_checkpoint_x(setup.x, kept.mean, kept.variance, channel, setup.dz);
      break;
    case Scheme::checkpoint_xhat:
      recovered = recover_checkpoint_xhat(kept.xhat, channel, setup.dz);
      break;
    default:
      recovered = recover_in_place(kept.z, channel, setup.dz);
      break;
  }
  const Sums<T> sum = scheme == Scheme::in_place_2
                          ? sums_in_place_two(recovered.y, recovered.dy, channel)
                          : sums(recovered);
  const T factor = dgamma_factor(channel);
  return setup.frozen ? gradients_frozen(recovered, sum, kept.g, kept.r, factor)
                      : gradients_training(recovered, sum, kept.g, kept.r, factor);
}

template <class T>
using GradientFunction = std::function<reference::Gradients<T>(const OneChannel<T>&, Scheme)>;

/// What is under test, in each scalar that a method asks for.
struct Derivation {
  GradientFunction<double> in_double = hand_derived<double>;
  GradientFunction<Real50> in_real50 = hand_derived<Real50>;
  GradientFunction<Real100> in_real100 = hand_derived<Real100>;
};

/// M, the size of each gradient, and what an objective value is off by, all in units of u (see the
/// top of this file).
struct Magnitudes {
  std::vector<double> dx;
  double dgamma = 0, dbeta = 0;
  double scale_dx = 0, scale_dgamma = 0, scale_dbeta = 0;
  double objective = 0;
};

/// Roundings that one term passes on its way into a gradient: at most m in each of two sums of sums
/// (the statistics, then S0 and S1), as many again where the scalar carries a derivative, 16 for an
/// exponential or a logarithm and 32 for single operations.
inline double roundings(Eigen::Index m) { return 4 * static_cast<double>(m) + 48; }

template <class T>
Magnitudes magnitudes(const OneChannel<T>& setup, bool from_z, bool phi_from_z) {
  const reference::Forward<T> kept = forward(setup);
  const auto number = [](const T& value) { return std::abs(static_cast<double>(value)); };
  const auto m = static_cast<std::size_t>(setup.x.size());
  const double g = number(kept.g), r = number(kept.r), beta = number(setup.channel.beta),
               parameter = number(setup.channel.activation.parameter);
  const problem::Phi phi =
      problem::phi_of(static_cast<int>(setup.channel.activation.kind), parameter);
  const double width = phi.width;
  double widest = 0, largest_dz = 0;
  for (std::size_t j = 0; j < m; ++j) {
    widest = std::max(widest, number(setup.x[static_cast<Eigen::Index>(j)]));
    largest_dz = std::max(largest_dz, number(setup.dz[static_cast<Eigen::Index>(j)]));
  }

  Magnitudes out;
  std::vector<double> xhat(m), dy(m), e(m), relative(m);
  for (std::size_t j = 0; j < m; ++j) {
    const auto at = static_cast<Eigen::Index>(j);
    const double y = static_cast<double>(kept.y[at]), dz = number(setup.dz[at]);
    const bool curved = phi.curved() && kept.y[at] < 0;
    xhat[j] = number(kept.xhat[at]);
    dy[j] = dz * number(setup.channel.activation.derivative_from_input(kept.y[at]));
    e[j] = widest * r + xhat[j] + 1;
    relative[j] = curved ? 1 + (g * e[j] + beta) / width : 1;
    out.objective += dz * (phi.stretch() * (g * e[j] + beta) + number(kept.z[at]));
    if (phi_from_z && curved) relative[j] += 2 * std::exp(-y / width);
    if (from_z && g > 0)
      e[j] += (std::abs(y) + beta + (curved ? width * std::exp(-y / width) : 0)) / g;
    out.dbeta += dy[j] * relative[j];
    out.dgamma += dy[j] * (relative[j] * xhat[j] + e[j]);
    out.scale_dgamma += dz * xhat[j];
    out.scale_dbeta += dz;
  }
  out.scale_dx = g * r * largest_dz;
  for (std::size_t i = 0; i < m; ++i) {
    double through_statistics = 0;
    for (std::size_t j = 0; j < m && !setup.frozen; ++j)
      through_statistics +=
          dy[j] * (relative[j] * (1 + xhat[i] * xhat[j]) + e[j] * xhat[i] + e[i] * xhat[j]);
    out.dx.push_back(g * r * (relative[i] * dy[i] + through_statistics / static_cast<double>(m)));
  }
  return out;
}

// ---- cases --------------------------------------------------------------------------------------

/// The kinds of data, by the edge that each sits on.
enum class Data : std::uint8_t {
  ordinary,
  kink,
  tiny_variance,
  eps_zero,
  gamma_zero,
  outlier,
  constant,
  two_samples,
  saturated,
  offset
};
const char* data_name(Data data);

struct ReferenceCase {
  reference::Activation<double> activation;
  reference::ScaleConvention scale = reference::ScaleConvention::signed_gamma;
  bool negative_gamma = false, frozen = false;
  Data data = Data::ordinary;
};
/// "leaky_relu:0.01, signed, gamma < 0, training, kink"
std::string describe(const ReferenceCase& one);

/// Every activation, convention, sign of gamma, mode and kind of data that go together.
std::vector<ReferenceCase> reference_cases();

/// The channel of a case. Data::kink puts one sample at y = margin and one at y = -margin, about.
/// Depends on nothing but its arguments.
OneChannel<Real100> make_setup(const ReferenceCase& one, std::uint64_t seed, const Real100& margin);

// ---- the check ----------------------------------------------------------------------------------

/// Records of the ids that match, over the cases; in order of reference_gradient_ids(), the same
/// for any number of threads (0: one a core).
std::vector<results::Record> check_gradients(const Derivation& derivation,
                                             const std::vector<ReferenceCase>& cases,
                                             const std::string& pattern, std::uint64_t seed,
                                             int threads);

}  // namespace abn::verify::check::gradient
