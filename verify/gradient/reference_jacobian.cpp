// Channel by channel: a step and its error bars, the rows by backward, the columns by differences, and the worst of each input.
#include "verify/gradient/reference_jacobian.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "verify/bound_forward.hpp"
#include "verify/cases.hpp"
#include "verify/claims.hpp"
#include "verify/error.hpp"
#include "verify/format.hpp"
#include "verify/judge.hpp"
#include "verify/oracle_problem.hpp"
#include "verify/problem.hpp"
#include "verify/reference_variant.hpp"

namespace abn::verify {
namespace {

using reference::Channel;
using reference::Forward;
using reference::Gradients;
using reference::Pack;
using reference::Vector;

constexpr const char* op = "gradient";
constexpr int points = Pack::lanes / 2;  // inputs perturbed in one evaluation; lanes k and k + points are x_k + h and x_k - h
typedef double Pair __attribute__((vector_size(2 * sizeof(double))));  // what every x86-64 and AArch64 has registers for
constexpr int pairs = points / 2;
struct Points {
  Pair pair[pairs];
  double& operator[](std::size_t k) { return reinterpret_cast<double*>(pair)[k]; }
  double operator[](std::size_t k) const { return reinterpret_cast<const double*>(pair)[k]; }
};

constexpr double own_roundings = 20;  // of a gradient behind its sums: dy, xhat, two means, their products and differences, g r

/// Everything that is known of one channel before it is perturbed.
struct Setting {
  Channel<Pack> channel;
  bool frozen = false;
  double mean = 0, variance = 0;  // running statistics, frozen only
  std::vector<double> x;
  Forward<Pack> base;
  // Error of z and of xhat as computed, sup|phi'| and |y(t) - y(0)| within rho.
  std::vector<double> z_error, xhat_error, slope, reach;
  double relative = 0;  // error of a product of the backward, relative
  double rho = 0, step = 0;
  double parameter_step = 0;  // of gamma and beta

  std::size_t m() const { return x.size(); }
  double g() const { return reference::effective_scale(channel).lane[0]; }
  double r() const { return base.r.lane[0]; }
  double y(std::size_t j) const { return base.y[static_cast<Eigen::Index>(j)].lane[0]; }
  double xhat(std::size_t j) const { return base.xhat[static_cast<Eigen::Index>(j)].lane[0]; }
};

Vector<Pack> packed(const std::vector<double>& values) {
  Vector<Pack> out(static_cast<Eigen::Index>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) out[static_cast<Eigen::Index>(i)] = Pack(values[i]);
  return out;
}

Forward<Pack> forward(const Setting& s, const Vector<Pack>& x, const Channel<Pack>& channel) {
  return s.frozen ? reference::forward_inference(x, Pack(s.mean), Pack(s.variance), channel) : reference::forward_training(x, channel);
}

/// B_j for a circle of radius rho; infinite where |q - V| <= V/2 does not hold.
double reach_of(const Setting& s, double rho, double largest_deviation, std::size_t j) {
  const double g = std::fabs(s.g());
  if (s.frozen) return g * s.r() * rho;
  const double v = 1 / (s.r() * s.r()), count = static_cast<double>(s.m());
  const double e = 2 * rho * largest_deviation / count + rho * rho / count;
  if (!(e <= v / 2)) return infinity;
  return g * std::sqrt(2 / v) * (rho + std::fabs(s.xhat(j)) / s.r() * e / v);
}

/// sup|phi'| where y moves by at most `reach`, on the branch that y is on.
double slope_of(const Setting& s, double y, double reach) {
  const auto& phi = s.channel.activation;
  if (phi.kind == reference::ActivationKind::identity || y >= 0) return 1;
  const double parameter = phi.parameter.lane[0];
  return phi.kind == reference::ActivationKind::leaky_relu ? parameter : parameter * std::exp(y + reach);
}

double largest_deviation(const Setting& s) {
  double largest = 0;
  for (std::size_t j = 0; j < s.m(); ++j) largest = std::max(largest, std::fabs(s.xhat(j)));
  return largest / s.r();
}

/// The errors of the forward pass by its own bound, rho, and the step that balances truncation and rounding.
void choose_step(Setting& s, const Inputs& inputs, std::size_t c, const Arithmetic& arithmetic) {
  const ChannelParameters parameters = parameters_of(inputs, c);
  ChannelNumbers numbers = numbers_of(inputs.problem, parameters, s.base.mean.lane[0], s.base.variance.lane[0], s.r(), s.g());
  std::vector<double> xhat(s.m());
  for (std::size_t j = 0; j < s.m(); ++j) xhat[j] = s.xhat(j);
  if (!s.frozen) add_moments(numbers, s.x, xhat);
  const ForwardBound<Total> bound(
      arithmetic, numbers, s.frozen ? given_statistics_error(arithmetic, numbers, false) : batch_statistics_error(arithmetic, numbers));
  s.relative = (own_roundings + static_cast<double>(s.m())) * arithmetic.u + (bound.root.growth - 1);

  const double deviation = largest_deviation(s);
  constexpr double far_for_elu = 0.5;  // y may move by this much on the circle, or e^y would make the estimate of no use
  const double far = s.channel.activation.kind == reference::ActivationKind::elu ? far_for_elu : infinity;
  s.rho = std::sqrt(static_cast<double>(s.m())) / s.r();
  const auto too_far = [&] {
    for (std::size_t j = 0; j < s.m(); ++j) {
      const double reach = reach_of(s, s.rho, deviation, j);
      if (!(reach < infinity && reach <= far)) return true;
    }
    return false;
  };
  while (too_far()) s.rho /= 2;

  s.z_error.resize(s.m()), s.xhat_error.resize(s.m()), s.slope.resize(s.m()), s.reach.resize(s.m());
  double noise = 0, change = 0;
  for (std::size_t j = 0; j < s.m(); ++j) {
    const double y = s.y(j), z = s.base.z[static_cast<Eigen::Index>(j)].lane[0];
    s.xhat_error[j] = bound.xhat(s.x[j], xhat[j]).total();
    s.z_error[j] = bound.z(bound.y(s.x[j], xhat[j], y), y, z).total();
    s.reach[j] = reach_of(s, s.rho, deviation, j);
    s.slope[j] = slope_of(s, y, s.reach[j]);
    noise = std::max(noise, s.z_error[j]);
    change = std::max(change, s.slope[j] * s.reach[j]);
  }
  // noise/h + change h^2/rho^3 is least at h^3 = noise rho^3 / (2 change); a power of two, and well inside of the circle.
  const double best = change > 0 ? s.rho * std::cbrt(noise / (2 * change)) : s.rho / 4;
  s.step = std::exp2(std::floor(std::log2(std::min(best, s.rho / 4))));
  constexpr double usual = 0x1p-13;  // near the cube root of u, for |xhat| and y of order 1
  const double gamma = std::fabs(s.channel.gamma.lane[0]);
  const bool folds = s.channel.scale == reference::ScaleConvention::abs_eps && gamma > 0;  // |gamma| has a kink of its own
  s.parameter_step = folds ? std::min(usual, std::exp2(std::floor(std::log2(gamma / 2)))) : usual;
}

/// Moves samples whose y the steps would carry over the kink, in the direction that they already have from it.
void leave_the_kink(Setting& s, const Inputs& inputs, std::size_t c, const Arithmetic& arithmetic) {
  constexpr int rounds = 20;
  constexpr double margin = 1.5;  // the statistics move, too, when samples do
  for (int round = 0; round < rounds; ++round) {
    s.base = forward(s, packed(s.x), s.channel);
    choose_step(s, inputs, c, arithmetic);
    if (s.channel.activation.kind == reference::ActivationKind::identity) return;
    const double deviation = largest_deviation(s), scale = std::fabs(s.g()) * s.r();
    bool moved = false;
    for (std::size_t j = 0; j < s.m(); ++j) {
      const double near = margin * std::max(reach_of(s, s.step, deviation, j), s.parameter_step * (std::fabs(s.xhat(j)) + 1));
      if (std::fabs(s.y(j)) > near || scale == 0) continue;
      s.x[j] += std::copysign(2 * near / scale, s.g() * s.y(j));
      moved = true;
    }
    if (!moved && scale > 0) return;
    if (scale == 0 && std::fabs(s.y(0)) > margin * s.parameter_step * (deviation * s.r() + 1)) return;
  }
  throw UsageError(fmt::format(
      "Channel {} has samples at the activation's kink that cannot be moved away from it; use other data, such as --data standard", c));
}

Setting setting_of(const Inputs& inputs, std::size_t c, const Arithmetic& arithmetic) {
  const ChannelParameters p = parameters_of(inputs, c);
  Setting s;
  s.channel.gamma = Pack(p.gamma), s.channel.beta = Pack(p.beta), s.channel.eps = Pack(p.eps);
  s.channel.scale = p.abs_eps ? reference::ScaleConvention::abs_eps : reference::ScaleConvention::signed_gamma;
  s.channel.activation.kind = p.activation == ABN_LEAKY_RELU ? reference::ActivationKind::leaky_relu
                              : p.activation == ABN_ELU      ? reference::ActivationKind::elu
                                                             : reference::ActivationKind::identity;
  s.channel.activation.parameter = Pack(p.parameter);
  s.frozen = inputs.problem.mode == ABN_FROZEN;
  if (s.frozen) s.mean = inputs.running_mean[c], s.variance = inputs.running_var[c];
  gather(inputs.problem, inputs.x, static_cast<std::int64_t>(c), s.x);
  leave_the_kink(s, inputs, c, arithmetic);
  return s;
}

/// Truncation of a central difference with step h whose function changes by at most `change` within rho.
double truncation(double change, double h, double rho) {
  const double share = h / rho;
  return change / rho * share * share / (1 - share * share);
}

/// What one entry was by differences and by backward.
struct Entry {
  double difference = 0, bar = 0, backward = 0;
};

/// Backward of unit cotangents, all j: rows[block][j][k] = dz_j/dx_(points block + k), dgamma[j], dbeta[j].
struct Rows {
  std::vector<Points> dx;
  std::vector<double> dgamma, dbeta;
};
void find_rows(const Setting& s, const PackBackward& backward, Rows& rows) {
  const std::size_t m = s.m(), blocks = (m + points - 1) / points;
  rows.dx.resize(blocks * m);
  rows.dgamma.resize(m), rows.dbeta.resize(m);
  reference::Recovered<Pack> recovered{s.base.y, s.base.xhat, {}};
  Vector<Pack> dz = Vector<Pack>::Constant(static_cast<Eigen::Index>(m), Pack(0.0));
  for (std::size_t j = 0; j < m; j += Pack::lanes) {
    const std::size_t lanes = std::min<std::size_t>(Pack::lanes, m - j);
    for (std::size_t k = 0; k < lanes; ++k) dz[static_cast<Eigen::Index>(j + k)].lane[k] = 1;
    const Gradients<Pack> gradients = backward(s.base, s.channel, dz, s.frozen, recovered);
    for (std::size_t k = 0; k < lanes; ++k) {
      dz[static_cast<Eigen::Index>(j + k)].lane[k] = 0;
      rows.dgamma[j + k] = gradients.dgamma.lane[k], rows.dbeta[j + k] = gradients.dbeta.lane[k];
    }
    for (std::size_t block = 0; block < blocks; ++block) {
      const Pack* const dx = gradients.dx.data() + block * points;
      const std::size_t inputs = std::min<std::size_t>(points, m - block * points);
      for (std::size_t k = 0; k < lanes; ++k)
        for (std::size_t i = 0; i < inputs; ++i) rows.dx[block * m + j + k][i] = dx[i].lane[k];
    }
  }
}

/// The bar of an entry, but for the diagonal, is same[j] + |xhat_i| with_xhat[j] + xhat_error_i with_error[j].
struct Bars {
  std::vector<double> same, with_xhat, with_error, diagonal;
};
Bars bars_of(const Setting& s) {
  const std::size_t m = s.m();
  Bars bars{std::vector<double>(m), std::vector<double>(m), std::vector<double>(m), std::vector<double>(m)};
  const double scale = std::fabs(s.g()) * s.r(), count = static_cast<double>(m);
  for (std::size_t j = 0; j < m; ++j) {
    const double gradient = s.slope[j] * scale;
    bars.same[j] = truncation(s.slope[j] * s.reach[j], s.step, s.rho) + s.z_error[j] / s.step;
    bars.diagonal[j] = gradient * s.relative;
    if (s.frozen) continue;
    bars.same[j] += gradient * s.relative / count;
    bars.with_xhat[j] = gradient / count * (s.relative * std::fabs(s.xhat(j)) + s.xhat_error[j]);
    bars.with_error[j] = gradient / count * std::fabs(s.xhat(j));
  }
  return bars;
}

/// Of every input i the entry dz_j/dx_i that uses most of its bar; an entry that is not within its bar, NaN or not, before any other.
///
/// Nearly all of the time goes into the loop over j, so it keeps no more than the largest ratio of a stretch of j; which entry of the
/// worst stretch it was is found by looking again.
class Columns {
 public:
  Columns(const Setting& setting, const Rows& rows)
      : s(setting), rows_(rows), bars_(bars_of(setting)), x_(packed(setting.x)), change_(s.m()) {
    for (std::size_t j = 0; j < s.m(); ++j) change_[j] = s.slope[j] * s.reach[j];
  }

  void find(std::vector<Entry>& worst) {
    worst.resize(s.m());
    for (std::size_t i = 0; i < s.m(); i += points) {
      perturb(i);
      const Forward<Pack> f = forward(s, x_, s.channel);
      restore(i);
      z_ = f.z.data(), row_ = rows_.dx.data() + i / points * s.m();
      std::size_t at[points] = {};
      Points best{};
      for (std::size_t k = 0; k < points; ++k) best[k] = -1;
      for (std::size_t begin = 0; begin < s.m(); begin += stretch) {
        const Points largest = largest_ratio(i, begin, std::min(begin + stretch, s.m()));
        for (std::size_t k = 0; k < points; ++k)
          if (largest[k] > best[k]) best[k] = largest[k], at[k] = begin;
      }
      for (std::size_t k = 0; k < points && i + k < s.m(); ++k) worst[i + k] = entry(i, k, at[k], std::min(at[k] + stretch, s.m()));
    }
  }

 private:
  static constexpr std::size_t stretch = 64;
  static constexpr double outside = 1e300;  // the ratio of what is not within its bar

  std::size_t input(std::size_t i, std::size_t k) const { return std::min(i + k, s.m() - 1); }  // behind the end: the last one again

  void perturb(std::size_t i) {
    for (std::size_t k = 0; k < points; ++k) {
      const std::size_t at = input(i, k);
      Pack& sample = x_[static_cast<Eigen::Index>(at)];
      if (i + k < s.m()) sample.lane[k] = s.x[at] + s.step, sample.lane[k + points] = s.x[at] - s.step;
      per_width_[k] = i + k < s.m() ? 1 / (sample.lane[k] - sample.lane[k + points]) : 0;
      xhat_[k] = std::fabs(s.xhat(at)), error_[k] = s.xhat_error[at];
      // x +- h is rounded: the points are off the middle by up to u|x|, which costs |f''| times as much, with |f''| <= 2 change/rho^2.
      off_middle_[k] = 0x1p-53 * (std::fabs(s.x[at]) + s.step) * 2 / (s.rho * s.rho);
    }
  }
  void restore(std::size_t i) {
    for (std::size_t k = 0; k < points; ++k) x_[static_cast<Eigen::Index>(input(i, k))] = Pack(s.x[input(i, k)]);
  }

  Pair difference(std::size_t j, int pair) const {
    Pair plus, minus;
    const char* const lanes = reinterpret_cast<const char*>(&z_[j].lane) + static_cast<std::size_t>(pair) * sizeof plus;
    __builtin_memcpy(&plus, lanes, sizeof plus);
    __builtin_memcpy(&minus, lanes + sizeof(Points), sizeof minus);
    return (plus - minus) * per_width_.pair[pair];
  }
  Pair allowed(std::size_t j, int pair) const {
    return bars_.same[j] + xhat_.pair[pair] * bars_.with_xhat[j] + error_.pair[pair] * bars_.with_error[j] +
           off_middle_.pair[pair] * change_[j];
  }

  /// The largest ratios of entries begin..end-1, none of which is on the diagonal.
  void largest_ratio(std::size_t begin, std::size_t end, Points& largest) const {
    for (int pair = 0; pair < pairs; ++pair) {
      Pair most = largest.pair[pair];
      auto good = most == most;
      for (std::size_t j = begin; j < end; ++j) {
        const Pair bar = allowed(j, pair), off = difference(j, pair) - row_[j].pair[pair], error = off > -off ? off : -off;
        good &= error <= bar;
        const Pair ratio = error / bar;
        most = ratio > most ? ratio : most;
      }
      for (std::size_t k = 0; k < 2; ++k) largest.pair[pair][k] = good[k] != 0 ? most[k] : outside;
    }
  }
  Points largest_ratio(std::size_t i, std::size_t begin, std::size_t end) const {
    Points largest{};
    const std::size_t diagonal = std::clamp(i, begin, end), behind = std::clamp(i + points, begin, end);
    largest_ratio(begin, diagonal, largest);
    largest_ratio(behind, end, largest);
    for (std::size_t k = 0; k < points && diagonal < behind; ++k) {
      const Entry one = entry(i, k, diagonal, behind);
      largest[k] = std::max(largest[k], ratio_of(one));
    }
    return largest;
  }

  static double ratio_of(const Entry& one) {
    const double error = std::fabs(one.difference - one.backward);
    return error <= one.bar ? error / one.bar : outside;
  }

  Entry entry(std::size_t i, std::size_t k, std::size_t begin, std::size_t end) const {
    Entry worst;
    double largest = -1;
    for (std::size_t j = begin; j < end; ++j) {
      const int pair = static_cast<int>(k / 2);
      const Entry one{difference(j, pair)[k % 2], allowed(j, pair)[k % 2] + (j - i == k ? bars_.diagonal[j] : 0), row_[j][k]};
      const double ratio = ratio_of(one);
      if (ratio > largest) largest = ratio, worst = one;
    }
    return worst;
  }

  const Setting& s;
  const Rows& rows_;
  const Bars bars_;
  Vector<Pack> x_;
  std::vector<double> change_;
  Points per_width_{}, xhat_{}, error_{}, off_middle_{};
  const Pack* z_ = nullptr;
  const Points* row_ = nullptr;
};

/// dz_j/dgamma and dz_j/dbeta by one evaluation.
void find_parameters(const Setting& s, const Rows& rows, std::vector<Entry>& gamma, std::vector<Entry>& beta) {
  const std::size_t m = s.m();
  const double h = s.parameter_step;
  Channel<Pack> moved = s.channel;
  moved.gamma.lane[0] += h, moved.gamma.lane[1] -= h;
  moved.beta.lane[2] += h, moved.beta.lane[3] -= h;
  const double gamma_width = moved.gamma.lane[0] - moved.gamma.lane[1], beta_width = moved.beta.lane[2] - moved.beta.lane[3];
  const Forward<Pack> f = forward(s, packed(s.x), moved);
  gamma.resize(m), beta.resize(m);
  for (std::size_t j = 0; j < m; ++j) {
    const Pack& z = f.z[static_cast<Eigen::Index>(j)];
    const double xhat = std::fabs(s.xhat(j));
    // y moves by rho |xhat| for gamma and by rho for beta: rho such that it moves by 1/2. Linear on the branch but for ELU.
    const bool curved = s.channel.activation.kind == reference::ActivationKind::elu && s.y(j) < 0;
    constexpr double reach = 0.5;
    const double slope = slope_of(s, s.y(j), reach);
    const auto bar = [&](double factor, double factor_error) {
      const double bent = curved && factor > 0 ? truncation(slope * reach, h, reach / factor) : 0;
      return bent + s.z_error[j] / h + slope * (factor * s.relative + factor_error) + 0x1p-53 * slope * factor;
    };
    gamma[j] = {(z.lane[0] - z.lane[1]) / gamma_width, bar(xhat, s.xhat_error[j]), rows.dgamma[j]};
    beta[j] = {(z.lane[2] - z.lane[3]) / beta_width, bar(1, 0), rows.dbeta[j]};
  }
}

/// Tallies entries of one channel into a record; place(k) names the k-th.
template <class Place>
void add_entries(Record& record, const Origin& origin, const std::vector<Entry>& entries, Place&& place) {
  const Format& format = format_of(ABN_F64);
  for (std::size_t k = 0; k < entries.size(); ++k) {
    Point point;
    point.hi = entries[k].difference, point.bound = entries[k].bar;
    const Comparison comparison = compare(point, entries[k].backward, format);
    const std::int64_t before = record.tally.worst;
    const auto index = static_cast<std::int64_t>(record.tally.elements);
    record.tally.add(index, point, entries[k].backward, comparison);
    record.discriminating_cases |= !compare(point, 0, format).passed;
    if (record.tally.worst == before) continue;
    Witness witness = blank_witness(origin, record.id);
    witness.where = place(k);
    witness.expected = point.hi, witness.got = entries[k].backward;
    witness.got_bits = fmt::format("0x{:016x}", bits_of(format, witness.got));
    witness.error = comparison.error, witness.bound = point.bound, witness.ratio = comparison.ratio, witness.ulp = comparison.ulp;
    witness.reason = comparison.reason;
    record.witnesses.assign(1, std::move(witness));
  }
}

}  // namespace

Gradients<Pack> standard_backward(const Forward<Pack>& f, const Channel<Pack>& channel, const Vector<Pack>& dz, bool frozen,
                                  reference::Recovered<Pack>& recovered) {
  recovered.dy = reference::upstream_of_affine(f.z, channel, dz);
  const auto sums = reference::sums(recovered);
  return frozen ? reference::gradients_frozen(recovered, sums, f.g, f.r, reference::dgamma_factor(channel))
                : reference::gradients_training(recovered, sums, f.g, f.r, reference::dgamma_factor(channel));
}

std::vector<std::string> reference_jacobian_ids() {
  std::vector<std::string> ids;
  for (const char* layout : {"nchw", "nhwc"})
    for (const char* output : {"dx", "dgamma", "dbeta"})
      ids.push_back(fmt::format("reference/gradient/f64/{}/jacobian_{}", layout, output));
  return ids;
}

std::vector<Record> check_reference_jacobian(const Inputs& inputs, const std::string& data, std::uint64_t seed, const std::string& pattern,
                                             const PackBackward& backward) {
  const abn_problem& p = inputs.problem;
  if (p.dtype != ABN_F64 || p.param_dtype != ABN_F64 || p.mode == ABN_INFERENCE)
    throw UsageError(
        fmt::format("The Jacobian of the reference is found in f64, in training or with frozen statistics, and not for {}; "
                    "give a problem like n8c32s64,f64,leaky_relu",
                    to_string(p)));
  Origin origin;
  origin.variant = "reference";
  origin.problem = p, origin.data = data, origin.seed = seed;
  origin.command_head = "abn-verify grad ";
  origin.command_tail = fmt::format(" --problem {} --data {} --seed {}", to_string(p), shell_word(data), seed);
  std::vector<Record> records;
  for (const char* output : {"dx", "dgamma", "dbeta"})
    records.push_back(blank_record(origin, op, fmt::format("jacobian_{}", output), "numbers"));

  const Arithmetic arithmetic = arithmetic_of(p, claims_of(reference_variant(ReferenceArithmetic::f64, ABN_STANDARD), p).claims);
  Rows rows;
  std::vector<Entry> dx, dgamma, dbeta;
  for (std::size_t c = 0; element_count(p) > 0 && c < static_cast<std::size_t>(p.c); ++c) {
    const Setting setting = setting_of(inputs, c, arithmetic);
    find_rows(setting, backward, rows);
    Columns(setting, rows).find(dx);
    find_parameters(setting, rows, dgamma, dbeta);
    add_entries(records[0], origin, dx, [&](std::size_t i) { return fmt::format("dz/dx[c {}, sample {}]", c, i); });
    add_entries(records[1], origin, dgamma, [&](std::size_t j) { return fmt::format("dz[c {}, sample {}]/dgamma", c, j); });
    add_entries(records[2], origin, dbeta, [&](std::size_t j) { return fmt::format("dz[c {}, sample {}]/dbeta", c, j); });
  }
  std::erase_if(records, [&](const Record& record) { return !matches(pattern, record.id); });
  for (Record& record : records) {
    record.failed_cases = record.tally.failed > 0 ? 1 : 0;
    conclude(record);
    if (record.verdict == Verdict::pass)
      record.reason += fmt::format("; {} forward and {} backward evaluations of the problem", 2 * (sample_count(p) + 2), sample_count(p));
  }
  return records;
}

}  // namespace abn::verify
