// Reading and writing of case lists; a line is what `replay` takes, so that a list knows no format
// of its own.
#include "verify/run/case_list.hpp"

#include <fmt/format.h>

#include <map>
#include <sstream>

#include "verify/problem/bounded_file.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/printable.hpp"

namespace abn::verify::run {

std::vector<data::Case> read_case_list(const std::string& path) {
  // A case that a hunt keeps has at most some thousand numbers.
  constexpr problem::FileKind kind{std::uint64_t{64} << 20,
                                   "name a file in it that run --hunt --keep wrote",
                                   "run it in parts", "hunt for some with run --hunt 60 --keep"};
  return cases_of_text(problem::read_bounded(path, kind), path);
}

std::vector<data::Case> cases_of_text(const std::string& text, const std::string& path) {
  std::istringstream file(text);
  std::vector<data::Case> cases;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream fields(line);
    std::string problem, data, seed;
    const bool three = std::getline(fields, problem, '\t') && std::getline(fields, data, '\t') &&
                       std::getline(fields, seed, '\t');
    if (!three || seed.empty() || seed.size() > 19 ||
        seed.find_first_not_of("0123456789") != std::string::npos)
      throw problem::UsageError(fmt::format(
          "Line {} of {} is not a case; a line is a problem, its data and a seed with a "
          "tab between them",
          number, path));
    try {
      problem::require_printable(data, "data");
      cases.push_back(data::replay(problem, data, std::stoull(seed)));
    } catch (const problem::UsageError& wrong) {
      throw problem::UsageError(fmt::format("Line {} of {}: {}", number, path, wrong.what()));
    }
  }
  if (cases.empty())
    throw problem::UsageError(fmt::format(
        "The case list {} holds no case; hunt for some with run --hunt 60 --keep {}", path, path));
  return cases;
}

std::string case_list_text(std::span<const results::Record> records) {
  std::map<std::string, std::string> checks_of;  // by case
  for (const results::Record& record : records) {
    if (record.kind != results::CheckKind::numbers || record.witnesses.empty()) continue;
    const results::Witness& worst = record.witnesses.front();
    checks_of[fmt::format("{}\t{}\t{}", worst.problem, worst.data, worst.seed)] +=
        fmt::format("# {}  ratio {:.3g}\n", record.id, record.tally.max_ratio);
  }
  std::string text =
      "# Cases that used most of the bounds, found by abn-verify run --hunt; problem, data and "
      "seed.\n";
  for (const auto& [one, checks] : checks_of) text += "\n" + checks + one + "\n";
  return text;
}

}  // namespace abn::verify::run
