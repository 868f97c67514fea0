// The times that a worker says beside what the judge's own clock saw: a plug-in shares its worker's
// memory, and could have changed the clock in there.
//
// A question is answered by `before`, which fills the buffers, and by the calls that are timed. The
// judge asks for `before` alone, too. So what it sees of a question, less the time that was said,
// is as long as `before` alone, but for what the machine's other work adds to either. The quickest
// of each are compared, and how far `before` scatters is allowed for: on a busy machine less is
// seen.
//
// From above this is exact: no part of a question takes longer than all of it. From below it finds
// times that are less than half of the truth, where the calls of a round take longer than 0.2 ms;
// and below what the bytes allow no time is taken (measure.cpp).
#pragma once

#include <string>
#include <vector>

namespace abn::verify::bench {

/// Microseconds, an element for each round.
struct OwnClock {
  std::vector<double> said;    ///< by the worker
  std::vector<double> seen;    ///< of the same question, by the judge
  std::vector<double> before;  ///< seen of a question that times nothing
};

/// Why the last time that was said is impossible; empty if it is not.
std::string impossible_time(const OwnClock& clock);

/// Why all of them together are; empty if they are not.
std::string impossible_times(const OwnClock& clock);

}  // namespace abn::verify::bench
