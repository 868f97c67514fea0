// Tries what is delicate when a program is linked against an older C library than it runs on:
// constructors, destructors, exceptions through threads, waiting by a clock, environment, files.
// Ends with 0, or says what was wrong.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <locale>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>

extern "C" {
long __isoc23_strtol(const char*, char**, int);
int __isoc23_sscanf(const char*, const char*, ...);
int close_range(unsigned, unsigned, int) noexcept;
unsigned arc4random_uniform(unsigned) noexcept;
}

namespace {

int constructed = 0, wrong = 0;

void expect(bool holds, const char* what) {
  if (!holds) std::fprintf(stderr, "wrong: %s\n", what), ++wrong;
}

struct Global {
  Global() { constructed = 42; }
  ~Global() {
    if (child) std::fputs("destructed\n", stdout);
  }
  bool child = false;
} global;

[[gnu::noinline]] void deep(int levels) {
  if (levels == 0) throw std::runtime_error("thrown");
  deep(levels - 1);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // no tail call
}

bool throws() {
  try {
    deep(20);
  } catch (const std::runtime_error& error) {
    return std::string(error.what()) == "thrown";
  }
  return false;
}

std::string output_of_a_child(const char* own_path) {
  FILE* pipe = popen((std::string(own_path) + " child").c_str(), "r");
  if (pipe == nullptr) return "";
  char text[64] = "";
  if (std::fgets(text, sizeof text, pipe) == nullptr) text[0] = '\0';
  expect(pclose(pipe) == 0, "the child's exit code");
  return text;
}

}  // namespace

int main(int count, char** words) {
  if (count > 1) {
    global.child = true;
    return 0;
  }
  expect(constructed == 42, "a constructor did not run before main");
  expect(output_of_a_child(words[0]) == "destructed\n", "a destructor did not run after main");
  expect(throws(), "an exception was not caught");

  std::mutex mutex;
  std::condition_variable condition;
  bool thread_caught = false, told = false;
  std::thread thread([&] {
    const bool caught = throws();
    const std::lock_guard lock(mutex);
    thread_caught = caught, told = true;
    condition.notify_one();
  });
  {
    std::unique_lock lock(mutex);
    expect(condition.wait_for(lock, std::chrono::seconds(30), [&] { return told; }),
           "a notification did not arrive");
  }
  thread.join();
  expect(thread_caught, "an exception in a thread was not caught");
  {
    std::unique_lock lock(mutex);
    const auto begin = std::chrono::steady_clock::now();
    condition.wait_for(lock, std::chrono::milliseconds(20), [] { return false; });
    expect(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(20),
           "a wait ended too early");
  }

  setenv("ABN_TRY", "set", 1);
  const char* value = nullptr;  // by environ, a copy of which lies in this program
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (std::string(*entry) == "ABN_TRY=set") value = *entry;
  expect(value != nullptr && std::getenv("ABN_TRY") != nullptr, "environ is not the library's");

  struct stat status;
  expect(stat("/", &status) == 0 && S_ISDIR(status.st_mode), "stat");
  expect(fstatat(-100, "/proc/self", &status, 0x100) == 0 && S_ISLNK(status.st_mode), "fstatat");
  expect(std::filesystem::is_directory("/") && !std::filesystem::exists("/no/such"), "filesystem");
  std::ifstream file("/proc/self/comm");
  std::string line;
  expect(static_cast<bool>(std::getline(file, line)) && !line.empty(), "a stream reads no file");
  std::cout << std::flush;
  expect(std::fputs("", stdout) >= 0, "stdout is not the library's");
  std::locale classic = std::locale::classic();
  volatile double one = 1;
  expect(std::abs(std::exp(one) - 2.718281828459045) < 1e-15 && std::pow(one + 1, 10) == 1024 &&
             std::isinf(std::exp(one * 1e4)) && std::log(one) == 0,
         "exp, pow or log");
  expect(std::random_device{}.max() > 0 && arc4random_uniform(1) == 0 && arc4random_uniform(7) < 7,
         "random numbers");
  int number = 0;
  expect(__isoc23_strtol("-12", nullptr, 10) == -12 && __isoc23_sscanf("7", "%d", &number) == 1 &&
             number == 7,
         "reading numbers");
  const int copy = dup(2);
  expect(copy >= 0 && close_range(static_cast<unsigned>(copy), ~0U, 0) == 0 &&
             lseek(copy, 0, SEEK_CUR) < 0,
         "close_range");
  return wrong == 0 ? 0 : 1;
}
