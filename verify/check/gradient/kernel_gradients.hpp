// `abn-verify grad`: a kernel's gradients against its own forward, as a group of checks.
//
// f64 storage: jacobian_dx, jacobian_dgamma, jacobian_dbeta (verify/check/gradient/jacobian.hpp),
// every derivative there is, by differences. Every type: probe_ones, probe_xhat, probe_units,
// probe_rademacher, adjoint (verify/check/gradient/probes.hpp), without differences; and
// difference, one derivative a channel in a random direction, with as many digits as the type lets
// it see. Each record counts the calls of forward and backward that it took.
// The ids are VARIANT/gradient/TYPE/LAYOUT/CHECK. Inference has no gradient and no checks.
#pragma once

#include "verify/check/group.hpp"

namespace abn::verify::check::gradient {

extern const CheckGroup gradient_checks;

}  // namespace abn::verify::check::gradient
