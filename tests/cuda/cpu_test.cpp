// The variant `cpu`: the same bits for any number of threads and any instructions, no access beside
// a buffer, and threads that are gone when a call returns. What it has in common with the kernels
// on the emulator is tested with them (kernels_*_test.cpp).
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <thread>

#include "cuda/cpu/passes.hpp"
#include "cuda/cpu/threads.hpp"
#include "cuda/host_code.h"
#include "tests/cuda/kernel_plain.hpp"

namespace {

using namespace abn::tests;
using abn::cpu::Passes;

// ---- calls by chosen passes and threads

struct Way {
  const Passes* passes = nullptr;
  int threads = 1;
};
Way way;

abn_variant variant_by(const Passes& passes, int threads) {
  way = {&passes, threads};
  abn_variant variant = variant_named("cpu");
  variant.struct_size = sizeof variant;
  variant.forward = [](const abn_problem* problem, const abn_forward_args* args) {
    return way.passes->forward(*problem, *args, way.threads);
  };
  variant.backward = [](const abn_problem* problem, const abn_backward_args* args) {
    return way.passes->backward(*problem, *args, way.threads);
  };
  return variant;
}

std::vector<std::uint64_t> all_bits(const Both& both) {
  std::vector<std::uint64_t> out;
  for (const Buffer* buffer :
       {&both.f.result(), &both.f.running_mean, &both.f.running_var, &both.f.mean, &both.f.var,
        &both.b.result(), &both.b.dgamma, &both.b.dbeta})
    for (const std::uint64_t bits : buffer->bits()) out.push_back(bits);
  return out;
}

std::vector<Way> other_ways() {
  std::vector<Way> ways = {{&abn::cpu::portable_passes, 3}};
  if (const Passes* const avx2 = abn::cpu::avx2_passes())
    for (const int threads : {1, 2, 4}) ways.push_back({avx2, threads});
  return ways;
}

struct Kind {
  std::int64_t n, c, s;
  int layout, dtype, activation, mode;
};
Case case_of(const Kind& k) {
  abn_problem p = problem_of(k.n, k.c, k.s, k.layout, k.dtype);
  activate(p, k.activation, 0.3);
  p.mode = k.mode;
  return abn::tests::case_of(p, static_cast<std::uint64_t>(k.s + k.dtype));
}

// Large enough for four threads: channels in slices and whole, runs long and short, leaves and rows
// that are not full.
constexpr Kind kinds[] = {
    {3, 5, 17'501, ABN_NCHW, ABN_F32, ABN_LEAKY_RELU, ABN_TRAINING},
    {1, 1, 262'147, ABN_NHWC, ABN_F32, ABN_IDENTITY, ABN_TRAINING},
    {89, 61, 49, ABN_NCHW, ABN_BF16, ABN_LEAKY_RELU, ABN_TRAINING},
    {3, 3, 29'200, ABN_NCHW, ABN_F64, ABN_CELU, ABN_FROZEN},
    {2, 131, 1'003, ABN_NHWC, ABN_F16, ABN_LEAKY_RELU, ABN_TRAINING},
    {3, 7, 12'501, ABN_NHWC, ABN_F32, ABN_ELU, ABN_TRAINING},
    {4, 64, 1'030, ABN_NHWC, ABN_BF16, ABN_LEAKY_RELU, ABN_FROZEN},
    {2, 40, 3'300, ABN_NHWC, ABN_F64, ABN_LEAKY_RELU, ABN_INFERENCE},
};

TEST(Cpu, SameBitsForAnyThreadsAndInstructions) {
  for (const Kind& k : kinds) {
    const Case c = case_of(k);
    const auto expected = all_bits(run(variant_by(abn::cpu::portable_passes, 1), c));
    ASSERT_FALSE(expected.empty());
    for (const Way& other : other_ways()) {
      const bool same = all_bits(run(variant_by(*other.passes, other.threads), c)) == expected;
      EXPECT_TRUE(same) << other.passes->name << " with " << other.threads << " threads, c" << k.c
                        << "s" << k.s << " layout " << k.layout << " dtype " << k.dtype;
    }
  }
}

// Every pattern of 16 bits, NaNs with either sign among them, stretched so that results are
// rounded, become subnormal and overflow.
TEST(Cpu, SameBitsOfEverySixteenBitPattern) {
  const Passes* const avx2 = abn::cpu::avx2_passes();
  if (avx2 == nullptr) GTEST_SKIP() << "this processor, or this build, has no AVX2";
  std::vector<std::uint16_t> patterns(65'536);
  std::iota(patterns.begin(), patterns.end(), std::uint16_t{0});
  for (const int dtype : {ABN_F16, ABN_BF16})
    for (float gamma : {1.0F, 0.7F, 0x1.234p-11F, 0x1.6p9F}) {
      abn_problem p = problem_of(1, 1, 65'536, ABN_NCHW, dtype);
      p.mode = ABN_FROZEN;
      p.eps = 0;
      float zero = 0, one = 1;
      const auto of = [&](const Passes& passes) {
        std::vector<std::uint16_t> z(patterns.size()), dx(patterns.size());
        float space[64] = {};
        abn_forward_args f{};
        f.x = patterns.data(), f.z = z.data(), f.gamma = &gamma, f.beta = &zero;
        f.running_mean = &zero, f.running_var = &one;
        EXPECT_EQ(passes.forward(p, f, 1), ABN_OK);
        abn_backward_args b{};
        b.dz = b.z = patterns.data(), b.dx = dx.data(), b.gamma = &gamma, b.beta = &zero;
        b.var = &one, b.workspace = space, b.workspace_bytes = sizeof space;
        EXPECT_EQ(passes.backward(p, b, 1), ABN_OK);
        return std::pair{z, dx};
      };
      EXPECT_EQ(of(abn::cpu::portable_passes), of(*avx2)) << "dtype " << dtype << " " << gamma;
    }
}

// Runs that end with a leaf, one sample before it and one behind it, and about the length from
// which they are gone through one by one; rows likewise.
TEST(Cpu, RightWhereRunsAndLeavesEnd) {
  std::uint64_t index = 0;
  for (const std::int64_t s : {31, 32, 33, 63, 65, 127, 129, 511, 512, 513, 1023, 1024, 1025, 2047})
    for (const int layout : {ABN_NCHW, ABN_NHWC})
      for (const int dtype : {ABN_F32, ABN_BF16}) {
        abn_problem p = problem_of(3, 3, s, layout, dtype);
        p.mode = ++index % 4 == 0 ? ABN_FROZEN : ABN_TRAINING;
        SCOPED_TRACE(testing::Message() << "s" << s << " layout " << layout << " dtype " << dtype
                                        << " mode " << p.mode);
        const Case c = abn::tests::case_of(p, index);
        const Both got = run(variant_named("cpu"), c, {.in_place = index % 2 == 0});
        const Plain plain(c);
        const auto z = got.f.result().values();
        expect_all("z", z, plain.forward().z);
        const Expected b =
            plain.backward(z, p.mode == ABN_TRAINING ? got.f.var.values() : c.running_var);
        expect_all("dx", got.b.result().values(), b.dx);
        expect_all("dgamma", got.b.dgamma.values(), b.dgamma);
        expect_all("dbeta", got.b.dbeta.values(), b.dbeta);
        if (HasFailure()) return;
      }
}

// ---- pages that nobody may touch

// Zeros between two closed pages: they end where a page does, or begin there.
class Walled {
 public:
  Walled(std::size_t bytes, bool at_end) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t open = (bytes + page - 1) / page * page;
    size_ = open + 2 * page;
    map_ = static_cast<std::byte*>(
        mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (map_ == MAP_FAILED) throw std::bad_alloc();
    if (open > 0 && mprotect(map_ + page, open, PROT_READ | PROT_WRITE) != 0)
      throw std::bad_alloc();
    data_ = map_ + page + (at_end ? open - bytes : 0);
  }
  Walled(const Walled&) = delete;
  Walled& operator=(const Walled&) = delete;
  ~Walled() { munmap(map_, size_); }
  void* data() const { return data_; }

 private:
  std::byte* map_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// An access beside a buffer ends the program.
void call_between_walls(const Passes& passes, const abn_problem& p, bool at_end, bool in_place) {
  const std::size_t bytes = static_cast<std::size_t>(p.n * p.c * p.s) * size_of(p.dtype),
                    channels = static_cast<std::size_t>(p.c) * size_of(p.param_dtype);
  const auto workspace_bytes = [&](int direction) {
    return variant_named("cpu").workspace_bytes(&p, direction);
  };
  const Walled x(bytes, at_end), z(bytes, at_end), dz(bytes, at_end), dx(bytes, at_end),
      gamma(channels, at_end), beta(channels, at_end), mean(channels, at_end),
      variance(channels, at_end), running_mean(channels, at_end), running_var(channels, at_end),
      dgamma(channels, at_end), dbeta(channels, at_end),
      forward_space(workspace_bytes(ABN_FORWARD), at_end),
      backward_space(workspace_bytes(ABN_BACKWARD), at_end);
  abn_forward_args f{};
  f.x = x.data(), f.z = in_place ? x.data() : z.data(), f.gamma = gamma.data();
  f.beta = beta.data(), f.mean = mean.data(), f.var = variance.data();
  f.running_mean = running_mean.data(), f.running_var = running_var.data();
  f.workspace = forward_space.data(), f.workspace_bytes = workspace_bytes(ABN_FORWARD);
  EXPECT_EQ(passes.forward(p, f, 1), ABN_OK);
  if (p.mode == ABN_INFERENCE) return;
  abn_backward_args b{};
  b.dz = dz.data(), b.dx = in_place ? dz.data() : dx.data(), b.z = z.data();
  b.gamma = gamma.data(), b.beta = beta.data(), b.var = variance.data();
  b.dgamma = dgamma.data(), b.dbeta = dbeta.data();
  b.workspace = backward_space.data(), b.workspace_bytes = workspace_bytes(ABN_BACKWARD);
  EXPECT_EQ(passes.backward(p, b, 1), ABN_OK);
}

TEST(Cpu, TouchesNothingBesideItsBuffers) {
  std::vector<const Passes*> builds = {&abn::cpu::portable_passes};
  if (const Passes* const avx2 = abn::cpu::avx2_passes()) builds.push_back(avx2);
  for (const Passes* const passes : builds)
    for (const auto& [n, c, s] : {std::tuple{3, 2, 37}, {1, 3, 1'055}, {2, 130, 35}, {40, 3, 29}})
      for (const int layout : {ABN_NCHW, ABN_NHWC})
        for (const int dtype : {ABN_F16, ABN_BF16, ABN_F32, ABN_F64})
          for (const int mode : {ABN_TRAINING, ABN_INFERENCE, ABN_FROZEN}) {
            abn_problem p = problem_of(n, c, s, layout, dtype);
            p.mode = mode;
            for (const bool at_end : {true, false})
              call_between_walls(*passes, p, at_end, (n + dtype) % 2 == 0);
          }
}

TEST(CpuDeathTest, TheWallsAreThere) {
  const Walled end(100, true), begin(100, false);
  volatile const char* const behind = static_cast<const char*>(end.data()) + 100;
  volatile const char* const before = static_cast<const char*>(begin.data()) - 1;
  EXPECT_DEATH(static_cast<void>(*behind), "");
  EXPECT_DEATH(static_cast<void>(*before), "");
}

// ---- threads

struct Counts {
  std::vector<std::atomic<int>> of_task;
  explicit Counts(std::size_t tasks) : of_task(tasks) {}
  static void add(const void* counts, std::int64_t task) {
    ++const_cast<Counts*>(static_cast<const Counts*>(counts))
          ->of_task[static_cast<std::size_t>(task)];
  }
  bool all_once() const {
    for (const auto& one : of_task)
      if (one != 1) return false;
    return true;
  }
};

bool shares_out(std::size_t tasks, int threads) {
  const Counts counts(tasks);
  abn::cpu::in_parallel(static_cast<std::int64_t>(tasks), threads, Counts::add, &counts);
  return counts.all_once();
}

TEST(CpuThreads, EveryTaskIsDoneOnce) {
  for (const std::size_t tasks : {0, 1, 2, 3, 100, 10'000})
    for (const int threads : {0, 1, 2, 5, 64, 1'000})
      EXPECT_TRUE(shares_out(tasks, threads)) << tasks << " tasks, " << threads << " threads";
}

std::ptrdiff_t threads_of_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                       std::filesystem::directory_iterator{});
}

/// A thread that was joined is still listed for a moment.
bool comes_to_one_thread() {
  for (int tries = 0; tries < 10'000; ++tries) {
    if (threads_of_process() == 1) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(CpuThreads, NoneOutlivesTheCall) {
  EXPECT_TRUE(comes_to_one_thread());
  EXPECT_TRUE(shares_out(100, 8));
  EXPECT_TRUE(comes_to_one_thread());
}

// What `work` says in a process of its own.
template <class Work>
bool in_child(Work work) {
  const pid_t child = fork();
  if (child == 0) _exit(work() ? 0 : 1);
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(CpuThreads, WorkInAChildOfAProcessThatHadSome) {
  EXPECT_TRUE(shares_out(100, 4));
  EXPECT_TRUE(in_child([] { return shares_out(100, 4); }));
}

#if !defined(__SANITIZE_ADDRESS__)  // it has mapped all of memory
TEST(CpuThreads, AreNotNeeded) {
  EXPECT_TRUE(in_child([] {
    const rlimit none{1 << 20, 1 << 20};  // no stack of a thread fits
    return setrlimit(RLIMIT_AS, &none) == 0 && shares_out(100, 8) && threads_of_process() == 1;
  }));
}
#endif

TEST(CpuThreads, TheVariableIsANumberOrNothing) {
  using abn::cpu::thread_limit_of;
  EXPECT_EQ(thread_limit_of(nullptr, 6), 6);
  EXPECT_EQ(thread_limit_of("3", 6), 3);
  EXPECT_EQ(thread_limit_of("12", 6), 12);
  for (const char* const text : {"", "0", "-2", "x", "3x", "many"})
    EXPECT_EQ(thread_limit_of(text, 6), 6) << text;
  EXPECT_EQ(thread_limit_of("999999999999999999999", 6), abn::cpu::most_threads_of_a_call);
  EXPECT_EQ(thread_limit_of(nullptr, 100'000), abn::cpu::most_threads_of_a_call);
}

// ---- the registry

TEST(Cpu, IsHostCodeAndBuiltOnce) {
  EXPECT_EQ(abn_is_host_code(&variant_named("cpu")), 1);
  EXPECT_EQ(abn_is_host_code(&variant_named("two_sweep")), 0);
  EXPECT_EQ(abn_instrumented_variant("cpu"), nullptr);
  int found = 0;
  for (std::uint32_t i = 0; const abn_variant* variant = abn_in_tree_variant(i); ++i)
    found += std::string(variant->name) == "cpu";
  EXPECT_EQ(found, 1);
}

}  // namespace
