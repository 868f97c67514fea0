// Standard input, output and error as the tool needs them, whatever it was started with.
#pragma once

namespace abn::verify::command {

/// A descriptor that is closed would become the next file that is opened, and what is printed would
/// land in it: what is closed is opened such that reading finds nothing, that standard output takes
/// nothing, and that standard error takes all. And a write beyond the limit of a file's size fails
/// instead of ending the process.
void open_standard_streams();

/// A reader that goes away is a write that fails, and not the end of the process: for verbs that
/// have a file to write behind what they print.
void outlive_readers();

}  // namespace abn::verify::command
