// The same call with its buffers elsewhere: at other addresses, and as little aligned as the
// variant's claims allow.
//
// A sum whose order depends on where a tensor begins, or a result that was remembered by its
// address, shows here. Earlier calls keep their memory, so that no address comes twice.
//
// In two more calls of a plug-in that runs on the host its buffers end, or begin, at pages that
// nobody may touch. Guards of words see writes; these see reads, too. What they do not see is what
// no alignment can tell: a load of an aligned vector that holds an element of the buffer and some
// bytes beyond stays within the page, and harms nobody on any machine.
#include "verify/check/calls/ways.hpp"
#include "verify/data/random.hpp"

namespace abn::verify::check::calls {

Found move_buffers(const CallCase& one) {
  using call::Placement;
  constexpr Placement placements[] = {Placement::aligned, Placement::aligned, Placement::shifted,
                                      Placement::mixed,   Placement::shifted, Placement::mixed,
                                      Placement::mixed,   Placement::aligned};
  const DataSet set(one.subject, one.inputs, one.claims, one.seed);
  if (!set.obstacle().empty()) return {{}, set.obstacle(), {}};
  const data::Stream draw = data::Stream(one.seed ^ 0x656c7365U);  // "else"
  Found found;
  found.is_beyond = !set.fault().empty();
  for (const Direction direction : set.directions()) {
    std::vector<call::Call> kept;
    for (std::uint64_t turn = 0; turn < std::size(placements) && !found.broken; ++turn) {
      call::CallSettings settings = set.settings();
      // In pages of even and of odd numbers, whichever the first call met.
      settings.where = {placements[turn], draw.bits(turn), static_cast<int>(turn / 2)};
      kept.push_back(set.call(direction, settings));
      found.broken = set.wrong_in("elsewhere", direction, kept.back(), true,
                                  "with its buffers at other addresses");
      if (found.broken && !set.keeps_bounds(kept.back())) found.is_beyond = true;
    }
    if (one.subject.workers == nullptr || one.subject.device->memory() != ABN_MEMORY_HOST) continue;
    for (const Placement by_page : {Placement::ends_at_page, Placement::begins_at_page}) {
      if (found.broken) break;
      call::CallSettings settings = set.settings();
      settings.where = {by_page, 0};
      const call::Call call = set.call(direction, settings);
      found.broken = set.wrong_in("elsewhere", direction, call, true,
                                  by_page == Placement::ends_at_page
                                      ? "with buffers that end at pages nobody may touch"
                                      : "with buffers that begin at pages nobody may touch");
      if (found.broken && !set.keeps_bounds(call)) found.is_beyond = true;
      found.is_unexplained = !call.touched.empty();  // the reason says it all
    }
  }
  return found;
}

}  // namespace abn::verify::check::calls
