// Eight doubles as one scalar of the reference: one evaluation of its formulas at eight points.
//
// Finite differences evaluate the same formula at points that differ little. With a Pack as scalar,
// lanes are those points: elementwise arithmetic, which the compiler turns into the machine's
// vector instructions, and each lane has the bits that a double would have.
//
// A branch is decided by lane 0 for all lanes. That is right where all lanes lie on the same side
// of it, which is for the caller to see to: steps that do not cross the activation's kink
// (verify/check/gradient/reference_jacobian.hpp keeps the samples away from it).
#pragma once

#include <cmath>

#include "reference/scalar.hpp"

namespace abn::reference {

struct Pack {
  static constexpr int lanes = 8;
  // 16: what Eigen aligns its arrays to
  typedef double Vector __attribute__((vector_size(lanes * sizeof(double)), aligned(16)));
  Vector lane;  // not initialised: arrays of packs are written before they are read

  Pack() = default;
  // implicit: the constants of a formula
  Pack(double all) : lane{all, all, all, all, all, all, all, all} {}
  explicit Pack(const Vector& values) : lane(values) {}

  Pack& operator+=(const Pack& b) { return lane += b.lane, *this; }
  Pack& operator-=(const Pack& b) { return lane -= b.lane, *this; }
  Pack& operator*=(const Pack& b) { return lane *= b.lane, *this; }
  Pack& operator/=(const Pack& b) { return lane /= b.lane, *this; }

  friend Pack operator-(const Pack& a) { return Pack(-a.lane); }
  friend Pack operator+(const Pack& a, const Pack& b) { return Pack(a.lane + b.lane); }
  friend Pack operator-(const Pack& a, const Pack& b) { return Pack(a.lane - b.lane); }
  friend Pack operator*(const Pack& a, const Pack& b) { return Pack(a.lane * b.lane); }
  friend Pack operator/(const Pack& a, const Pack& b) { return Pack(a.lane / b.lane); }

  friend bool operator==(const Pack& a, const Pack& b) { return a.lane[0] == b.lane[0]; }
  friend bool operator!=(const Pack& a, const Pack& b) { return a.lane[0] != b.lane[0]; }
  friend bool operator<(const Pack& a, const Pack& b) { return a.lane[0] < b.lane[0]; }
  friend bool operator<=(const Pack& a, const Pack& b) { return a.lane[0] <= b.lane[0]; }
  friend bool operator>(const Pack& a, const Pack& b) { return a.lane[0] > b.lane[0]; }
  friend bool operator>=(const Pack& a, const Pack& b) { return a.lane[0] >= b.lane[0]; }
};

inline double real_part(const Pack& x) { return x.lane[0]; }

template <class Function>
Pack each_lane(const Pack& a, Function&& function) {
  Pack out;
  for (int k = 0; k < Pack::lanes; ++k) out.lane[k] = function(a.lane[k]);
  return out;
}
inline Pack sqrt(const Pack& a) {
  return each_lane(a, [](double x) { return std::sqrt(x); });
}
inline Pack exp(const Pack& a) {
  return each_lane(a, [](double x) { return std::exp(x); });
}
inline Pack expm1(const Pack& a) {
  return each_lane(a, [](double x) { return std::expm1(x); });
}
inline Pack log1p(const Pack& a) {
  return each_lane(a, [](double x) { return std::log1p(x); });
}

}  // namespace abn::reference

// What Eigen needs to hold packs in an array.
template <>
struct Eigen::NumTraits<abn::reference::Pack> : Eigen::NumTraits<double> {
  using Real = abn::reference::Pack;
  using NonInteger = abn::reference::Pack;
  using Nested = abn::reference::Pack;
  using Literal = abn::reference::Pack;
  enum {
    IsComplex = 0,
    IsInteger = 0,
    IsSigned = 1,
    RequireInitialization = 0,
    ReadCost = abn::reference::Pack::lanes,
    AddCost = abn::reference::Pack::lanes,
    MulCost = abn::reference::Pack::lanes,
  };
};
