// The rounds of a pass: the sums of every channel, what follows from them, and the results.
//
// A channel that a thread sums alone is finished and written by the same thread at once, while it
// is in the cache. Otherwise its slices are summed by many, put together, and written in a second
// round; the tree over leaves is the same (cut.hpp), and so is every bit.
#pragma once

#include "cuda/cpu/share.hpp"
#include "cuda/cpu/sums.hpp"

namespace abn::device {
inline namespace ABN_BUILD {
namespace cpu {

// `Pass` derives from it and has, with Leaf one of sums.hpp and samples from `first` to `last`:
//   Leaf<A, 1> sum_along(c, first, last)             of one channel
//   void sum_across(c, first, last, tree)            of a block of channels from c on
//   void finish(c, leaf, j)                          when all of a channel is in column j of leaf
//   void apply_along(c, first, last), void apply_across(c, first, last)
template <class Pass, class A, template <class, int> class Leaf>
class Rounds {
 public:
  using Block = Leaf<A, block_channels>;

  // Along, whole channels: sums and results in one round.
  bool one_round() const { return whole_channels(cut_, threads_); }
  void run_in_one_round() {
    const Units units = units_of(cut_, 1, threads_, element_bytes_);
    share(units.count(), threads_, [&](int64_t unit) {
      for_channels(units, unit, [&](int64_t c) {
        pass().finish(c, pass().sum_along(c, 0, cut_.samples), 0);
        pass().apply_along(c, 0, cut_.samples);
      });
    });
  }

  void condense() {
    const int64_t slices = one_round() ? 1 : cut_.slices;
    const Units units = units_of(cut_, slices, threads_, element_bytes_);
    share(units.count(), threads_, [&](int64_t unit) {
      const int64_t slice = units.slice(unit), first = slice * cut_.slice_samples();
      const int64_t last = slices == 1 ? cut_.samples : first + cut_.samples_of(slice);
      if (cut_.across) {
        const int64_t c = units.first_channel(unit);
        LeafTree<Block> tree;
        pass().sum_across(c, first, last, tree);
        return hand_over(c, width_of(c), tree.finish(width_of(c)), slice, slices);
      }
      for_channels(units, unit, [&](int64_t c) {
        hand_over(c, 1, pass().sum_along(c, first, last), slice, slices);
      });
    });
    if (slices > 1)
      for (int64_t c = 0; c < cut_.channels; c += block_channels) merge_slices(c, width_of(c));
  }

  void apply() {
    const Units units = units_of(cut_, cut_.slices, threads_, element_bytes_);
    share(units.count(), threads_, [&](int64_t turn) {
      // from behind, where the data may still be in the cache
      const int64_t unit = units.count() - 1 - turn, slice = units.slice(unit);
      const int64_t first = slice * cut_.slice_samples(), last = first + cut_.samples_of(slice);
      if (cut_.across) return pass().apply_across(units.first_channel(unit), first, last);
      for_channels(units, unit, [&](int64_t c) { pass().apply_along(c, first, last); });
    });
  }

 protected:
  // The workspace begins with two values for each channel, first_value() and second_value(); the
  // sums of slices follow. Null for a call that needs none.
  Rounds(const abn_problem& problem, int threads, size_t element_bytes, void* workspace)
      : cut_(cut_of(problem)),
        threads_(threads_worth(cut_, threads)),
        element_bytes_(static_cast<int64_t>(element_bytes)),
        values_(static_cast<A*>(workspace)) {}

  A* first_value() const { return values_; }
  A* second_value() const { return values_ == nullptr ? nullptr : values_ + cut_.channels; }
  int64_t width_of(int64_t c) const {
    return cut_.channels - c < block_channels ? cut_.channels - c : block_channels;
  }

  const Cut cut_;
  const int threads_;

 private:
  const int64_t element_bytes_;
  A* const values_;

  const Pass& pass() const { return static_cast<const Pass&>(*this); }
  // The sums of slices, one after the other: value 0 of all channels, then value 1 ...
  A* part(int64_t slice, int value) const {
    return values_ + (2 + slice * Block::values + value) * cut_.channels;
  }
  template <class Work>
  void for_channels(const Units& units, int64_t unit, Work work) const {
    const int64_t first = units.first_channel(unit);
    for (int64_t c = first; c < first + units.channels_of_one && c < cut_.channels; ++c) work(c);
  }

  template <int Width>
  void hand_over(int64_t c, int64_t width, const Leaf<A, Width>& sums, int64_t slice,
                 int64_t slices) const {
    for (int64_t j = 0; slices == 1 && j < width; ++j) pass().finish(c + j, sums, j);
    for (int value = 0; slices > 1 && value < Block::values; ++value)
      for (int64_t j = 0; j < width; ++j) part(slice, value)[c + j] = sums.value[value][j];
  }

  void merge_slices(int64_t c, int64_t width) const {
    LeafTree<Block> tree;
    for (int64_t slice = 0; slice < cut_.slices; ++slice) {
      Block& next = tree.next();
      next.n = cut_.samples_of(slice);
      for (int value = 0; value < Block::values; ++value)
        for (int64_t j = 0; j < width; ++j) next.value[value][j] = part(slice, value)[c + j];
      tree.push(width);
    }
    const Block& all = tree.finish(width);
    for (int64_t j = 0; j < width; ++j) pass().finish(c + j, all, j);
  }
};

}  // namespace cpu
}  // namespace ABN_BUILD
}  // namespace abn::device
