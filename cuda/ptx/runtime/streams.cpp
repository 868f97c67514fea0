// Streams and events. Everything has ended when it was called, so there is nothing to wait for; an
// event remembers when it was recorded.
#include <chrono>

#include "cuda/ptx/runtime/api.hpp"
#include "cuda/ptx/runtime/state.hpp"

using namespace abn::ptx::runtime;

namespace {

struct Event {
  std::chrono::steady_clock::time_point at{};
};

int make_stream(void** stream) {
  *stream = new char;
  return remember(success);
}

int make_event(void** event) {
  *event = new Event;
  return remember(success);
}

}  // namespace

ABN_RUNTIME int cudaStreamCreate(void** stream) { return make_stream(stream); }
ABN_RUNTIME int cudaStreamCreateWithFlags(void** stream, unsigned) { return make_stream(stream); }
ABN_RUNTIME int cudaStreamCreateWithPriority(void** stream, unsigned, int) {
  return make_stream(stream);
}
ABN_RUNTIME int cudaStreamDestroy(void* stream) {
  delete static_cast<char*>(stream);
  return remember(success);
}
ABN_RUNTIME int cudaStreamSynchronize(void*) { return remember(success); }
ABN_RUNTIME int cudaStreamQuery(void*) { return remember(success); }
ABN_RUNTIME int cudaStreamWaitEvent(void*, void*, unsigned) { return remember(success); }
ABN_RUNTIME int cudaStreamIsCapturing(void*, int* status) {
  *status = 0;
  return remember(success);
}
ABN_RUNTIME int cudaEventCreate(void** event) { return make_event(event); }
ABN_RUNTIME int cudaEventCreateWithFlags(void** event, unsigned) { return make_event(event); }
ABN_RUNTIME int cudaEventRecord(void* event, void*) {
  static_cast<Event*>(event)->at = std::chrono::steady_clock::now();
  return remember(success);
}
ABN_RUNTIME int cudaEventSynchronize(void*) { return remember(success); }
ABN_RUNTIME int cudaEventQuery(void*) { return remember(success); }
ABN_RUNTIME int cudaEventElapsedTime(float* milliseconds, void* from, void* to) {
  const std::chrono::duration<float, std::milli> between =
      static_cast<Event*>(to)->at - static_cast<Event*>(from)->at;
  *milliseconds = between.count();
  return remember(success);
}
ABN_RUNTIME int cudaEventDestroy(void* event) {
  delete static_cast<Event*>(event);
  return remember(success);
}
