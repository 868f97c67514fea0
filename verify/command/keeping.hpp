// How a run is kept on disk while it goes on, and how one that was cut off is gone on with.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "verify/call/parallel.hpp"
#include "verify/call/plugin.hpp"
#include "verify/check/group.hpp"
#include "verify/command/commands.hpp"
#include "verify/results/journal.hpp"
#include "verify/run/keeper.hpp"

namespace abn::verify::command {

/// A group's checks of one variant, as people read it: "two_sweep forward, backward".
std::string part_name(const check::CheckGroup& group, const call::Subject& subject);

/// The parts of a run that have a check that matches.
std::vector<std::string> parts_of_run(std::span<const check::CheckGroup* const> groups,
                                      std::span<const call::Subject> subjects,
                                      std::span<const data::Case> named,
                                      const std::string& pattern);

class KeptRun : public run::Keeper {
 public:
  /// Begins the journal beside --out, or goes on with the one that --resume names; where there is
  /// no file, what is found is kept in memory. From now on signals end the run in order. Throws
  /// UsageError for a file that cannot be written, and for a journal of another tool, plug-in,
  /// input or device.
  KeptRun(results::JournalHeader header, const RunArguments& arguments,
          const std::vector<call::Plugin>& plugins);

  /// The group whose cases come next.
  void begin(const check::CheckGroup& group) { group_ = &group; }
  run::Progress before(const call::Subject& subject, std::uint64_t cases) override;
  bool due() override;
  void keep(const call::Subject& subject, run::Progress progress) override;

  /// Of the run, with what it took before it was cut off.
  double seconds() const { return earlier_seconds_ + stopwatch_.seconds(); }
  results::Journal& journal() { return *journal_; }
  /// Prints what was found until a signal came, and how to go on; the exit code.
  int end_interrupted(int signal, bool quiet);

 private:
  std::vector<worker::Losses> losses() const;

  const std::vector<call::Plugin>& plugins_;
  const check::CheckGroup* group_ = nullptr;
  std::unique_ptr<results::Journal> journal_;
  call::Stopwatch stopwatch_;
  double earlier_seconds_ = 0, begun_ = 0, kept_ = 0;
  int lost_before_ = 0;  // by all plug-ins, before the part that runs
};

}  // namespace abn::verify::command
