// Mean and variance of a channel: in one piece, merged from shards, and as running averages.
//
// With d_i = x_i - mean, the state is (count m, mean, m2 = sum d_i^2); the biased variance that
// normalises is m2 / m. Two sets A and B merge without their samples (Chan, Golub and LeVeque,
// "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979). Write
// delta = mean_B - mean_A and m = m_A + m_B:
//   mean = mean_A + delta m_B / m
//   m2   = m2_A + m2_B + delta^2 m_A m_B / m
// the last term because sum_A (x - mean)^2 = m2_A + m_A (delta m_B/m)^2, likewise for B, and
// m_A m_B^2 + m_B m_A^2 = m_A m_B m.
//
// Running averages use the unbiased variance, v m / (m - 1), and know nothing of eps:
//   running <- (1 - momentum) running + momentum new
//
// Invariants: m2 >= 0 for real T; the empty set (0, 0, 0) is neutral in a merge from either side;
// a merge over shards goes left to right, so the same order gives the same bits.
#pragma once

#include <stdexcept>
#include <vector>

#include "reference/scalar.hpp"

namespace abn::reference {

template <class T>
struct Statistics {
  T count{0};
  T mean{0};
  T m2{0};

  // Biased variance, m2 / count; 0 for the empty set, where nothing reads it.
  T variance() const { return count == T(0) ? T(0) : T(m2 / count); }
};

// Two passes over x: the mean, then the squares of the deviations from it.
template <class T>
Statistics<T> statistics(const Vector<T>& x) {
  if (x.size() == 0) return {};
  const T count = as_count<T>(x.size());
  const T mean = x.sum() / count;
  T m2(0);
  for (const T& sample : x) {
    const T deviation = sample - mean;
    m2 += deviation * deviation;
  }
  return {count, mean, m2};
}

template <class T>
Statistics<T> merge(const Statistics<T>& a, const Statistics<T>& b) {
  if (a.count == T(0)) return b;
  if (b.count == T(0)) return a;
  const T count = a.count + b.count;
  const T delta = b.mean - a.mean;
  return {count, a.mean + delta * b.count / count,
          a.m2 + b.m2 + delta * delta * a.count * b.count / count};
}

template <class T>
Statistics<T> merge(const std::vector<Statistics<T>>& shards) {
  Statistics<T> all;
  for (const Statistics<T>& shard : shards) all = merge(all, shard);
  return all;
}

template <class T>
T running_mean(const T& old, const T& mean, const T& momentum) {
  return (T(1) - momentum) * old + momentum * mean;
}

// `variance` is the biased one of `m` samples. Throws std::invalid_argument for m < 2, where the
// unbiased variance does not exist; a caller with an empty batch leaves its running buffers alone.
template <class T>
T running_variance(const T& old, const T& variance, const T& m, const T& momentum) {
  if (!(real_part(m) >= 2))
    throw std::invalid_argument(
        "A running variance needs at least 2 samples per channel; leave the running buffers as "
        "they are.");
  return (T(1) - momentum) * old + momentum * (variance * m / (m - T(1)));
}

}  // namespace abn::reference
