// Scenes on the executor of compiled kernels: what the planted kernels are there, as nvcc made them
// (fixtures/ptx/planted).
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/ptx/state/memory.hpp"
#include "tests/cuda/planted_kernels/planted.hpp"

namespace abn::tests {

class ExecutedScene : public Scene {
 public:
  explicit ExecutedScene(std::uint64_t seed);
  void launch(const Launched& what, const std::function<void()>& here) override;
  const std::vector<emulator::Finding>& findings() const { return findings_; }

 private:
  void watch(const emulator::WatchedBuffer& buffer) override;
  std::uint64_t seed_;
  ptx::GlobalMemory memory_;
  std::vector<emulator::Finding> findings_;
};

}  // namespace abn::tests
