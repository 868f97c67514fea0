// The seconds that a run may take, shared out among its parts, and what of a tier was left out.
//
// A part (a group's checks of one variant) gets of the time that is left as much as it has of the
// cases that are left; what it does not use goes to those after it. One case of each part is run
// even where no time is left, so that none of them is missed altogether.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "verify/call/parallel.hpp"

namespace abn::verify::run {

class Budget {
 public:
  /// Of a run of about `cases` cases; 0 seconds: no limit.
  Budget(double seconds, std::uint64_t cases);

  /// A part begins; no other is on at that time.
  void begin_part(std::uint64_t cases);
  /// May be asked from several threads.
  bool is_used_up() {
    const bool now = seconds_ > 0 && stopwatch_.seconds() > part_end_;
    if (now) was_used_up_ = true;
    return now;
  }
  /// Of the tier's cases for a variant so many ran, and so many were left out.
  void count(std::uint64_t ran, std::uint64_t left_out);

  /// What was left out, in a sentence; empty where nothing was. `tier` is that whose pass this is
  /// not.
  std::string left_out(std::string_view tier) const;

 private:
  double seconds_;
  std::uint64_t cases_left_;
  double part_end_ = 0;
  call::Stopwatch stopwatch_;
  std::uint64_t ran_ = 0, left_out_ = 0;
  std::atomic<bool> was_used_up_ = false;
};

}  // namespace abn::verify::run
