// Small helpers around the reader and the machine.
#include "tests/ptx/support.hpp"

#include <cstring>

#include "cuda/ptx/read/parser.hpp"
#include "cuda/ptx/read/refused.hpp"
#include "cuda/ptx/run/decode.hpp"
#include "tests/ptx/break_form.hpp"

namespace abn::ptx::test {

std::string text_of(const std::string& parameters, const std::string& body,
                    const std::string& before) {
  return ".version 9.0\n.target sm_90\n.address_size 64\n" + before + "\n.visible .entry k(" +
         parameters + ")\n{\n" + body + "\nret;\n}\n";
}

Loaded load(const std::string& text) {
  Loaded loaded;
  loaded.module = parse_module(text);
  static const Symbols none;
  loaded.program = decode(*loaded.module, loaded.module->kernels.at(0), none);
  return loaded;
}

std::string refusal(const std::string& text) {
  try {
    load(text);
  } catch (const Refused& why) {
    return why.what();
  }
  return "";
}

Outcome run(const std::string& text, std::vector<Buffer>& buffers, const How& how) {
  Loaded loaded = load(text);
  if (how.broken != nullptr) break_form(loaded.program, *how.broken);
  for (const Instruction& in : loaded.program.code) forms_met().insert(in.form->name);
  Configuration configuration;
  configuration.grid = how.grid, configuration.block = how.block;
  configuration.cluster = how.cluster, configuration.dynamic_shared = how.dynamic_shared;
  configuration.cooperative = how.cooperative, configuration.sanitize = how.sanitize;
  configuration.seed = how.seed, configuration.most_idle = how.most_idle;
  GlobalMemory memory;
  for (Buffer& buffer : buffers) {
    const auto begin = reinterpret_cast<std::uint64_t>(buffer.words.data());
    std::byte bytes[8];
    std::memcpy(bytes, &begin, 8);
    configuration.parameters.insert(configuration.parameters.end(), bytes, bytes + 8);
    Range range;
    range.begin = begin, range.end = begin + 4 * buffer.words.size(), range.name = buffer.name;
    range.element_bytes = 4, range.writable = buffer.writable, range.watched = how.watched;
    if (how.watched)
      range.shadow.assign(4 * buffer.words.size(),
                          buffer.written ? std::uint8_t{byte_written} : std::uint8_t{0});
    memory.add(range);
  }
  configuration.parameters.resize(configuration.parameters.size() + how.parameter_padding);
  return run(loaded.program, configuration, &memory);
}

std::string finding_of(const Outcome& outcome) {
  std::string text;
  for (const emulator::Finding& finding : outcome.findings)
    text += (text.empty() ? "" : "\n") + finding.kind + ": " + finding.text;
  return text;
}

std::set<std::string>& forms_met() {
  static std::set<std::string> met;
  return met;
}

}  // namespace abn::ptx::test
