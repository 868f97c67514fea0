// One invocation: all calls of one variant on one case, and the contract checks on how they went.
//
// Each operation is called at least twice. The first call is out of place, with NaN as poison; its
// numbers are what the oracle judges. The second has finite poison and another schedule, and works
// in place where the variant claims that it may. Its bits have to be the first call's. Where they
// are not, a third call, out of place with the second one's poison and schedule, tells whether it
// was aliasing or not, and which elements nobody wrote. Other ways of calling, such as with outputs
// left out, are those of verify/check/calls.
#pragma once

#include <cstdint>
#include <vector>

#include "verify/call/contract.hpp"
#include "verify/compare/expectation.hpp"

namespace abn::verify::call {

/// What came out of one operation.
struct Operation {
  bool called = false;
  bool usable = false;  ///< the first call came back with ABN_OK: its numbers can be judged
  std::vector<compare::Stored> outputs;
  std::vector<compare::Stored>
      /// those of the second call of a variant that claims no determinism: likewise judged by the
      /// bound
      repeated,
      /// those of the in-place call of a variant that claims no determinism: judged by the bound,
      /// as bits may differ
      aliased;
  std::vector<Contract> contracts;
};

struct Invocation {
  Operation forward, backward;
  problem::Saved saved;
};

/// Runs the variant: forward, and backward on what forward stored where it is wanted, there is one
/// and forward came back well. Throws DeviceError.
Invocation invoke(const Subject& subject, const problem::Inputs& inputs, const abn_claims& claims,
                  std::uint64_t seed, bool with_backward);

/// The name of the check that runs a call again: "schedule" on the emulator, which can choose
/// another one, else "repeat".
const char* repetition_check(const Subject& subject);

}  // namespace abn::verify::call
