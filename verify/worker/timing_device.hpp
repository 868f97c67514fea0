// Where kernels are timed: memory, recordings of work, and a clock. A GPU records CUDA graphs and
// times them by events; the host repeats the calls and looks at its own clock, which says nothing
// of a GPU but runs the same course. A worker has one for the calls of its plug-in.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <string>

namespace abn::verify::worker {

/// DeviceWork that was recorded once and can be repeated.
class Recording {
 public:
  Recording() = default;
  virtual ~Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  virtual void enqueue() = 0;        ///< throws DeviceError
  virtual int launches() const = 0;  ///< of kernels in it; -1: unknown
  /// what a reader has to know of how it was recorded
  virtual std::string note() const { return {}; }
};

/// What is enqueued on a stream; returns 0, or the code of what went wrong.
using DeviceWork = std::function<int(void* stream)>;

class TimingDevice {
 public:
  TimingDevice() = default;
  virtual ~TimingDevice() = default;
  TimingDevice(const TimingDevice&) = delete;
  TimingDevice& operator=(const TimingDevice&) = delete;
  virtual std::string name() const = 0;      ///< "cuda:0", "emulator"
  virtual std::string describe() const = 0;  ///< for people
  virtual int memory() const = 0;            ///< ABN_MEMORY_HOST or ABN_MEMORY_CUDA
  virtual double cache_bytes() const = 0;    ///< of the second-level cache
  virtual double free_bytes() const = 0;
  virtual void* allocate(std::size_t bytes) = 0;  ///< 256-byte aligned; throws DeviceError
  virtual void release(void* pointer) noexcept = 0;
  /// returns when it is done
  virtual void upload(void* to, const void* from, std::size_t bytes) = 0;
  /// `rows` of `bytes` each, `pitch` apart in the device's memory, put together; waits for what is
  /// enqueued
  virtual void download(void* to, const void* from, std::size_t bytes, std::size_t pitch,
                        std::size_t rows) = 0;
  /// Do the floors run at the pace of the device's memory, so that nothing is faster?
  virtual bool has_pace() const { return true; }
  /// within the device's memory, enqueued
  virtual int copy(void* to, const void* from, std::size_t bytes, void* stream) = 0;
  /// Runs the work once while it is recorded where there is no other way. Throws DeviceError where
  /// it fails.
  virtual std::unique_ptr<Recording> record(const DeviceWork& work) = 0;
  /// Enqueues both one after the other; microseconds that the second took.
  virtual double time(Recording& before, Recording& timed) = 0;
  /// Enqueues both likewise, without a look at the clock.
  virtual void replay(Recording& before, Recording& timed) {
    run([&](void*) {
      before.enqueue(), timed.enqueue();
      return 0;
    });
  }
  virtual void run(const DeviceWork& work) = 0;  ///< at once, and waits
  /// Microseconds that the judge's own clock saw of the last time(), all that was enqueued, the
  /// question and its answer together; NaN where time() is of this process.
  virtual double seen() const { return std::numeric_limits<double>::quiet_NaN(); }
};

/// For GPU `index`, or the host where that is negative.
using MakeTimingDevice = std::unique_ptr<TimingDevice> (*)(int index);

}  // namespace abn::verify::worker
