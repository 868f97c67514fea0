// Fuzz target: a list of cases, one a line. What was read can be written as such lines, and is the
// same cases again.
#include "verify/run/case_list.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "tests/fuzz/reads_or_refuses.hpp"
#include "verify/problem/problem.hpp"

using namespace abn::verify;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  fuzz::reads_or_refuses_in_print([&] {
    const std::vector<data::Case> cases = run::cases_of_text(text, "a list");
    std::string lines;
    for (const data::Case& one : cases)
      lines += problem::to_string(one.problem) + '\t' + one.data + '\t' + std::to_string(one.seed) +
               '\n';
    const std::vector<data::Case> again = run::cases_of_text(lines, "a list");
    if (again.size() != cases.size()) fuzz::broken("what was read is written back whole", lines);
    for (std::size_t i = 0; i < cases.size(); ++i)
      if (std::memcmp(&again[i].problem, &cases[i].problem, sizeof cases[i].problem) != 0 ||
          again[i].data != cases[i].data || again[i].seed != cases[i].seed)
        fuzz::broken("a case is the line that it is written as", lines);
  });
  return 0;
}
