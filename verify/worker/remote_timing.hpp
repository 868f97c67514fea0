// A worker of a plug-in as the place where one of its variants is timed. What is recorded and timed
// is in there; the judge fills the memory, reads it, and has a clock beside the worker's.
#pragma once

#include <memory>

#include "verify/worker/pool.hpp"
#include "verify/worker/timing_device.hpp"

namespace abn::verify::worker {

/// `local`: the judge's own device of that kind, which says what it is; it outlives this one.
/// `gpu`: its number, or -1 for the host. All that waits for the worker throws CallLost where that
/// ends or says what went wrong. Memory of the host is that of share(), so the judge reads what
/// lies there.
std::unique_ptr<TimingDevice> remote_timing_device(const TimingDevice& local, Pool& pool, int gpu);

}  // namespace abn::verify::worker
