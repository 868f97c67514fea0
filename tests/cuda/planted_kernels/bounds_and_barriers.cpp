// Defects of a single access (outside, misaligned, of what nobody wrote, into an input) and of
// barriers and warp operations.
#include "cuda/device/platform.cuh"
#include "tests/cuda/planted_kernels/launch.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace planted_bounds_and_barriers {

using tests::defect, tests::Scene;
constexpr unsigned full = ~0u, threads = 128, blocks = 3;
constexpr unsigned count = 250;  // less than a multiple of anything

__global__ void overrun_by_one(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < count) out[i] = x[i];
  if (i == count) defect(), out[i] = 0;
}

__global__ void read_beyond(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < count) out[i] = x[i] - (defect(), x[i + 1]);
}

__global__ void read_before(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < count) out[i] = x[i] - (defect(), x[static_cast<int>(i) - 1]);
}

__global__ void overrun_by_one_vector(const float* x, float* out) {
  const unsigned i = (blockIdx.x * threads + threadIdx.x) * 4;
  if (i < count + 2) defect(), store16(out + i, load16(x + i));  // 250 is no multiple of 4
}

__global__ void a_vector_beyond(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < 4) out[i] = (defect(), load16(x + count - count % 4 + 4)).lane[i];
}

__global__ void element_of_another_size(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < count) out[i] = static_cast<float>((defect(), reinterpret_cast<const double*>(x)[i]));
}

__global__ void misaligned_vector(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < 4) out[i] = (defect(), load16(x + 1)).lane[i];
}

__global__ void misaligned_double(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < 4) out[i] = static_cast<float>((defect(), reinterpret_cast<const double*>(x + 1)[i]));
}

__global__ void misaligned_word(const float* x, float* out) {
  const auto* const bytes = reinterpret_cast<const char*>(x);
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < 4) out[i] = (defect(), *reinterpret_cast<const float*>(bytes + 2 + 4 * i));
}

__global__ void write_to_an_input(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < count) out[i] = x[i];
  if (i == 7) defect(), const_cast<float*>(x)[i] = 0;
}

// Whole vectors only; the next kernel reads the elements behind them.
__global__ void all_but_the_tail(float* out) {
  const unsigned i = (blockIdx.x * threads + threadIdx.x) * 4;
  if (i + 4 <= count) store16(out + i, Vec16<float>{{1, 2, 3, 4}});
}
__global__ void double_it(const float* x, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < count) out[i] = 2 * (defect(), x[i]);
}
// The tail again, read as part of a vector.
__global__ void tail_in_a_vector(float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < 10) out[i] = 1;
  __syncthreads();
  if (i < 4) out[i] = (defect(), load16(out + 8)).lane[i];
}

__global__ void workspace_added_to(float* workspace) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  if (i < count) defect(), workspace[i] += 1;
}
__global__ void workspace_counted_in(unsigned* workspace) {
  if (threadIdx.x == 0) defect(), atomicAdd(workspace, 1u);
}
struct Part {
  float n, mean, m2, spare;
};
__global__ void parts_merged_too_far(Part* parts, float* out) {
  const unsigned t = threadIdx.x;
  if (t < 10) parts[t] = {1, 2, 3, 4};
  __syncthreads();
  Part sum{};
  for (unsigned i = 0; i <= 10; ++i) {
    const Part part = (defect(), parts[i]);
    sum.n += part.n, sum.mean += part.mean;
  }
  out[t] = sum.n + sum.mean;
}

// ---- barriers and warp operations

__global__ void divergent_barrier() {
  if (threadIdx.x < threads / 2) defect(), __syncthreads();
}
__global__ void two_barriers() {
  if (threadIdx.x < threads / 2)
    defect(), __syncthreads();
  else
    defect(), __syncthreads();
}
__global__ void barrier_in_a_loop() {
  for (unsigned i = 0; i < 1 + threadIdx.x / 64; ++i) defect(), __syncthreads();
}
__global__ void shuffle_in_a_branch(float* out) {
  const unsigned t = threadIdx.x;
  if (t % 32 < 16) out[t] = (defect(), __shfl_xor_sync(full, 1.0f, 1));
  if (t % 32 >= 16) defect(), __syncwarp(0xffff0000u | (t & 32));
}
__global__ void lane_left_out(float* out) {
  const unsigned t = threadIdx.x;
  out[t] = (defect(), __shfl_down_sync(0x7fffffff, 1.0f, 1));
}
__global__ void lanes_that_returned(float* out) {
  const unsigned t = threadIdx.x;
  if (t % 32 == 31) return;
  out[t] = (defect(), __shfl_xor_sync(full, 1.0f, 1));
}
__global__ void block_that_stays_away() {
  if (blockIdx.x != 1) defect(), cooperative_groups::this_grid().sync();
}
__global__ void waits_for_nobody(unsigned* flag) {
  if (threadIdx.x == 0)
    while (atomicAdd(flag, 0u) == 0) defect(), __nanosleep(20);
}

// ---- right

__global__ void exactly(const float* x, float* out) {
  const unsigned i = (blockIdx.x * threads + threadIdx.x) * 4;
  if (i + 4 <= count)
    store16(out + i, load16(x + i));
  else
    for (unsigned j = i; j < count; ++j) out[j] = x[j];
}

// Arguments by value, constants of the program, locals whose address is taken.
struct Table {
  float entry[16];
};
__global__ void tables(Table table, float* out) {
  const unsigned i = blockIdx.x * threads + threadIdx.x;
  static constexpr float constants[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  float local[8];
  for (unsigned j = 0; j < 8; ++j) local[j] = constants[(i + j) % 8];
  out[i] = table.entry[i % 16] + local[i % 7] + *static_cast<volatile float*>(&local[3]);
}

template <class... P, class... A>
void run(Scene& s, void (*kernel)(P...), A... arguments) {
  launch_in(s, {blocks, threads}, kernel, arguments...);
}
template <class Kernel>
void on_x(Scene& s, Kernel kernel) {
  const float* const x = s.input("x", count);
  run(s, kernel, x, s.output("out", count));
}

constexpr char outside[] = "out of bounds", misaligned[] = "misaligned access",
               unwritten[] = "unwritten read", mask[] = "shuffle mask";

const tests::Plant plant(
    ABN_PLANTED_BY,
    {
        {"overrun by one", outside, "out", [](Scene& s) { on_x(s, overrun_by_one); }},
        {"read one beyond", outside, "x", [](Scene& s) { on_x(s, read_beyond); }},
        {"read one before", outside, "x", [](Scene& s) { on_x(s, read_before); }},
        {"overrun by a vector", outside, "x", [](Scene& s) { on_x(s, overrun_by_one_vector); }},
        {"a vector beyond", outside, "x", [](Scene& s) { on_x(s, a_vector_beyond); }},
        {"element of another size", outside, "x",
         [](Scene& s) { on_x(s, element_of_another_size); }},
        {"misaligned vector", misaligned, nullptr, [](Scene& s) { on_x(s, misaligned_vector); }},
        {"misaligned double", misaligned, "x", [](Scene& s) { on_x(s, misaligned_double); }},
        {"misaligned word", misaligned, "x", [](Scene& s) { on_x(s, misaligned_word); }},
        {"write to an input", "write to a read-only buffer", "x",
         [](Scene& s) { on_x(s, write_to_an_input); }},
        {"unwritten tail", unwritten, "middle",
         [](Scene& s) {
           float* const middle = s.output("middle", count);
           run(s, all_but_the_tail, middle);
           run(s, double_it, middle, s.output("out", count));
         }},
        {"unwritten tail in a vector", unwritten, "out",
         [](Scene& s) {
           launch_in(s, {1, threads}, tail_in_a_vector, s.output("out", count));
         }},
        {"workspace added to", unwritten, "workspace",
         [](Scene& s) { run(s, workspace_added_to, s.output("workspace", count)); }},
        {"workspace counted in", unwritten, "workspace",
         [](Scene& s) {
           run(s, workspace_counted_in, reinterpret_cast<unsigned*>(s.output("workspace", count)));
         }},
        {"parts merged too far", unwritten, "parts",
         [](Scene& s) {
           launch_in(s, {1, threads}, parts_merged_too_far,
                     reinterpret_cast<Part*>(s.output("parts", 64)), s.output("out", threads));
         }},
        {"divergent barrier", "barrier divergence", nullptr,
         [](Scene& s) { run(s, divergent_barrier); }},
        {"two barriers", "barrier divergence", nullptr, [](Scene& s) { run(s, two_barriers); }},
        {"barrier in a loop", "barrier divergence", nullptr,
         [](Scene& s) { run(s, barrier_in_a_loop); }},
        {"shuffle in a branch", mask, nullptr,
         [](Scene& s) { run(s, shuffle_in_a_branch, s.zeros("out", threads)); }},
        {"lane left out", mask, nullptr,
         [](Scene& s) { run(s, lane_left_out, s.zeros("out", threads)); }},
        {"lanes that returned", mask, nullptr,
         [](Scene& s) { run(s, lanes_that_returned, s.zeros("out", threads)); }},
        {"block that stays away", "deadlock", nullptr,
         [](Scene& s) {
           launch_together_in(s, {blocks, threads}, block_that_stays_away);
         }},
        {"waits for nobody", "endless loop", nullptr,
         [](Scene& s) { run(s, waits_for_nobody, s.counters("flag", 1)); }},
        {"exactly", nullptr, nullptr, [](Scene& s) { on_x(s, exactly); }},
        {"tables", nullptr, nullptr,
         [](Scene& s) { run(s, tables, Table{}, s.output("out", blocks * threads)); }},
    });

}  // namespace planted_bounds_and_barriers
}  // namespace ABN_BUILD
}  // namespace abn::device
