// Shares of the time, and the sentence.
#include "verify/run/budget.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace abn::verify::run {

Budget::Budget(double seconds, std::uint64_t cases) : seconds_(seconds), cases_left_(cases) {}

void Budget::begin_part(std::uint64_t cases) {
  const double now = stopwatch_.seconds(), left = std::max(seconds_ - now, 0.0);
  const auto of_left = static_cast<double>(std::max({cases_left_, cases, std::uint64_t{1}}));
  part_end_ = now + left * static_cast<double>(cases) / of_left;
  cases_left_ -= std::min(cases_left_, cases);
}

void Budget::count(std::uint64_t ran, std::uint64_t left_out) {
  ran_ += ran, left_out_ += left_out;
}

std::string Budget::left_out(std::string_view tier) const {
  if (left_out_ == 0) return {};
  return fmt::format("This is no pass of the {} tier: {} of its {} cases were left out{}.", tier,
                     left_out_, ran_ + left_out_,
                     was_used_up_ ? fmt::format(", as the {:g} s were used", seconds_) : "");
}

}  // namespace abn::verify::run
