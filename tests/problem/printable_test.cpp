// What a terminal is shown of strangers' texts: letters of any language, and nothing that it obeys.
#include "verify/problem/printable.hpp"

#include <gtest/gtest.h>

#include "verify/problem/error.hpp"

using namespace abn::verify::problem;

TEST(Printable, LettersStayAsTheyAre) {
  for (const char* text : {"", "two_sweep/dx", "größte Abweichung 10⁻³", "核", "😀"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, WhatATerminalObeysBecomesAQuestionMark) {
  EXPECT_EQ(printable("\x1b]0;title\x07red\x7f"), "?]0;title?red?");
  EXPECT_EQ(printable("\xc2\x9b[31m"), "?[31m") << "the one-letter form of ESC [";
  EXPECT_EQ(printable("\x9b[31m"), "?[31m") << "and of terminals that are not in UTF-8";
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
  EXPECT_EQ(printable("abc\xe2\x80\xae"
                      "def"),
            "abc?def")
      << "from right to left";
}

TEST(Printable, BytesThatAreNoUtf8BecomeOne) {
  EXPECT_EQ(printable("\xff\xfe"), "??");
  EXPECT_EQ(printable("\xe2\x82"), "??") << "cut off";
  EXPECT_EQ(printable("\xc0\x9b"), "??") << "a longer form than needed";
  EXPECT_EQ(printable("\xe0\x80\x9b"), "???");
  EXPECT_EQ(printable("\xed\xa0\x80"), "?") << "half of a pair of UTF-16";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), "????") << "beyond the last letter";
}

TEST(Printable, WhatIsQuotedHasToBe) {
  require_printable("n2c3s5,f32", "problem");
  try {
    require_printable(std::string_view("n1c1s2,f16\0,identity", 20), "problem");
    FAIL() << "a NUL is not seen, and would end the sentence";
  } catch (const UsageError& refused) {
    EXPECT_STREQ(refused.what(),
                 "The problem \"n1c1s2,f16?,identity\" holds characters that nobody can see; write "
                 "it without them");
  }
}

TEST(Printable, OneLineIsOneLineAndLinesStayLines) {
  EXPECT_EQ(printable("a\nAll 62 checks pass\tb\rc"), "a All 62 checks pass b?c");
  EXPECT_EQ(printable_lines("a\nb\tc\x1b\n"), "a\nb c?\n");
}
