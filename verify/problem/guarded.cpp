// Signal handlers that leave claims() by a long jump, on the thread that is in it and on no other.
#include "verify/problem/guarded.hpp"

#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <mutex>

namespace abn::verify::problem {
namespace {

constexpr int caught[] = {SIGFPE, SIGSEGV, SIGBUS, SIGILL, SIGABRT};
constexpr std::size_t count = sizeof caught / sizeof *caught;

struct sigaction previous[count];
thread_local sigjmp_buf* way_out = nullptr;

/// Outside of claims() the fault is whoever's it was before: the instruction is met again under the
/// handler that was there.
void leave(int signal) {
  if (way_out != nullptr) siglongjmp(*way_out, signal);
  for (std::size_t i = 0; i < count; ++i)
    if (caught[i] == signal) sigaction(signal, &previous[i], nullptr);
}

void install() {
  struct sigaction action {};
  action.sa_handler = leave;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < count; ++i) sigaction(caught[i], &action, &previous[i]);
}

}  // namespace

Answer ask_claims(const abn_variant& variant, const abn_problem& problem, abn_claims& out) {
  static std::once_flag once;
  std::call_once(once, install);
  Answer answer;
  sigjmp_buf here;
  // The mask is restored with it, for the signal is blocked while its handler runs.
  if (const int signal = sigsetjmp(here, 1); signal != 0) {
    way_out = nullptr;
    return {ABN_OK, signal};
  }
  // Also where an exception leaves it, as of a worker that ended.
  const struct Open {
    explicit Open(sigjmp_buf& to) { way_out = &to; }
    ~Open() { way_out = nullptr; }
  } open(here);
  answer.status = variant.claims(&problem, &out);
  return answer;
}

}  // namespace abn::verify::problem
