// The sample kernel, and one thing that no kernel should do: HOSTILE=PLACE:DEED in the environment
// says what, and where it is done. Without it, this is a right kernel.
//
// Every deed is bounded, so that a judge that fails to stop it harms no machine: sleepers end after
// two minutes, no deed makes more than 100 processes, and what allocates has a ceiling.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cfenv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define abn_plugin entry_of_the_sample
#include "cuda/examples/host_kernel.cpp"
#undef abn_plugin

namespace {

constexpr unsigned patience = 120;  // seconds that a sleeper sleeps

bool is(const char* text, const char* word) { return std::strcmp(text, word) == 0; }

int overflow(int depth) {
  volatile char page[4096];
  page[0] = static_cast<char>(depth);
  return depth < 0 ? 0 : overflow(depth + 1) + page[0];
}

void sleepers(int count, bool leave_session) {
  for (int i = 0; i < count; ++i)
    if (fork() == 0) {
      if (leave_session) setsid();
      sleep(patience);
      _exit(0);
    }
}

void write_everywhere() {
  char packet[64] = "ABNW";  // begins like an answer
  for (int file = 3; file < 64; ++file)
    if (write(file, packet, sizeof packet) < 0) continue;
}

/// An answer to a call that says that all went well, right in everything but its number: forged by
/// one who cannot know the number, as the first of a worker is drawn.
void forge_answer() {
  constexpr int questions = 3;  // the descriptor that the worker answers on
  constexpr uint16_t version = PROTOCOL_VERSION, call = 10;
  struct {
    char magic[4] = {'A', 'B', 'N', 'W'};
    uint16_t of_version = version, verb = call;
    uint64_t number = 1;
    int32_t status = ABN_OK;
    uint32_t marks = 0;
    int32_t claims_status = ABN_OK;
    uint32_t claims_marks = 0;
  } head;
  static_assert(sizeof head == 32, "nothing lies between the fields");
  struct {
    uint64_t touched = ~uint64_t{0};
    unsigned char wrote = 0;
  } tail;
  constexpr size_t no_text = sizeof(uint32_t), in_tail = sizeof tail.touched + sizeof tail.wrote;
  unsigned char packet[sizeof head + sizeof(abn_claims) + no_text + in_tail] = {};
  std::memcpy(packet, &head, sizeof head);
  std::memcpy(packet + sizeof packet - in_tail, &tail, in_tail);
  if (write(questions, packet, sizeof packet) < 0) return;
}

void allocate() {
  constexpr size_t chunk = 16U << 20, ceiling = 1500U << 20;
  for (size_t all = 0; all < ceiling; all += chunk) {
    char* const memory = static_cast<char*>(std::malloc(chunk));
    if (memory == nullptr) throw std::bad_alloc();
    std::memset(memory, 1, chunk);
  }
}

/// Little in each process, and much in all of them together.
void allocate_in_many() {
  constexpr size_t each = 40U << 20;
  constexpr int children = 4;
  for (int i = 0; i < children; ++i)
    if (fork() == 0) {
      volatile char* const memory = static_cast<char*>(std::malloc(each));
      for (size_t i = 0; memory != nullptr && i < each; i += 1024) memory[i] = 1;
      sleep(patience);
      _exit(0);
    }
  sleep(patience);
}

/// The descriptors that are open.
void list_files() {
  for (int file = 0; file < 1024; ++file)
    if (fcntl(file, F_GETFD) >= 0) std::printf("%d ", file);
  std::printf("\n");
}

void print_much() {
  for (int line = 0; line < 10000; ++line) std::printf("line %d of too many\n", line);
}

void shrink_files() {
  for (int file = 0; file < 64; ++file)
    if (ftruncate(file, 0) != 0) continue;
}

struct Late {
  float* z;
};
void* write_late(void* late) {
  usleep(1500);
  for (int i = 0; i < 300; ++i) static_cast<Late*>(late)->z[0] += 1, usleep(100);
  return nullptr;
}

void set_flush_to_zero() {
#ifdef __x86_64__
  _mm_setcsr(_mm_getcsr() | 0x8040U);
#endif
}

void commit(const char* deed) {
  if (is(deed, "exit0")) std::exit(0);
  if (is(deed, "exit_at_once")) _exit(0);
  if (is(deed, "abort")) std::abort();
  if (is(deed, "segv")) raise(SIGSEGV);
  if (is(deed, "fpe")) raise(SIGFPE);
  if (is(deed, "kill")) kill(getpid(), SIGKILL);
  if (is(deed, "overflow")) overflow(0);
  if (is(deed, "hang")) sleep(patience);
  if (is(deed, "spin")) {
    alarm(patience);
    for (volatile int forever = 1; forever != 0;) continue;
  }
  if (is(deed, "throw")) throw std::runtime_error("a kernel's own exception");
  if (is(deed, "throw_int")) throw 1;
  if (is(deed, "thread_ends")) pthread_exit(nullptr);
  if (is(deed, "kill_parent")) kill(getppid(), SIGKILL);
  if (is(deed, "kill_group")) kill(0, SIGKILL);
  if (is(deed, "trace_parent")) ptrace(PTRACE_ATTACH, getppid(), nullptr, nullptr);
  if (is(deed, "close_files"))
    for (int file = 0; file < 64; ++file) close(file);
  if (is(deed, "write_files")) write_everywhere();
  if (is(deed, "forge")) forge_answer();
  if (is(deed, "shrink_files")) shrink_files();
  if (is(deed, "fork")) fork();
  if (is(deed, "fork_and_be_late") && fork() > 0) usleep(100'000);
  if (is(deed, "sleepers")) sleepers(20, true);
  if (is(deed, "crowd")) sleepers(100, true), sleep(patience);
  if (is(deed, "sleeper_and_exit")) sleepers(1, true), _exit(0);
  if (is(deed, "allocate")) allocate();
  if (is(deed, "allocate_in_many")) allocate_in_many();
  if (is(deed, "list_files")) list_files();
  if (is(deed, "print_much")) print_much();
  if (is(deed, "round_up")) std::fesetround(FE_UPWARD);
  if (is(deed, "trap")) feenableexcept(FE_DIVBYZERO);
  if (is(deed, "flush")) set_flush_to_zero();
  if (is(deed, "chdir") && chdir("/") != 0) return;
  if (is(deed, "umask")) umask(0777);
  if (is(deed, "print"))
    std::printf("\033]0;title\007All 212 checks that ran pass"), std::fputs("\033[2J", stderr);
}

/// The deed, if it is to be done here.
const char* deed_at(const char* place) {
  const char* const said = std::getenv("HOSTILE");
  const size_t length = std::strlen(place);
  if (said == nullptr || std::strncmp(said, place, length) != 0 || said[length] != ':')
    return nullptr;
  return said + length + 1;
}
void perhaps(const char* place) {
  if (const char* const deed = deed_at(place)) commit(deed);
}
bool does(const char* place, const char* deed) {
  const char* const done = deed_at(place);
  return done != nullptr && is(done, deed);
}

int hostile_claims(const abn_problem* p, abn_claims* out) {
  perhaps("claims");
  if (does("claims", "empty_problem")) const_cast<abn_problem*>(p)->n = 0;
  const int status = claims(p, out);
  if (does("claims", "ulp")) out->function_ulp = 1e30;
  if (does("claims", "bf16")) out->accumulate = ABN_BF16;
  static int asked = 0;
  if (does("claims", "change") && ++asked % 2 == 0) out->depth_backward += 1;
  return status;
}

size_t hostile_workspace(const abn_problem* p, int direction) {
  perhaps("workspace");
  if (does("workspace", "minus_one")) return static_cast<size_t>(-1);
  if (does("workspace", "minus_8192")) return static_cast<size_t>(-8192);
  return workspace_bytes(p, direction);
}

int hostile_forward(const abn_problem* p, const abn_forward_args* args) {
  perhaps("forward");
  if (does("forward", "change_problem")) const_cast<abn_problem*>(p)->eps = 1;
  if (does("forward", "change_arguments")) const_cast<abn_forward_args*>(args)->z = nullptr;
  if (does("forward", "far_write") && args->z != nullptr) floats(args->z)[1 << 20] = 1;
  const int status = forward(p, args);
  if (does("forward", "swap_arguments")) {
    abn_forward_args& changed = const_cast<abn_forward_args&>(*args);
    changed.mean = args->var;
  }
  if (does("forward", "late_thread")) {
    usleep(20'000);  // the one of the call before has begun, on a busy machine too
    pthread_t thread;
    pthread_create(&thread, nullptr, write_late, new Late{floats(args->z)});
    pthread_detach(thread);
  }
  return status;
}

int hostile_backward(const abn_problem* p, const abn_backward_args* args) {
  perhaps("backward");
  return backward(p, args);
}

char name[] = "hostile";
const abn_variant hostile = {ABN_ABI_VERSION,
                             sizeof(abn_variant),
                             name,
                             "the sample, and what HOSTILE says",
                             ABN_MEMORY_HOST,
                             0,
                             hostile_claims,
                             hostile_workspace,
                             hostile_forward,
                             hostile_backward};
abn_variant misled = hostile;

__attribute__((constructor)) void when_loaded() { perhaps("constructor"); }
__attribute__((destructor)) void when_unloaded() { perhaps("destructor"); }

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  perhaps("entry");
  if (index == 0) std::atexit([] { perhaps("exit_handler"); });
  if (does("entry", "endless")) return &hostile;
  if (does("entry", "other_name")) misled.name = "friendly";
  if (does("entry", "bad_name")) misled.name = reinterpret_cast<const char*>(8);
  if (does("entry", "bad_summary")) misled.summary = reinterpret_cast<const char*>(8);
  if (does("entry", "bad_pointer"))
    return index == 0 ? reinterpret_cast<const abn_variant*>(16) : nullptr;
  return index == 0 ? &misled : nullptr;
}
