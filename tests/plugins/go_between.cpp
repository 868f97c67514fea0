// The sample kernel, and a thread that stands between the worker and the judge: it hands on every
// question, and changes the answers to one of the protocol's verbs, GO_BETWEEN=VERB:DEED.
//
// It has what a forger lacks who only writes to the socket: the number of the question.
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#define abn_plugin entry_of_the_sample
#include "cuda/examples/host_kernel.cpp"
#undef abn_plugin

namespace {

constexpr int questions = 3;  // the descriptor that the worker answers on
constexpr size_t largest = 128U << 10;
constexpr size_t at_version = 4, at_verb = 6, at_number = 8, at_message = 16;

int of_judge = -1, of_worker = -1;

/// Hands a packet on, with the descriptor that may come with it; false at the end.
template <class Change>
bool hand_on(int from, int to, const Change& change) {
  std::vector<unsigned char> bytes(largest);
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part, message.msg_iovlen = 1;
  message.msg_control = control, message.msg_controllen = sizeof control;
  const ssize_t got = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
  if (got <= 0) return false;
  bytes.resize(static_cast<size_t>(got));
  const int times = change(bytes);
  part = {bytes.data(), bytes.size()};
  for (int i = 0; i < times; ++i)
    if (sendmsg(to, &message, MSG_NOSIGNAL) < 0) return false;
  if (const cmsghdr* const head = CMSG_FIRSTHDR(&message); head != nullptr) {
    int descriptor = -1;
    std::memcpy(&descriptor, CMSG_DATA(head), sizeof descriptor);
    close(descriptor);
  }
  return true;
}

/// What becomes of an answer, and how often it is sent.
int tamper(std::vector<unsigned char>& answer) {
  const char* const said = std::getenv("GO_BETWEEN");
  const char* const colon = said == nullptr ? nullptr : std::strchr(said, ':');
  uint16_t verb = 0;
  std::memcpy(&verb, &answer[at_verb], sizeof verb);
  if (colon == nullptr || verb != std::atoi(said)) return 1;
  const std::string deed = colon + 1;
  const auto number_at = [&](size_t at, uint32_t value) {
    std::memcpy(&answer[at], &value, sizeof value);
  };
  if (deed == "magic") answer[0] ^= 1;
  if (deed == "version") answer[at_version] ^= 1;
  if (deed == "verb") answer[at_verb] ^= 1;
  if (deed == "stale") {  // the number of the question before
    uint64_t number = 0;
    std::memcpy(&number, &answer[at_number], sizeof number);
    --number;
    std::memcpy(&answer[at_number], &number, sizeof number);
  }
  if (deed == "longer") answer.push_back(0);
  if (deed == "shorter") answer.pop_back();
  if (deed == "first_number") number_at(at_message, 1);
  if (deed == "empty_list") answer.resize(at_message + sizeof(uint32_t)), number_at(at_message, 0);
  if (deed == "empty_lists")
    answer.assign(answer.begin(), answer.begin() + at_message), answer.resize(at_message + 8);
  return deed == "twice" ? 2 : 1;
}

void* stand_between(void*) {
  pollfd both[] = {{of_judge, POLLIN, 0}, {of_worker, POLLIN, 0}};
  for (bool open = true; open && poll(both, 2, -1) > 0;) {
    const auto unchanged = [](const std::vector<unsigned char>&) { return 1; };
    if (both[0].revents != 0) open = hand_on(of_judge, of_worker, unchanged);
    if (open && both[1].revents != 0) open = hand_on(of_worker, of_judge, tamper);
  }
  close(of_worker);
  return nullptr;
}

__attribute__((constructor)) void when_loaded() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
  of_judge = dup(questions), of_worker = ends[1];
  dup2(ends[0], questions);
  close(ends[0]);
  pthread_t thread;
  pthread_create(&thread, nullptr, stand_between, nullptr);
  pthread_detach(thread);
}

const abn_variant between = {ABN_ABI_VERSION, sizeof(abn_variant),
                             "go_between",    "the sample behind a thread that changes answers",
                             ABN_MEMORY_HOST, 0,
                             claims,          workspace_bytes,
                             forward,         backward};

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &between : nullptr;
}
