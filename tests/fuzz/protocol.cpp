// Fuzz target: packets between the judge and a worker. Each is tried as the question and as the
// answer of its verb; what is a message is the packed form of itself.
#include "verify/worker/protocol.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "tests/fuzz/reads_or_refuses.hpp"
#include "verify/worker/timing_protocol.hpp"
#include "verify/worker/vet.hpp"

using namespace abn::verify;
using namespace abn::verify::worker;

namespace {

/// Unpacks, where the bytes are that message, and hands it to `look`.
template <class Message, class Look>
void tried(std::span<const std::byte> bytes, const Look& look) {
  Unpacker from(bytes);
  const Header header = unpack_header(from);
  Message message;
  try {
    message = unpack<Message>(from);
  } catch (const NoMessage&) {
    return;
  }
  if (const std::vector<std::byte> packed = pack(header, message);
      !std::equal(packed.begin(), packed.end(), bytes.begin(), bytes.end()))
    fuzz::broken("a message is the packed form of itself", {});
  look(message);
}
template <class Message>
void tried(std::span<const std::byte> bytes) {
  tried<Message>(bytes, [](const Message&) {});
}

/// A report has truth values and may be too long, so that only its second packing is its own.
void tried_as_report(std::span<const std::byte> bytes) {
  const auto again = [](std::span<const std::byte> packed) {
    Unpacker from(packed);
    const Header header = unpack_header(from);
    return pack_report(header, unpack_report(from));
  };
  try {
    const std::vector<std::byte> first = again(bytes);
    if (first.size() <= largest_packet && again(first) != first)
      fuzz::broken("a report is the packed form of itself", {});
  } catch (const NoMessage&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > largest_packet) return -1;
  // Of this version, whichever the corpus was made by: another one has a unit test.
  std::vector<std::byte> own(reinterpret_cast<const std::byte*>(data),
                             reinterpret_cast<const std::byte*>(data) + size);
  constexpr std::size_t version_at = sizeof protocol_magic;
  if (size >= version_at + sizeof protocol_version)
    std::memcpy(own.data() + version_at, &protocol_version, sizeof protocol_version);
  const std::span<const std::byte> bytes(own);
  Header header;
  try {
    Unpacker from(bytes);
    header = unpack_header(from);
  } catch (const NoMessage&) {
    return 0;
  }
  switch (header.verb) {
    case Verb::load:
      tried<LoadQuestion>(bytes), tried<LoadAnswer>(bytes);
      break;
    case Verb::variant:
      tried<VariantQuestion>(bytes);
      tried<VariantFacts>(bytes, [](const VariantFacts& facts) {
        fuzz::reads_or_refuses([&] { vet("plugin.so", 0, facts); });
      });
      break;
    case Verb::claims:
      tried<ClaimsQuestion>(bytes), tried<ClaimsAnswer>(bytes);
      break;
    case Verb::claims_of:
      tried<ClaimsOfQuestion>(bytes), tried<ClaimsOfAnswer>(bytes);
      break;
    case Verb::size:
      tried<SizeQuestion>(bytes), tried<SizeAnswer>(bytes);
      break;
    case Verb::begin:
      tried<BeginQuestion>(bytes);
      break;
    case Verb::end:
      tried<MapQuestion>(bytes), tried_as_report(bytes);
      break;
    case Verb::call:
      tried<CallQuestion>(bytes), tried<CallAnswer>(bytes);
      break;
    case Verb::record:
      tried<RecordQuestion>(bytes), tried<RecordAnswer>(bytes);
      break;
    case Verb::time:
      tried<TimeQuestion>(bytes), tried<TimeAnswer>(bytes);
      break;
    case Verb::forget:
      tried<ForgetQuestion>(bytes);
      break;
    case Verb::memory:
      tried<MemoryQuestion>(bytes), tried<MemoryAnswer>(bytes);
      break;
    case Verb::libraries:
      tried<LibrariesAnswer>(bytes);
      break;
    case Verb::together:
      tried<TogetherQuestion>(bytes), tried<TogetherAnswer>(bytes);
      break;
    default:
      tried<MapQuestion>(bytes);
  }
  return 0;
}
