// The parts of the protocol that are more than a list of fields: the header, and the emulator's
// report.
#include "verify/worker/protocol.hpp"

namespace abn::verify::worker {
namespace {

template <class Archive, class Place>
void visit_place(Archive& a, Place& place) {
  for (auto& number : place.block) a(number);
  for (auto& number : place.thread) a(number);
}

template <class Archive, class Access>
void visit_access(Archive& a, Access& access) {
  a(access.file), a(access.line), visit_place(a, access);
  a(access.by_thread), a(access.write), a(access.atomic);
}

template <class Archive, class Finding>
void visit_finding(Archive& a, Finding& finding) {
  a(finding.kind), a(finding.kernel), a(finding.text), visit_place(a, finding);
  a(finding.file), a(finding.line), a(finding.buffer), a(finding.element), a(finding.bytes);
  visit_access(a, finding.other);
}

template <class Archive, class Traffic>
void visit_traffic(Archive& a, Traffic& traffic) {
  a(traffic.buffer), a(traffic.bytes_loaded), a(traffic.bytes_stored);
  a(traffic.load_requests), a(traffic.store_requests);
  a(traffic.load_sectors), a(traffic.store_sectors), a(traffic.atomics);
}

/// A list whose elements have a function of their own.
template <class Elements, class Visit>
void pack_list(Packer& to, const Elements& elements, std::size_t count, Visit&& visit) {
  to(static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count; ++i) visit(elements[i]);
}
template <class Elements, class Visit>
void unpack_list(Unpacker& from, Elements& elements, Visit&& visit) {
  std::uint32_t count = 0;
  from(count);
  if (count > largest_packet / 16) throw NoMessage("a list is longer than its message");
  for (std::uint32_t i = 0; i < count; ++i) visit(elements.emplace_back());
}

}  // namespace

Header unpack_header(Unpacker& from) {
  Header header;
  from(header);
  if (header.magic != protocol_magic || header.version != protocol_version)
    throw NoMessage("a packet has not the header of this protocol");
  return header;
}

std::vector<std::byte> pack_report(const Header& header, const emulator::Report& report) {
  for (std::size_t findings = report.findings.size();; findings /= 2) {
    Packer to;
    to(header);
    pack_list(to, report.findings, findings, [&](const auto& one) { visit_finding(to, one); });
    const std::size_t launches = report.traffic.size();
    pack_list(to, report.traffic, launches, [&](const emulator::LaunchTraffic& launch) {
      to(launch.kernel), to(launch.accesses), to(launch.instructions), to(launch.divergences);
      pack_list(to, launch.buffers, launch.buffers.size(),
                [&](const auto& one) { visit_traffic(to, one); });
      pack_list(to, launch.lines, launch.lines.size(), [&](const emulator::LineCount& one) {
        to(one.file), to(one.line), to(one.instructions);
      });
    });
    to(report.launches), to(report.blocks), to(report.threads), to(report.switches);
    std::vector<std::byte> bytes = to.take();
    if (bytes.size() <= largest_packet || findings == 0) return bytes;
  }
}

emulator::Report unpack_report(Unpacker& from) {
  emulator::Report report;
  unpack_list(from, report.findings, [&](auto& one) { visit_finding(from, one); });
  unpack_list(from, report.traffic, [&](emulator::LaunchTraffic& launch) {
    from(launch.kernel), from(launch.accesses), from(launch.instructions), from(launch.divergences);
    unpack_list(from, launch.buffers, [&](auto& one) { visit_traffic(from, one); });
    unpack_list(from, launch.lines, [&](emulator::LineCount& one) {
      from(one.file), from(one.line), from(one.instructions);
    });
  });
  from(report.launches), from(report.blocks), from(report.threads), from(report.switches);
  from.finish();
  return report;
}

}  // namespace abn::verify::worker
