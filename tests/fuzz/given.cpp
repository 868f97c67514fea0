// Fuzz target: the numbers of --data given:..., behind their problem in a line of its own.
#include "verify/data/given.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/reads_or_refuses.hpp"
#include "verify/problem/problem.hpp"

using namespace abn::verify;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const std::size_t end = text.find('\n');
  if (end == text.npos) return -1;  // not worth keeping
  fuzz::reads_or_refuses([&] {
    const abn_problem asked = problem::parse_problem(text.substr(0, end));
    const std::string numbers = std::string(data::given_prefix) + std::string(text.substr(end + 1));
    const problem::Inputs inputs = data::parse_given(numbers, asked);
    const std::string canonical = data::given_text(inputs);
    if (data::given_text(data::parse_given(canonical, asked)) != canonical)
      fuzz::broken("the canonical text is the numbers", canonical);
  });
  return 0;
}
