// The protocol's messages: what is packed comes out again, and nothing else is taken for one.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

#include <rapidcheck/gtest.h>

#include "verify/worker/protocol.hpp"
#include "verify/worker/timing_protocol.hpp"

using namespace abn::verify::worker;
namespace emulator = abn::emulator;

namespace {

Header some_header() {
  Header header;
  header.verb = Verb::variant, header.number = 0x1234567890abcdefU;
  return header;
}

VariantFacts some_facts() {
  VariantFacts facts;
  facts.present = 1, facts.abi_version = ABN_ABI_VERSION, facts.struct_size = 80;
  facts.named = 1, facts.name = "two_sweep", facts.summary = "", facts.memory = ABN_MEMORY_HOST;
  return facts;
}

VariantFacts facts_in(const std::vector<std::byte>& bytes) {
  Unpacker from(bytes);
  unpack_header(from);
  return unpack<VariantFacts>(from);
}

}  // namespace

TEST(Protocol, APackedMessageComesOutAgain) {
  const std::vector<std::byte> bytes = pack(some_header(), some_facts());
  Unpacker from(bytes);
  const Header header = unpack_header(from);
  EXPECT_EQ(header.verb, Verb::variant);
  EXPECT_EQ(header.number, 0x1234567890abcdefU);
  EXPECT_EQ(unpack<VariantFacts>(from), some_facts());
}

TEST(Protocol, AHeaderIsLittleEndianAndSixteenBytes) {
  const std::vector<std::byte> bytes = pack(some_header(), MapQuestion{});
  ASSERT_EQ(bytes.size(), 16u + 16u);
  const unsigned expected[] = {'A', 'B', 'N', 'W', protocol_version, 0, 2, 0, 0xef, 0xcd};
  for (std::size_t i = 0; i < std::size(expected); ++i)
    EXPECT_EQ(std::to_integer<unsigned>(bytes[i]), expected[i]) << i;
}

TEST(Protocol, AMessageThatIsCutOffOrTooLongIsNone) {
  std::vector<std::byte> bytes = pack(some_header(), some_facts());
  for (std::size_t length = 0; length < bytes.size(); ++length)
    EXPECT_THROW(facts_in({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}),
                 NoMessage)
        << length;
  bytes.push_back(std::byte{0});
  EXPECT_THROW(facts_in(bytes), NoMessage);
}

TEST(Protocol, AnotherMagicOrVersionIsNoHeader) {
  for (const std::size_t at : {0, 3, 4}) {
    std::vector<std::byte> bytes = pack(some_header(), some_facts());
    bytes[at] ^= std::byte{1};
    EXPECT_THROW(facts_in(bytes), NoMessage) << at;
  }
}

TEST(Protocol, ALengthBeyondTheMessageIsRefusedBeforeMemoryIsTaken) {
  Packer packer;
  packer(some_header()), packer(std::uint32_t{0xffffffff});
  const std::vector<std::byte> bytes = packer.take();
  Unpacker from(bytes);
  unpack_header(from);
#if !defined(__SANITIZE_ADDRESS__)  // whose shadow needs all addresses
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit two_gib = before;
  two_gib.rlim_cur = std::min<rlim_t>(rlim_t{2} << 30, before.rlim_max);
  setrlimit(RLIMIT_AS, &two_gib);
#endif
  EXPECT_THROW(unpack<LoadQuestion>(from), NoMessage);
#if !defined(__SANITIZE_ADDRESS__)
  setrlimit(RLIMIT_AS, &before);
#endif
}

RC_GTEST_PROP(Protocol, AnyBytesAreAMessageOrAreRefused, (const std::vector<std::uint8_t>& drawn)) {
  std::vector<std::byte> bytes = pack(some_header(), MapQuestion{});
  bytes.resize(16);  // a right header, and then anything
  for (const std::uint8_t byte : drawn) bytes.push_back(static_cast<std::byte>(byte));
  const auto tried = [&](auto read) {
    Unpacker from(bytes);
    unpack_header(from);
    try {
      read(from);
    } catch (const NoMessage&) {
    }
  };
  tried([](Unpacker& from) { unpack<VariantFacts>(from); });
  tried([](Unpacker& from) { unpack<LoadAnswer>(from); });
  tried([](Unpacker& from) { unpack<CallAnswer>(from); });
  tried([](Unpacker& from) { unpack<BeginQuestion>(from); });
  tried([](Unpacker& from) { unpack<RecordQuestion>(from); });
  tried([](Unpacker& from) { unpack<TimeAnswer>(from); });
  tried([](Unpacker& from) { unpack_report(from); });
}

TEST(Protocol, AReportComesOutAgainAndFitsIntoAPacket) {
  emulator::Report report;
  emulator::Finding finding;
  finding.kind = emulator::data_race, finding.text = std::string(300, 'x'), finding.line = 31;
  finding.block[2] = 7, finding.other.write = true, finding.element = -4;
  report.findings.assign(3, finding);
  report.launches = 5;
  emulator::LaunchTraffic launch;
  launch.kernel = "normalise", launch.buffers = {{"x", 12, 34}}, launch.accesses = 99;
  launch.lines = {{"kernel.cuh", 81, 4000}};
  report.traffic.push_back(launch);
  const auto again = [](const std::vector<std::byte>& bytes) {
    Unpacker from(bytes);
    unpack_header(from);
    return unpack_report(from);
  };
  const emulator::Report back = again(pack_report(some_header(), report));
  ASSERT_EQ(back.findings.size(), 3u);
  EXPECT_EQ(back.findings[2].text, finding.text);
  EXPECT_EQ(back.findings[2].block[2], 7u);
  EXPECT_EQ(back.findings[2].element, -4);
  EXPECT_TRUE(back.findings[2].other.write);
  EXPECT_EQ(back.traffic.at(0).buffers.at(0).bytes_stored, 34u);
  EXPECT_EQ(back.traffic.at(0).lines.at(0).file, "kernel.cuh");
  EXPECT_EQ(back.traffic.at(0).lines.at(0).instructions, 4000u);
  EXPECT_EQ(back.launches, 5u);

  report.findings.assign(10000, finding);
  const std::vector<std::byte> bytes = pack_report(some_header(), report);
  EXPECT_LE(bytes.size(), largest_packet);
  EXPECT_GT(again(bytes).findings.size(), 100u);
}
