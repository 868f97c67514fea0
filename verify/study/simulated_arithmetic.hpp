// The arithmetic of the simulated kernel: numbers of f16 and bf16 that are rounded after every
// operation, and sums in the declared order.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "verify/problem/format.hpp"
#include "verify/study/simulated_kernel.hpp"

namespace abn::verify::study::simulated {

/// A number of a narrow format. Every operation is done in double and rounded, which is what
/// rounding once would give (53 >= 2*11 + 2).
template <int Dtype>
struct Narrow {
  double value = 0;
  Narrow() = default;
  explicit Narrow(double exact) : value(problem::round_to(problem::format_of(Dtype), exact)) {}
  explicit operator double() const { return value; }
  friend Narrow operator+(Narrow a, Narrow b) { return Narrow(a.value + b.value); }
  friend Narrow operator-(Narrow a, Narrow b) { return Narrow(a.value - b.value); }
  friend Narrow operator*(Narrow a, Narrow b) { return Narrow(a.value * b.value); }
  friend Narrow operator/(Narrow a, Narrow b) { return Narrow(a.value / b.value); }
  friend Narrow operator-(Narrow a) { return Narrow(-a.value); }
  friend bool operator<(Narrow a, Narrow b) { return a.value < b.value; }
  friend Narrow sqrt(Narrow a) { return Narrow(std::sqrt(a.value)); }
  friend Narrow exp(Narrow a) { return Narrow(std::exp(a.value)); }
  friend Narrow expm1(Narrow a) { return Narrow(std::expm1(a.value)); }
  friend Narrow log1p(Narrow a) { return Narrow(std::log1p(a.value)); }
  friend Narrow tanh(Narrow a) { return Narrow(std::tanh(a.value)); }
  friend Narrow erf(Narrow a) { return Narrow(std::erf(a.value)); }
  friend Narrow fma(Narrow a, Narrow b, Narrow c) {
    return Narrow(std::fma(a.value, b.value, c.value));
  }
};

template <class T, class Start, class Merge>
T halved(std::size_t first, std::size_t last, const Start& start, const Merge& merge) {
  if (last - first == 1) return start(first);
  const std::size_t middle = first + (last - first + 1) / 2;
  return merge(halved<T>(first, middle, start, merge), halved<T>(middle, last, start, merge));
}

/// Reduces samples 0 to count-1. `start` makes a partial result of sample i, `absorb` adds sample i
/// to one, `merge` adds two.
template <class T, class Start, class Absorb, class Merge>
T reduced(const KernelClass& declared, std::size_t count, const Start& start, const Absorb& absorb,
          const Merge& merge) {
  if (count == 0) return T{};
  if (declared.summation == Summation::pairwise) return halved<T>(0, count, start, merge);
  const bool sequential = declared.summation == Summation::sequential;
  const std::size_t lanes =
      std::min(sequential ? 1 : static_cast<std::size_t>(declared.lanes), count);
  std::vector<T> part(lanes);
  for (std::size_t i = 0; i < count; ++i) {
    if (i < lanes)
      part[i] = start(i);
    else
      absorb(part[i % lanes], i);
  }
  for (std::size_t width = lanes; width > 1; width = (width + 1) / 2)
    for (std::size_t i = 0; i + (width + 1) / 2 < width; ++i)
      part[i] = merge(part[i], part[i + (width + 1) / 2]);
  return part[0];
}

}  // namespace abn::verify::study::simulated
