// Who keeps what a run has found while it goes on, and knows what an earlier run had found.
#pragma once

#include <cstdint>
#include <vector>

#include "verify/call/subject.hpp"
#include "verify/results/results.hpp"

namespace abn::verify::run {

/// How far the cases of a subject are: the first `done` of them, and their records, not concluded.
struct Progress {
  std::uint64_t done = 0, of = 0;
  std::vector<results::Record> records{};
};

/// A case gives the same records in whichever run it is, and they are merged in the order of the
/// cases; so a run that begins with the sum of the first ones ends as one that made them itself.
class Keeper {
 public:
  virtual ~Keeper() = default;
  /// Before the cases of a subject: how far an earlier run had come. All zero: it had not begun.
  virtual Progress before(const call::Subject& subject, std::uint64_t cases) = 0;
  /// Is it time to keep what there is in the middle of a subject's cases?
  virtual bool due() = 0;
  /// In the middle of a subject's cases, and behind the last of them.
  virtual void keep(const call::Subject& subject, Progress progress) = 0;
};

}  // namespace abn::verify::run
