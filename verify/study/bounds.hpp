// How sharp the bounds are: right kernels of every declared class on random channels, and the
// largest error/bound that they reach.
//
// A bound that is too small fails a right kernel; one that is too large lets a wrong one pass. So
// no ratio may be above 1, and the largest of every class, output and decade of kappa should not be
// far below it. Channels differ in kappa, sizes of x, gamma, beta and dz, shape of the samples and
// m; batches of channels in activation, eps, convention and the liberties that a class leaves.
// Every random number is a function of (seed, class, batch, channel, sample), so a shorter run is
// the beginning of a longer one.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "verify/study/simulated_kernel.hpp"

namespace abn::verify::study {

inline constexpr int kappa_decades = 6;                    ///< [1, 10), ..., [1e5, infinity)
inline constexpr std::uint64_t bounds_channels = 100'000;  ///< of every class in a full run

/// What a bound has to be used to by the best of many right kernels, or it is called loose.
inline constexpr double sharp_element = 1e-2;  // z, xhat, dx
// mean, variance, dgamma, dbeta: their errors add up like a random walk, the bound like m
inline constexpr double sharp_reduction = 1e-3;

/// One output of one class within a decade of kappa.
struct BoundsCell {
  double largest = 0;        ///< error/bound
  std::uint64_t judged = 0;  ///< values with a finite bound
  /// values of which nothing is demanded: first order has ended, or a sum leaves its type
  std::uint64_t void_ = 0;
  BoundsCell& operator+=(const BoundsCell& other);
};

inline constexpr std::array bounds_outputs{
    compare::Output::mean, compare::Output::variance, compare::Output::z,    compare::Output::xhat,
    compare::Output::dx,   compare::Output::dgamma,   compare::Output::dbeta};
struct BoundsResult {
  KernelClass declared;
  std::uint64_t channels = 0;  ///< in training
  std::array<std::array<BoundsCell, kappa_decades>, bounds_outputs.size()> cells{};
  std::uint64_t failed = 0;  ///< values above their bound or of the wrong class
  std::string failure;       ///< the first of them
  const std::array<BoundsCell, kappa_decades>& of(compare::Output output) const;
};

/// Every pair of storage and accumulate type, normalisation and summation with every scheme; and
/// with every statistics, as three follow from five schemes in turn.
std::vector<KernelClass> bounds_classes();
/// Classes of other conventions, a few of each: activations without an inverse, folded_apart, tf32,
/// parameters of 16 bits, another type of z, and operations that round inside activations.
std::vector<KernelClass> bounds_conventions();
/// What is unusual about a class; empty for those of bounds_classes().
std::string convention_text(const KernelClass& declared);
std::string class_text(const KernelClass& declared);

/// At least `channels` channels of one class. `claimed`: changes what the kernel declares, for
/// planting bounds that are too small.
BoundsResult bounds_of(const KernelClass& declared, std::uint64_t channels, std::uint64_t seed,
                       const std::function<void(abn_claims&)>& claimed = {});

double sharp_enough(compare::Output output);
/// Judged, and used to less than it should be.
bool is_loose(compare::Output output, const BoundsCell& cell);

}  // namespace abn::verify::study
