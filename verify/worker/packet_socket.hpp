// One end of the socket between judge and worker: whole packets, with a file descriptor where one
// is passed.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace abn::verify::worker {

/// The descriptors that a worker's program is started with, beside 0, 1 and 2.
inline constexpr int question_descriptor = 3, supervisor_descriptor = 4;

struct Packet {
  std::vector<std::byte> bytes;
  int descriptor = -1;  ///< passed along; whoever receives it closes it
};

/// False if nobody listens at the other end any more.
bool send_packet(int socket, std::span<const std::byte> bytes, int descriptor = -1);

/// Waits for a packet; nothing where the other end is closed.
std::optional<Packet> receive_packet(int socket);

}  // namespace abn::verify::worker
