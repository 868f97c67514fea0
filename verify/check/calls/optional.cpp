// Every set of optional arguments, left out.
//
// A kernel that computes dgamma on the way to dx, keeps its sums in a buffer that nobody asked for,
// or looks at one pointer and means another is right as long as it is asked for everything. There
// are 16 sets in forward (running_mean, running_var, mean, var) and 8 in backward (dx, dgamma,
// dbeta), so all of them are tried, and without an affine map once more all of them and each alone.
// What is left out may change the way a kernel takes, and so its roundings: numbers have to keep
// their bounds, not their bits.
#include <fmt/format.h>

#include <algorithm>

#include "verify/check/calls/ways.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::check::calls {
namespace {

using Names = std::vector<std::string>;

const Names& names_of(Direction direction) {
  static const Names forward{"running_mean", "running_var", "mean", "var"},
      backward{"dx", "dgamma", "dbeta"};
  return direction == Direction::forward ? forward : backward;
}

bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

call::Asked asked_without(const Names& names) {
  call::Asked asked;
  const auto is_asked = [&](const char* name) { return !contains(names, name); };
  asked.running_mean = is_asked("running_mean"), asked.running_var = is_asked("running_var");
  asked.mean = is_asked("mean"), asked.variance = is_asked("var");
  asked.dx = is_asked("dx"), asked.dgamma = is_asked("dgamma"), asked.dbeta = is_asked("dbeta");
  return asked;
}

/// The optional arguments of a direction that a problem has.
Names optional_in(const DataSet& set, Direction direction) {
  const bool training = set.inputs().problem.mode == ABN_TRAINING;
  Names names;
  for (const std::string& name : names_of(direction)) {
    const bool of_affine = name == "dgamma" || name == "dbeta";
    if (of_affine ? set.inputs().affine : direction == Direction::backward || training)
      names.push_back(name);
  }
  return names;
}

/// All sets of names that are not empty.
std::vector<Names> sets_of(const Names& names) {
  std::vector<Names> all;
  for (std::size_t set = 1; set < std::size_t{1} << names.size(); ++set) {
    Names one;
    for (std::size_t i = 0; i < names.size(); ++i)
      if ((set >> i & 1U) != 0) one.push_back(names[i]);
    all.push_back(std::move(one));
  }
  return all;
}

/// All of the names, and each of them alone.
std::vector<Names> few_sets_of(const Names& names) {
  std::vector<Names> all{{}};
  for (const std::string& name : names) all.push_back({name});
  if (names.size() > 1) all.push_back(names);
  return all;
}

Found tried(const DataSet& set, Direction direction, const std::vector<Names>& sets) {
  Found found;
  for (std::size_t turn = 0; turn < sets.size() && !found.broken; ++turn) {
    Names all = sets[turn];
    if (!set.inputs().affine) all.emplace_back("affine");
    call::CallSettings settings = set.settings();
    settings.asked = asked_without(all);
    found.without = fmt::format("{}", fmt::join(all, ","));
    found.broken = set.wrong_in("optional", direction, set.call(direction, settings), false,
                                fmt::format("without {}", fmt::join(all, ", ")));
  }
  if (!found.broken) found.without.clear();
  return found;
}

}  // namespace

const std::vector<std::string>& optional_names() {
  static const Names all = [] {
    Names names = names_of(Direction::forward);
    for (const std::string& name : names_of(Direction::backward)) names.push_back(name);
    names.emplace_back("affine");
    return names;
  }();
  return all;
}

std::vector<std::string> parse_without(std::string_view text) {
  Names names;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    names.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (!contains(optional_names(), names.back()))
      throw problem::UsageError(fmt::format(
          "\"{}\" is nothing that a call may be without; did you mean {}? (they are {})",
          names.back(), problem::nearest(names.back(), optional_names()),
          fmt::join(optional_names(), ", ")));
  }
  return names;
}

Found leave_out(const CallCase& one) {
  const DataSet with(one.subject, one.inputs, one.claims, one.seed);
  if (!with.fault().empty()) return {{}, "asked for everything, " + with.fault(), {}};
  if (one.without.empty())
    for (const Direction direction : with.directions())
      if (Found found = tried(with, direction, sets_of(optional_in(with, direction))); found.broken)
        return found;
  problem::Inputs inputs = one.inputs;
  inputs.affine = inputs.unit_scale = inputs.zero_shift = false;
  inputs.gamma.clear(), inputs.beta.clear();
  const bool may_be_plain = one.without.empty() || contains(one.without, "affine");
  const DataSet plain(one.subject, may_be_plain ? inputs : one.inputs, one.claims, one.seed);
  if (may_be_plain && !plain.fault().empty() && has_equal_results(with, plain))
    return {{}, "without gamma and beta it gives what it gave with them; see calls/sequence", {}};
  for (const Direction direction : plain.directions()) {
    if (direction == Direction::backward && plain.first(Direction::forward).empty()) break;
    const Names optional = optional_in(plain, direction);
    std::vector<Names> sets = few_sets_of(optional);
    if (!one.without.empty()) {
      sets.assign(1, {});
      for (const std::string& name : one.without)
        if (contains(optional, name)) sets[0].push_back(name);
    }
    if (Found found = tried(plain, direction, sets); found.broken) return found;
  }
  return {};
}

}  // namespace abn::verify::check::calls
