// Notes what a recording is made of, in the judge: copies and calls become the steps of a message,
// and pointers become places in the memory that the worker sees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>

#include "verify/worker/shared_memory.hpp"
#include "verify/worker/timing_protocol.hpp"

namespace abn::verify::worker {

class RemoteVariant;

Spot spot_in(const SharedPlace& place, const void* pointer);

/// Notes the calls of this thread instead of making them, while `steps` points to it.
class StepRecorder {
 public:
  explicit StepRecorder(bool on_gpu) : on_gpu_(on_gpu) {}
  void copy(const void* to, const void* from, std::size_t bytes);
  void call(RemoteVariant& variant, const VariantQuestion& which, Entry entry,
            const abn_problem& problem, std::size_t workspace_bytes,
            std::initializer_list<const void*> pointers);

  RecordQuestion question;
  RemoteVariant* called = nullptr;              ///< whose calls they are
  std::map<std::uint64_t, SharedPlace> places;  ///< in each segment that they use

 private:
  Spot spot(const void* pointer);
  bool on_gpu_;
};

inline thread_local StepRecorder* steps = nullptr;

}  // namespace abn::verify::worker
