// Splits PTX text into words, numbers, strings and punctuation, each with its line.
#pragma once

#include <cstdint>
#include <string_view>

namespace abn::ptx {

struct Token {
  enum class Kind : std::uint8_t { end, word, number, string, punctuation };
  Kind kind = Kind::end;
  std::string_view text{};  // of a string without its quotes
  unsigned line = 0;
  bool is(char letter) const {
    return kind == Kind::punctuation && text.size() == 1 && text[0] == letter;
  }
  bool is(std::string_view word) const { return kind == Kind::word && text == word; }
};

/// One token ahead is known. The text has to outlive the lexer and its tokens.
class Lexer {
 public:
  explicit Lexer(std::string_view text, unsigned first_line = 1);
  const Token& peek() const { return next_; }
  Token take();
  /// Takes it if it is this punctuation.
  bool take_if(char letter);
  /// Throws Refused if it is anything else.
  void expect(char letter);
  /// Behind the token that was taken last.
  std::size_t position() const { return taken_to_; }
  /// Behind an opening brace that was taken: goes behind the closing one and returns what lies
  /// between them.
  std::string_view skip_braces();

 private:
  void advance();
  void skip_blank();

  std::string_view text_;
  std::size_t at_ = 0, taken_to_ = 0;
  unsigned line_;
  Token next_;
};

}  // namespace abn::ptx
