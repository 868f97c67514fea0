// Scenes on the emulator, and the lines that a run has marked as defects.
#pragma once

#include <set>
#include <string>

#include "tests/cuda/planted_kernels/planted.hpp"

namespace abn::tests {

// A session of the emulator.
class EmulatedScene : public Scene {
 public:
  explicit EmulatedScene(const emulator::Settings& settings) : session_(settings) {}
  emulator::Session& session() { return session_; }
  void launch(const Launched& what, const std::function<void()>& here) override;

 private:
  void watch(const emulator::WatchedBuffer& buffer) override;
  emulator::Session session_;
};

// Lines that defect() stood on, since this thread set `marked`.
struct Lines {
  std::set<unsigned> lines;
  std::string file;
};
extern thread_local Lines* marked;

}  // namespace abn::tests
