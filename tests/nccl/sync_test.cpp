// The sharded pass over NCCL, one thread a GPU: one rank has the bits of the whole pass, several
// agree with it. Built with -DABN_NCCL=ON where there is NCCL; NCCL takes every GPU once, so the
// second test needs two.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "cuda/registry.h"
#include "cuda/sync_nccl.h"

namespace {

constexpr std::int64_t channels = 24, samples = 49, images = 37;
constexpr std::size_t per_image = channels * samples;

const abn_split_variant& two_sweep_on_cuda() {
  for (std::uint32_t i = 0; const abn_variant* variant = abn_in_tree_variant(i); ++i)
    if (std::strcmp(variant->name, "two_sweep") == 0 && variant->memory == ABN_MEMORY_CUDA)
      return *abn_split_of(variant);
  throw std::runtime_error("two_sweep was not built for CUDA");
}

abn_problem problem_of(std::int64_t n) {
  abn_problem p{};
  p.struct_size = sizeof p;
  p.n = n, p.c = channels, p.s = samples;
  p.dtype = p.param_dtype = ABN_F32;
  p.activation = ABN_LEAKY_RELU;
  p.activation_parameter = 0.25;
  p.eps = 0x1p-16, p.momentum = 0.5;
  return p;
}
std::vector<float> numbers(std::size_t count, unsigned seed) {
  std::vector<float> out(count);
  std::uint64_t state = seed;
  for (float& value : out) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<float>(state >> 40) * 0x1p-23f - 0.5f;
  }
  return out;
}

// Device memory with the values of a host vector.
class OnDevice {
 public:
  explicit OnDevice(std::size_t bytes) {
    if (bytes > 0 && cudaMalloc(&data_, bytes) != cudaSuccess)
      throw std::runtime_error("cudaMalloc failed");
  }
  explicit OnDevice(const std::vector<float>& values) : OnDevice(values.size() * sizeof(float)) {
    cudaMemcpy(data_, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice);
  }
  ~OnDevice() { cudaFree(data_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  void* get() const { return data_; }
  std::vector<float> values(std::size_t count) const {
    std::vector<float> out(count);
    cudaMemcpy(out.data(), data_, count * sizeof(float), cudaMemcpyDeviceToHost);
    return out;
  }

 private:
  void* data_ = nullptr;
};

struct Results {
  std::vector<float> z, dx, mean, var, dgamma, dbeta;
};

// Both passes over images [first, first + n) on the current GPU; without a communicator the whole
// pass.
Results run(std::int64_t first, std::int64_t n, abn::Communicator* communicator) {
  const abn_split_variant& variant = two_sweep_on_cuda();
  const abn_problem p = problem_of(n);
  const auto begin = static_cast<std::size_t>(first) * per_image,
             count = static_cast<std::size_t>(n) * per_image;
  const auto of_shard = [&](unsigned seed) {
    const auto all = numbers(images * per_image, seed);
    return std::vector<float>(all.begin() + static_cast<std::ptrdiff_t>(begin),
                              all.begin() + static_cast<std::ptrdiff_t>(begin + count));
  };
  const OnDevice x(of_shard(1)), dz(of_shard(2)), gamma(numbers(channels, 3)),
      beta(numbers(channels, 4));
  const OnDevice z(count * 4), dx(count * 4), mean(channels * 4), var(channels * 4),
      dgamma(channels * 4), dbeta(channels * 4);
  const std::size_t f_bytes = variant.base.workspace_bytes(&p, ABN_FORWARD),
                    b_bytes = variant.base.workspace_bytes(&p, ABN_BACKWARD);
  const OnDevice f_space(f_bytes), b_space(b_bytes);
  const int ranks = communicator != nullptr ? communicator->ranks() : 1;
  const OnDevice f_partials(abn::sync_bytes(variant, p, ABN_FORWARD, ranks)),
      b_partials(abn::sync_bytes(variant, p, ABN_BACKWARD, ranks));
  abn_forward_args f{};
  f.struct_size = sizeof f;
  f.x = x.get(), f.z = z.get(), f.gamma = gamma.get(), f.beta = beta.get(), f.mean = mean.get(),
  f.var = var.get();
  f.workspace = f_space.get(), f.workspace_bytes = f_bytes;
  abn_backward_args b{};
  b.struct_size = sizeof b;
  b.dz = dz.get(), b.z = z.get(), b.dx = dx.get(), b.gamma = gamma.get(), b.beta = beta.get(),
  b.var = var.get();
  b.dgamma = dgamma.get(), b.dbeta = dbeta.get();
  b.workspace = b_space.get(), b.workspace_bytes = b_bytes;
  if (communicator == nullptr) {
    EXPECT_EQ(variant.base.forward(&p, &f), ABN_OK);
    EXPECT_EQ(variant.base.backward(&p, &b), ABN_OK);
  } else {
    EXPECT_EQ(abn::sync_forward(variant, p, f, *communicator, f_partials.get()), ABN_OK);
    EXPECT_EQ(abn::sync_backward(variant, p, b, *communicator, b_partials.get()), ABN_OK);
  }
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  return {z.values(count),      dx.values(count),        mean.values(channels),
          var.values(channels), dgamma.values(channels), dbeta.values(channels)};
}

int gpus() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

// Every GPU as a rank, in a thread of its own.
std::vector<Results> run_on(const std::vector<std::int64_t>& sizes) {
  std::vector<ncclComm_t> communicators(sizes.size());
  EXPECT_EQ(ncclCommInitAll(communicators.data(), static_cast<int>(sizes.size()), nullptr),
            ncclSuccess);
  std::vector<Results> results(sizes.size());
  std::vector<std::thread> threads;
  std::int64_t first = 0;
  for (std::size_t rank = 0; rank < sizes.size(); ++rank) {
    threads.emplace_back([&, rank, first] {
      cudaSetDevice(static_cast<int>(rank));
      abn::NcclCommunicator communicator(communicators[rank]);
      results[rank] = run(first, sizes[rank], &communicator);
    });
    first += sizes[rank];
  }
  for (std::thread& thread : threads) thread.join();
  for (const ncclComm_t communicator : communicators) ncclCommDestroy(communicator);
  return results;
}

TEST(NcclSync, OneRankHasTheBitsOfTheWholePass) {
  if (gpus() < 1) GTEST_SKIP() << "needs a GPU";
  const Results whole = run(0, images, nullptr), one = run_on({images})[0];
  EXPECT_EQ(one.z, whole.z);
  EXPECT_EQ(one.dx, whole.dx);
  EXPECT_EQ(one.mean, whole.mean);
  EXPECT_EQ(one.var, whole.var);
  EXPECT_EQ(one.dgamma, whole.dgamma);
  EXPECT_EQ(one.dbeta, whole.dbeta);
}

TEST(NcclSync, UnevenShardsAgreeWithTheWholeBatch) {
  const int ranks = gpus();
  if (ranks < 2) GTEST_SKIP() << "needs two GPUs";
  // a single image, a prime number of them, the rest, then none
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(ranks), 0);
  sizes[0] = 1, sizes[1] = images - 1;
  if (ranks > 2) sizes[1] = 13, sizes[2] = images - 14;
  const Results whole = run(0, images, nullptr);
  const std::vector<Results> shards = run_on(sizes);
  std::size_t at = 0;
  for (const Results& shard : shards) {
    EXPECT_EQ(shard.mean, shards[0].mean);
    EXPECT_EQ(shard.var, shards[0].var);
    for (std::size_t i = 0; i < shard.z.size(); ++i, ++at) {
      ASSERT_NEAR(shard.z[i], whole.z[at], 1e-5);
      ASSERT_NEAR(shard.dx[i], whole.dx[at], 1e-5);
    }
  }
  EXPECT_EQ(at, whole.z.size());
  for (std::size_t c = 0; c < channels; ++c) {
    float dgamma = 0, dbeta = 0;
    for (const Results& shard : shards) dgamma += shard.dgamma[c], dbeta += shard.dbeta[c];
    EXPECT_NEAR(dgamma, whole.dgamma[c], 1e-3);
    EXPECT_NEAR(dbeta, whole.dbeta[c], 1e-3);
  }
}

}  // namespace
