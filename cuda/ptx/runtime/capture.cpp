// Captures of streams: their beginning, their end, and what is not allowed between.
#include <algorithm>

#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/stream.hpp"
#include "cuda/ptx/runtime/toolkits/toolkit.hpp"

using namespace abn::ptx::runtime;

namespace abn::ptx::runtime {
namespace {

/// How this thread's calls get along with captures (cudaThreadExchangeStreamCaptureMode).
thread_local int mode_of_thread = capture_global;

/// May this thread make no calls that streams do not see, because of that capture?
bool forbids_calls(const Capture& capture) {
  if (mode_of_thread == capture_relaxed || capture.mode == capture_relaxed) return false;
  if (capture.thread == std::this_thread::get_id()) return true;
  return mode_of_thread == capture_global && capture.mode == capture_global;
}

bool has_blocking_stream(const Capture& capture) {
  return std::any_of(capture.streams.begin(), capture.streams.end(),
                     [](const Stream* stream) { return stream->blocking; });
}

/// Ends the usefulness of every capture that is meant: was there one?
template <class Meant>
bool invalidate(Meant meant) {
  bool any = false;
  for (const auto& capture : captures())
    if (meant(*capture)) any = capture->invalid = true;
  return any;
}

}  // namespace

std::set<std::shared_ptr<Capture>>& captures() {
  static auto* const all = new std::set<std::shared_ptr<Capture>>;
  return *all;
}

int check_stream(void* handle) {
  if (is_legacy(handle))
    return invalidate(has_blocking_stream) ? capture_implicit : static_cast<int>(success);
  return stream_of(handle) == nullptr ? invalid_handle : success;
}

int outside_of_captures() {
  const std::lock_guard lock(state().guard);
  return invalidate(forbids_calls) ? capture_unsupported : success;
}

int wait_for_all() {
  const std::lock_guard lock(state().guard);
  return remember(invalidate([](const Capture&) { return true; }) ? capture_unsupported : success);
}

int wait_for(void* handle) {
  const std::lock_guard lock(state().guard);
  if (const int error = check_stream(handle); error != success) return remember(error);
  const Stream* const stream = stream_of(handle);
  if (stream == nullptr || stream->capture == nullptr) return remember(success);
  stream->capture->invalid = true;
  return remember(capture_unsupported);
}

void end(std::shared_ptr<Capture> capture) {
  for (Stream* const stream : capture->streams) stream->last.clear(), stream->capture = nullptr;
  capture->streams.clear(), capture->ended = true;
  captures().erase(capture);
}

}  // namespace abn::ptx::runtime

ABN_RUNTIME int cudaStreamBeginCapture(void* handle, int mode) {
  static std::uint64_t made = 0;
  const std::lock_guard lock(state().guard);
  if (is_legacy(handle)) return remember(capture_unsupported);
  Stream* const stream = stream_of(handle);
  if (stream == nullptr) return remember(invalid_handle);
  if (mode < capture_global || mode > capture_relaxed) return remember(invalid_value);
  if (stream->capture != nullptr) return remember(illegal_state);
  stream->capture = std::make_shared<Capture>();
  Capture& capture = *stream->capture;
  capture.origin = stream, capture.mode = mode, capture.id = ++made;
  capture.thread = std::this_thread::get_id();
  capture.streams.insert(stream);
  captures().insert(stream->capture);
  return remember(success);
}

ABN_RUNTIME int cudaStreamEndCapture(void* handle, void** graph) {
  const std::lock_guard lock(state().guard);
  *graph = nullptr;
  Stream* const stream = stream_of(handle);
  if (stream == nullptr) return remember(invalid_handle);
  if (stream->capture == nullptr) return remember(illegal_state);
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture->origin != stream) {
    capture->invalid = true;
    return remember(capture_unmatched);
  }
  if (capture->mode != capture_relaxed && capture->thread != std::this_thread::get_id())
    return remember(capture_wrong_thread);
  const auto joined = [&](const Node* node) {
    return std::any_of(stream->last.begin(), stream->last.end(),
                       [&](const Node* last) { return Graph::reaches(node, last); });
  };
  bool all_joined = true;
  for (const Stream* const other : capture->streams)
    all_joined = all_joined && std::all_of(other->last.begin(), other->last.end(), joined);
  end(capture);
  if (capture->invalid) return remember(capture_invalidated);
  if (!all_joined) return remember(capture_unjoined);
  *graph = keep(std::move(capture->graph));
  return remember(success);
}

int abn_ptx_capture_info(void* handle, int* status, std::uint64_t* id, void** graph,
                         void* const** dependencies, std::size_t* count) {
  enum { none = 0, active = 1, invalidated = 2 };
  const std::lock_guard lock(state().guard);
  if (is_legacy(handle)) {
    for (const auto& capture : captures())
      if (has_blocking_stream(*capture)) return remember(capture_implicit);
    *status = none;
    return remember(success);
  }
  const Stream* const stream = stream_of(handle);
  if (stream == nullptr) return remember(invalid_handle);
  *status = stream->capture == nullptr ? none : stream->capture->invalid ? invalidated : active;
  if (*status != active) return remember(success);
  if (id != nullptr) *id = stream->capture->id;
  if (graph != nullptr) *graph = stream->capture->graph.get();
  if (dependencies != nullptr) *dependencies = reinterpret_cast<void* const*>(stream->last.data());
  if (count != nullptr) *count = stream->last.size();
  return remember(success);
}

ABN_RUNTIME int cudaStreamIsCapturing(void* handle, int* status) {
  return abn_ptx_capture_info(handle, status, nullptr, nullptr, nullptr, nullptr);
}

ABN_RUNTIME int cudaThreadExchangeStreamCaptureMode(int* mode) {
  if (*mode < capture_global || *mode > capture_relaxed) return remember(invalid_value);
  std::swap(*mode, mode_of_thread);
  return remember(success);
}
