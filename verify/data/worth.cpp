// Pairs of properties, and the greedy cover of them.
#include "verify/data/worth.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <queue>
#include <string_view>
#include <unordered_set>

#include "verify/data/random.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::data {
namespace {

constexpr std::size_t properties = 14;
constexpr std::int64_t cost_of_a_call = 1024;  // in elements
/// Two such words make the name of a pair.
using Properties = std::array<std::uint64_t, properties>;

/// std::hash would not be the same everywhere.
std::uint64_t word_of(std::string_view text) {
  std::uint64_t word = text.size();
  for (const char c : text) word = mix(word * 0x100 + static_cast<unsigned char>(c));
  return word;
}

/// Sizes alike within a factor of two; 0 and 1 are sizes of their own.
std::uint64_t size_kind(std::int64_t size) {
  return size <= 1 ? static_cast<std::uint64_t>(size)
                   : static_cast<std::uint64_t>(std::ilogb(static_cast<double>(size))) + 2;
}

/// Numbers alike within a factor of a thousand; 0 and negative ones are kinds of their own.
std::uint64_t magnitude(double value) {
  if (!(value > 0)) return value == 0 ? 0 : 1;
  constexpr double decades = 3;
  constexpr int above_all = 400;
  return static_cast<std::uint64_t>(std::floor(std::log10(value) / decades) + above_all);
}

std::uint64_t remainder(std::int64_t size, std::int64_t divisor) {
  return static_cast<std::uint64_t>(size % divisor == 0);
}

Properties properties_of(const Case& one) {
  const abn_problem& p = one.problem;
  const auto word = [](int value) { return static_cast<std::uint64_t>(value); };
  return {word(p.dtype) * 2 + word(p.layout),
          word(p.mode),
          word(p.activation),
          word(p.scale),
          word_of(std::string_view(one.data).substr(0, one.data.find(':'))),
          word(p.param_dtype) * 8 + word(p.out_type),
          magnitude(p.eps),
          magnitude(p.momentum),
          magnitude(p.activation_parameter),
          size_kind(p.n),
          size_kind(p.c),
          size_kind(p.s),
          size_kind(problem::sample_count(p)),
          remainder(p.c, 8) * 2 + remainder(p.s, 8)};
}

/// Which pairs have been met, and how many of a case's have not.
class Cover {
 public:
  explicit Cover(std::span<const Case> cases) {
    for (const Case& one : cases) {
      const Properties of = properties_of(one);
      std::vector<std::uint64_t>& pairs = pairs_.emplace_back();
      for (std::size_t a = 0; a < properties; ++a)
        for (std::size_t b = 0; b < a; ++b)
          pairs.push_back(mix(mix(of[a] * properties + a) + of[b] * properties + b));
      cost_.push_back(static_cast<double>(cost_of_a_call + problem::element_count(one.problem)));
    }
  }

  double worth(std::size_t index) const {
    const auto fresh = std::count_if(pairs_[index].begin(), pairs_[index].end(),
                                     [&](std::uint64_t pair) { return !met_.contains(pair); });
    return static_cast<double>(fresh) / cost_[index];
  }
  void meet(std::size_t index) { met_.insert(pairs_[index].begin(), pairs_[index].end()); }
  void forget() { met_.clear(); }

 private:
  std::vector<std::vector<std::uint64_t>> pairs_;
  std::vector<double> cost_;
  std::unordered_set<std::uint64_t> met_;
};

struct Candidate {
  double worth;
  std::size_t index;
  bool operator<(const Candidate& other) const {
    return worth != other.worth ? worth < other.worth : index > other.index;
  }
};

}  // namespace

std::vector<std::size_t> order_of_worth(std::span<const Case> cases, std::size_t most) {
  Cover cover(cases);
  std::vector<std::size_t> order, left(cases.size());
  for (std::size_t i = 0; i < left.size(); ++i) left[i] = i;
  while (!left.empty()) {
    cover.forget();
    std::priority_queue<Candidate> queue;
    for (const std::size_t index : left) queue.push({cover.worth(index), index});
    left.clear();
    // What a case is worth only falls as others are taken, so one whose worth is still the largest
    // after it was counted anew is the best of all.
    while (!queue.empty()) {
      if (order.size() >= most) {
        for (; !queue.empty(); queue.pop()) left.push_back(queue.top().index);
        std::sort(left.begin(), left.end());
        order.insert(order.end(), left.begin(), left.end());
        return order;
      }
      Candidate best = queue.top();
      queue.pop();
      best.worth = cover.worth(best.index);
      if (best.worth <= 0) {
        left.push_back(best.index);
      } else if (!queue.empty() && best < queue.top()) {
        queue.push(best);
      } else {
        cover.meet(best.index);
        order.push_back(best.index);
      }
    }
    std::sort(left.begin(), left.end());
  }
  return order;
}

}  // namespace abn::verify::data
