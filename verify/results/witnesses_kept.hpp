// Which witnesses a record keeps of all its cases, asked before they are merged.
//
// The terms of a bound cost more than the bound, and only the few worst witnesses show them. Of n
// cases about log n are among the worst of those before them, so that nearly all are spared.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <string>

namespace abn::verify::results {

inline constexpr std::size_t witnesses_kept = 3;

/// The largest ratios of error and bound that were met in a run, by record. For many threads.
class WorstRatios {
 public:
  /// Takes note of a witness. False where as many as a record keeps were worse, so that this one is
  /// dropped whatever follows and in whatever order the cases are merged.
  bool may_stay(const std::string& id, double ratio) {
    const std::lock_guard lock(mutex_);
    Worst& worst = by_record_.try_emplace(id, none()).first->second;
    if (ratio < worst.back()) return false;
    // a NaN belongs to a failure, and those stand before all that passed
    if (!(ratio >= 0)) ratio = std::numeric_limits<double>::infinity();
    worst.back() = std::max(worst.back(), ratio);
    std::sort(worst.begin(), worst.end(), std::greater<>());
    return true;
  }

 private:
  using Worst = std::array<double, witnesses_kept>;  // the largest first
  static Worst none() {
    Worst worst{};
    worst.fill(-1);
    return worst;
  }
  std::mutex mutex_;
  std::map<std::string, Worst> by_record_;
};

}  // namespace abn::verify::results
