// The search: the usual problems, then drawn ones until each mode has some.
#include "verify/check/supported.hpp"

#include <algorithm>
#include <iterator>
#include <map>

#include "verify/data/case.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check {
namespace {

using data::Shape;

// What a kernel may be written for alone. Sizes: of one image, of one pixel, of powers of two, of
// vectors and of none of these, of few and of many.
constexpr Shape sizes[] = {{16, 64, 64}, {2, 3, 5},    {1, 1, 33},   {4, 8, 1},     {2, 32, 16},
                           {1, 64, 49},  {64, 16, 1},  {8, 128, 4},  {1, 256, 1},   {256, 1, 1},
                           {2, 512, 7},  {32, 3, 196}, {2, 1, 1024}, {1, 8, 4096},  {128, 96, 1},
                           {1, 1, 2},    {2, 1, 1},    {3, 7, 11},   {1, 1024, 16}, {512, 32, 1}};
constexpr double epses[] = {1e-5, 1e-3, 0.1, 0, 1e-4, 1e-6, 1e-8, 1e-2, 1, 1e-7, 5e-5, 2e-5, 1e-12};
constexpr double momenta[] = {0.1, 0.01, 0.5,  0.9,  0.99, 0.05,  0.03, 0.001, 0,
                              1,   0.2,  0.02, 0.25, 0.3,  0.003, 0.95, 0.999};
constexpr double activation_parameters[] = {0.01, 1,   0.2,       0.1, 0.5, 0.25, 0.3, 0.05,
                                            0.02, 1.7, 0.0078125, 1.5, 2,   0.75, 5,   0.001};
constexpr std::uint64_t drawn_problems = 20'000;  // some milliseconds
constexpr std::size_t enough = 12;                // of one mode

template <class Table>
auto pick(const Table& table, const data::Stream& draw, std::uint64_t index) {
  return table[draw.below(std::size(table), index)];
}

abn_problem drawn_problem(abn_problem p, const data::Stream& draw) {
  const Shape shape = pick(sizes, draw, 0);
  p.n = shape.n, p.c = shape.c, p.s = shape.s;
  p.mode = pick(problem::modes, draw, 1);
  p.scale = pick(problem::scales, draw, 2);
  // the usual type, or f32 beside f64, or the storage type where that has 16 bits
  p.param_dtype = draw.below(2, 3) != 0 ? problem::wide_type_of(p.dtype)
                  : p.dtype == ABN_F64  ? ABN_F32
                                        : p.dtype;
  const auto activation = static_cast<int>(draw.below(problem::activation_count, 4));
  p.eps = draw.below(2, 5) == 0 ? epses[0] : pick(epses, draw, 6);
  p.momentum = draw.below(2, 7) == 0 ? momenta[0] : pick(momenta, draw, 8);
  const problem::Activation& row = problem::activation_of(activation);
  problem::set_activation(
      p, activation,
      draw.below(2, 9) == 0 ? row.default_parameter : pick(activation_parameters, draw, 10));
  if (!row.has_parameter()) p.activation_parameter = 0;
  round_numbers(p);
  return p;
}

}  // namespace

bool is_valid(const abn_problem& problem) {
  try {
    problem::validate(problem);
  } catch (const problem::UsageError&) {
    return false;
  }
  return true;
}

void round_numbers(abn_problem& p) {
  const problem::Format& format = problem::format_of(problem::scalar_type_of(p));
  p.eps = problem::round_to(format, p.eps);
  p.momentum = problem::round_to(format, p.momentum);
  p.activation_parameter = problem::round_to(format, p.activation_parameter);
}

namespace {

std::vector<abn_problem> search_supported(const call::Subject& subject, int dtype, int layout) {
  std::vector<abn_problem> found, nonsensical;
  std::map<int, std::size_t> of_mode;
  const auto add = [&](const abn_problem& problem) {
    if (!is_valid(problem)) return;
    const problem::Claimed claimed = problem::claims_of(*subject.variant, problem);
    if (!claimed.nonsense.empty()) {
      if (nonsensical.size() < enough) nonsensical.push_back(problem);
    } else if (claimed.status == ABN_OK) {
      found.push_back(problem);
      ++of_mode[problem.mode];
    }
  };
  add(problem::example_problem(dtype, layout, ABN_TRAINING));  // what it is described by
  for (const int mode : problem::modes)
    for (const problem::Activation& activation : problem::activation_table)
      for (const int scale : problem::scales) {  // the usual ones
        abn_problem problem = problem::example_problem(dtype, layout, mode);
        problem::set_activation(problem, activation.code, activation.default_parameter);
        problem.scale = scale;
        add(problem);
      }
  const auto lacks = [&] {
    return std::any_of(std::begin(problem::modes), std::end(problem::modes),
                       [&](int mode) { return of_mode[mode] == 0; });
  };
  if (!lacks()) return found;                   // the usual kernel
  const data::Stream draws(0x737570706f7274U);  // "support": the same for every run
  // A worker is asked about many at once: a question for each would take seconds.
  constexpr std::uint64_t at_once = worker::most_problems;
  for (std::uint64_t begin = 0; begin < drawn_problems; begin += at_once) {
    std::vector<abn_problem> drawn;
    for (std::uint64_t i = begin; i < std::min(begin + at_once, drawn_problems); ++i) {
      const abn_problem problem =
          drawn_problem(problem::example_problem(dtype, layout, ABN_TRAINING), draws.fork(i));
      if (of_mode[problem.mode] < enough && is_valid(problem)) drawn.push_back(problem);
    }
    if (subject.workers != nullptr) subject.workers->ask_ahead(*subject.variant, drawn);
    for (const abn_problem& problem : drawn)
      if (of_mode[problem.mode] < enough) add(problem);
  }
  return found.empty() ? nonsensical : found;
}

}  // namespace

std::vector<abn_problem> supported_problems(const call::Subject& subject, int dtype, int layout) {
  if (subject.workers == nullptr) return search_supported(subject, dtype, layout);
  worker::Pool& pool = *subject.workers;
  if (const auto* const kept = pool.kept_problems(*subject.variant, dtype, layout)) return *kept;
  pool.keep_problems(*subject.variant, dtype, layout, search_supported(subject, dtype, layout));
  return *pool.kept_problems(*subject.variant, dtype, layout);
}

}  // namespace abn::verify::check
