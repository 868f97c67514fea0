// The columns of the reference's Jacobian: every input of one channel perturbed, four of them in an
// evaluation, and the worst entry of each.
//
// Lanes k and k + 4 of a Double8 (verify/check/gradient/double8.hpp) are x_k + h and x_k - h.
// Nearly all of the time of a full Jacobian goes into comparing m entries of every column with
// their bars, so that loop keeps no more than the largest ratio of a stretch of outputs; which
// entry of the worst stretch it was is found by looking again.
#pragma once

#include <cstddef>
#include <vector>

#include "reference/batch_norm.hpp"
#include "verify/check/gradient/channel_differences.hpp"
#include "verify/check/gradient/double8.hpp"

namespace abn::verify::check::gradient {

/// inputs perturbed in one evaluation
inline constexpr int points = reference::Double8::lanes / 2;
// what every x86-64 and AArch64 has registers for
typedef double Pair __attribute__((vector_size(2 * sizeof(double))));
struct Points {
  static constexpr int pairs = points / 2;
  Pair pair[pairs];
  double& operator[](std::size_t k) { return reinterpret_cast<double*>(pair)[k]; }
  double operator[](std::size_t k) const { return reinterpret_cast<const double*>(pair)[k]; }
};

/// One channel of the reference.
struct ReferenceChannel {
  reference::Channel<reference::Double8> channel;
  ChannelDifferences differences;
  reference::Forward<reference::Double8> base;

  std::size_t m() const { return differences.m(); }
  reference::Forward<reference::Double8> forward(
      const reference::Vector<reference::Double8>& x,
      const reference::Channel<reference::Double8>& with) const;
};

/// All samples, each the same in all lanes.
reference::Vector<reference::Double8> packed(const std::vector<double>& values);

/// Backward of unit cotangents, all j: dx[block m + j][k] = dz_j/dx_(points block + k), dgamma[j],
/// dbeta[j].
struct Rows {
  std::vector<Points> dx;
  std::vector<double> dgamma, dbeta;
};

/// What one entry was by differences and by backward.
struct Entry {
  double difference = 0, bar = 0, backward = 0;
};

/// Of every input i the entry dz_j/dx_i that uses most of its bar; an entry that is not within its
/// bar, NaN or not, before any other.
void worst_of_columns(const ReferenceChannel& channel, const Rows& rows, std::vector<Entry>& worst);

}  // namespace abn::verify::check::gradient
