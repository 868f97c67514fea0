// mprotect, and a handler of SIGSEGV that knows which pages are closed.
#include "verify/worker/closed_pages.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>

#include "verify/worker/packet_socket.hpp"

namespace abn::verify::worker {
namespace {

// What the handler reads: made ready before a page is closed, so that it has to call nothing that
// a kernel may have been in the middle of.
struct Watch {
  std::byte* segment = nullptr;
  std::vector<ClosedRange> closed{};
  std::vector<std::byte> answer{};
  pid_t process = 0;
  struct sigaction before {};
  stack_t stack_before{};
};
Watch watch;
constexpr std::size_t stack_bytes = std::size_t{64} << 10;
alignas(64) std::byte stack[stack_bytes];

Access access_of([[maybe_unused]] void* context) {
#if defined(__x86_64__)
  constexpr greg_t write_bit = 2;
  const greg_t error = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR];
  return (error & write_bit) != 0 ? Access::write : Access::read;
#else
  return Access::unknown;
#endif
}

void on_fault(int signal, siginfo_t* info, void* context) {
  const auto* const at = static_cast<const std::byte*>(info->si_addr);
  for (const ClosedRange& one : watch.closed) {
    const std::byte* const begin = watch.segment + one.begin;
    if (at < begin || at >= begin + one.bytes || getpid() != watch.process) continue;
    const auto place = static_cast<std::uint64_t>(at - watch.segment);
    const Access access = access_of(context);
    std::byte* const end = watch.answer.data() + watch.answer.size();
    std::memcpy(end - sizeof access - sizeof place, &place, sizeof place);
    std::memcpy(end - sizeof access, &access, sizeof access);
    send_packet(question_descriptor, watch.answer);
    _exit(0);
  }
  sigaction(signal, &watch.before, nullptr);  // it comes again, and ends the process as ever
}

}  // namespace

ClosedPages::ClosedPages(std::byte* segment, std::size_t bytes, std::span<const ClosedRange> closed,
                         std::vector<std::byte> answer) {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const ClosedRange& one : closed)
    if (one.begin > bytes || one.bytes > bytes - one.begin || one.begin % page != 0 ||
        one.bytes % page != 0 || one.bytes == 0)
      throw NoMessage("pages to close that are none of its segment");
  watch.segment = segment, watch.closed.assign(closed.begin(), closed.end());
  watch.answer = std::move(answer), watch.process = getpid();
  if (watch.closed.empty()) return;
  const stack_t own{stack, 0, stack_bytes};
  sigaltstack(&own, &watch.stack_before);
  struct sigaction action {};
  action.sa_sigaction = on_fault, action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &watch.before);
  protect(PROT_NONE);
}

ClosedPages::~ClosedPages() {
  if (watch.closed.empty()) return;
  protect(PROT_READ | PROT_WRITE);
  watch.closed.clear();
  struct sigaction now {};
  sigaction(SIGSEGV, nullptr, &now);
  if (now.sa_sigaction == on_fault) sigaction(SIGSEGV, &watch.before, nullptr);
  sigaltstack(&watch.stack_before, nullptr);
}

void ClosedPages::protect(int how) const {
  for (const ClosedRange& one : watch.closed) mprotect(watch.segment + one.begin, one.bytes, how);
}

}  // namespace abn::verify::worker
