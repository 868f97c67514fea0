// Real50 and Real100: binary floating point of 50 and 100 decimal digits, for the oracle.
//
// Both live on the stack (cpp_bin_float allocates nothing) and evaluate each operation at once
// (et_off), so that a value is rounded where the formula says and Eigen sees plain scalars.
// The exponent is an int: nothing that starts as a float or a double over- or underflows here.
//
// This is the only header of the reference that includes Boost; it costs seconds of compile time,
// so include it in .cpp files only.
#pragma once

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <boost/multiprecision/eigen.hpp>

#include "reference/exponential50.hpp"
#include "reference/scalar.hpp"

namespace abn::reference {

using Real50 = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<50>,
                                             boost::multiprecision::et_off>;
using Real100 = boost::multiprecision::number<boost::multiprecision::cpp_bin_float<100>,
                                              boost::multiprecision::et_off>;

}  // namespace abn::reference
