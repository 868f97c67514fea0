// Text of strangers for a terminal: nothing in it that a terminal would obey.
#pragma once

#include <string>
#include <string_view>

namespace abn::verify::problem {

/// In one line: newlines and tabs become blanks, and control characters (those of C1 too), marks
/// that turn the direction of writing, and bytes that are no UTF-8 become '?'.
std::string printable(std::string_view text);

/// The same of several lines, which stay lines.
std::string printable_lines(std::string_view text);

/// Throws UsageError where `text`, of which `what` says what it is, is not printable: it would be
/// quoted in a sentence, and a NUL would end that.
void require_printable(std::string_view text, const char* what);

}  // namespace abn::verify::problem
