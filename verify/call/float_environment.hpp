// Keeps the judge's arithmetic its own: a kernel may change the rounding mode, or flush subnormals
// to zero, for itself only.
//
// A shared object linked with -ffast-math does the latter to the thread that loads it, before any
// of its functions is called.
#pragma once

#include <cfenv>

namespace abn::verify::call {

/// Restores the rounding mode and the treatment of subnormals that were in force when it was made.
class FloatEnvironment {
 public:
  FloatEnvironment() { std::fegetenv(&kept_); }
  ~FloatEnvironment() { std::fesetenv(&kept_); }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  std::fenv_t kept_;
};

}  // namespace abn::verify::call
