// Directives of a module: variables and kernels with their parameters and limits.
#include <algorithm>

#include "cuda/ptx/read/parser.hpp"
#include "cuda/ptx/read/refused.hpp"

namespace abn::ptx {
namespace {

std::uint64_t number(Lexer& from) {
  const Token token = from.take();
  if (token.kind != Token::Kind::number)
    refuse(token.line, "",
           "a number is missing at \"" + std::string(token.text) +
               "\"; hand over PTX as a compiler wrote it");
  return parse_number(token, false).bits;
}

void skip_statement(Lexer& from, unsigned line) {
  while (from.peek().kind != Token::Kind::end && from.peek().line == line) from.take();
}

/// {1, 2, {3}}: elements of `width` bytes, little-endian.
void parse_values(Lexer& from, std::uint32_t width, std::vector<std::uint8_t>& to) {
  do {
    if (from.take_if('{')) {
      parse_values(from, width, to);
      continue;
    }
    const bool minus = from.take_if('-');
    const Token token = from.take();
    if (token.kind != Token::Kind::number)
      refuse(token.line, "",
             "a variable that begins as \"" + std::string(token.text) +
                 "\" is not known; give it numbers");
    const std::uint64_t bits = parse_number(token, minus).bits;
    for (std::uint32_t byte = 0; byte < width; ++byte)
      to.push_back(static_cast<std::uint8_t>(bits >> 8 * byte));
  } while (from.take_if(','));
  from.expect('}');
}

std::vector<Parameter> parse_parameters(Lexer& from) {
  std::vector<Parameter> parameters;
  if (!from.take_if('(')) return parameters;
  std::uint64_t offset = 0;
  while (!from.take_if(')')) {
    const Token space = from.take();
    if (!space.is(".param"))
      refuse(space.line, "",
             "\"" + std::string(space.text) + "\" is not a parameter; expected .param");
    const Variable one = parse_variable(from, Space::param, false);
    offset = (offset + one.align - 1) / one.align * one.align;
    parameters.push_back({one.name, one.bytes, one.align, offset});
    offset += one.bytes;
    if (!from.peek().is(')')) from.expect(',');
  }
  return parameters;
}

Kernel parse_kernel(Lexer& from) {
  Kernel kernel;
  const Token name = from.take();
  kernel.name = name.text, kernel.line = name.line;
  kernel.parameters = parse_parameters(from);
  if (!kernel.parameters.empty())
    kernel.parameter_bytes = kernel.parameters.back().offset + kernel.parameters.back().bytes;
  const auto sizes = [&from](std::uint32_t* to) {
    to[1] = to[2] = 1;
    for (int i = 0; i < 3; ++i) {
      to[i] = static_cast<std::uint32_t>(number(from));
      if (!from.take_if(',')) return;
    }
  };
  while (!from.peek().is('{')) {
    const Token word = from.take();
    if (word.is(".maxntid")) {
      std::uint32_t most[3];
      sizes(most);
      kernel.most_threads = most[0] * most[1] * most[2];
    } else if (word.is(".reqntid")) {
      sizes(kernel.required_threads);
    } else if (word.is(".reqnctapercluster")) {
      sizes(kernel.required_cluster);
    } else if (word.is(".explicitcluster")) {
      kernel.explicit_cluster = true;
    } else if (word.is(".minnctapersm") || word.is(".maxnreg") || word.is(".maxclusterrank")) {
      number(from);
    } else if (word.is(".noreturn") || word.is(".blocksareclusters")) {
    } else if (word.is(".pragma")) {
      skip_statement(from, word.line);
    } else {
      refuse(word.line, kernel.name,
             "the directive \"" + std::string(word.text) +
                 "\" is not known; leave it out or extend cuda/ptx/read");
    }
  }
  kernel.body_line = from.peek().line;
  from.expect('{');
  kernel.body = from.skip_braces();
  return kernel;
}

Space space_of(const Token& word) {
  if (word.is(".global")) return Space::global;
  if (word.is(".const")) return Space::constant;
  if (word.is(".shared")) return Space::shared;
  refuse(word.line, "",
         "the directive \"" + std::string(word.text) +
             "\" is not known here; functions of their own have to be inlined "
             "(__forceinline__)");
}

}  // namespace

std::uint32_t bytes_of_type(std::string_view type, unsigned line) {
  static constexpr struct {
    std::string_view name;
    std::uint32_t bytes;
  } table[] = {{".pred", 0}, {".b8", 1},  {".u8", 1},  {".s8", 1},    {".b16", 2},
               {".u16", 2},  {".s16", 2}, {".f16", 2}, {".bf16", 2},  {".b32", 4},
               {".u32", 4},  {".s32", 4}, {".f32", 4}, {".f16x2", 4}, {".bf16x2", 4},
               {".b64", 8},  {".u64", 8}, {".s64", 8}, {".f64", 8}};
  const auto* const found = std::find_if(std::begin(table), std::end(table),
                                         [&](const auto& row) { return row.name == type; });
  if (found == std::end(table))
    refuse(line, "",
           "\"" + std::string(type) + "\" is not a type that is known; use one of 8 to 64 bits");
  return found->bytes;
}

Variable parse_variable(Lexer& from, Space space, bool external) {
  Variable variable;
  variable.space = space, variable.external = external;
  std::uint32_t width = 0, lanes = 1;
  while (from.peek().kind == Token::Kind::word && from.peek().text.starts_with('.')) {
    const Token word = from.take();
    if (word.is(".align"))
      variable.align = number(from);
    else if (word.is(".v2") || word.is(".v4"))
      lanes = word.is(".v2") ? 2 : 4;
    else if (word.is(".ptr") || word.is(".global") || word.is(".shared") || word.is(".const"))
      ;  // what a pointer points to
    else
      width = bytes_of_type(word.text, word.line);
  }
  if (variable.align == 1) variable.align = std::max<std::uint64_t>(width * lanes, 1);
  const Token name = from.take();
  variable.name = name.text, variable.line = name.line;
  variable.bytes = std::uint64_t{width} * lanes;
  while (from.take_if('[')) {
    const std::uint64_t count = from.peek().is(']') ? 0 : number(from);
    variable.bytes *= count;
    from.expect(']');
  }
  if (from.take_if('=')) {
    from.expect('{');
    parse_values(from, width, variable.content);
    variable.content.resize(variable.bytes);
  }
  return variable;
}

std::unique_ptr<Module> parse_module(std::string text) {
  auto module = std::make_unique<Module>();
  // The text inside a fat binary ends in zeros.
  if (const std::size_t end = text.find('\0'); end != text.npos) text.resize(end);
  module->text = std::move(text);
  Lexer from(module->text);
  bool external = false;
  while (from.peek().kind != Token::Kind::end) {
    const Token word = from.take();
    if (word.is(".version") || word.is(".target")) {
      (word.is(".version") ? module->version : module->target) = from.peek().text;
      skip_statement(from, word.line);
    } else if (word.is(".address_size")) {
      if (number(from) != 64)
        refuse(word.line, "", "addresses of 32 bits are not known; compile with -m64");
    } else if (word.is(".file")) {
      const std::uint64_t index = number(from);
      if (index < 4096) {
        if (module->files.size() <= index) module->files.resize(index + 1);
        module->files[index] = from.peek().text;
      }
      skip_statement(from, word.line);
    } else if (word.is(".section")) {
      while (!from.peek().is('{')) from.take();
      from.take();
      from.skip_braces();
    } else if (word.is(".extern")) {
      external = true;
    } else if (word.is(".visible") || word.is(".weak")) {
    } else if (word.is(".entry")) {
      module->kernels.push_back(parse_kernel(from));
    } else {
      const Space space = space_of(word);
      module->variables.push_back(parse_variable(from, space, external));
      from.expect(';');
      external = false;
    }
  }
  if (module->version.empty())
    refuse(1, "", "there is no .version; hand over PTX as a compiler wrote it");
  return module;
}

}  // namespace abn::ptx
