// How findings name things: places, kernels, lanes, and what the threads of a block are doing.
#pragma once

#include <cstdint>
#include <string>

#include "cuda/emulator/block.hpp"
#include "cuda/emulator/engine.hpp"
#include "cuda/emulator/report.h"

namespace abn::emulator {

std::string place(const Where& where);  // "device/reduce.cuh:41"
// given, or exported, or "the kernel launched at file:line"
std::string kernel_name(const LaunchRequest& request);
std::string lanes_text(std::uint32_t lanes);  // "0-15, 31"
const char* op_name(WarpOp op);
// "threads 0-127 wait in __syncthreads at device/reduce.cuh:41; threads 128-255 returned", threads
// numbered by rank.
std::string describe(const Block& block);
std::string rank_text(const Block& block);  // "the block of rank 3"
Finding make_finding(const LaunchRequest& request, const char* kind, std::string text,
                     const Thread* witness);

}  // namespace abn::emulator
