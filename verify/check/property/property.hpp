// Properties: what holds for every kernel whatever its method, each stated once and judged by the
// bounds of the kernel's own claims.
//
// A property makes the calls that it needs of one kernel on one case and relates their results: two
// results of the kernel, or a result and what the mathematics makes of it. With a* the exact value
// of one side, E its bound (verify/expect/expect.hpp) and T the relation, exact arithmetic gives a*
// = T(b*), so |a - T(b)| <= E_a + |T| E_b. Where both sides round alike, the bound is 0. Elements
// whose exact value is not finite, whose bound is infinite or whose condition does not hold are
// left out and counted; a case in which nothing is left is skipped.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "verify/check/group.hpp"
#include "verify/problem/inputs.hpp"

namespace abn::verify::check::property {

class BoundedCalls;

/// Elements of one output (or one number a channel) with what is expected of them.
struct Finding {
  compare::Expectation expected;  ///< points of those elements only; bound 0 means bit for bit
  std::vector<double> got;        ///< as many
  /// of each: its element in the case's own layout, or its channel
  std::vector<std::int64_t> index;
  bool by_channel = false;  ///< which of the two
  /// where it is not the output itself but a double made from it: "sum(dx)"; `expected.dtype` is
  /// then f64
  std::string what;
};

/// An input as the property changed it, which a witness shows in place of the case's own. The name
/// is that of the input, and in brackets which of several calls had it: "gamma(abs_eps)". One value
/// for the problem, each channel or each element; without any it was not used.
struct Used {
  enum class Per : std::uint8_t { problem, channel, element };
  std::string name;
  std::vector<double> values;
  Per per;
};

struct Examination {
  std::vector<Finding> findings;
  std::vector<Used> used;
  std::uint64_t left_out = 0;  ///< elements that do not satisfy the property's condition
};

struct Property {
  const char* name;       ///< last part of the check id
  const char* statement;  ///< one sentence with its condition
  const char* broken;     ///< what a kernel does that breaks it: what was compared with what
  /// Whether it says something of such a kernel and problem; conditions on the data are examine's.
  bool (*applies)(const abn_problem& problem, const abn_claims& claims);
  /// Pure: the same kernel, inputs and seed give the same examination.
  Examination (*examine)(const BoundedCalls& calls, const problem::Inputs& inputs);
};

/// All of them, in order of subject.
std::span<const Property> properties();
/// Null if there is no such property.
const Property* property_named(std::string_view name);

/// The record of one case, not concluded: kind "property"; a skip where nothing could be compared.
results::Record examine(const Property& property, const call::Subject& subject,
                        const problem::Inputs& inputs, std::uint64_t seed,
                        const judge::Origin& origin);

/// property/NAME for every property that applies.
extern const CheckGroup property_checks;

// One table a file; properties() is all of them.
std::span<const Property> inversion_properties();   // inversion.cpp
std::span<const Property> epsilon_properties();     // epsilon.cpp
std::span<const Property> gradient_properties();    // gradient.cpp
std::span<const Property> symmetry_properties();    // symmetry.cpp
std::span<const Property> repetition_properties();  // repetition.cpp

}  // namespace abn::verify::check::property
