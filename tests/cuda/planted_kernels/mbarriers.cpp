// Defects around mbarriers: what is handed over by an arrival and taken by a wait, and what is not.
#include "cuda/device/cluster.cuh"
#include "tests/cuda/kernels_of_mbarriers.cuh"
#include "tests/cuda/planted_kernels/launch.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace planted_mbarriers {

using tests::defect, tests::Scene, tests::Ring, tests::Collected;
constexpr unsigned threads = 64, blocks = 3;

__device__ __forceinline__ void prepare(Ring& shared, unsigned full, unsigned empty) {
  if (threadIdx.x == 0) {
    mbarrier_init(shared.full[0], full);
    mbarrier_init(shared.empty[0], empty);
    mbarrier_fence_init();
  }
  __syncthreads();
}

__global__ void read_without_waiting(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, 1, 1);
  if (threadIdx.x == 0) {
    defect(), shared.slot[0] = 5;
    mbarrier_arrive(shared.full[0]);
  } else if (threadIdx.x == 32) {
    out[blockIdx.x] = (defect(), shared.slot[0]);
    mbarrier_wait(shared.full[0], 0);
  }
}

__global__ void arrive_before_writing(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, 1, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive(shared.full[0]);
    defect(), shared.slot[0] = 5;
  } else if (threadIdx.x == 32) {
    mbarrier_wait(shared.full[0], 0);
    out[blockIdx.x] = (defect(), shared.slot[0]);
  }
}

// The producer fills the slot again without waiting until the consumer has emptied it.
__global__ void refill_without_waiting(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, 1, 1);
  if (threadIdx.x == 0) {
    defect(), shared.slot[0] = 1;
    mbarrier_arrive(shared.full[0]);
    defect(), shared.slot[0] = 2;
  } else if (threadIdx.x == 32) {
    mbarrier_wait(shared.full[0], 0);
    out[blockIdx.x] = (defect(), shared.slot[0]);
    mbarrier_arrive(shared.empty[0]);
  }
}

// It waits for an arrival of somebody else.
__global__ void waits_at_the_wrong_barrier(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, 1, 1);
  if (threadIdx.x == 0) {
    defect(), shared.slot[0] = 5;
    mbarrier_arrive(shared.full[0]);
  } else if (threadIdx.x == 1) {
    mbarrier_arrive(shared.empty[0]);
  } else if (threadIdx.x == 32) {
    mbarrier_wait(shared.empty[0], 0);
    out[blockIdx.x] = (defect(), shared.slot[0]);
  }
}

// One lane waits, and the others of its warp read.
__global__ void one_lane_waits(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, 1, 1);
  if (threadIdx.x == 0) {
    defect(), shared.slot[0] = 5;
    mbarrier_arrive(shared.full[0]);
  } else if (threadIdx.x >= 32) {
    if (threadIdx.x == 32) mbarrier_wait(shared.full[0], 0);
    __shfl_sync(~0u, 1, 0);  // lanes are in step behind it, and no memory is
    out[blockIdx.x * 32 + threadIdx.x - 32] = (defect(), shared.slot[0]);
  }
}

// All threads of a warp write, one of them arrives.
__global__ void one_lane_arrives(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, 1, 1);
  if (threadIdx.x < 4) defect(), shared.slot[threadIdx.x] = 5;
  if (threadIdx.x == 0) mbarrier_arrive(shared.full[0]);
  if (threadIdx.x == 32) {
    mbarrier_wait(shared.full[0], 0);
    int sum = 0;
    for (int i = 0; i < 4; ++i) sum += (defect(), shared.slot[i]);
    out[blockIdx.x] = sum;
  }
}

__global__ void used_as_memory_too_early(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, threads, 1);
  defect(), mbarrier_arrive(shared.full[0]);
  if (threadIdx.x == 0) {
    defect(), mbarrier_wait(shared.full[0], 0);
    defect(), mbarrier_inval(shared.full[0]);
    defect(), shared.full[0].opaque = 7;
    out[blockIdx.x] = static_cast<int>(shared.full[0].opaque);
  } else if (threadIdx.x == 32) {
    out[blocks + blockIdx.x] = (defect(), static_cast<int>(shared.full[0].opaque));
  }
}

// What comes with an arrival in the next phase is not there yet when this one is complete.
__global__ void arrival_of_the_next_phase(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, 2, 1);
  if (threadIdx.x == 0) {
    mbarrier_arrive(shared.full[0]);
    mbarrier_wait(shared.full[0], 0);
    defect(), shared.slot[0] = 5;
    mbarrier_arrive(shared.full[0]);
  } else if (threadIdx.x == 32) {
    mbarrier_arrive(shared.full[0]);
    mbarrier_wait(shared.full[0], 0);
    __nanosleep(20);
    out[blockIdx.x] = (defect(), shared.slot[0]);
  }
}

// Ranks write into the memory of rank 0 behind their arrivals.
__global__ void arrives_at_a_peer_too_early(int* out) {
  const auto cluster = this_cluster();
  Collected& shared = dynamic_shared<Collected>();
  if (threadIdx.x == 0) {
    mbarrier_init(shared.full, cluster.num_blocks());
    mbarrier_fence_init();
  }
  cluster.sync();
  if (threadIdx.x == 0) {
    float* const slot = cluster.map_shared_rank(&shared.part[cluster.block_rank()], 0);
    mbarrier_arrive_peer(shared.full, 0);
    defect(), *slot = 1;
    if (cluster.block_rank() == 0) {
      mbarrier_wait_cluster(shared.full, 0);
      float sum = 0;
      for (unsigned b = 1; b < cluster.num_blocks(); ++b) sum += (defect(), shared.part[b]);
      out[blockIdx.x / cluster.num_blocks()] = static_cast<int>(sum);
    }
  }
  cluster.sync();
}

// Whole warps hand over to each other, and the one that arrives for its warp has met it.
__global__ void warp_hands_over(int* out) {
  Ring& shared = dynamic_shared<Ring>();
  prepare(shared, 1, 1);
  if (threadIdx.x < 32) {
    if (threadIdx.x < 4) shared.slot[threadIdx.x] = 5;
    __syncwarp();
    if (threadIdx.x == 0) mbarrier_arrive(shared.full[0]);
  } else {
    if (threadIdx.x == 32) mbarrier_wait(shared.full[0], 0);
    __syncwarp();
    out[blockIdx.x * 32 + threadIdx.x - 32] = shared.slot[threadIdx.x % 4];
  }
}

template <void (*Kernel)(int*)>
void ring(Scene& s) {
  launch_in(s, {blocks, threads, sizeof(Ring)}, Kernel,
            reinterpret_cast<int*>(s.output("out", 32 * blocks)));
}
LaunchConfig in_clusters() {
  return {.grid = 6, .block = threads, .shared_bytes = sizeof(Collected), .cluster = 3};
}

constexpr const char* race = emulator::data_race;
constexpr const char* in_shared = "shared memory";
const tests::Plant plant(
    ABN_PLANTED_BY,
    {
        {"mbarrier: read without waiting", race, in_shared, ring<read_without_waiting>},
        {"mbarrier: arrival before the write", race, in_shared, ring<arrive_before_writing>},
        {"mbarrier: refilled without waiting", race, in_shared, ring<refill_without_waiting>},
        {"mbarrier: wait at the wrong one", race, in_shared, ring<waits_at_the_wrong_barrier>},
        {"mbarrier: one lane waits", race, in_shared, ring<one_lane_waits>},
        {"mbarrier: one lane arrives", race, in_shared, ring<one_lane_arrives>},
        {"mbarrier: arrival of the next phase", race, in_shared, ring<arrival_of_the_next_phase>},
        {"mbarrier: memory read beside it", race, in_shared, ring<used_as_memory_too_early>},
        {"mbarrier: arrival at a peer before the write", race, in_shared,
         [](Scene& s) {
           launch_in(s, in_clusters(), arrives_at_a_peer_too_early,
                     reinterpret_cast<int*>(s.output("out", 2)));
         }},
        {"mbarriers: ring", nullptr, nullptr,
         [](Scene& s) {
           launch_in(s, {blocks, threads, sizeof(Ring)}, tests::through_a_ring,
                     reinterpret_cast<int*>(s.output("out", 32 * blocks)), 13);
         }},
        {"mbarriers: warps hand over", nullptr, nullptr, ring<warp_hands_over>},
        {"mbarriers: peers arrive", nullptr, nullptr,
         [](Scene& s) {
           launch_in(s, in_clusters(), tests::arrive_at_rank_0,
                     reinterpret_cast<int*>(s.zeros("flags", 6)),
                     reinterpret_cast<int*>(s.output("out", 2)));
         }},
    });

// ---- mbarriers that are not there, or not as they have to be

template <tests::BarrierSlip Made>
void slip(Scene& s) {
  launch_in(s, LaunchConfig{.grid = 4, .block = 32, .shared_bytes = sizeof(Ring), .cluster = 2},
            tests::barrier_with_a_slip, Made);
}

constexpr const char* misuse = emulator::mbarrier_misuse;
const tests::Plant misuses(
    ABN_PLANTED_BY,
    {
        {"mbarrier: waited at and not initialised", misuse, nullptr,
         slip<tests::wait_uninitialised>, false},
        {"mbarrier: arrived at and not initialised", misuse, nullptr,
         slip<tests::arrive_uninitialised>, false},
        {"mbarrier: too many arrivals", misuse, nullptr, slip<tests::too_many_arrivals>, false},
        {"mbarrier: too few arrivals", emulator::deadlock, nullptr, slip<tests::too_few_arrivals>,
         false},
        {"mbarrier: too many bytes", misuse, nullptr, slip<tests::too_many_bytes>, false},
        {"mbarrier: of no arrivals", misuse, nullptr, slip<tests::count_of_zero>, false},
        {"mbarrier: initialised twice", misuse, nullptr, slip<tests::twice>, false},
        {"mbarrier: used when invalid", misuse, nullptr, slip<tests::invalid_and_used>, false},
        {"mbarrier: overwritten", misuse, nullptr, slip<tests::overwritten>, false},
        {"mbarrier: misaligned", emulator::misaligned_access, nullptr,
         slip<tests::misaligned_barrier>, false},
        {"mbarrier: wait at a peer's", misuse, nullptr, slip<tests::waits_at_a_peers>, false},
        {"mbarrier: initialised by a peer", misuse, nullptr, slip<tests::initialises_a_peers>,
         false},
        {"mbarrier: invalid while others wait", misuse, nullptr,
         slip<tests::invalidated_with_waiters>, false},
    });

}  // namespace planted_mbarriers
}  // namespace ABN_BUILD
}  // namespace abn::device
