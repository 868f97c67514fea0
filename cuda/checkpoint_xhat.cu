// Checkpointing as the InPlace-ABN paper proposes it: xhat is kept, with the variance, and backward
// computes y and phi' again from it.
//
// Forward    the moments of x in one sweep; in a second xhat, rounded to the storage type, and z,
//            from the xhat before it is rounded. z may be written over x, which nobody needs again.
// Backward   y = g*xhat + beta and dy = dz*phi'(y), in both of its sweeps. xhat is never divided by
//            g, as in place, so it is as good for small g as for any.
//
// Kernels and formulas are in device/kept_sweeps.cuh, activations in device/curve.cuh.
#include "cuda/device/kept.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace checkpoint_xhat {

const abn_variant variant = KeptVariant<Keeps::xhat>::named(
    "checkpoint_xhat", "Checkpointing: keeps xhat, finds y again; two sweeps each way.");
ABN_REGISTER_VARIANT(variant)

}  // namespace checkpoint_xhat
}  // namespace ABN_BUILD
}  // namespace abn::device
