// The verb traffic: what variants move on one problem, buffer by buffer, beside the least that
// there is to move.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "verify/check/sanitize/checks.hpp"
#include "verify/check/sanitize/traffic.hpp"
#include "verify/command/out_file.hpp"
#include "verify/command/pace.hpp"
#include "verify/command/parts.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* schema = "abn-verify-traffic/1";

double share(std::uint64_t moved, std::uint64_t of) {
  return of == 0 ? 0 : static_cast<double>(moved) / static_cast<double>(of);
}

std::string per_request(std::uint64_t sectors, std::uint64_t requests) {
  return requests == 0
             ? ""
             : fmt::format("{:.1f}", static_cast<double>(sectors) / static_cast<double>(requests));
}

std::string sweeps_or_dash(std::uint64_t moved, std::uint64_t of) {
  return moved == 0 ? "-" : fmt::format("{:.2f}", share(moved, of));
}

/// The name of a kernel in a row: of what a compiler makes of templates, the first letters.
std::string short_name(const std::string& kernel) {
  constexpr std::size_t longest = 60;
  return kernel.size() <= longest ? kernel : kernel.substr(0, longest - 3) + "...";
}

/// The lines of a launch that take one in fifty of the call's instructions or more, with their
/// share of the pace.
struct LinePace {
  std::string where;
  double instructions = 0;
};
std::vector<LinePace> lines_of(const check::sanitize::MovedBy& call,
                               const check::sanitize::LaunchCounts& launch) {
  constexpr double smallest_share = 0.02;
  std::vector<LinePace> lines;
  for (const emulator::LineCount& one : launch.lines)
    if (static_cast<double>(one.instructions) >=
        smallest_share * static_cast<double>(call.instructions))
      lines.push_back(
          {fmt::format("{}:{}", std::filesystem::path(one.file).filename().string(), one.line),
           pace_of(call, one.instructions).instructions});
  return lines;
}

/// What the instructions of a call are for: all of them, then each launch with its lines.
void print_pace(const check::sanitize::MovedBy& call) {
  const Pace pace = pace_of(call, call.instructions);
  fmt::print(
      "  {} instructions of warps, {} branches at which one parted, {} replays of shared memory: "
      "{:.0f} instructions for each 16 bytes of a tensor; the memory's pace on an H100 leaves "
      "{:.0f}\n",
      call.instructions, call.divergences, call.replays, pace.instructions, pace.budget);
  for (const check::sanitize::LaunchCounts& launch : call.launches) {
    fmt::print("  {:>8.1f}  {}: {} instructions, {} branches, {} replays\n",
               pace_of(call, launch.instructions).instructions, short_name(launch.kernel),
               launch.instructions, launch.divergences, launch.replays);
    for (const LinePace& line : lines_of(call, launch))
      fmt::print("    {:>8.1f}  {}\n", line.instructions, line.where);
  }
}

void print_call(const std::string& variant, const check::sanitize::MovedBy& call) {
  fmt::print("\n{}/{}{}", variant, call.op, call.in_place ? ", in place" : "");
  if (!call.trouble.empty()) {
    fmt::print(": {}\n", call.trouble);
    return;
  }
  const double floor = check::sanitize::floor_sweeps(call.op == "backward");
  fmt::print(": {:.2f} tensor sizes moved, the floor is {:.2f}; {:.2f} by sectors\n",
             check::sanitize::tensor_sweeps(call.buffers), floor,
             check::sanitize::sector_sweeps(call.buffers));
  fmt::print("  {:<14} {:>10} {:>11} {:>11} {:>7} {:>7} {:>9} {:>9} {:>12}\n", "buffer", "bytes",
             "loaded", "stored", "loads", "stores", "requests", "sectors", "per request");
  for (const results::BufferTraffic& buffer : call.buffers) {
    const std::uint64_t requests = buffer.load_requests + buffer.store_requests,
                        sectors = buffer.load_sectors + buffer.store_sectors;
    std::string line = fmt::format("  {:<14} {:>10} {:>11} {:>11} {:>7} {:>7} {:>9} {:>9} {:>12}",
                                   buffer.buffer, buffer.bytes, buffer.loaded, buffer.stored,
                                   sweeps_or_dash(buffer.loaded, buffer.bytes),
                                   sweeps_or_dash(buffer.stored, buffer.bytes), requests, sectors,
                                   per_request(sectors, requests));
    if (buffer.atomics > 0) line += fmt::format("  {} atomics", buffer.atomics);
    fmt::print("{}\n", line);
  }
  if (call.instructions > 0) print_pace(call);
  if (!call.wrong.empty()) fmt::print("  not as claimed: {}\n", call.wrong);
}

Json call_json(const check::sanitize::MovedBy& call) {
  Json json{{"op", call.op}, {"in_place", call.in_place}};
  if (!call.trouble.empty()) {
    json["trouble"] = call.trouble;
    return json;
  }
  json["floor_sweeps"] = check::sanitize::floor_sweeps(call.op == "backward");
  json["sweeps"] = check::sanitize::tensor_sweeps(call.buffers);
  json["sector_sweeps"] = check::sanitize::sector_sweeps(call.buffers);
  if (!call.wrong.empty()) json["not_as_claimed"] = call.wrong;
  if (call.instructions > 0) {
    json["warp_instructions"] = call.instructions, json["divergences"] = call.divergences;
    json["replays"] = call.replays;
    const Pace pace = pace_of(call, call.instructions);
    json["instructions_per_16_bytes"] = pace.instructions;
    json["budget_per_16_bytes"] = pace.budget;
    json["launches"] = Json::array();
    for (const check::sanitize::LaunchCounts& launch : call.launches) {
      Json one{{"kernel", launch.kernel},
               {"warp_instructions", launch.instructions},
               {"divergences", launch.divergences},
               {"replays", launch.replays},
               {"instructions_per_16_bytes", pace_of(call, launch.instructions).instructions}};
      for (const LinePace& line : lines_of(call, launch))
        one["lines"].push_back(
            {{"line", line.where}, {"instructions_per_16_bytes", line.instructions}});
      json["launches"].push_back(std::move(one));
    }
  }
  json["buffers"] = Json::array();
  for (const results::BufferTraffic& b : call.buffers) {
    json["buffers"].push_back({{"buffer", b.buffer},
                               {"bytes", b.bytes},
                               {"bytes_loaded", b.loaded},
                               {"bytes_stored", b.stored},
                               {"loads", share(b.loaded, b.bytes)},
                               {"stores", share(b.stored, b.bytes)},
                               {"load_requests", b.load_requests},
                               {"store_requests", b.store_requests},
                               {"load_sectors", b.load_sectors},
                               {"store_sectors", b.store_sectors},
                               {"atomics", b.atomics}});
    if (b.claimed_loads >= 0)
      json["buffers"].back().update(
          {{"claimed_loads", b.claimed_loads}, {"claimed_stores", b.claimed_stores}});
  }
  return json;
}

/// Does the pattern select this operation? A bare name stands for the variant; part of a check id,
/// such as two_sweep/forward/f32, too.
bool selects(const std::string& pattern, const std::string& variant, const std::string& op) {
  if (pattern.find_first_of("/*?[") == std::string::npos) return pattern == variant;
  return data::matches(pattern, variant + "/" + op) || data::matches(pattern, variant);
}

}  // namespace

int traffic_command(const TrafficArguments& arguments, const CommandLine& command_line) {
  require_writable(arguments.out);
  const data::Case one = data::replay(arguments.problem, arguments.data, arguments.seed);
  if (problem::element_count(one.problem) == 0)
    throw problem::UsageError(fmt::format("{} has no elements, so nothing is moved; make it larger",
                                          problem::to_string(one.problem)));
  const call::DeviceChoice device = call::choose_device(arguments.device);
  if (!device.emulator)
    throw problem::UsageError(
        fmt::format("Traffic is counted on the emulator or the executor, not on {}; use --device "
                    "emulator or ptx",
                    arguments.device));
  const std::vector<call::Plugin> plugins =
      load_plugins(arguments.plugins, arguments.limits, Unusable::refused, device.executed,
                   !arguments.only_plugins);
  refuse_failures(plugins);
  if (arguments.only_plugins && plugins.empty())
    throw problem::UsageError(
        "--only-plugins without a plug-in leaves nothing to run; add --plugin libmine.so");
  const auto subjects = call::subjects_of(device, plugins, arguments.only_plugins);
  std::vector<std::string> known;
  for (const call::Subject& subject : subjects)
    for (const char* const op : {"forward", "backward"})
      known.push_back(fmt::format("{}/{}", subject.variant->name, op));
  const auto selected = [&](const call::Subject& subject, const std::string& op) {
    return selects(arguments.pattern, subject.variant->name, op);
  };
  if (std::none_of(subjects.begin(), subjects.end(), [&](const call::Subject& subject) {
        return selected(subject, "forward") || selected(subject, "backward");
      }))
    throw problem::UsageError(
        fmt::format("\"{}\" matches no variant's forward or backward; the nearest is {} "
                    "(abn-verify list --names shows the variants)",
                    arguments.pattern, problem::nearest(arguments.pattern, known)));

  Json json{{"schema", schema},
            {"command", command_line.command},
            {"problem", problem::to_string(one.problem)},
            {"variants", Json::array()}};
  fmt::print("{}, {} bytes a tensor\n", problem::to_string(one.problem),
             problem::element_count(one.problem) * problem::format_of(one.problem.dtype).bytes);
  bool any = false, wrong = false;
  for (const call::Subject& subject : subjects) {
    const std::string name = subject.variant->name;
    if (!selected(subject, "forward") && !selected(subject, "backward")) continue;
    const problem::Claimed claimed = problem::claims_of(*subject.variant, one.problem);
    std::string skipped = check::sanitize::not_sanitisable(subject);
    if (skipped.empty() && claimed.status == ABN_ERROR_UNSUPPORTED)
      skipped = problem::unsupported_text(*subject.variant, one.problem);
    if (skipped.empty() && !claimed.nonsense.empty())
      skipped = "the claims make no sense: " + claimed.nonsense;
    json["variants"].push_back({{"variant", name}});
    if (!skipped.empty()) {
      fmt::print("\n{}: {}\n", name, skipped);
      json["variants"].back()["skipped"] = skipped;
      continue;
    }
    json["variants"].back()["calls"] = Json::array();
    for (const check::sanitize::MovedBy& call :
         check::sanitize::moved_by(subject, one, claimed.claims)) {
      if (!selected(subject, call.op)) continue;
      print_call(name, call);
      json["variants"].back()["calls"].push_back(call_json(call));
      any = any || call.trouble.empty();
      wrong = wrong || !call.wrong.empty() || !call.trouble.empty();
    }
  }
  if (!arguments.out.empty()) {
    results::write_file_atomically(arguments.out,
                                   json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
    fmt::print("\nCounts: {}\n", arguments.out);
  }
  constexpr int nothing_ran = 77;
  return wrong ? 1 : any ? 0 : nothing_ran;
}

}  // namespace abn::verify::command
