// Perturb, evaluate, compare.
#include "verify/check/gradient/reference_columns.hpp"

#include <algorithm>
#include <cmath>

namespace abn::verify::check::gradient {
namespace {

using reference::Double8;

class Columns {
 public:
  Columns(const ReferenceChannel& channel, const Rows& rows)
      : s(channel), d(channel.differences), rows_(rows), x_(packed(d.channel.x)) {}

  void find(std::vector<Entry>& worst) {
    worst.resize(s.m());
    for (std::size_t i = 0; i < s.m(); i += points) {
      perturb(i);
      const reference::Forward<Double8> f = s.forward(x_, s.channel);
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
      for (std::size_t k = 0; k < points && i + k < s.m(); ++k)
        worst[i + k] = entry(i, k, at[k], std::min(at[k] + stretch, s.m()));
    }
  }

 private:
  static constexpr std::size_t stretch = 64;
  static constexpr double outside = 1e300;  // the ratio of what is not within its bar

  // behind the end: the last one again
  std::size_t input(std::size_t i, std::size_t k) const { return std::min(i + k, s.m() - 1); }

  void perturb(std::size_t i) {
    for (std::size_t k = 0; k < points; ++k) {
      const std::size_t at = input(i, k);
      Double8& sample = x_[static_cast<Eigen::Index>(at)];
      if (i + k < s.m())
        sample.lane[k] = d.channel.x[at] + d.step,
        sample.lane[k + points] = d.channel.x[at] - d.step;
      per_width_[k] = i + k < s.m() ? 1 / (sample.lane[k] - sample.lane[k + points]) : 0;
      xhat_[k] = std::fabs(d.channel.xhat[at]), error_[k] = d.xhat_error[at],
      off_middle_[k] = d.off_middle(at);
    }
  }
  void restore(std::size_t i) {
    for (std::size_t k = 0; k < points; ++k)
      x_[static_cast<Eigen::Index>(input(i, k))] = Double8(d.channel.x[input(i, k)]);
  }

  Pair difference(std::size_t j, int pair) const {
    Pair plus, minus;
    const char* const lanes =
        reinterpret_cast<const char*>(&z_[j].lane) + static_cast<std::size_t>(pair) * sizeof plus;
    __builtin_memcpy(&plus, lanes, sizeof plus);
    __builtin_memcpy(&minus, lanes + sizeof(Points), sizeof minus);
    return (plus - minus) * per_width_.pair[pair];
  }
  Pair allowed(std::size_t j, int pair) const {
    return d.same[j] + xhat_.pair[pair] * d.with_xhat[j] + error_.pair[pair] * d.with_error[j] +
           off_middle_.pair[pair] * d.change[j];
  }

  /// The largest ratios of entries begin..end-1, none of which is on the diagonal.
  void largest_ratio(std::size_t begin, std::size_t end, Points& largest) const {
    for (int pair = 0; pair < Points::pairs; ++pair) {
      Pair most = largest.pair[pair];
      auto good = most == most;  // all true. NOLINT(misc-redundant-expression)
      for (std::size_t j = begin; j < end; ++j) {
        const Pair bar = allowed(j, pair), off = difference(j, pair) - row_[j].pair[pair],
                   error = off > -off ? off : -off;
        good &= error <= bar;
        const Pair ratio = error / bar;
        most = ratio > most ? ratio : most;
      }
      for (std::size_t k = 0; k < 2; ++k) largest.pair[pair][k] = good[k] != 0 ? most[k] : outside;
    }
  }
  Points largest_ratio(std::size_t i, std::size_t begin, std::size_t end) const {
    Points largest{};
    const std::size_t diagonal = std::clamp(i, begin, end),
                      behind = std::clamp(i + points, begin, end);
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
      const Entry one{difference(j, pair)[k % 2],
                      allowed(j, pair)[k % 2] + (j - i == k ? d.diagonal[j] : 0), row_[j][k]};
      const double ratio = ratio_of(one);
      if (ratio > largest) largest = ratio, worst = one;
    }
    return worst;
  }

  const ReferenceChannel& s;
  const ChannelDifferences& d;
  const Rows& rows_;
  reference::Vector<Double8> x_;
  Points per_width_{}, xhat_{}, error_{}, off_middle_{};
  const Double8* z_ = nullptr;
  const Points* row_ = nullptr;
};

}  // namespace

reference::Vector<Double8> packed(const std::vector<double>& values) {
  reference::Vector<Double8> out(static_cast<Eigen::Index>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i)
    out[static_cast<Eigen::Index>(i)] = Double8(values[i]);
  return out;
}

reference::Forward<Double8> ReferenceChannel::forward(
    const reference::Vector<Double8>& x, const reference::Channel<Double8>& with) const {
  return differences.frozen
             ? reference::forward_inference(x, Double8(differences.channel.mean),
                                            Double8(differences.channel.variance), with)
             : reference::forward_training(x, with);
}

void worst_of_columns(const ReferenceChannel& channel, const Rows& rows,
                      std::vector<Entry>& worst) {
  Columns(channel, rows).find(worst);
}

}  // namespace abn::verify::check::gradient
