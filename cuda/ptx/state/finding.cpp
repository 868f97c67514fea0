// The words of findings.
#include <algorithm>
#include <bit>

#include "cuda/ptx/state/block.hpp"
#include "cuda/ptx/state/special.hpp"

namespace abn::ptx {
namespace {

std::string triple(const Size3& at) {
  return "(" + std::to_string(at.x) + ", " + std::to_string(at.y) + ", " + std::to_string(at.z) +
         ")";
}

emulator::Finding finding_at(const Warp& warp, const Instruction& in, unsigned lane,
                             const char* kind, const std::string& what) {
  emulator::Finding finding;
  finding.kind = kind;
  finding.kernel = warp.block->launch->program->kernel->name;
  finding.text = what + " (" + place_text(warp, in, lane) + ")";
  const Size3 thread = thread_of(warp, lane), &block = warp.block->index;
  finding.block[0] = block.x, finding.block[1] = block.y, finding.block[2] = block.z;
  finding.thread[0] = thread.x, finding.thread[1] = thread.y, finding.thread[2] = thread.z;
  finding.line = in.line;
  finding.file = "PTX";
  return finding;
}

}  // namespace

std::string place_of(const Warp& warp, const Instruction& in) {
  std::string text = "PTX line " + std::to_string(in.line);
  const auto& files = warp.block->launch->program->module->files;
  if (in.source.line != 0 && in.source.file < files.size())
    text += ", " + files[in.source.file] + ":" + std::to_string(in.source.line);
  return text;
}

std::string place_text(const Warp& warp, const Instruction& in, unsigned lane) {
  return place_of(warp, in) + ", by block " + triple(warp.block->index) + ", thread " +
         triple(thread_of(warp, lane));
}

void stop(const Warp& warp, const Instruction& in, unsigned lane, const char* kind,
          const std::string& what, const std::string& buffer, std::int64_t element) {
  emulator::Finding finding = finding_at(warp, in, lane, kind, what);
  finding.buffer = buffer, finding.element = element;
  throw Stop{std::move(finding)};
}

void note(const Warp& warp, const Instruction& in, unsigned lane, const char* kind,
          const std::string& what, const std::string& buffer, std::int64_t element) {
  Launch& launch = *warp.block->launch;
  const bool race = kind == std::string(emulator::data_race);
  const std::uint64_t mark =
      2 * static_cast<std::uint64_t>(&in - launch.program->code.data()) + (race ? 1 : 0);
  if (std::find(launch.reported.begin(), launch.reported.end(), mark) != launch.reported.end())
    return;
  launch.reported.push_back(mark);
  emulator::Finding finding = finding_at(warp, in, lane, kind, what);
  finding.buffer = buffer, finding.element = element;
  launch.findings.push_back(std::move(finding));
}

}  // namespace abn::ptx
