// The kernel of a launch by its symbol, and the launch.
#include "tests/ptx/planted/executed_scene.hpp"

#include <dlfcn.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "cuda/ptx/read/parser.hpp"
#include "cuda/ptx/run/decode.hpp"
#include "cuda/ptx/run/machine.hpp"
#include "tests/command/process.hpp"

namespace abn::tests {
namespace {

using emulator::Finding;

/// One file of the fixture, with its variables in memory.
class Text {
 public:
  explicit Text(const std::string& file) : module_(ptx::parse_module(contents(file))) {
    for (const ptx::Variable& variable : module_->variables) {
      if (variable.space != ptx::Space::global && variable.space != ptx::Space::constant) continue;
      std::vector<std::uint64_t>& words = memory_.emplace_back(variable.bytes / 8 + 1);
      std::memcpy(words.data(), variable.content.data(), variable.content.size());
      ptx::Range range;
      range.begin = symbols_[variable.name] = reinterpret_cast<std::uint64_t>(words.data());
      range.end = range.begin + variable.bytes, range.name = variable.name;
      ranges_.push_back(range);
    }
  }
  const ptx::Program* program(const std::string& symbol) {
    if (const auto known = programs_.find(symbol); known != programs_.end()) return &known->second;
    for (const ptx::Kernel& kernel : module_->kernels)
      if (kernel.name == symbol)
        return &programs_.emplace(symbol, ptx::decode(*module_, kernel, symbols_)).first->second;
    return nullptr;
  }
  const std::vector<ptx::Range>& ranges() const { return ranges_; }

 private:
  std::unique_ptr<ptx::Module> module_;
  std::vector<std::vector<std::uint64_t>> memory_;
  ptx::Symbols symbols_;
  std::vector<ptx::Range> ranges_;
  std::map<std::string, ptx::Program> programs_;
};

std::vector<Text>& texts() {
  static std::vector<Text> all = [] {
    std::vector<Text> read;
    for (const auto& file : std::filesystem::directory_iterator("fixtures/ptx/planted"))
      if (file.path().extension() == ".ptx") read.emplace_back(file.path().string());
    return read;
  }();
  return all;
}

const ptx::Program& program_of(const std::string& symbol) {
  for (Text& text : texts())
    if (const ptx::Program* const program = text.program(symbol)) return *program;
  throw std::runtime_error("fixtures/ptx/planted has no kernel " + symbol +
                           "; run tests/ptx/planted/compile.sh");
}

std::string symbol_of(const void* kernel) {
  Dl_info found{};
  if (dladdr(kernel, &found) == 0 || found.dli_sname == nullptr || found.dli_saddr != kernel)
    throw std::runtime_error(
        "a planted kernel has no symbol; move it out of the unnamed namespace");
  return found.dli_sname;
}

}  // namespace

ExecutedScene::ExecutedScene(std::uint64_t seed) : seed_(seed) {
  for (const Text& text : texts())
    for (const ptx::Range& range : text.ranges()) memory_.add(range);
}

void ExecutedScene::launch(const Launched& what, const std::function<void()>&) {
  const ptx::Program& program = program_of(symbol_of(what.kernel));
  const auto size = [](const Launched::Size& from) { return ptx::Size3{from.x, from.y, from.z}; };
  ptx::Configuration how;
  how.grid = size(what.grid), how.block = size(what.block), how.cluster = size(what.cluster);
  how.dynamic_shared = static_cast<std::uint32_t>(what.shared_bytes);
  how.cooperative = what.cooperative, how.seed = seed_, how.sanitize = true;
  how.most_idle = 100000;  // as on the emulator, so that endless loops end in a moment
  how.parameters.resize(program.kernel->parameter_bytes);
  std::size_t index = 0;
  for (const ptx::Parameter& parameter : program.kernel->parameters)
    std::memcpy(how.parameters.data() + parameter.offset, what.arguments[index++], parameter.bytes);
  ptx::Outcome outcome = ptx::run(program, how, &memory_);
  for (Finding& finding : outcome.findings) findings_.push_back(std::move(finding));
}

void ExecutedScene::watch(const emulator::WatchedBuffer& buffer) {
  ptx::Range range;
  range.begin = reinterpret_cast<std::uint64_t>(buffer.data);
  range.end = range.begin + buffer.bytes, range.name = buffer.name;
  range.element_bytes = buffer.element_bytes, range.writable = buffer.writable;
  range.watched = true;
  range.shadow.assign(buffer.bytes, buffer.written ? std::uint8_t{ptx::byte_written} : 0);
  memory_.add(range);
}

}  // namespace abn::tests
