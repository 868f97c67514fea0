// The line that ends a variant's file: it puts the variant into the list of in-tree variants, or of
// their instrumented builds.
#pragma once

#include "cuda/device/platform.cuh"
#include "cuda/registry.h"

#ifdef ABN_SANITIZED
#define ABN_REGISTER_WITH abn_register_instrumented_variant
#else
#define ABN_REGISTER_WITH abn_register_variant
#endif

#define ABN_REGISTER_VARIANT(variant) \
  [[maybe_unused]] static const int abn_registered_##variant = ABN_REGISTER_WITH(&(variant));
