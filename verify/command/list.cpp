// The verb list: the variants that there are, and their checks by operation.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "verify/call/plugin.hpp"
#include "verify/check/gradient/reference_check.hpp"
#include "verify/check/gradient/reference_jacobian.hpp"
#include "verify/check/groups.hpp"
#include "verify/command/parts.hpp"
#include "verify/data/cases.hpp"
#include "verify/problem/problem.hpp"
#include "verify/run/runner.hpp"

namespace abn::verify::command {
namespace {

/// Distinct words in the order in which they came.
struct Words {
  std::vector<std::string> all;
  void add(const std::string& word) {
    if (std::find(all.begin(), all.end(), word) == all.end()) all.push_back(word);
  }
  bool operator==(const Words&) const = default;
};

/// Where a check is made: the third and fourth parts of its ids.
struct Where {
  Words types, layouts;
  void add(const std::string& type, const std::string& layout) {
    types.add(type), layouts.add(layout);
  }
  std::string text() const {
    return fmt::format("{}, {}", fmt::join(types.all, " "), fmt::join(layouts.all, " "));
  }
};

/// The checks of one operation of one variant, in the order of their names.
struct Operation {
  std::size_t ids = 0;
  Where where;
  std::map<std::string, Where> checks;
};

using Operations = std::map<std::string, Operation>;  // by op

/// The ids of a variant, sorted into its operations.
Operations operations_of(const std::vector<std::string>& ids, const std::string& variant) {
  Operations all;
  for (const std::string& id : ids) {
    const std::vector<std::string> parts = parts_of(id);
    if (parts.size() != 5 || parts[0] != variant) continue;
    Operation& operation = all[parts[1]];
    ++operation.ids;
    operation.where.add(parts[2], parts[3]);
    operation.checks[parts[4]].add(parts[2], parts[3]);
  }
  return all;
}

std::string sentence_of(const std::string& op, const std::string& check) {
  for (const check::CheckGroup* const group : check::groups())
    for (const auto& [known_op, word] : group->known())
      if (op == known_op && check == word.name) return word.sentence;
  return {};
}

/// The headings of a variant's operations with the names of their checks, or with a sentence for
/// each.
std::string operations_text(const Operations& operations, bool in_full) {
  constexpr std::size_t width = 22;
  std::string text;
  for (const problem::Word& op : check::op_words()) {
    const auto found = operations.find(op.name);
    if (found == operations.end()) continue;
    const Operation& operation = found->second;
    text += wrapped(fmt::format("{}, {} ids in {}", op.name, operation.ids, operation.where.text()),
                    "    ", "  ");
    text += wrapped(op.sentence, "    ");
    std::string names;
    for (const auto& [check, where] : operation.checks) {
      if (!in_full) {
        names += (names.empty() ? "" : " ") + check;
        continue;
      }
      const std::string only = where.types == operation.where.types
                                   ? ""
                                   : fmt::format(" In {} only.", fmt::join(where.types.all, " "));
      text += wrapped(sentence_of(op.name, check) + only, std::string(6 + width, ' '),
                      fmt::format("      {:<{}}", check, width));
    }
    if (!in_full) text += wrapped(names, "      ");
  }
  return text;
}

nlohmann::ordered_json json_of(const std::vector<call::Subject>& subjects,
                               const std::vector<std::string>& ids) {
  auto variants = nlohmann::ordered_json::array();
  for (const auto& subject : subjects) {
    const results::VariantInfo info = run::describe(subject);
    auto claims = nlohmann::ordered_json::object();
    for (const auto& [name, value] : info.claims) claims[name] = value;
    variants.push_back({{"name", info.name},
                        {"summary", info.summary},
                        {"memory", info.memory},
                        {"claims", claims}});
  }
  return {{"variants", variants}, {"checks", ids}};
}

}  // namespace

int list_command(const ListArguments& arguments) {
  std::vector<call::Plugin> plugins = load_plugins(arguments.plugins, arguments.limits);
  add_pythons(plugins, arguments.pythons, -1, arguments.limits);
  refuse_failures(plugins);
  const auto subjects = call::subjects_of(call::choose_device("emulator"), plugins, false);
  if (arguments.names) {
    for (const auto& subject : subjects) fmt::print("{}\n", subject.variant->name);
    return 0;
  }
  std::vector<std::string> ids;
  for (const auto& subject : subjects)
    for (const check::CheckGroup* const group : check::groups())
      for (auto& id : check::check_ids(*group, subject)) ids.push_back(std::move(id));
  for (const auto& more :
       {check::gradient::reference_gradient_ids(), check::gradient::reference_jacobian_ids()})
    ids.insert(ids.end(), more.begin(), more.end());
  std::sort(ids.begin(), ids.end());
  const std::string pattern = pattern_of(arguments.pattern);
  data::require_match(pattern, ids);
  std::erase_if(ids, [&](const std::string& id) { return !data::matches(pattern, id); });
  if (arguments.json) {
    fmt::print("{}\n", json_of(subjects, ids).dump(2));
    return 0;
  }
  if (arguments.ids) {
    for (const auto& id : ids) fmt::print("{}\n", id);
    return 0;
  }

  std::vector<std::pair<results::VariantInfo, Operations>> found;
  for (const auto& subject : subjects)
    if (Operations operations = operations_of(ids, subject.variant->name); !operations.empty())
      found.emplace_back(run::describe(subject), std::move(operations));
  if (Operations operations = operations_of(ids, "reference"); !operations.empty())
    found.emplace_back(
        results::VariantInfo{"reference", "The formulas that kernels are judged by.", "host", {}},
        std::move(operations));
  const bool in_full = found.size() == 1;
  for (const auto& [info, operations] : found) {
    fmt::print("{}", wrapped(info.summary, "  ", fmt::format("{} ({}): ", info.name, info.memory)));
    if (in_full)
      for (const auto& [name, value] : info.claims) fmt::print("    {:<24} {}\n", name, value);
    fmt::print("{}\n", operations_text(operations, in_full));
  }
  fmt::print("{}", wrapped(fmt::format("An id is variant/op/dtype/layout/check; --ids prints them "
                                       "all. {}abn-verify explain WORD says what a check means.",
                                       in_full ? "" : "abn-verify list NAME adds the claims. "),
                           ""));
  return 0;
}

}  // namespace abn::verify::command
