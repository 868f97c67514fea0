// The state, modules in memory, and a launch with its findings.
#include "cuda/ptx/runtime/state.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "cuda/ptx/read/fat_binary.hpp"
#include "cuda/ptx/read/parser.hpp"
#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/runtime/forms_met.hpp"

namespace abn::ptx::runtime {

State& state() {
  static State* const only = new State;
  return *only;
}

int& last_error() {
  thread_local int error = success;
  return error;
}

int remember(int error) {
  if (in_error()) error = state().context_error;
  if (error != success) last_error() = error;
  return error;
}

LoadedModule::LoadedModule(std::string text) : module_(parse_module(std::move(text))) {
  constexpr std::uint64_t boundary = 256;
  for (const Variable& variable : module_->variables) {
    if (variable.space != Space::global && variable.space != Space::constant) continue;
    memory_.push_back(std::make_unique<std::byte[]>(variable.bytes + 2 * boundary));
    const auto address = reinterpret_cast<std::uint64_t>(memory_.back().get());
    const std::uint64_t begin = (address + boundary - 1) / boundary * boundary;
    if (!variable.content.empty())
      std::memcpy(reinterpret_cast<void*>(begin), variable.content.data(), variable.content.size());
    symbols_[variable.name] = begin;
    Range range;
    range.begin = begin, range.end = begin + variable.bytes, range.name = variable.name;
    if (variable.bytes > 0) state().memory.add(range);
  }
}

LoadedModule& Image::module() {
  if (loaded == nullptr) loaded = std::make_unique<LoadedModule>(ptx_of(data).back());
  return *loaded;
}

const Program& LoadedModule::program(const std::string& name) {
  std::unique_ptr<Program>& program = programs_[name];
  if (program == nullptr) {
    for (const Kernel& kernel : module_->kernels)
      if (kernel.name == name)
        program = std::make_unique<Program>(decode(*module_, kernel, symbols_));
    if (program == nullptr)
      throw Refused("the PTX has no kernel " + name + "; name one that it has");
  }
  return *program;
}

void* LoadedModule::variable(const std::string& name) {
  const auto at = symbols_.find(name);
  return at == symbols_.end() ? nullptr : reinterpret_cast<void*>(at->second);
}

namespace {

int error_of(const emulator::Finding& finding) {
  return finding.kind == emulator::launch_configuration ? invalid_configuration
         : finding.kind == emulator::out_of_bounds || finding.kind == emulator::read_only_write ||
                 finding.kind == emulator::wrong_space
             ? illegal_address
             : launch_failure;
}

/// What each line of the kernel had executed, the most first. A .loc without a line is the
/// compiler's way to say that an instruction is of none.
std::vector<emulator::LineCount> lines_of(const Program& program, const Outcome& outcome) {
  constexpr std::size_t most_lines = 64;
  std::map<std::pair<unsigned, unsigned>, std::uint64_t> counts;
  for (std::size_t i = 0; i < outcome.executed.size(); ++i)
    if (const SourceLine& at = program.code[i].outermost; at.line != 0)
      counts[{at.file, at.line}] += outcome.executed[i];
  std::vector<emulator::LineCount> lines;
  for (const auto& [at, count] : counts)
    if (count != 0 && at.first < program.module->files.size())
      lines.push_back({program.module->files[at.first], at.second, count});
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.instructions > b.instructions; });
  if (lines.size() > most_lines) lines.resize(most_lines);
  return lines;
}

/// The error of a kernel that has begun; one that was only configured wrongly has not.
int leave_behind(int error) {
  if (error != invalid_configuration) state().context_error = error;
  return error;
}

void keep_traffic(State& all, const std::string& kernel, const Program& program,
                  const Outcome& outcome) {
  emulator::LaunchTraffic launch;
  launch.kernel = kernel;
  launch.instructions = outcome.instructions, launch.divergences = outcome.splits;
  launch.lines = lines_of(program, outcome);
  for (Range& range : all.memory.ranges()) {
    if (!range.watched) continue;
    launch.buffers.push_back({range.name, range.bytes_loaded, range.bytes_stored,
                              range.load_requests, range.store_requests, range.load_sectors,
                              range.store_sectors, range.atomics});
    launch.accesses += range.load_requests + range.store_requests;
    range.bytes_loaded = range.bytes_stored = range.load_requests = range.store_requests = 0;
    range.load_sectors = range.store_sectors = range.atomics = 0;
  }
  // Behind the buffers, shared memory: of it only the turns beyond the first of an access count.
  launch.buffers.push_back({"shared memory", 0, 0, 0, 0, outcome.replays, 0, 0});
  all.session->report.traffic.push_back(std::move(launch));
}

void say(State& all, const emulator::Finding& finding) {
  all.last_finding = finding.kind + ": " + finding.kernel + ": " + finding.text;
  if (all.session)
    all.session->report.findings.push_back(finding);
  else
    std::fprintf(stderr, "abn-verify ptx: %s\n", all.last_finding.c_str());
}

}  // namespace

std::vector<std::byte> parameters_of(LoadedModule& module, const std::string& kernel,
                                     void** arguments) {
  const Kernel& found = *module.program(kernel).kernel;
  std::vector<std::byte> values(found.parameter_bytes);
  std::size_t index = 0;
  for (const Parameter& parameter : found.parameters)
    std::memcpy(values.data() + parameter.offset, arguments[index++], parameter.bytes);
  return values;
}

int launch(LoadedModule& module, const std::string& kernel, Configuration configuration) {
  State& all = state();
  const std::lock_guard lock(all.guard);
  if (in_error()) return all.context_error;
  try {
    const Program& program = module.program(kernel);
    if (all.session) {
      configuration.sanitize = all.session->sanitize;
      configuration.seed = all.session->seed == 0 ? 0 : all.session->seed + all.session->launches;
      ++all.session->launches;
    }
    configuration.count = are_forms_asked_for();
    Outcome outcome = run(program, std::move(configuration), &all.memory);
    all.counts[0] += outcome.instructions, all.counts[1] += outcome.lane_instructions;
    all.counts[2] += outcome.splits;
    note_forms(program, outcome);
    for (const emulator::Finding& finding : outcome.findings) say(all, finding);
    if (all.session) {
      emulator::Report& report = all.session->report;
      ++report.launches, report.blocks += outcome.blocks, report.threads += outcome.threads;
      if (all.session->sanitize) keep_traffic(all, kernel, program, outcome);
    }
    return outcome.finished ? success : leave_behind(error_of(outcome.findings.back()));
  } catch (const Refused& why) {
    return refuse_launch(kernel, "not known", why.what(), invalid_kernel_image);
  } catch (const std::exception& why) {
    return leave_behind(
        refuse_launch(kernel, emulator::escaped_exception, why.what(), launch_failure));
  }
}

int refuse_launch(const std::string& kernel, const char* kind, const std::string& why, int error) {
  emulator::Finding refused;
  refused.kernel = kernel, refused.kind = kind, refused.text = why;
  say(state(), refused);
  return error;
}

}  // namespace abn::ptx::runtime
