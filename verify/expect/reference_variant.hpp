// reference/ as variants with the C ABI: the kernels that properties and studies measure others by,
// and are themselves held to.
//
// Each does its arithmetic in one scalar, f32, f64 or 50 decimal digits, and stores what any kernel
// stores, rounded to the problem's types; its statistics are two-pass, its sums sequential. They
// are host variants without a GPU side and are not part of `run`.
#pragma once

#include <span>

#include "cuda/kernel.h"

namespace abn::verify::expect {

enum class ReferenceArithmetic { f32, f64, digits50 };

/// The variant of one arithmetic and one scheme (ABN_STANDARD .. ABN_IN_PLACE_2), such as
/// "reference_f64_in_place_1". f32 does not support f64 storage. With 50 digits it claims f64,
/// which is the widest type that a claim can name.
const abn_variant& reference_variant(ReferenceArithmetic arithmetic, int scheme);

/// All 15, by arithmetic and scheme.
std::span<const abn_variant* const> reference_variants();

}  // namespace abn::verify::expect
