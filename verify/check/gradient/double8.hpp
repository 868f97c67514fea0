// Eight doubles as one scalar of the reference: one evaluation of its formulas at eight points.
//
// Finite differences evaluate the same formula at points that differ little. With a Double8 as
// scalar, lanes are those points: elementwise arithmetic, which the compiler turns into the
// machine's vector instructions, and each lane has the bits that a double would have.
//
// A branch is decided by lane 0 for all lanes. That is right where all lanes lie on the same side
// of it, which is for the caller to see to: steps that do not cross the activation's kink
// (verify/check/gradient/reference_jacobian.hpp keeps the samples away from it).
#pragma once

#include <cmath>

#include "reference/scalar.hpp"

namespace abn::reference {

struct Double8 {
  static constexpr int lanes = 8;
  // 16: what Eigen aligns its arrays to
  typedef double Vector __attribute__((vector_size(lanes * sizeof(double)), aligned(16)));
  Vector lane;  // not initialised: arrays of packs are written before they are read

  Double8() = default;
  // implicit: the constants of a formula
  Double8(double all) : lane{all, all, all, all, all, all, all, all} {}
  explicit Double8(const Vector& values) : lane(values) {}

  Double8& operator+=(const Double8& b) { return lane += b.lane, *this; }
  Double8& operator-=(const Double8& b) { return lane -= b.lane, *this; }
  Double8& operator*=(const Double8& b) { return lane *= b.lane, *this; }
  Double8& operator/=(const Double8& b) { return lane /= b.lane, *this; }

  friend Double8 operator-(const Double8& a) { return Double8(-a.lane); }
  friend Double8 operator+(const Double8& a, const Double8& b) { return Double8(a.lane + b.lane); }
  friend Double8 operator-(const Double8& a, const Double8& b) { return Double8(a.lane - b.lane); }
  friend Double8 operator*(const Double8& a, const Double8& b) { return Double8(a.lane * b.lane); }
  friend Double8 operator/(const Double8& a, const Double8& b) { return Double8(a.lane / b.lane); }

  friend bool operator==(const Double8& a, const Double8& b) { return a.lane[0] == b.lane[0]; }
  friend bool operator!=(const Double8& a, const Double8& b) { return a.lane[0] != b.lane[0]; }
  friend bool operator<(const Double8& a, const Double8& b) { return a.lane[0] < b.lane[0]; }
  friend bool operator<=(const Double8& a, const Double8& b) { return a.lane[0] <= b.lane[0]; }
  friend bool operator>(const Double8& a, const Double8& b) { return a.lane[0] > b.lane[0]; }
  friend bool operator>=(const Double8& a, const Double8& b) { return a.lane[0] >= b.lane[0]; }
};

inline double real_part(const Double8& x) { return x.lane[0]; }

template <class Function>
Double8 each_lane(const Double8& a, Function&& function) {
  Double8 out;
  for (int k = 0; k < Double8::lanes; ++k) out.lane[k] = function(a.lane[k]);
  return out;
}
inline Double8 sqrt(const Double8& a) {
  return each_lane(a, [](double x) { return std::sqrt(x); });
}
inline Double8 exp(const Double8& a) {
  return each_lane(a, [](double x) { return std::exp(x); });
}
inline Double8 expm1(const Double8& a) {
  return each_lane(a, [](double x) { return std::expm1(x); });
}
inline Double8 log1p(const Double8& a) {
  return each_lane(a, [](double x) { return std::log1p(x); });
}
inline Double8 erfc(const Double8& a) {
  return each_lane(a, [](double x) { return std::erfc(x); });
}

}  // namespace abn::reference

// What Eigen needs to hold packs in an array.
template <>
struct Eigen::NumTraits<abn::reference::Double8> : Eigen::NumTraits<double> {
  using Real = abn::reference::Double8;
  using NonInteger = abn::reference::Double8;
  using Nested = abn::reference::Double8;
  using Literal = abn::reference::Double8;
  enum {
    IsComplex = 0,
    IsInteger = 0,
    IsSigned = 1,
    RequireInitialization = 0,
    ReadCost = abn::reference::Double8::lanes,
    AddCost = abn::reference::Double8::lanes,
    MulCost = abn::reference::Double8::lanes,
  };
};
