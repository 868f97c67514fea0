// The words for what findings name.
#include "cuda/emulator/wording.hpp"

#include <cxxabi.h>
#include <dlfcn.h>

#include <bit>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "cuda/emulator/sites.hpp"

namespace abn::emulator {
namespace {

// "0-15, 31": the sorted numbers, runs of them folded.
std::string ranges(const std::vector<unsigned>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    if (!text.empty()) text += ", ";
    text += std::to_string(numbers[i]);
    if (end - i > 1) text += "-" + std::to_string(numbers[end - 1]);
    i = end;
  }
  return text.empty() ? "none" : text;
}

// What a thread of a block that cannot go on is doing.
std::string activity(const Thread& thread) {
  const Warp& warp = *thread.warp;
  if (!(warp.alive & thread.bit())) return "returned";
  if (warp.at_barrier & thread.bit()) return "wait in __syncthreads at " + place(thread.where);
  if (warp.at_mbarrier & thread.bit()) return "wait at an mbarrier at " + place(thread.where);
  if (warp.in_cluster.waiting & thread.bit())
    return "wait in the cluster's barrier at " + place(thread.where);
  if (warp.at_grid & thread.bit()) return "wait in the grid's barrier at " + place(thread.where);
  for (std::uint32_t g = 0; g < warp.group_count; ++g)
    if (warp.groups[g].arrived & thread.bit())
      return std::string("wait in ") + op_name(warp.groups[g].op()) + " at " + place(thread.where) +
             " for lanes " + lanes_text(warp.groups[g].mask());
  return thread.stack ? "run, last seen at " + place(thread.where) : "have not begun";
}

}  // namespace

std::string place(const Where& where) { return text_of(place_of(where)); }

std::string kernel_name(const LaunchRequest& request) {
  if (request.name) return request.name;
  Dl_info info;
  if (dladdr(request.kernel, &info) && info.dli_sname && info.dli_saddr == request.kernel) {
    int status = 0;
    char* readable = abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
    std::string name = status == 0 ? readable : info.dli_sname;
    std::free(readable);
    return name;
  }
  return "the kernel launched at " + place(request.where);
}

std::string lanes_text(std::uint32_t lanes) {
  std::vector<unsigned> numbers;
  for (; lanes; lanes &= lanes - 1)
    numbers.push_back(static_cast<unsigned>(std::countr_zero(lanes)));
  return ranges(numbers);
}

const char* op_name(WarpOp op) {
  switch (op) {
    case WarpOp::shfl:
      return "__shfl_sync";
    case WarpOp::shfl_up:
      return "__shfl_up_sync";
    case WarpOp::shfl_down:
      return "__shfl_down_sync";
    case WarpOp::shfl_xor:
      return "__shfl_xor_sync";
    case WarpOp::ballot:
      return "__ballot_sync";
    case WarpOp::any:
      return "__any_sync";
    case WarpOp::all:
      return "__all_sync";
    case WarpOp::sync:
      return "__syncwarp";
  }
  return "a warp operation";
}

std::string rank_text(const Block& block) {
  return "the block of rank " + std::to_string(block.cluster_rank);
}

Finding make_finding(const LaunchRequest& request, const char* kind, std::string text,
                     const Thread* witness) {
  Finding finding;
  finding.kind = kind;
  finding.kernel = kernel_name(request);
  finding.text = std::move(text);
  if (witness) {
    const uint3 block = witness->block->index, thread = witness->index;
    finding.text += "; block (" + std::to_string(block.x) + ", " + std::to_string(block.y) + ", " +
                    std::to_string(block.z) + "), thread (" + std::to_string(thread.x) + ", " +
                    std::to_string(thread.y) + ", " + std::to_string(thread.z) + ")";
    finding.block[0] = block.x, finding.block[1] = block.y, finding.block[2] = block.z;
    finding.thread[0] = thread.x, finding.thread[1] = thread.y, finding.thread[2] = thread.z;
    const Place place = place_of(witness->where);
    finding.file = place.file;
    finding.line = place.line;
  }
  return finding;
}

std::string describe(const Block& block) {
  std::map<std::string, std::vector<unsigned>> groups;
  for (unsigned rank = 0; rank < block.size; ++rank)
    groups[activity(block.threads[rank])].push_back(rank);
  std::map<unsigned, std::string> by_first;
  for (const auto& [what, ranks] : groups)
    by_first[ranks.front()] = "threads " + ranges(ranks) + " " + what;
  std::string text;
  for (const auto& [first, line] : by_first) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace abn::emulator
