// Cases of the usual parameters.
#include "verify/data/case.hpp"

#include <iterator>

#include "verify/problem/activation.hpp"
#include "verify/problem/format.hpp"

namespace abn::verify::data {

Case drawn_case(const Shape& shape, int dtype, int layout, int activation, const char* recipe,
                const Stream& draw) {
  constexpr double usual_epses[] = {1e-5, 1e-3, 0.1}, usual_momentum = 0.1;
  Case one;
  abn_problem& p = one.problem;
  p.struct_size = sizeof p;
  p.n = shape.n, p.c = shape.c, p.s = shape.s;
  p.dtype = dtype, p.layout = layout;
  p.param_dtype = problem::wide_type_of(dtype);
  const problem::Format& parameter = problem::format_of(p.param_dtype);
  problem::draw_usual(p, activation, draw.bits(0));
  p.eps = problem::round_to(parameter, usual_epses[draw.bits(1) % std::size(usual_epses)]);
  p.momentum = problem::round_to(parameter, usual_momentum);
  one.data = recipe;
  one.seed = draw.below(readable_seeds, 2);
  return one;
}

}  // namespace abn::verify::data
