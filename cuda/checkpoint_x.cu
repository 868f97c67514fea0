// Checkpointing as it was before InPlace-ABN: x is kept, with the mean and the variance, and
// backward computes xhat, y and phi' again from it.
//
// Forward    the moments of x in one sweep, z in a second; z is a buffer of its own.
// Backward   xhat = (x - mean)*r, y = g*xhat + beta and dy = dz*phi'(y), in both of its sweeps.
//
// One tensor is kept, as in place, but not the one that the next layer keeps anyway. Kernels and
// formulas are in device/kept_sweeps.cuh, activations in device/curve.cuh.
#include "cuda/device/kept.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace checkpoint_x {

const abn_variant variant = KeptVariant<Keeps::x>::named(
    "checkpoint_x", "Checkpointing: keeps x, finds xhat and y again; two sweeps each way.");
ABN_REGISTER_VARIANT(variant)

}  // namespace checkpoint_x
}  // namespace ABN_BUILD
}  // namespace abn::device
