// Words of PTX hold dots, double colons, percent and dollar signs: an opcode is one word.
#include "cuda/ptx/read/lexer.hpp"

#include <cctype>
#include <string>

#include "cuda/ptx/read/refused.hpp"

namespace abn::ptx {
namespace {

bool is_word_letter(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '$' ||
         letter == '%' || letter == '.';
}

}  // namespace

Lexer::Lexer(std::string_view text, unsigned first_line) : text_(text), line_(first_line) {
  advance();
}

Token Lexer::take() {
  const Token taken = next_;
  taken_to_ = at_;
  advance();
  return taken;
}

bool Lexer::take_if(char letter) {
  if (!next_.is(letter)) return false;
  take();
  return true;
}

void Lexer::expect(char letter) {
  if (!take_if(letter))
    refuse(next_.line, "",
           std::string("'") + letter + "' is missing before \"" + std::string(next_.text) +
               "\"; hand over PTX as a compiler wrote it");
}

void Lexer::skip_blank() {
  while (at_ < text_.size()) {
    const char letter = text_[at_];
    if (letter == '\n') {
      ++line_, ++at_;
    } else if (std::isspace(static_cast<unsigned char>(letter)) != 0) {
      ++at_;
    } else if (text_.substr(at_, 2) == "//") {
      at_ = text_.find('\n', at_);
      if (at_ == text_.npos) at_ = text_.size();
    } else if (text_.substr(at_, 2) == "/*") {
      const std::size_t end = text_.find("*/", at_ + 2);
      if (end == text_.npos)
        refuse(line_, "", "a comment has no end; hand over the whole PTX text");
      for (; at_ < end + 2; ++at_) line_ += text_[at_] == '\n' ? 1 : 0;
    } else {
      return;
    }
  }
}

void Lexer::advance() {
  skip_blank();
  next_ = Token{};
  next_.line = line_;
  if (at_ >= text_.size()) return;
  const std::size_t begin = at_;
  const char first = text_[at_];
  if (first == '"') {
    const std::size_t end = text_.find('"', at_ + 1);
    if (end == text_.npos) refuse(line_, "", "a string has no end; hand over the whole PTX text");
    next_.kind = Token::Kind::string;
    next_.text = text_.substr(begin + 1, end - begin - 1);
    at_ = end + 1;
    return;
  }
  if (!is_word_letter(first)) {
    next_.kind = Token::Kind::punctuation;
    next_.text = text_.substr(at_++, 1);
    return;
  }
  next_.kind = std::isdigit(static_cast<unsigned char>(first)) != 0 ? Token::Kind::number
                                                                    : Token::Kind::word;
  while (at_ < text_.size()) {
    if (is_word_letter(text_[at_])) {
      ++at_;
    } else if (next_.kind == Token::Kind::word && text_.substr(at_, 2) == "::") {
      at_ += 2;
    } else {
      break;
    }
  }
  next_.text = text_.substr(begin, at_ - begin);
}

std::string_view Lexer::skip_braces() {
  const std::size_t begin = taken_to_;
  for (int depth = 1;;) {
    const Token token = take();
    if (token.kind == Token::Kind::end)
      refuse(token.line, "", "a '}' is missing at the end; hand over the whole PTX text");
    if (token.is('{')) ++depth;
    if (token.is('}') && --depth == 0) return text_.substr(begin, taken_to_ - 1 - begin);
  }
}

}  // namespace abn::ptx
