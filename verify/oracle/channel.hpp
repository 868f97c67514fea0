// One channel of the oracle: what goes into reference/, and what comes out of it in any precision.
//
// Functions of one channel are pure; verify/oracle/evaluate.hpp defines them for any scalar, and
// each scalar is instantiated in one .cpp only (oracle_double.cpp, oracle_long_double.cpp,
// oracle_real50.cpp), which keeps the multiprecision headers out of everything else.
#pragma once

#include <vector>

#include "cuda/kernel.h"

namespace abn::verify::oracle {

/// An exact value as hi + lo, unevaluated; lo is 0 where hi is not finite.
struct Wide {
  double hi = 0, lo = 0;
};
struct WideVector {
  std::vector<double> hi, lo;
};

/// The precisions of the oracle. The number is that of its bits.
enum class Precision : int { binary64 = 53, long_double = 64, real50 = 168 };

/// Parameters of a channel; no affine is gamma 1, beta 0 and the signed scale.
struct ChannelParameters {
  int activation = ABN_IDENTITY;
  double parameter = 0;
  double gamma = 1, beta = 0, eps = 0, momentum = 0;
  bool abs_eps = false;
  bool left_kink = false;  ///< phi'(0) is that of the negative branch
};

/// Statistics to normalise with instead of the batch's own.
struct GivenStatistics {
  bool given = false;
  double mean = 0, variance = 0;
  /// where it is above 0 it is r itself, and `variance` is not read
  double invstd = 0;
};

/// What a rank knows of a batch that is sharded over several.
struct OtherShards {
  double samples = 0;  ///< on all ranks; 0: there is no other
  double sum_dy = 0, sum_dy_xhat = 0;
};

/// Forward of one channel: m samples of x; running averages are only read where `statistics` is not
/// given.
struct ForwardInput {
  ChannelParameters parameters;
  std::vector<double> x;
  GivenStatistics statistics;
  double running_mean = 0, running_var = 0;
  double samples = 0;           ///< on all ranks; with given statistics these are then averaged
  bool biased_running = false;  ///< v, and not v*m/(m-1), enters the running variance
};
struct ForwardValues {
  Wide mean, variance, invstd, running_mean, running_var;
  double r = 0, g = 0;
  WideVector xhat, z;
  std::vector<double> y;
};
void forward_in_double(const ForwardInput& input, ForwardValues& out);
void forward_in_long_double(const ForwardInput& input, ForwardValues& out);
void forward_in_real50(const ForwardInput& input, ForwardValues& out);
void forward_values(Precision precision, const ForwardInput& input, ForwardValues& out);

/// Where backward takes xhat and the branch of the activation from.
enum class Source { x, x_and_z, xhat, z };

/// Backward of one channel, in training or with frozen statistics.
struct BackwardInput {
  ChannelParameters parameters;
  Source source = Source::x;
  bool frozen = false;
  std::vector<double> x, z, xhat;  ///< those that `source` names; z above -alpha for ELU
  std::vector<double> dz;
  GivenStatistics statistics;  ///< not given: the batch statistics of x
  OtherShards all{};
};
struct BackwardValues {
  Wide mean, variance;  ///< mean only where x is a source
  double r = 0, g = 0, s0 = 0, s1 = 0;
  double all_s0 = 0, all_s1 = 0;  ///< of all ranks
  std::vector<double> y, xhat, dy;
  WideVector dx;
  Wide dgamma, dbeta;
};
void backward_in_double(const BackwardInput& input, BackwardValues& out);
void backward_in_long_double(const BackwardInput& input, BackwardValues& out);
void backward_in_real50(const BackwardInput& input, BackwardValues& out);
void backward_values(Precision precision, const BackwardInput& input, BackwardValues& out);

}  // namespace abn::verify::oracle
