// The body of a kernel: registers, variables of its own, instructions and labels.
#include <array>
#include <bit>
#include <charconv>
#include <cstdlib>
#include <map>
#include <string>

#include "cuda/ptx/read/parser.hpp"
#include "cuda/ptx/read/refused.hpp"

namespace abn::ptx {
namespace {

[[noreturn]] void refuse_number(const Token& token) {
  refuse(token.line, "",
         "\"" + std::string(token.text) + "\" is not a number; write one as a compiler does");
}

std::uint64_t parse_bits(const Token& token, std::string_view digits, int base) {
  std::uint64_t bits = 0;
  if (digits.ends_with('U')) digits.remove_suffix(1);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), bits, base);
  if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size()) refuse_number(token);
  return bits;
}

Operand parse_operand(Lexer& from);

Operand parse_address(Lexer& from) {
  Operand address;
  address.kind = Operand::Kind::address;
  if (from.peek().kind == Token::Kind::word) {
    address.name = from.take().text;
    if (!from.take_if('+') && !from.peek().is('-')) {
      from.expect(']');
      return address;
    }
  }
  const bool minus = from.take_if('-');
  const Token token = from.take();
  if (token.kind != Token::Kind::number) refuse_number(token);
  address.bits = parse_number(token, minus).bits;
  from.expect(']');
  return address;
}

Operand parse_vector(Lexer& from) {
  Operand vector;
  vector.kind = Operand::Kind::vector;
  while (!from.take_if('}')) {
    vector.parts.push_back(parse_operand(from));
    if (!from.peek().is('}')) from.expect(',');
  }
  return vector;
}

Operand parse_operand(Lexer& from) {
  if (from.take_if('[')) return parse_address(from);
  if (from.take_if('{')) return parse_vector(from);
  Operand operand;
  operand.negated = from.take_if('!');
  const bool minus = from.take_if('-');
  const Token token = from.take();
  if (token.kind == Token::Kind::number) return parse_number(token, minus);
  if (token.kind != Token::Kind::word || minus)
    refuse(token.line, "",
           "an operand cannot be read at \"" + std::string(token.text) +
               "\"; hand over PTX as a compiler wrote it");
  if (token.is("_")) operand.kind = Operand::Kind::sink;
  operand.name = token.text;
  if (from.take_if('|')) operand.second = from.take().text;
  return operand;
}

void parse_registers(Lexer& from, Body& body) {
  const Token type = from.take();
  std::uint32_t bytes = bytes_of_type(type.text, type.line);
  if (bytes == 1) bytes = 2;
  do {
    Registers registers;
    registers.name = from.take().text, registers.bytes = bytes;
    if (from.take_if('<')) {
      const Token count = from.take();
      registers.count = static_cast<std::uint32_t>(parse_number(count, false).bits);
      from.expect('>');
    }
    body.registers.push_back(registers);
  } while (from.take_if(','));
  from.expect(';');
}

/// What stands between braces: inline PTX, with registers and labels of its own.
struct Scope {
  std::size_t first_statement = 0, first_registers = 0;
};

void rename_in(Operand& operand, std::string_view from, std::string_view to) {
  if (operand.name == from) operand.name = to;
  if (operand.second == from) operand.second = to;
  for (Operand& part : operand.parts) rename_in(part, from, to);
}

/// Gives the registers and labels of a scope that ends names that no other has.
void close_scope(Body& body, const Scope& scope) {
  const auto rename = [&](std::string_view& declared) {
    const std::string_view from = declared;
    body.names.push_back(std::string(from) + "#" + std::to_string(body.names.size()));
    declared = body.names.back();
    for (std::size_t i = scope.first_statement; i < body.statements.size(); ++i) {
      Statement& statement = body.statements[i];
      if (statement.guard == from) statement.guard = declared;
      for (Operand& operand : statement.operands) rename_in(operand, from, declared);
    }
  };
  for (std::size_t i = scope.first_registers; i < body.registers.size(); ++i) {
    Registers& registers = body.registers[i];
    if (registers.count != 0)
      refuse(body.statements.empty() ? 0 : body.statements.back().line, "",
             "a range of registers inside of braces is not known; name them one by one");
    rename(registers.name);
  }
  for (std::size_t i = scope.first_statement; i < body.statements.size(); ++i)
    if (!body.statements[i].label.empty()) rename(body.statements[i].label);
}

}  // namespace

Operand parse_number(const Token& token, bool minus) {
  Operand operand;
  std::string_view digits = token.text;
  if (digits.starts_with("0f") || digits.starts_with("0F")) {
    operand.kind = Operand::Kind::real32;
    operand.bits = parse_bits(token, digits.substr(2), 16);
    if (minus) operand.bits ^= std::uint64_t{1} << 31;
  } else if (digits.starts_with("0d") || digits.starts_with("0D")) {
    operand.kind = Operand::Kind::real64;
    operand.bits = parse_bits(token, digits.substr(2), 16);
    if (minus) operand.bits ^= std::uint64_t{1} << 63;
  } else if (digits.find('.') != digits.npos) {
    operand.kind = Operand::Kind::real64;
    double value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size()) refuse_number(token);
    operand.bits = std::bit_cast<std::uint64_t>(minus ? -value : value);
  } else {
    operand.kind = Operand::Kind::integer;
    const bool hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    operand.bits =
        hexadecimal ? parse_bits(token, digits.substr(2), 16) : parse_bits(token, digits, 10);
    if (minus) operand.bits = std::uint64_t{0} - operand.bits;
  }
  return operand;
}

/// What the directives .loc say of the instructions behind them:
///   .loc FILE LINE COLUMN
///   .loc FILE LINE COLUMN, function_name NAME, inlined_at FILE LINE COLUMN
/// The place of inlining has a .loc of its own before, which may be inlined in turn.
class SourceLines {
 public:
  SourceLine here{}, outermost{};

  void read(Lexer& from, unsigned line) {
    const Place place = take_place(from);
    here = outermost = line_of(place);
    while (from.peek().kind != Token::Kind::end && from.peek().line == line) {
      if (!from.take().is("inlined_at")) continue;
      const Place caller = take_place(from);
      const auto known = outermost_.find(caller);
      outermost = known == outermost_.end() ? line_of(caller) : known->second;
    }
    outermost_[place] = outermost;
  }

 private:
  using Place = std::array<unsigned, 3>;
  static Place take_place(Lexer& from) {
    Place place{};
    for (unsigned& number : place)
      number = static_cast<unsigned>(parse_number(from.take(), false).bits);
    return place;
  }
  static SourceLine line_of(const Place& place) { return {place[0], place[1]}; }

  std::map<Place, SourceLine> outermost_;  // as last said
};

Body parse_body(const Kernel& kernel) {
  Body body;
  Lexer from(kernel.body, kernel.body_line);
  SourceLines source;
  std::vector<Scope> scopes;
  while (from.peek().kind != Token::Kind::end) {
    Statement statement;
    statement.line = from.peek().line;
    if (from.take_if('{')) {
      scopes.push_back({body.statements.size(), body.registers.size()});
      continue;
    }
    if (from.take_if('}')) {  // the module's reader has counted the braces
      close_scope(body, scopes.back());
      scopes.pop_back();
      continue;
    }
    if (from.take_if(';')) continue;
    if (from.take_if('@')) {
      statement.guard_negated = from.take_if('!');
      statement.guard = from.take().text;
    }
    const Token word = from.take();
    if (word.kind != Token::Kind::word)
      refuse(word.line, kernel.name,
             "\"" + std::string(word.text) + "\" is not an instruction; take it out");
    if (word.is(".reg")) {
      parse_registers(from, body);
      continue;
    }
    if (word.is(".shared") || word.is(".local")) {
      body.variables.push_back(
          parse_variable(from, word.is(".shared") ? Space::shared : Space::local, false));
      from.expect(';');
      continue;
    }
    if (word.is(".pragma")) {
      from.take();
      from.expect(';');
      continue;
    }
    if (word.is(".loc")) {
      source.read(from, word.line);
      continue;
    }
    if (word.text.starts_with('.'))
      refuse(word.line, kernel.name,
             "the directive \"" + std::string(word.text) +
                 "\" is not known; avoid what the compiler made it of");
    if (statement.guard.empty() && from.take_if(':')) {
      statement.label = word.text;
      body.statements.push_back(std::move(statement));
      continue;
    }
    statement.opcode = word.text;
    statement.source = source.here, statement.outermost = source.outermost;
    while (!from.peek().is(';')) {
      statement.operands.push_back(parse_operand(from));
      if (!from.peek().is(';')) from.expect(',');
    }
    from.expect(';');
    body.statements.push_back(std::move(statement));
  }
  return body;
}

}  // namespace abn::ptx
