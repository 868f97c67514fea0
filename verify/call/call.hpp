// One call of a variant: buffers laid out and filled, the entry called, everything read back.
#pragma once

#include <cstdint>
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

/// The optional outputs that a call asks for; the pointers of the others are NULL.
struct Asked {
  bool running = true, mean = true, variance = true, dx = true, dgamma = true, dbeta = true;
};

/// What the case's seed decides beside the data.
struct Draws {
  Placement placement;
  Asked asked_again;  ///< of the calls behind the first, which asks for everything
  std::uint64_t offsets, poison[2], schedule[2];
};
Draws draw(const problem::Inputs& inputs, const abn_claims& claims, std::uint64_t seed);

/// One call that has come back.
struct Call {
  std::unique_ptr<Arena> arena;
  std::vector<std::pair<compare::Output, int>>
      outputs;  ///< the judged buffers, in the order of Output
  bool in_place = false;
  std::string trouble;      ///< how the call itself went wrong; empty: ABN_OK and nothing found
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
};

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
  const problem::Format& parameter_;
  std::size_t elements_, channels_;
};

}  // namespace abn::verify::call
