// One call of a variant: buffers laid out and filled, the entry called, everything read back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cuda/emulator/report.h"
#include "verify/call/buffer.hpp"
#include "verify/call/subject.hpp"
#include "verify/compare/expectation.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::call {

/// The optional outputs that a call asks for; the pointers of the others are NULL. Those that the
/// mode reads or that the scheme needs are given all the same.
struct Asked {
  bool running_mean = true, running_var = true, mean = true, variance = true;
  bool dx = true, dgamma = true, dbeta = true;
};

/// The workspace that a call is given.
enum class WorkspaceGiven : std::uint8_t {
  as_asked,
  one_byte_less,  ///< workspace_bytes says one less than the variant asked for
  none,           ///< workspace_bytes is 0, the pointer is not NULL
  null,           ///< the pointer is NULL, workspace_bytes as asked
};

/// Where the buffers of a call lie, in place of what the case's seed says.
struct Whereabouts {
  Placement placement;
  std::uint64_t offsets;
  std::optional<int> page{};  ///< see Arena::begin_in_page()
};

/// What the case's seed decides beside the data.
struct Draws {
  Placement placement;
  Asked asked_less;  ///< of a call that the sanitiser watches beside one that asks for everything
  std::uint64_t offsets, poison[2], schedule[2];
};
Draws draw(const problem::Inputs& inputs, const abn_claims& claims, std::uint64_t seed);

/// One call that has come back.
struct Call {
  std::unique_ptr<Arena> arena;
  std::vector<std::pair<compare::Output, int>>
      outputs;  ///< the judged buffers, in the order of Output
  bool in_place = false;
  int status = ABN_OK;      ///< what it returned
  std::string trouble;      ///< how the call itself went wrong; empty: ABN_OK and nothing found
  std::string touched;      ///< "x[30]", where that is a touch of a page that was closed
  std::string beside;       ///< what it did beside its work, by which its numbers are no worse
  emulator::Report report;  ///< what the emulator saw of a sanitised call
};

struct CallSettings {
  Poison poison;
  std::uint64_t poison_seed, schedule;
  bool in_place;
  Asked asked;
  /// see every access, under this schedule; the subject's variant is then an instrumented one
  std::optional<emulator::Schedule> sanitize{};
  std::optional<Whereabouts> where{};
  Block* block = nullptr;  ///< memory that it shares with other calls
  WorkspaceGiven workspace = WorkspaceGiven::as_asked;
  /// called when the buffers are ready, right before the variant; may be null
  const std::function<void()>* before = nullptr;
};

/// The status of `invoke`, called in a session of the emulator, in this process or in the worker of
/// the subject; `report` is what the session saw.
int in_session(const Subject& subject, const emulator::Settings& settings,
               const std::vector<emulator::WatchedBuffer>& watched, emulator::Report& report,
               const std::function<int()>& invoke);

/// Makes the calls of one case. Throws DeviceError.
class Caller {
 public:
  Caller(const Subject& subject, const problem::Inputs& inputs, const abn_claims& claims,
         std::uint64_t seed);
  const Draws& draws() const { return draws_; }
  Call forward(const CallSettings& settings) const;
  Call backward(const CallSettings& settings, const problem::Saved& saved) const;

 private:
  Call begin(const CallSettings& settings) const;
  int output(Call& call, compare::Output which) const;
  std::pair<int, int> affine(Arena& arena) const;

  const Subject& subject_;
  const abn_variant& variant_;
  const problem::Inputs& inputs_;
  const abn_problem& problem_;
  const abn_claims& claims_;
  Draws draws_;
  const problem::Format& storage_;
  const problem::Format& outer_;  ///< of z and dz
  const problem::Format& parameter_;
  std::size_t elements_, channels_;
};

}  // namespace abn::verify::call
