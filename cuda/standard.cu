// Batch norm and activation as frameworks do them: x and z are both kept, and backward reads both.
//
// Forward    the moments of x in one sweep, z in a second; z is a buffer of its own.
// Backward   xhat = (x - mean)*r. phi' comes from z where z tells it: leaky ReLU, ELU, CELU, ReLU,
//            ReLU6, sigmoid, tanh; else from y = g*xhat + beta (SiLU, both GELU, hardswish), and z
//            is then read for nothing: whoever has only these keeps x alone (checkpoint_x.cu).
//
// It is there to be compared with the in-place variants: twice their memory between forward and
// backward, 3 tensors read for each of the two sweeps of backward in place of 2. Kernels and
// formulas are in device/kept_sweeps.cuh, activations in device/curve.cuh.
#include "cuda/device/kept.cuh"

namespace abn::device {
inline namespace ABN_BUILD {
namespace standard {

const abn_variant variant = KeptVariant<Keeps::x_and_z>::named(
    "standard", "The scheme of frameworks: keeps x and z; two sweeps each way.");
ABN_REGISTER_VARIANT(variant)

}  // namespace standard
}  // namespace ABN_BUILD
}  // namespace abn::device
