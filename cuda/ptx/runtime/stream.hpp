// Streams, what they do with work, and captures of it. Work is done when it is enqueued, but for a
// stream that is captured: then it becomes a node of a graph, after what the stream did before.
//
// What a capture does not allow ends it, as the toolkit documents: the call, and all that the
// streams of the capture do from then on, return an error, until cudaStreamEndCapture has returned
// one, too.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "cuda/ptx/runtime/graph.hpp"

namespace abn::ptx::runtime {

enum CaptureMode : int { capture_global = 0, capture_of_thread = 1, capture_relaxed = 2 };

struct Stream;

struct Capture {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  Stream* origin = nullptr;
  std::set<Stream*> streams;
  int mode = capture_global;
  std::thread::id thread;
  std::uint64_t id = 0;
  bool invalid = false, ended = false;
};

struct Stream {
  bool blocking = true;  ///< waits for the legacy stream, and that for it
  std::shared_ptr<Capture> capture;
  std::vector<Node*> last;  ///< what the next node comes after
};

struct Event {
  std::chrono::steady_clock::time_point at{};
  std::shared_ptr<Capture> capture;  ///< in which it was last recorded
  std::vector<Node*> last;
};

/// The default stream, by 0 or cudaStreamLegacy.
inline bool is_legacy(const void* handle) { return reinterpret_cast<std::uintptr_t>(handle) <= 1; }
/// Null for the default stream, and for what is no stream.
Stream* stream_of(void* handle);
/// The error of a handle that is no stream, or of the default stream while a stream that waits for
/// it is captured; such captures end. Else 0.
int check_stream(void* handle);

/// Does the work, or captures it: what the call returns.
int enqueue(void* stream, Work work);

/// For calls that no stream sees, as cudaMalloc: 0, or the error where a capture forbids them.
int outside_of_captures();
/// For calls that wait for all streams, or for one.
int wait_for_all();
int wait_for(void* stream);

/// Takes all streams out of the capture.
void end(std::shared_ptr<Capture> capture);

/// All captures that have begun and not ended.
std::set<std::shared_ptr<Capture>>& captures();

}  // namespace abn::ptx::runtime
