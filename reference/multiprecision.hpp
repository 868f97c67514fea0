// Real50 and Real100: binary floating point of 50 and 100 decimal digits, for the oracle.
//
// Both live on the stack (cpp_bin_float allocates nothing) and evaluate each operation at once
// (et_off), so that a value is rounded where the formula says and Eigen sees plain scalars.
// The exponent is an int: nothing that starts as a float or a double over- or underflows here.
//
// This is the only header of the reference that includes Boost; it costs seconds of compile time,
// so include it in .cpp files only.
#pragma once

#include <boost/math/constants/constants.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/eigen.hpp>

#include "reference/erfc50.hpp"
#include "reference/exponential50.hpp"
#include "reference/scalar.hpp"

namespace boost::multiprecision {

// erfc of Boost.Math, which is not found by argument-dependent lookup, for all but Real50; its
// underflow is a 0 and no exception, and it may be asked for infinities.
template <unsigned digits>
number<cpp_bin_float<digits>, et_off> erfc(const number<cpp_bin_float<digits>, et_off>& x) {
  using namespace boost::math::policies;
  constexpr double far = 1e4;  // e^-(1e8) is nothing beside any double
  if (isnan(x)) return x;
  if (abs(x) > far) return x < 0 ? 2 : 0;
  return boost::math::erfc(x, policy<underflow_error<ignore_error>>());
}

}  // namespace boost::multiprecision

namespace abn::reference {

using Real50 = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<50>,
                                             boost::multiprecision::et_off>;
using Real100 = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<100>,
                                              boost::multiprecision::et_off>;

template <>
struct Pi<Real50> {
  static Real50 value() { return boost::math::constants::pi<Real50>(); }
};
template <>
struct Pi<Real100> {
  static Real100 value() { return boost::math::constants::pi<Real100>(); }
};

}  // namespace abn::reference
