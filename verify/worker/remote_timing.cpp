// Recordings by number, and memory that both see. A GPU's memory is the worker's: bytes pass
// through a segment that both have mapped.
#include "verify/worker/remote_timing.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>

#include "verify/worker/pool_state.hpp"
#include "verify/worker/remote_variant.hpp"
#include "verify/worker/step_recorder.hpp"

namespace abn::verify::worker {
namespace {

constexpr std::size_t staged = std::size_t{8} << 20;  // bytes that pass at once

/// While it lives, the calls of this thread are noted.
class Noting {
 public:
  explicit Noting(StepRecorder& recorder) : before_(std::exchange(steps, &recorder)) {}
  ~Noting() { steps = before_; }
  Noting(const Noting&) = delete;
  Noting& operator=(const Noting&) = delete;

 private:
  StepRecorder* before_;
};

}  // namespace

class RemoteTimingDevice final : public TimingDevice {
 public:
  RemoteTimingDevice(const TimingDevice& local, Pool& pool, int gpu)
      : local_(local), pool_(*pool.state_), owner_(pool.number()), gpu_(gpu) {}
  ~RemoteTimingDevice() override {
    if (staging_ != nullptr) unshare(staging_);
    if (worker_ == nullptr) return;
    worker_->process.tell(Verb::forget, ForgetQuestion{});
    pool_.give(std::move(worker_));
  }

  std::string name() const override { return local_.name(); }
  std::string describe() const override { return local_.describe(); }
  int memory() const override { return local_.memory(); }
  double cache_bytes() const override { return local_.cache_bytes(); }
  double free_bytes() const override { return local_.free_bytes(); }
  bool has_pace() const override { return local_.has_pace(); }
  double seen() const override { return seen_; }

  void* allocate(std::size_t bytes) override {
    if (gpu_ < 0) return share(bytes, owner_);
    return reinterpret_cast<void*>(memory_deed(MemoryQuestion::Deed::allocate, nullptr, bytes));
  }
  void release(void* pointer) noexcept override {
    if (gpu_ < 0) return unshare(pointer);
    try {
      if (worker_ != nullptr) memory_deed(MemoryQuestion::Deed::release, pointer, 0);
    } catch (const std::exception&) {  // with the worker its memory is gone
    }
  }
  void upload(void* to, const void* from, std::size_t bytes) override {
    if (gpu_ < 0) {
      std::memcpy(to, from, bytes);
      return;
    }
    for (std::size_t at = 0; at < bytes; at += staged) {
      const std::size_t part = std::min(staged, bytes - at);
      std::memcpy(staging(), static_cast<const std::byte*>(from) + at, part);
      memory_deed(MemoryQuestion::Deed::upload, static_cast<std::byte*>(to) + at, part);
    }
  }
  void download(void* to, const void* from, std::size_t bytes, std::size_t pitch,
                std::size_t rows) override {
    auto* const out = static_cast<std::byte*>(to);
    const auto* const in = static_cast<const std::byte*>(from);
    if (gpu_ < 0) {
      for (std::size_t row = 0; row < rows; ++row)
        std::memcpy(out + row * bytes, in + row * pitch, bytes);
      return;
    }
    const std::size_t most =
        std::clamp<std::size_t>(staged / std::max<std::size_t>(bytes, 1), 1, most_steps);
    for (std::size_t row = 0; row < rows; row += most) {
      const std::size_t count = std::min(most, rows - row);
      for (std::size_t at = 0; at < bytes; at += staged) {  // of many rows: all of them at once
        const std::size_t part = std::min(staged, bytes - at);
        memory_deed(MemoryQuestion::Deed::download, in + row * pitch + at, part, pitch, count);
        std::memcpy(out + row * bytes + at, staging(), part * count);
      }
    }
  }
  int copy(void* to, const void* from, std::size_t bytes, void*) override {
    if (steps == nullptr) throw std::logic_error("a copy in a worker is part of a recording");
    steps->copy(to, from, bytes);
    return 0;
  }
  std::unique_ptr<Recording> record(const DeviceWork& work) override;
  double time(Recording& before, Recording& timed) override;
  void replay(Recording& before, Recording& timed) override { time(before, timed); }
  void run(const DeviceWork& work) override { ask_to_record(work, 0); }

  void forget(std::uint32_t number) {
    if (worker_ != nullptr) worker_->process.tell(Verb::forget, ForgetQuestion{number});
  }

 private:
  class Kept;

  std::byte* staging() {
    if (staging_ == nullptr) staging_ = static_cast<std::byte*>(share(staged, owner_));
    return staging_;
  }
  const char* op() const { return entry_ == Entry::forward ? "forward" : "backward"; }

  /// Asks the one worker that all of this lies in; where that ends, nothing of it is left.
  template <class Answer, class Message>
  Answer ask(Verb verb, const Message& message,
             const std::map<std::uint64_t, SharedPlace>& places = {}) {
    try {
      if (worker_ == nullptr && used_) throw CallLost(op(), "the plug-in had ended before");
      if (worker_ == nullptr) worker_ = pool_.take(), used_ = true;
      for (const auto& [segment, place] : places) pool_.map(*worker_, place);
      auto answer = worker_->process.ask<Answer>(verb, message);
      if (!answer.trouble.empty()) throw CallLost(op(), answer.trouble);
      return answer;
    } catch (const WorkerGone& gone) {
      const std::string why = "the plug-in " + pool_.bury(worker_, gone.what());
      if (called_ != nullptr) called_->lose(op(), why, false);
      throw CallLost(op(), why);
    }
  }
  std::uint64_t memory_deed(MemoryQuestion::Deed deed, const void* there, std::size_t bytes,
                            std::size_t pitch = 0, std::size_t rows = 1) {
    MemoryQuestion question;
    question.gpu = gpu_, question.deed = deed;
    question.address = reinterpret_cast<std::uint64_t>(there), question.bytes = bytes;
    question.pitch = pitch, question.rows = rows;
    if (deed == MemoryQuestion::Deed::allocate || deed == MemoryQuestion::Deed::release)
      return ask<MemoryAnswer>(Verb::memory, question).address;
    const SharedPlace place = place_of_shared(staging());
    question.host = spot_in(place, staging());
    return ask<MemoryAnswer>(Verb::memory, question, {{place.segment, place}}).address;
  }
  RecordAnswer ask_to_record(const DeviceWork& work, std::uint32_t number);

  const TimingDevice& local_;
  PoolState& pool_;
  std::uint64_t owner_;
  int gpu_;
  std::unique_ptr<Worker> worker_;
  bool used_ = false;  // a second worker would know nothing of the first one's recordings
  RemoteVariant* called_ = nullptr;
  Entry entry_{};
  std::uint32_t last_number_ = 0;
  double seen_ = 0;
  std::byte* staging_ = nullptr;
};

class RemoteTimingDevice::Kept : public Recording {
 public:
  Kept(RemoteTimingDevice& device, std::uint32_t number, RecordAnswer answer)
      : device_(device), number_(number), answer_(std::move(answer)) {}
  ~Kept() override { device_.forget(number_); }
  void enqueue() override {
    throw std::logic_error("a recording in a worker is repeated by time() and replay()");
  }
  int launches() const override { return answer_.launches; }
  std::string note() const override { return answer_.note; }
  std::uint32_t number() const { return number_; }

 private:
  RemoteTimingDevice& device_;
  std::uint32_t number_;
  RecordAnswer answer_;
};

RecordAnswer RemoteTimingDevice::ask_to_record(const DeviceWork& work, std::uint32_t number) {
  StepRecorder recorder(gpu_ >= 0);
  {
    const Noting noting(recorder);
    if (const int code = work(nullptr))
      throw CallLost(op(), "a call returned " + std::to_string(code));
  }
  recorder.question.gpu = gpu_, recorder.question.number = number;
  if (recorder.called != nullptr) called_ = recorder.called, entry_ = recorder.question.entry;
  return ask<RecordAnswer>(Verb::record, recorder.question, recorder.places);
}

std::unique_ptr<Recording> RemoteTimingDevice::record(const DeviceWork& work) {
  const std::uint32_t number = ++last_number_;
  return std::make_unique<Kept>(*this, number, ask_to_record(work, number));
}

double RemoteTimingDevice::time(Recording& before, Recording& timed) {
  using Clock = std::chrono::steady_clock;
  const TimeQuestion question{dynamic_cast<Kept&>(before).number(),
                              dynamic_cast<Kept&>(timed).number()};
  const Clock::time_point begin = Clock::now();
  const auto answer = ask<TimeAnswer>(Verb::time, question);
  seen_ = std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
  constexpr double microsecond = 1e3;  // nanoseconds
  return static_cast<double>(answer.nanoseconds) / microsecond;
}

std::unique_ptr<TimingDevice> remote_timing_device(const TimingDevice& local, Pool& pool, int gpu) {
  return std::make_unique<RemoteTimingDevice>(local, pool, gpu);
}

}  // namespace abn::verify::worker
