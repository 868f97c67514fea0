// Views: sorted lists, their sums, and what is left out because the rest implies it.
#include "cuda/ptx/state/clock.hpp"

#include <algorithm>

namespace abn::ptx {
namespace {

std::uint32_t before_of(const std::vector<Known>& all, Who who) {
  const auto at = std::lower_bound(all.begin(), all.end(), who,
                                   [](const Known& one, Who wanted) { return one.who < wanted; });
  return at != all.end() && at->who == who ? at->before : 0;
}

/// Whether a view implies all of another one.
bool covers(const std::vector<Known>& view, const std::vector<Known>& other) {
  return std::all_of(other.begin(), other.end(), [&](const Known& one) {
    return before_of(view, one.who) >= one.before ||
           (actor_of(one.who) == Actor::thread &&
            before_of(view, who_is(block_of(one.who), Actor::block)) >= one.before);
  });
}

}  // namespace

bool knows(const View& view, const Moment& moment) {
  if (view == nullptr) return false;
  return moment.time < before_of(*view, moment.who) ||
         (actor_of(moment.who) == Actor::thread &&
          moment.time < before_of(*view, who_is(block_of(moment.who), Actor::block)));
}

bool has_heard_of(const View& view, std::uint64_t block) {
  if (view == nullptr) return false;
  const auto at = std::lower_bound(
      view->begin(), view->end(), block,
      [](const Known& one, std::uint64_t wanted) { return block_of(one.who) < wanted; });
  return at != view->end() && block_of(at->who) == block && actor_of(at->who) <= Actor::thread;
}

View view_of(std::vector<Known> all, std::uint32_t threads) {
  std::sort(all.begin(), all.end(), [](const Known& a, const Known& b) {
    return a.who != b.who ? a.who < b.who : a.before > b.before;
  });
  all.erase(std::unique(all.begin(), all.end(),
                        [](const Known& a, const Known& b) { return a.who == b.who; }),
            all.end());
  auto view = std::make_shared<std::vector<Known>>();
  view->reserve(all.size());
  for (std::size_t begin = 0; begin < all.size();) {
    // The line of a block is in front of those of its threads.
    const std::uint64_t block = block_of(all[begin].who);
    Known whole{who_is(block, Actor::block), 0};
    if (all[begin].who == whole.who) whole = all[begin++];
    std::size_t end = begin;
    std::uint32_t further = 0, least = ~std::uint32_t{0};
    for (; end < all.size() && block_of(all[end].who) == block &&
           actor_of(all[end].who) == Actor::thread;
         ++end)
      if (all[end].before > whole.before) ++further, least = std::min(least, all[end].before);
    if (further == threads) whole.before = least;
    if (whole.before != 0) view->push_back(whole);
    for (std::size_t i = begin; i < end; ++i)
      if (all[i].before > whole.before) view->push_back(all[i]);
    for (; end < all.size() && block_of(all[end].who) == block; ++end) view->push_back(all[end]);
    begin = end;
  }
  return view->empty() ? nullptr : view;
}

View join(const View& a, const View& b, std::uint32_t threads) {
  if (b == nullptr || a == b) return a;
  if (a == nullptr) return b;
  if (covers(*a, *b)) return a;
  if (covers(*b, *a)) return b;
  std::vector<Known> all(*a);
  all.insert(all.end(), b->begin(), b->end());
  return view_of(std::move(all), threads);
}

void Sum::add(const View& view) {
  if (view == nullptr || view == last_ || view == only_) return;
  several_ = several_ || only_ != nullptr || !all_.empty();
  if (only_ == nullptr) only_ = view;
  last_ = view;
  all_.insert(all_.end(), view->begin(), view->end());
}

View Sum::view(std::uint32_t threads) {
  if (only_ != nullptr && !several_) return only_;
  return view_of(std::move(all_), threads);
}

}  // namespace abn::ptx
