// Fuzz target: a problem as people type it, which its canonical string stands for exactly.
#include "verify/problem/problem.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "tests/fuzz/reads_or_refuses.hpp"

using namespace abn::verify;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  fuzz::reads_or_refuses([&] {
    const abn_problem parsed = problem::parse_problem(text);
    if (problem::element_count(parsed) < 0) fuzz::broken("a number of elements is from 0", {});
    const std::string canonical = problem::to_string(parsed);
    const abn_problem again = problem::parse_problem(canonical);
    if (std::memcmp(&parsed, &again, sizeof parsed) != 0 || problem::to_string(again) != canonical)
      fuzz::broken("the canonical string is the problem", canonical);
  });
  return 0;
}
