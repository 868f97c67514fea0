// The test kernels of the emulator's subset, built by nvcc: what runs on the emulator is CUDA for
// every architecture of the build.
#include "tests/cuda/kernels_of_clusters.cuh"
#include "tests/cuda/kernels_of_copies.cuh"
#include "tests/cuda/kernels_of_groups.cuh"
#include "tests/cuda/kernels_of_mbarriers.cuh"

namespace abn::tests {
inline namespace ABN_BUILD {

// Nobody calls these; they instantiate the templates and the host functions.
int launches_with_clusters(void* stream, int* numbers) {
  const LaunchConfig config{
      .grid = 64, .block = 64, .shared_bytes = 100000, .stream = stream, .cluster = 16};
  int count = 0;
  if (!has_clusters()) return cudaErrorNotSupported;
  if (const int error = max_active_clusters(config, pass_on, count)) return error;
  if (const int error = max_resident_blocks(config, cluster_then_grid, count)) return error;
  if (const int error = launch_cooperative(config, cluster_then_grid, numbers, numbers))
    return error;
  return launch(config, pass_on, numbers, numbers, count);
}
int launches_of_templates(unsigned char* bytes, float* values) {
  launch({1, 64, sizeof(Reversed)}, reverse_bytes<4>, bytes, bytes, 1);
  launch({1, 64, sizeof(Reversed)}, reverse_bytes<8>, bytes, bytes, 1);
  launch({1, 64, sizeof(Reversed)}, reverse_bytes<16>, bytes, bytes, 1);
  return launch({1, 64}, copy_with_hints<float>, values, values, 1, 0);
}

}  // namespace ABN_BUILD
}  // namespace abn::tests
