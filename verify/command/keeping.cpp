// Parts of a run, their journal, and what has to be the same for it to be gone on with.
#include "verify/command/keeping.hpp"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "verify/command/out_file.hpp"
#include "verify/command/parts.hpp"
#include "verify/problem/error.hpp"
#include "verify/worker/interruption.hpp"

namespace abn::verify::command {
namespace {

// What a run that is cut off in the middle of a part has to do again: at most this, and a tenth of
// what the part has taken.
constexpr double least_seconds = 2, share_of_part = 0.1;

int lost_by(const std::vector<worker::Losses>& all) {
  int lost = 0;
  for (const worker::Losses& one : all) {
    lost += one.workers;
    for (const auto& own : one.variants) lost += own.lost;
  }
  return lost;
}

void require_same(const std::vector<results::FileHash>& then,
                  const std::vector<results::FileHash>& now, const std::string& journal) {
  for (std::size_t i = 0; i < std::max(then.size(), now.size()); ++i) {
    if (i < then.size() && i < now.size() && then[i] == now[i]) continue;
    const results::FileHash& one = i < now.size() ? now[i] : then[i];
    if (one.role == "tool" || one.role == "worker")
      throw problem::UsageError(fmt::format(
          "{} was begun by another build of {}, and verdicts of two builds are not mixed; go on "
          "with that build, or start the run again without --resume",
          journal, one.name));
    throw problem::UsageError(
        fmt::format("{} was begun with another {} than this, {}; put that one back, or start the "
                    "run again without --resume",
                    journal, one.role == "input" ? "input file" : "plug-in", one.name));
  }
}

void require_same(const results::JournalHeader& then, const results::JournalHeader& now,
                  const std::string& journal) {
  require_same(then.provenance.files, now.provenance.files, journal);
  require_same(then.inputs, now.inputs, journal);
  if (then.provenance.device != now.provenance.device)
    throw problem::UsageError(fmt::format(
        "{} was begun on the device \"{}\", and this is \"{}\"; go on there, or start the run "
        "again without --resume",
        journal, then.provenance.device, now.provenance.device));
  if (then.parts != now.parts)
    throw problem::UsageError(fmt::format(
        "{} is of a run with other variants or checks; start the run again without --resume",
        journal));
}

}  // namespace

std::string part_name(const check::CheckGroup& group, const call::Subject& subject) {
  std::string ops;
  if (group.known != nullptr)
    for (const check::KnownCheck& one : group.known())
      if ((", " + ops + ", ").find(fmt::format(", {}, ", one.op)) == std::string::npos)
        ops += fmt::format("{}{}", ops.empty() ? "" : ", ", one.op);
  return fmt::format("{} {}{}", subject.variant->name, ops, group.flags);
}

std::vector<std::string> parts_of_run(std::span<const check::CheckGroup* const> groups,
                                      std::span<const call::Subject> subjects,
                                      std::span<const data::Case> named,
                                      const std::string& pattern) {
  std::vector<std::string> parts;
  for (const check::CheckGroup* const group : groups)
    for (const call::Subject& subject : subjects) {
      if (!data::may_match(pattern, subject.variant->name)) continue;
      const auto ids = check::check_ids(*group, subject, named);
      if (std::none_of(ids.begin(), ids.end(),
                       [&](const std::string& id) { return data::matches(pattern, id); }))
        continue;
      parts.push_back(part_name(*group, subject));
    }
  return parts;
}

KeptRun::KeptRun(results::JournalHeader header, const RunArguments& arguments,
                 const std::vector<call::Plugin>& plugins)
    : plugins_(plugins) {
  const bool on_disk = !arguments.out.empty() && is_plain_file(arguments.out);
  if (arguments.resume.empty()) {
    journal_ = on_disk ? std::make_unique<results::Journal>(std::move(header), arguments.out)
                       : std::make_unique<results::Journal>(std::move(header));
  } else {
    journal_ = std::make_unique<results::Journal>(arguments.resume);
    const results::JournalContents& found = journal_->contents();
    require_same(found.header, header, journal_->path());
    earlier_seconds_ = found.seconds;
    for (std::size_t i = 0; i < std::min(found.losses.size(), plugins.size()); ++i)
      if (plugins[i].workers != nullptr) plugins[i].workers->go_on_from(found.losses[i]);
  }
  worker::note_interruptions();
}

std::vector<worker::Losses> KeptRun::losses() const {
  std::vector<worker::Losses> all;
  for (const call::Plugin& plugin : plugins_)
    all.push_back(plugin.workers != nullptr ? plugin.workers->losses() : worker::Losses{});
  return all;
}

run::Progress KeptRun::before(const call::Subject& subject, std::uint64_t cases) {
  begun_ = kept_ = stopwatch_.seconds();
  lost_before_ = lost_by(losses());
  const auto& standings = journal_->contents().standings;
  const auto at = standings.find(part_name(*group_, subject));
  if (at == standings.end()) return {};
  const results::Standing& found = at->second;
  if (found.of != cases || found.done > found.of)
    throw problem::UsageError(fmt::format(
        "{} has {} cases of {}, of which there are {} now; start the run again without --resume",
        journal_->path(), found.of, found.part, cases));
  return {found.done, found.of, found.records};
}

bool KeptRun::due() {
  const double now = stopwatch_.seconds();
  return now - kept_ > least_seconds + share_of_part * (now - begun_);
}

void KeptRun::keep(const call::Subject& subject, run::Progress progress) {
  results::Standing standing{part_name(*group_, subject), progress.done, progress.of,
                             std::move(progress.records), seconds(),     losses()};
  kept_ = stopwatch_.seconds();
  // Calls that were lost may be of cases behind these, and a variant is called only until it has
  // lost a few: such a part is kept as a whole or not at all.
  if (progress.done < progress.of && lost_by(standing.losses) != lost_before_) return;
  const auto& parts = journal_->contents().header.parts;
  if (std::find(parts.begin(), parts.end(), standing.part) == parts.end()) return;
  journal_->append(std::move(standing));
}

int KeptRun::end_interrupted(int signal, bool quiet) {
  print_verdicts(results::unfinished_results(journal_->contents(), journal_->path()), quiet);
  complain(fmt::format("abn-verify: ended by signal {} ({}){}\n", signal, strsignal(signal),
                       journal_->safe() ? ""
                                        : "; " + journal_->path() +
                                              " has not all of what was found, for the disk is "
                                              "full"));
  return 128 + signal;
}

}  // namespace abn::verify::command
