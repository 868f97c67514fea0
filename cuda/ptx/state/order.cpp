// Hand-overs at barriers, fences and atomics.
#include "cuda/ptx/state/order.hpp"

#include <algorithm>
#include <bit>

namespace abn::ptx {
namespace {

constexpr std::uint32_t warp_lanes = 32;
constexpr std::size_t most_pictures = 4096;  // of a block between two barriers

template <class Each>
void for_each_lane(std::uint32_t warp, std::uint32_t lanes, const Each& each) {
  for (; lanes != 0; lanes &= lanes - 1)
    each(warp * warp_lanes + static_cast<std::uint32_t>(std::countr_zero(lanes)));
}

}  // namespace

View Sync::view(std::uint32_t threads) {
  if (log_.empty() && views_.empty()) return merged_;
  Sum sum(std::move(log_));
  sum.add(merged_);
  for (const View& one : views_) sum.add(one);
  log_.clear(), views_.clear();
  return merged_ = sum.view(threads);
}

void Clocks::begin(std::uint64_t number, std::uint32_t count) {
  *this = {};
  block = number, threads = count;
  now.assign(count, 1);
}

CopyCounts& Clocks::copies_of(std::uint32_t rank) {
  if (copies.empty()) copies.resize(threads);
  return copies[rank];
}

// ---- what threads know

void Order::collect(const Clocks& clocks, std::uint32_t warp, std::uint32_t lanes,
                    std::vector<Known>& to) const {
  to.push_back({who_is(clocks.block, Actor::block), clocks.before});
  const std::uint32_t of_warp = clocks.warp_before[warp];
  if (of_warp > clocks.before)
    for (std::uint32_t rank = warp * warp_lanes;
         rank < std::min((warp + 1) * warp_lanes, clocks.threads); ++rank)
      to.push_back({who_is(clocks.block, Actor::thread, rank), of_warp});
  for_each_lane(warp, lanes, [&](std::uint32_t rank) {
    to.push_back({who_is(clocks.block, Actor::thread, rank), clocks.now[rank] + 1});
  });
}

namespace {

/// What these threads do from now on is later than all that they have done.
template <class Ranks>
void go_on(Clocks& clocks, const Ranks& ranks) {
  ranks([&](std::uint32_t rank) { clocks.newest = std::max(clocks.newest, ++clocks.now[rank]); });
}

}  // namespace

void Order::learn(Clocks& clocks, std::uint32_t rank, const View& view) {
  if (view == nullptr) return;
  if (clocks.views.empty()) clocks.views.resize(clocks.threads);
  View& own = clocks.views[rank];
  // Neighbours often know the same and learn the same.
  if (own != last_own_ || view != last_learnt_) {
    last_sum_ = join(own, view, threads_);
    last_own_ = own, last_learnt_ = view;
  }
  if (last_sum_ != own) own = last_sum_, clocks.news = true;
}

View Order::hand_over(Clocks& clocks, std::uint32_t rank) {
  std::vector<Known> all;
  collect(clocks, rank / warp_lanes, 1U << rank % warp_lanes, all);
  if (const View view = clocks.view(rank)) all.insert(all.end(), view->begin(), view->end());
  go_on(clocks, [&](const auto& act) { act(rank); });
  return view_of(std::move(all), threads_);
}

void Order::release(Clocks& clocks, std::uint32_t warp, std::uint32_t lanes, Sync& sync) {
  std::vector<Known> all;
  collect(clocks, warp, lanes, all);
  sync.add(all);
  for_each_lane(warp, lanes, [&](std::uint32_t rank) { sync.add(clocks.view(rank)); });
  if (sync.is_long()) sync.view(threads_);
  go_on(clocks, [&](const auto& act) { for_each_lane(warp, lanes, act); });
}

// ---- barriers

template <class Each>
void Order::share(Clocks& clocks, const Each& each) {
  if (clocks.fenced) {
    Sum sum;
    each([&](std::uint32_t rank) { sum.add(clocks.fences[rank].released); });
    const View all = sum.view(threads_);
    each([&](std::uint32_t rank) {
      Fences& fences = clocks.fences[rank];
      if (fences.released != all) fences.released = all, fences.published.clear();
    });
  }
  if (clocks.met) {
    std::vector<Fences::Met> all;
    each([&](std::uint32_t rank) {
      for (const Fences::Met& one : clocks.fences[rank].met)
        if (std::none_of(all.begin(), all.end(), [&](const Fences::Met& other) {
              return other.place == one.place && other.view == one.view;
            }))
          all.push_back(one);
    });
    each([&](std::uint32_t rank) { clocks.fences[rank].met = all; });
  }
}

void Order::block_barrier(Clocks& clocks) {
  clocks.before = ++clocks.newest;
  std::fill(clocks.now.begin(), clocks.now.end(), clocks.before);
  if (clocks.news) {
    Sum sum;
    for (const View& view : clocks.views) sum.add(view);
    std::fill(clocks.views.begin(), clocks.views.end(), sum.view(threads_));
    clocks.news = false;
  }
  share(clocks, [&](const auto& act) {
    for (std::uint32_t rank = 0; rank < clocks.threads; ++rank) act(rank);
  });
  clocks.fenced = clocks.met = false;
  if (clocks.pictures.empty()) return;
  merge_pictures(clocks, {who_is(clocks.block, Actor::thread, 0), clocks.before - 1});
}

void Order::warp_barrier(Clocks& clocks, std::uint32_t warp, std::uint32_t lanes) {
  const std::uint32_t first = warp * warp_lanes;
  const std::uint32_t count = std::min(warp_lanes, clocks.threads - first);
  const auto each = [&](const auto& act) { for_each_lane(warp, lanes, act); };
  Sync all;
  if (lanes == (count == warp_lanes ? ~0U : (1U << count) - 1)) {
    std::uint32_t time = 0;
    each([&](std::uint32_t rank) { time = std::max(time, clocks.now[rank]); });
    clocks.warp_before[warp] = ++time;
    clocks.newest = std::max(clocks.newest, time);
    each([&](std::uint32_t rank) { clocks.now[rank] = time; });
    if (clocks.news) each([&](std::uint32_t rank) { all.add(clocks.views[rank]); });
  } else {
    release(clocks, warp, lanes, all);
  }
  if (const View view = all.view(threads_))
    each([&](std::uint32_t rank) { learn(clocks, rank, view); });
  share(clocks, each);
}

// ---- fences and atomics

void Order::fence(Clocks& clocks, std::uint32_t rank, bool of_block) {
  if (clocks.fences.empty()) clocks.fences.resize(clocks.threads);
  Fences& fences = clocks.fences[rank];
  for (const Fences::Met& one : fences.met) {
    learn(clocks, rank, one.in_block);
    if (!of_block) {
      learn(clocks, rank, one.view);
    } else if (one.view != nullptr) {  // what it says of the own block
      std::vector<Known> own(*one.view);
      std::erase_if(own, [&](const Known& known) { return block_of(known.who) != clocks.block; });
      learn(clocks, rank, view_of(std::move(own), threads_));
    }
  }
  fences.met.clear();
  fences.published.clear();
  const View all = hand_over(clocks, rank);
  if (of_block) {
    fences.released_in_block = all;
  } else {
    fences.released = all, fences.released_in_block = nullptr;
    clocks.fenced = true;
  }
}

void Order::meet(Clocks& clocks, std::uint32_t rank, std::uint64_t place, bool in_shared,
                 bool loads, bool stores) {
  auto found = places_.find(place);
  if (clocks.fences.empty()) {
    if (found == places_.end()) return;  // nobody has fenced
    clocks.fences.resize(clocks.threads);
  }
  Fences& fences = clocks.fences[rank];
  if (loads && found != places_.end()) {
    const auto of_block = found->second.in_blocks.find(clocks.block);
    const Fences::Met now{place, found->second.view,
                          of_block == found->second.in_blocks.end() ? nullptr : of_block->second};
    const auto before = std::find_if(fences.met.begin(), fences.met.end(),
                                     [&](const Fences::Met& one) { return one.place == place; });
    if (before == fences.met.end())
      fences.met.push_back(now);
    else
      *before = {place, sum(before->view, now.view), sum(before->in_block, now.in_block)};
    clocks.met = true;
  }
  if (!stores || (fences.released == nullptr && fences.released_in_block == nullptr) ||
      std::find(fences.published.begin(), fences.published.end(), place) != fences.published.end())
    return;
  fences.published.push_back(place);
  Place& at = found == places_.end() ? places_[place] : found->second;
  at.view = sum(at.view, fences.released);
  if (fences.released_in_block == nullptr) return;
  View& of_block = in_shared ? at.view : at.in_blocks[clocks.block];
  of_block = sum(of_block, fences.released_in_block);
}

void Order::release_at(Clocks& clocks, std::uint32_t rank, std::uint64_t place, bool of_block) {
  const View all = hand_over(clocks, rank);
  View& at = of_block ? places_[place].in_blocks[clocks.block] : places_[place].view;
  at = sum(at, all);
}

void Order::acquire_at(Clocks& clocks, std::uint32_t rank, std::uint64_t place) {
  const auto found = places_.find(place);
  if (found == places_.end()) return;
  learn(clocks, rank, found->second.view);
  if (const auto own = found->second.in_blocks.find(clocks.block);
      own != found->second.in_blocks.end())
    learn(clocks, rank, own->second);
}

void Order::merge_pictures(Clocks& clocks, const Moment& when) const {
  Sum sum;
  for (const Picture& picture : clocks.pictures) sum.add(picture.view);
  clocks.pictures.assign(1, {when, sum.view(threads_)});
}

void Order::take_picture(Clocks& clocks, std::uint32_t rank) {
  if (clocks.pictures.size() >= most_pictures)  // all serve everybody then: one may be missed
    merge_pictures(clocks, {who_is(clocks.block, Actor::thread, rank), 0});
  const Moment when = clocks.moment(rank);
  clocks.pictures.push_back({when, hand_over(clocks, rank)});
}

}  // namespace abn::ptx
