// Streams and events. Everything has ended when it was called, so there is nothing to wait for; an
// event remembers when it was recorded, or in which capture.
#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/state.hpp"
#include "cuda/ptx/runtime/stream.hpp"

using namespace abn::ptx::runtime;

namespace abn::ptx::runtime {
namespace {

std::set<Stream*>& streams() {
  static auto* const all = new std::set<Stream*>;
  return *all;
}

bool is_of_thread(const void* handle) { return reinterpret_cast<std::uintptr_t>(handle) == 2; }

}  // namespace

Stream* stream_of(void* handle) {
  if (is_legacy(handle)) return nullptr;
  if (is_of_thread(handle)) {
    thread_local Stream* const own = new Stream;  // captures may outlive the thread
    return own;
  }
  auto* const stream = static_cast<Stream*>(handle);
  return streams().contains(stream) ? stream : nullptr;
}

int enqueue(void* handle, Work work) {
  const std::lock_guard lock(state().guard);
  if (in_error()) return remember(success);
  if (const int error = check_stream(handle); error != success) return remember(error);
  Stream* const stream = stream_of(handle);
  if (stream == nullptr || stream->capture == nullptr) return remember(perform(work));
  if (stream->capture->invalid) return remember(capture_invalidated);
  stream->last = {stream->capture->graph->add(std::move(work), stream->last)};
  return remember(success);
}

}  // namespace abn::ptx::runtime

namespace {

int make_stream(void** to, unsigned flags) {
  constexpr unsigned non_blocking = 1;
  const std::lock_guard lock(state().guard);
  auto* const stream = new Stream;
  stream->blocking = (flags & non_blocking) == 0;
  streams().insert(stream);
  *to = stream;
  return remember(success);
}

int make_event(void** event) {
  *event = new Event;
  return remember(success);
}

/// For calls that ask how far an event is.
int ask(void* event) {
  const std::lock_guard lock(state().guard);
  const Event& one = *static_cast<Event*>(event);
  if (one.capture == nullptr) return remember(success);
  one.capture->invalid = true;
  return remember(captured_event);
}

/// The stream goes on after the event.
int wait(Stream& stream, const Event& event) {
  if (stream.capture != nullptr && stream.capture->invalid) return capture_invalidated;
  if (event.capture == nullptr) {
    if (stream.capture == nullptr) return success;
    stream.capture->invalid = true;
    return capture_isolation;
  }
  if (event.capture->ended) return captured_event;
  if (event.capture->invalid) return capture_invalidated;
  if (stream.capture != nullptr && stream.capture != event.capture) {
    stream.capture->invalid = event.capture->invalid = true;
    return capture_merge;
  }
  if (stream.capture == nullptr) {
    stream.capture = event.capture;
    stream.capture->streams.insert(&stream);
    stream.last.clear();
  }
  for (Node* const node : event.last) {
    bool known = false;
    for (const Node* const one : stream.last) known = known || Graph::reaches(node, one);
    if (!known) stream.last.push_back(node);
  }
  return success;
}

}  // namespace

ABN_RUNTIME int cudaStreamCreate(void** stream) { return make_stream(stream, 0); }
ABN_RUNTIME int cudaStreamCreateWithFlags(void** stream, unsigned flags) {
  return make_stream(stream, flags);
}
ABN_RUNTIME int cudaStreamCreateWithPriority(void** stream, unsigned flags, int) {
  return make_stream(stream, flags);
}
ABN_RUNTIME int cudaStreamDestroy(void* handle) {
  const std::lock_guard lock(state().guard);
  auto* const stream = static_cast<Stream*>(handle);
  if (streams().erase(stream) == 0) return remember(invalid_handle);
  if (stream->capture != nullptr) {
    stream->capture->invalid = true;
    stream->capture->streams.erase(stream);
    if (stream->capture->origin == stream) end(stream->capture);
  }
  delete stream;
  return remember(success);
}
ABN_RUNTIME int cudaStreamGetFlags(void* handle, unsigned* flags) {
  const std::lock_guard lock(state().guard);
  const Stream* const stream = stream_of(handle);
  if (stream == nullptr && !is_legacy(handle)) return remember(invalid_handle);
  *flags = stream == nullptr || stream->blocking ? 0 : 1;
  return remember(success);
}
ABN_RUNTIME int cudaStreamSynchronize(void* stream) { return wait_for(stream); }
ABN_RUNTIME int cudaStreamQuery(void* stream) { return wait_for(stream); }
ABN_RUNTIME int cudaStreamWaitEvent(void* handle, void* event, unsigned) {
  const std::lock_guard lock(state().guard);
  if (const int error = check_stream(handle); error != success) return remember(error);
  Stream* const stream = stream_of(handle);
  if (stream == nullptr) return ask(event);  // the default stream cannot be captured
  return remember(wait(*stream, *static_cast<Event*>(event)));
}
ABN_RUNTIME int cudaLaunchHostFunc(void* stream, void (*function)(void*), void* data) {
  return enqueue(stream, HostCall{function, data});
}

ABN_RUNTIME int cudaEventCreate(void** event) { return make_event(event); }
ABN_RUNTIME int cudaEventCreateWithFlags(void** event, unsigned) { return make_event(event); }
ABN_RUNTIME int cudaEventRecord(void* to, void* handle) {
  const std::lock_guard lock(state().guard);
  if (const int error = check_stream(handle); error != success) return remember(error);
  const Stream* const stream = stream_of(handle);
  Event& event = *static_cast<Event*>(to);
  if (stream != nullptr && stream->capture != nullptr) {
    if (stream->capture->invalid) return remember(capture_invalidated);
    event.capture = stream->capture, event.last = stream->last;
  } else {
    event.capture = nullptr, event.at = std::chrono::steady_clock::now();
  }
  return remember(success);
}
ABN_RUNTIME int cudaEventSynchronize(void* event) { return ask(event); }
ABN_RUNTIME int cudaEventQuery(void* event) { return ask(event); }
ABN_RUNTIME int cudaEventElapsedTime(float* milliseconds, void* from, void* to) {
  if (const int error = ask(from) != success ? captured_event : ask(to); error != success)
    return error;
  const std::chrono::duration<float, std::milli> between =
      static_cast<Event*>(to)->at - static_cast<Event*>(from)->at;
  *milliseconds = between.count();
  return remember(success);
}
ABN_RUNTIME int cudaEventDestroy(void* event) {
  delete static_cast<Event*>(event);
  return remember(success);
}
