// The line that ends a variant's file: it puts the variant into the list of in-tree variants.
#pragma once

#include "cuda/registry.h"

#ifdef __CUDACC__
#define ABN_VARIANT_MEMORY ABN_MEMORY_CUDA
#else
#define ABN_VARIANT_MEMORY ABN_MEMORY_HOST
#endif

#define ABN_REGISTER_VARIANT(variant) [[maybe_unused]] static const int abn_registered_##variant = abn_register_variant(&(variant));
