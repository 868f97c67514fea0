// Calls of a plug-in's functions, from which no exception may come out unseen.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace abn::verify::worker {

/// The exit code of a worker whose plug-in let an exception out; it has printed which.
inline constexpr int exception_escaped = 72;

/// The exit code of a worker whose plug-in got no memory and said so by std::bad_alloc.
inline constexpr int out_of_memory = 73;

/// What a function of the plug-in threw, in words. The exception itself is gone then.
struct Escaped : std::runtime_error {
  Escaped(const std::string& what, int exit_code) : std::runtime_error(what), code(exit_code) {}
  int code;
};

/// What a function raised that can raise without harm to its process, as those of an interpreter
/// can: the call has failed, and the process goes on. One sentence without its full stop.
struct Raised : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Calls a function of the plug-in.
template <class Function, class... Arguments>
auto call_foreign(const Function& function, const Arguments&... arguments) {
  try {
    return function(arguments...);
  } catch (const Raised&) {
    throw;
  } catch (const std::bad_alloc& thrown) {
    throw Escaped(std::string("an exception: ") + thrown.what(), out_of_memory);
  } catch (const std::exception& thrown) {
    throw Escaped(std::string("an exception: ") + thrown.what(), exception_escaped);
  } catch (...) {
    throw Escaped("an exception of an unknown type", exception_escaped);
  }
}

}  // namespace abn::verify::worker
