// The worker's side of the protocol: loads one plug-in, calls it when asked, and knows nothing of
// what is right.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "verify/worker/library.hpp"
#include "verify/worker/packet_socket.hpp"
#include "verify/worker/timing_device.hpp"

namespace abn::verify::worker {

/// Memory of a GPU that stands for a part of a segment while a call runs. Throws std::exception.
class Accelerator {
 public:
  virtual ~Accelerator() = default;
  /// Copies the bytes to the GPU; where they lie there.
  virtual std::byte* upload(const std::byte* from, std::size_t bytes) = 0;
  virtual void* stream() = 0;
  /// Waits for the stream and copies everything back.
  virtual void download(std::byte* to, std::size_t bytes) = 0;
};

/// GPU `index`. Throws std::exception where there is none.
using MakeAccelerator = std::unique_ptr<Accelerator> (*)(int index);

/// How a process answers that has its variants already, or makes them of what the judge names.
struct Host {
  int socket = question_descriptor;
  /// The variants behind a path; throws std::exception, whose text is why it is refused.
  std::function<Variants(const std::string& path)> open;
  bool shared = false;  ///< the process does other things as well, and its children are its own
};

/// Answers the questions that come on the socket until it is told to quit or nobody asks any more.
/// Empty, or what was wrong with a question, so that there was nothing to answer.
std::string serve(Host host);

/// Answers the questions that come on question_descriptor until it is told to quit or nobody asks
/// any more: the exit code.
int serve(MakeAccelerator accelerator, MakeTimingDevice timing);

}  // namespace abn::verify::worker
