// Counter-based random numbers: the i-th number of a stream is a function of the stream's key and
// i, so order and threads play no part.
//
// The mixing function is splitmix64's (Steele, Lea, Flood 2014). No distribution of <random> and no
// transcendental function is used, for their results differ between standard libraries.
#pragma once

#include <cmath>
#include <cstdint>

namespace abn::verify::data {

/// A bijection of 64-bit words whose output bits each depend on every input bit.
constexpr std::uint64_t mix(std::uint64_t word) {
  word ^= word >> 30;
  word *= 0xbf58476d1ce4e5b9u;
  word ^= word >> 27;
  word *= 0x94d049bb133111ebu;
  return word ^ (word >> 31);
}

// 2^64 over the golden ratio, made odd: splitmix64's increment
inline constexpr std::uint64_t golden_gamma = 0x9e3779b97f4a7c15u;

class Stream {
 public:
  constexpr explicit Stream(std::uint64_t key) : key_(mix(key + golden_gamma)) {}
  /// A stream of its own for each value of `label`.
  constexpr Stream fork(std::uint64_t label) const {
    return Stream(key_ ^ mix((label + 1) * golden_gamma));
  }

  constexpr std::uint64_t bits(std::uint64_t index) const {
    return mix(key_ + (index + 1) * golden_gamma);
  }
  /// 0, 1, ... count-1; the bias of at most count/2^64 is of no matter here.
  constexpr std::uint64_t below(std::uint64_t count, std::uint64_t index) const {
    return bits(index) % count;
  }
  /// In (0, 1), never at the ends.
  double uniform(std::uint64_t index) const {
    return (static_cast<double>(bits(index) >> 12) + 0.5) * 0x1p-52;
  }
  double uniform(double low, double high, std::uint64_t index) const {
    return low + (high - low) * uniform(index);
  }
  /// Zero mean, unit variance, within +-sqrt(12): the sum of four uniform numbers, which is nearly
  /// normal.
  double normal(std::uint64_t index) const {
    constexpr double sqrt3 = 1.7320508075688772;
    const std::uint64_t first = bits(2 * index), second = bits(2 * index + 1);
    const auto part = [](std::uint64_t word) {
      return (static_cast<double>(word & 0xffffffffu) + 0.5) * 0x1p-32;
    };
    return (part(first) + part(first >> 32) + part(second) + part(second >> 32) - 2) * sqrt3;
  }
  /// Between 2^low and 2^high, about uniform in the logarithm (linear within a binade).
  double power_of_two(double low, double high, std::uint64_t index) const {
    const double exponent = uniform(low, high, index), whole = std::floor(exponent);
    return std::ldexp(1 + (exponent - whole), static_cast<int>(whole));
  }
  double sign(std::uint64_t index) const { return (bits(index) & 1) != 0 ? -1.0 : 1.0; }

 private:
  std::uint64_t key_;
};

}  // namespace abn::verify::data
