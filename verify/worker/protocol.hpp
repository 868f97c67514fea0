// The protocol between the judge and a worker: the process that loads a plug-in and calls it.
//
// The two ends of a SOCK_SEQPACKET socket speak in turns. The judge asks, the worker answers; map,
// unmap, begin and forget have no answer. A packet is a header and the fields of its message
// (packet.hpp):
//
//   u32 magic "ABNW"   u16 version   u16 verb   u64 number   fields ...
//
// An answer has the verb and the number of its question. The numbers begin at a random one; an
// answer with another number, a packet that nobody asked for, a field that is too long or out of
// its range, or bytes that are left over are no message, and end the worker.
//
//   load       path, execution -> sizes of the structs, why it was refused, what kind of plug-in it
//              is
//   variant    build, index -> name, summary, memory and what else abn_variant says; or none
//   claims     variant, problem -> status and abn_claims
//   claims_of  variant, problems -> the statuses, and abn_claims of those that are ABN_OK
//   size       variant, problem, what -> workspace_bytes() or partial_bytes()
//   map        segment, bytes, with a file descriptor: shared memory for the tensors of calls
//   unmap      segment
//   begin      settings of the emulator and watched buffers: a session over the next calls
//   end        -> what the emulator saw
//   call       variant, problem, entry, segment, where the arguments lie in it -> status, marks
//   together   calls -> their answers: all at once, each on a thread of its own
//   record, time, forget, memory   see timing_protocol.hpp
//   libraries  -> which shared objects the plug-in has brought into the process so far
//   quit       exit() in good order
//
// The worker never sends a verdict. What is compared are the bytes in the segment, which the judge
// copies out when the answer to a call has come; guards, expected values and the inputs' originals
// stay in the judge. Build 0 of an emulated plug-in is the plain one, build 1 the instrumented.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/emulator/report.h"
#include "cuda/kernel.h"
#include "verify/worker/execution.hpp"
#include "verify/worker/packet.hpp"

namespace abn::verify::worker {

inline constexpr std::uint32_t protocol_magic = 0x574e4241U;  // "ABNW"
inline constexpr std::uint16_t protocol_version = 4;
inline constexpr std::size_t largest_packet = 128U << 10;
inline constexpr std::size_t longest_text = 2000;

enum class Verb : std::uint16_t {
  load = 1,
  variant,
  claims,
  claims_of,
  size,
  map,
  unmap,
  begin,
  end,
  call,
  together,
  quit,
  record,
  time,
  forget,
  memory,
  libraries
};

struct Header {
  std::uint32_t magic = protocol_magic;
  std::uint16_t version = protocol_version;
  Verb verb{};
  std::uint64_t number = 0;
  template <class Self, class Archive>
  static void fields(Self& self, Archive& a) {
    a(self.magic), a(self.version), a(self.verb), a(self.number);
  }
  template <class Archive>
  void visit(Archive& a) {
    fields(*this, a);
  }
  template <class Archive>
  void visit(Archive& a) const {
    fields(*this, a);
  }
};

/// A struct of cuda/kernel.h, as it lies in memory.
template <class Struct>
struct AsIs {
  Struct value{};
  template <class Archive>
  void visit(Archive& a) {
    a.raw(&value, sizeof value);
  }
  template <class Archive>
  void visit(Archive& a) const {
    a.raw(&value, sizeof value);
  }
};

struct LoadQuestion {
  std::string path;
  Execution executed{};
  ABN_MESSAGE(path, executed)
};
struct LoadAnswer {
  std::uint32_t problem_bytes = sizeof(abn_problem), claims_bytes = sizeof(abn_claims);
  std::string refused;           ///< one sentence; empty: it is loaded
  std::uint8_t emulated = 0;     ///< 1: its kernels run on the emulator
  std::string not_instrumented;  ///< why there is no build 1, and what to do
  ABN_MESSAGE(problem_bytes, claims_bytes, refused, emulated, not_instrumented)
};

/// Beside the plug-in itself, the worker's own and those of the language and of CUDA's runtime.
struct LibrariesAnswer {
  std::vector<std::string> names;  ///< of files, without their folders
  std::uint32_t unloaded = 0;      ///< how many more came and went within a call
  ABN_MESSAGE(names, unloaded)
};

struct VariantQuestion {
  std::uint32_t build = 0, index = 0;
  ABN_MESSAGE(build, index)
};
/// What a variant never gives: none of its calls is asked for it, and no check is about it. Bits of
/// `leaves_out`.
enum LeftOut : std::uint32_t {
  leaves_out_backward = 1,
  leaves_out_mean = 2,
  leaves_out_variance = 4,
  leaves_out_running = 8,  ///< the running statistics after the step
};
/// What a variant says of itself, before anybody believes it.
struct VariantFacts {
  std::uint8_t present = 0;  ///< 0: the index lies behind the last one
  std::uint32_t abi_version = 0, struct_size = 0;
  // what follows is read only where those two are right
  std::uint8_t named = 0;       ///< 0: its name is NULL
  std::string name, summary;    ///< no more than longest_text bytes of each
  std::int32_t memory = 0;      ///< ABN_MEMORY_*
  std::string null_function;    ///< the first one that is not set
  std::uint8_t has_halves = 0;  ///< abn_split_variant, with all of its functions
  std::uint32_t leaves_out = 0;
  bool operator==(const VariantFacts&) const = default;
  ABN_MESSAGE(present, abi_version, struct_size, named, name, summary, memory, null_function,
              has_halves, leaves_out)
};

struct ClaimsQuestion {
  VariantQuestion variant;
  AsIs<abn_problem> problem;
  ABN_MESSAGE(variant, problem)
};
/// What the worker saw of a call beside its status; bits of `marks`.
enum Mark : std::uint32_t {
  rounding_changed = 1,
  subnormals_flushed = 2,
  traps_enabled = 4,
  problem_written = 8,
  arguments_written = 16,
  children_left = 32,
  /// Not a thing that the plug-in is told off for: its CUDA context is in error, and whatever else
  /// is called in this process would return that error, too.
  context_in_error = 64,
};
struct ClaimsAnswer {
  std::int32_t status = 0;
  std::uint32_t marks = 0;
  AsIs<abn_claims> claims;
  std::string trouble;  ///< what claims() raised, where that can be said; one sentence
  ABN_MESSAGE(status, marks, claims, trouble)
};

inline constexpr std::size_t most_problems = 400;  // of one question
struct ClaimsOfQuestion {
  VariantQuestion variant;
  std::vector<AsIs<abn_problem>> problems;
  ABN_MESSAGE(variant, problems)
};
struct ClaimsOfAnswer {
  std::vector<std::int32_t> statuses;
  std::vector<AsIs<abn_claims>> claims;
  ABN_MESSAGE(statuses, claims)
};
static_assert(most_problems * (sizeof(abn_claims) + sizeof(abn_problem)) < largest_packet);

enum class Size : std::uint32_t { workspace, partial };
struct SizeQuestion {
  VariantQuestion variant;
  AsIs<abn_problem> problem;
  Size what{};
  std::int32_t direction = 0;
  ABN_MESSAGE(variant, problem, what, direction)
};
struct SizeAnswer {
  std::uint64_t bytes = 0;
  ABN_MESSAGE(bytes)
};

struct MapQuestion {  ///< bytes = 0: unmap
  std::uint64_t segment = 0, bytes = 0;
  ABN_MESSAGE(segment, bytes)
};

struct Watched {
  std::string name;
  std::uint64_t offset = 0, bytes = 0;
  std::uint32_t element_bytes = 4;
  std::uint8_t written = 0, writable = 0;
  ABN_MESSAGE(name, offset, bytes, element_bytes, written, writable)
};
struct BeginQuestion {
  std::uint64_t schedule_seed = 0;
  std::uint8_t sanitize = 0;
  emulator::Schedule schedule{};
  std::uint64_t segment = 0;  ///< of the watched buffers
  std::vector<Watched> watched;
  ABN_MESSAGE(schedule_seed, sanitize, schedule, segment, watched)
};

enum class Entry : std::uint32_t {
  forward,
  backward,
  forward_local,
  forward_apply,
  backward_local,
  backward_apply
};
inline constexpr std::size_t entries = 6;
inline constexpr std::uint64_t nowhere = ~std::uint64_t{0};  ///< the offset of a NULL pointer

/// Whole pages of a segment that nobody may touch while a call runs.
struct ClosedRange {
  std::uint64_t begin = 0, bytes = 0;
  ABN_MESSAGE(begin, bytes)
};
struct CallQuestion {
  VariantQuestion variant;
  AsIs<abn_problem> problem;
  Entry entry{};
  std::int32_t gpu = -1;  ///< >= 0: the variant's memory is that of this GPU
  std::uint64_t segment = 0;
  /// The part of the segment that the call may use; offsets count from the segment's begin.
  std::uint64_t begin = 0, bytes = 0;
  /// Of the pointers of abn_forward_args or abn_backward_args in their order, the stream left out;
  /// then of the partials.
  std::vector<std::uint64_t> offsets;
  std::uint64_t workspace_bytes = 0;
  std::int32_t ranks = 0;
  std::vector<ClosedRange> closed;
  ABN_MESSAGE(variant, problem, entry, gpu, segment, begin, bytes, offsets, workspace_bytes, ranks,
              closed)
};
/// How a page was touched, where the processor tells.
enum class Access : std::uint8_t { unknown, read, write };
struct CallAnswer {
  std::int32_t status = 0;
  std::uint32_t marks = 0;
  ClaimsAnswer claims;  ///< asked again behind the call
  std::string trouble;  ///< of the GPU's runtime, or what the call raised; one sentence
  /// Where in the segment a closed page was touched, with which the call and the worker have ended.
  std::uint64_t touched = nowhere;
  Access access{};
  ABN_MESSAGE(status, marks, claims, trouble, touched, access)
};

inline constexpr std::size_t most_together = 64;
struct TogetherQuestion {
  std::vector<CallQuestion> calls;
  ABN_MESSAGE(calls)
};
struct TogetherAnswer {
  std::vector<CallAnswer> answers;
  ABN_MESSAGE(answers)
};

/// As much of a report as fits into a packet: findings are left out from the end.
std::vector<std::byte> pack_report(const Header& header, const emulator::Report& report);
/// Throws NoMessage.
emulator::Report unpack_report(Unpacker& from);

template <class Message>
std::vector<std::byte> pack(const Header& header, const Message& message) {
  Packer packer;
  packer(header), packer(message);
  return packer.take();
}

/// Reads the header and looks at magic and version. Throws NoMessage.
Header unpack_header(Unpacker& from);

/// Reads all the rest as one message. Throws NoMessage.
template <class Message>
Message unpack(Unpacker& from) {
  Message message;
  from(message);
  from.finish();
  return message;
}

}  // namespace abn::verify::worker
