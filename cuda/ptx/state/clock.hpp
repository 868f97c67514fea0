// When an access was made, and what somebody knows of the accesses of others.
//
// A thread counts its time, which goes on wherever it hands over what it did: at a barrier, a
// fence, a release. A moment names all accesses of one thread at one time. What a thread knows is a
// view: of some threads everything before a time, and of some blocks everything that all of their
// threads did before a time. Threads of a block meet at its barriers all the time, so a view holds
// little beyond a line for each block that it has heard of. Views never change once they are made,
// and all who know the same share one.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace abn::ptx {

/// Who accesses memory, by the number of a block in the grid.
using Who = std::uint64_t;
enum class Actor : std::uint8_t {
  block,         ///< all threads of it
  thread,        ///< by its rank
  elements,      ///< of cp.async, by the rank of the thread that began them
  store_reads,   ///< of bulk copies in groups of a thread: what they read,
  store_writes,  ///< and what they write
  counted,       ///< copies that count at an mbarrier, by its place in shared memory / 8
};
inline constexpr int block_shift = 24, actor_shift = 20;
constexpr Who who_is(std::uint64_t block, Actor actor, std::uint32_t number = 0) {
  return block << block_shift | std::uint64_t{static_cast<std::uint8_t>(actor)} << actor_shift |
         number;
}
constexpr std::uint64_t block_of(Who who) { return who >> block_shift; }
constexpr Actor actor_of(Who who) { return static_cast<Actor>(who >> actor_shift & 15); }
constexpr std::uint32_t number_of(Who who) {
  return static_cast<std::uint32_t>(who & ((1U << actor_shift) - 1));
}

struct Moment {
  Who who = 0;  ///< 0: nobody
  std::uint32_t time = 0;
};

/// Everything of somebody before a time.
struct Known {
  Who who = 0;
  std::uint32_t before = 0;
};
/// Sorted, each one once; null: nothing.
using View = std::shared_ptr<const std::vector<Known>>;

bool knows(const View& view, const Moment& moment);
/// Whether the view says anything of this block's threads.
bool has_heard_of(const View& view, std::uint64_t block);

/// Of these in any order. All `threads` of a block together are the block.
View view_of(std::vector<Known> all, std::uint32_t threads);
View join(const View& a, const View& b, std::uint32_t threads);

/// The sum of many views, and of what else is known.
class Sum {
 public:
  explicit Sum(std::vector<Known> some = {}) : all_(std::move(some)) {}
  void add(const View& view);
  View view(std::uint32_t threads);

 private:
  std::vector<Known> all_;
  View only_, last_;
  bool several_ = false;
};

}  // namespace abn::ptx
