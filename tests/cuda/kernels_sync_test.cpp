// One batch sharded over ranks, each a thread: one rank has the bits of the whole pass, several
// agree with the unsplit batch and with each other, and nobody hangs when something fails.
#include <barrier>
#include <memory>
#include <numeric>
#include <thread>

#include "cuda/sync.h"
#include "tests/cuda/kernel_plain.hpp"

namespace {

using namespace abn::tests;

// ---- ranks as threads

struct Rendezvous {
  explicit Rendezvous(int size) : ranks(size), barrier(size) {}
  int ranks;
  std::barrier<> barrier;
  std::vector<std::byte> all;
};

class ThreadCommunicator : public abn::Communicator {
 public:
  ThreadCommunicator(Rendezvous& rendezvous, int rank) : rendezvous_(rendezvous), rank_(rank) {}
  int ranks() const override { return rendezvous_.ranks; }
  bool allgather(const void* mine, void* all, std::size_t bytes, void*) override {
    if (rank_ == 0) rendezvous_.all.resize(bytes * static_cast<std::size_t>(rendezvous_.ranks));
    rendezvous_.barrier.arrive_and_wait();
    std::memcpy(rendezvous_.all.data() + bytes * static_cast<std::size_t>(rank_), mine, bytes);
    rendezvous_.barrier.arrive_and_wait();
    std::memcpy(all, rendezvous_.all.data(), bytes * static_cast<std::size_t>(rendezvous_.ranks));
    rendezvous_.barrier.arrive_and_wait();  // before the next one changes its size
    return true;
  }

 private:
  Rendezvous& rendezvous_;
  int rank_;
};

// The sharded pass as a variant of this thread, for the harness.
struct OfThread {
  const abn_split_variant* variant = nullptr;
  abn::Communicator* communicator = nullptr;
};
thread_local OfThread of_thread;

struct Gathered {
  Gathered(const abn_problem& p, int direction)
      : buffer(
            ABN_F64,
            abn::sync_bytes(*of_thread.variant, p, direction, of_thread.communicator->ranks()) / 8,
            0) {}
  Buffer buffer;
};
abn_variant sharded() {
  abn_variant variant = of_thread.variant->base;
  variant.forward = [](const abn_problem* p, const abn_forward_args* args) {
    Gathered gathered(*p, ABN_FORWARD);
    const int status = abn::sync_forward(*of_thread.variant, *p, *args, *of_thread.communicator,
                                         gathered.buffer.data());
    EXPECT_TRUE(gathered.buffer.guards_intact());
    return status;
  };
  variant.backward = [](const abn_problem* p, const abn_backward_args* args) {
    Gathered gathered(*p, ABN_BACKWARD);
    const int status = abn::sync_backward(*of_thread.variant, *p, *args, *of_thread.communicator,
                                          gathered.buffer.data());
    EXPECT_TRUE(gathered.buffer.guards_intact());
    return status;
  };
  return variant;
}

const abn_split_variant& split_named(const std::string& name) {
  const abn_split_variant* split = abn_split_of(&variant_named(name));
  if (split == nullptr) throw std::runtime_error(name + " has no halves");
  return *split;
}

// ---- shards

// Images [first, first + n) of a case.
Case shard_of(const Case& whole, std::int64_t first, std::int64_t n) {
  Case shard = whole;
  shard.problem.n = n;
  const auto per_image = static_cast<std::ptrdiff_t>(whole.problem.c * whole.problem.s);
  shard.x.assign(whole.x.begin() + first * per_image, whole.x.begin() + (first + n) * per_image);
  shard.dz.assign(whole.dz.begin() + first * per_image, whole.dz.begin() + (first + n) * per_image);
  return shard;
}

std::vector<Both> run_sharded(const std::string& name, const Case& whole,
                              const std::vector<std::int64_t>& sizes, const Options& options = {}) {
  Rendezvous rendezvous(static_cast<int>(sizes.size()));
  std::vector<Both> results(sizes.size());
  std::vector<std::thread> threads;
  std::int64_t first = 0;
  for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
    threads.emplace_back([&, rank, shard = shard_of(whole, first, sizes[rank])] {
      ThreadCommunicator communicator(rendezvous, static_cast<int>(rank));
      of_thread = {&split_named(name), &communicator};
      Options own = options;
      own.schedule += rank;
      results[rank] = run(sharded(), shard, own);
    });
    first += sizes[rank];
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

template <class Pick>
std::vector<double> joined(const std::vector<Both>& ranks, Pick pick) {
  std::vector<double> out;
  for (const Both& one : ranks)
    for (const double value : pick(one).values()) out.push_back(value);
  return out;
}

struct Kind {
  std::int64_t n, c, s;
  int layout, dtype, activation;
};
Case case_of(const Kind& k) {
  abn_problem p = problem_of(k.n, k.c, k.s, k.layout, k.dtype);
  activate(p, k.activation, 0.3);
  return abn::tests::case_of(p, static_cast<std::uint64_t>(k.s + k.c));
}
// In one slice and in several, ragged and not.
constexpr Kind kinds[] = {
    {14, 5, 7, ABN_NCHW, ABN_F32, ABN_LEAKY_RELU}, {14, 9, 49, ABN_NCHW, ABN_F16, ABN_IDENTITY},
    {14, 2, 900, ABN_NCHW, ABN_F64, ABN_ELU},      {14, 3, 10, ABN_NHWC, ABN_BF16, ABN_LEAKY_RELU},
    {14, 24, 80, ABN_NHWC, ABN_F32, ABN_ELU},      {14, 70, 30, ABN_NHWC, ABN_F64, ABN_LEAKY_RELU}};
const std::vector<std::int64_t> uneven = {3, 0, 1, 7, 0, 3};
const char* const split_variants[] = {"two_sweep", "resident", "auto", "cpu"};

TEST(KernelsSync, OneRankHasTheBitsOfTheWholePass) {
  std::uint64_t schedule = 0;
  for (const char* name : split_variants)
    for (const Kind& k : kinds)
      for (const bool in_place : {false, true}) {
        SCOPED_TRACE(testing::Message() << name << " c" << k.c << "s" << k.s << " layout "
                                        << k.layout << " dtype " << k.dtype);
        const Case c = case_of(k);
        const Options options{.schedule = ++schedule, .in_place = in_place, .offset = schedule % 3};
        const Both whole = run(variant_named(name), c),
                   split = std::move(run_sharded(name, c, {k.n}, options)[0]);
        EXPECT_EQ(split.f.result().bits(), whole.f.z.bits());
        EXPECT_EQ(split.f.mean.bits(), whole.f.mean.bits());
        EXPECT_EQ(split.f.var.bits(), whole.f.var.bits());
        EXPECT_EQ(split.f.running_mean.bits(), whole.f.running_mean.bits());
        EXPECT_EQ(split.f.running_var.bits(), whole.f.running_var.bits());
        EXPECT_EQ(split.b.result().bits(), whole.b.dx.bits());
        EXPECT_EQ(split.b.dgamma.bits(), whole.b.dgamma.bits());
        EXPECT_EQ(split.b.dbeta.bits(), whole.b.dbeta.bits());
      }
}

TEST(KernelsSync, UnevenShardsAgreeWithTheWholeBatchAndWithEachOther) {
  for (const char* name : split_variants)
    for (const Kind& k : kinds) {
      SCOPED_TRACE(testing::Message() << name << " c" << k.c << "s" << k.s << " layout " << k.layout
                                      << " dtype " << k.dtype);
      const Case c = case_of(k);
      const std::vector<Both> ranks = run_sharded(name, c, uneven, {.schedule = 5});
      const Plain plain(c);
      const Expected f = plain.forward();
      const auto z = joined(ranks, [](const Both& one) -> const Buffer& { return one.f.z; });
      expect_all("z", z, f.z);
      for (const Both& one : ranks) {
        expect_all("mean", one.f.mean.values(), f.mean);
        expect_all("var", one.f.var.values(), f.var);
        expect_all("running_mean", one.f.running_mean.values(), f.running_mean);
        expect_all("running_var", one.f.running_var.values(), f.running_var);
        EXPECT_EQ(one.f.mean.bits(), ranks[0].f.mean.bits());
        EXPECT_EQ(one.f.var.bits(), ranks[0].f.var.bits());
        EXPECT_EQ(one.f.running_var.bits(), ranks[0].f.running_var.bits());
      }
      const Expected b = plain.backward(z, ranks[0].f.var.values());
      expect_all("dx", joined(ranks, [](const Both& one) -> const Buffer& { return one.b.dx; }),
                 b.dx);
      // dgamma and dbeta are sums over the shard.
      std::vector<double> dgamma(c.channels()), dbeta(c.channels());
      for (const Both& one : ranks)
        for (std::size_t channel = 0; channel < c.channels(); ++channel) {
          dgamma[channel] += one.b.dgamma.values()[channel];
          dbeta[channel] += one.b.dbeta.values()[channel];
        }
      expect_all("dgamma", dgamma, b.dgamma);
      expect_all("dbeta", dbeta, b.dbeta);
      for (const std::size_t empty : {1u, 4u})
        for (const double value : ranks[empty].b.dgamma.values()) EXPECT_EQ(value, 0);
      if (HasFailure()) return;
    }
}

// Sums of x and x^2 would lose all of the variance at mean/sigma = 2^13, and plain Chan merges of
// float means some of it.
TEST(KernelsSync, LargeMeanOverSigma) {
  Case c = abn::tests::case_of(problem_of(14, 3, 60, ABN_NCHW, ABN_F32), 1);
  std::vector<double> exact(c.channels());
  for (std::size_t k = 0; k < c.channels(); ++k) {
    double mean = 0;
    for (std::size_t i = 0; i < c.samples(); ++i) {
      c.x[c.at(k, i)] = rounded(ABN_F32, 4096 + noise(20 + k, i));
      mean += c.x[c.at(k, i)] / static_cast<double>(c.samples());
    }
    for (std::size_t i = 0; i < c.samples(); ++i)
      exact[k] += std::pow(c.x[c.at(k, i)] - mean, 2) / static_cast<double>(c.samples());
  }
  const auto ranks = run_sharded("two_sweep", c, uneven);
  for (std::size_t k = 0; k < c.channels(); ++k)
    EXPECT_LE(std::fabs(ranks[0].f.var.values()[k] / exact[k] - 1), 8 * 0x1p-24);
}

// The order of the ranks changes roundings only.
TEST(KernelsSync, PermutedRanksAgreeWithinRoundings) {
  const Case c = case_of(kinds[0]);
  Case turned = c;  // the last seven images first
  const auto half = c.elements() / 2;
  std::rotate(turned.x.begin(), turned.x.begin() + static_cast<std::ptrdiff_t>(half),
              turned.x.end());
  std::rotate(turned.dz.begin(), turned.dz.begin() + static_cast<std::ptrdiff_t>(half),
              turned.dz.end());
  const auto a = run_sharded("two_sweep", c, {7, 7}), b = run_sharded("two_sweep", turned, {7, 7});
  for (std::size_t k = 0; k < c.channels(); ++k) {
    const double mean = a[0].f.mean.values()[k], var = a[0].f.var.values()[k];
    EXPECT_NEAR(b[0].f.mean.values()[k], mean, 8 * 0x1p-24 * (std::fabs(mean) + std::sqrt(var)));
    EXPECT_NEAR(b[0].f.var.values()[k], var, 8 * 0x1p-24 * var);
  }
}

TEST(KernelsSync, NoSamplesAnywhereTouchNothing) {
  for (const char* name : split_variants) {
    for (const Kind& k : {Kind{0, 4, 9, ABN_NCHW, ABN_F32, ABN_IDENTITY},
                          Kind{0, 4, 0, ABN_NHWC, ABN_F32, ABN_IDENTITY},
                          Kind{0, 0, 3, ABN_NCHW, ABN_F32, ABN_IDENTITY}})
      for (const Both& one : run_sharded(name, case_of(k), {0, 0})) {
        EXPECT_TRUE(one.f.running_mean.unwritten() && one.f.running_var.unwritten() &&
                    one.f.mean.unwritten() && one.f.var.unwritten());
        EXPECT_TRUE(one.b.dx.unwritten());
      }
  }
}

// ---- what goes wrong

class BrokenCommunicator : public abn::Communicator {
 public:
  int ranks() const override { return 1; }
  bool allgather(const void*, void*, std::size_t, void*) override { return ++calls, false; }
  int calls = 0;
};

TEST(KernelsSync, FailuresAreToldAfterTheGathering) {
  const Case c = case_of(kinds[0]);
  BrokenCommunicator broken;
  of_thread = {&split_named("two_sweep"), &broken};
  EXPECT_EQ(forward(sharded(), c).status, ABN_ERROR_COMMUNICATION);
  EXPECT_EQ(broken.calls, 1);

  Rendezvous rendezvous(1);
  ThreadCommunicator communicator(rendezvous, 0);
  std::vector<double> space(4096);
  abn_forward_args args{};
  EXPECT_EQ(abn::sync_forward(*of_thread.variant, c.problem, args, communicator, space.data()),
            ABN_ERROR_ARGUMENT);
  abn_problem inference = c.problem;
  inference.mode = ABN_INFERENCE;
  EXPECT_EQ(of_thread.variant->forward_local(&inference, &args, space.data()),
            ABN_ERROR_UNSUPPORTED);
  args.x = args.z = space.data();
  EXPECT_EQ(of_thread.variant->forward_local(&c.problem, &args, nullptr), ABN_ERROR_ARGUMENT);
  EXPECT_EQ(of_thread.variant->forward_apply(&c.problem, &args, space.data(), 0),
            ABN_ERROR_ARGUMENT);
  EXPECT_EQ(of_thread.variant->forward_local(&c.problem, &args, space.data()), ABN_ERROR_WORKSPACE);
}

// A variant of the shorter struct, as older plug-ins have it, offers no halves.
TEST(KernelsSync, OlderVariantsHaveNone) {
  EXPECT_EQ(abn_split_of(&variant_named("naive")), nullptr);
  EXPECT_EQ(variant_named("naive").struct_size, sizeof(abn_variant));
  EXPECT_EQ(&abn_split_of(&variant_named("two_sweep"))->base, &variant_named("two_sweep"));
}

}  // namespace
