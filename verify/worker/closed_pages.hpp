// Pages that a call may not touch: closed while it runs, and whoever touches one is reported.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "verify/worker/protocol.hpp"

namespace abn::verify::worker {

/// Closes pages of a segment while it lives. A touch of one ends the process, and with it the call
/// of whichever thread it was; `answer` is then sent on question_descriptor in place of the call's
/// own, with the place and the kind of the touch in its last two fields. A signal from elsewhere
/// ends the process as ever. One at a time. Throws NoMessage for ranges that are no pages of it.
class ClosedPages {
 public:
  ClosedPages(std::byte* segment, std::size_t bytes, std::span<const ClosedRange> closed,
              std::vector<std::byte> answer);
  ~ClosedPages();
  ClosedPages(const ClosedPages&) = delete;
  ClosedPages& operator=(const ClosedPages&) = delete;

 private:
  void protect(int how) const;
};

}  // namespace abn::verify::worker
