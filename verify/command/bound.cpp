// The verb bound: the exact outputs of a tensor file's inputs and how far off each element may be,
// for tests of other projects that compare with tolerances of their own.
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "verify/command/commands.hpp"
#include "verify/command/out_file.hpp"
#include "verify/command/parts.hpp"
#include "verify/data/safetensors.hpp"
#include "verify/judge/tensor_file_expectations.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::command {
namespace {

/// How far a value may be from the exact one: infinitely where nothing is demanded, and not at all
/// where it has to be the same NaN or infinity.
double bound_of(const compare::Point& point) {
  switch (point.rule) {
    case compare::Rule::bounded:
    case compare::Rule::signed_bounded:
      return point.bound;
    case compare::Rule::same_class:
      return 0;
    default:
      return std::numeric_limits<double>::infinity();
  }
}

data::Tensor tensor_of(const std::string& name, const std::vector<double>& values,
                       std::vector<std::int64_t> shape) {
  data::Tensor tensor{name, "F64", std::move(shape), {}};
  const auto bytes = std::as_bytes(std::span(values));
  tensor.bytes.assign(bytes.begin(), bytes.end());
  return tensor;
}

}  // namespace

int bound_command(const BoundArguments& arguments) {
  require_writable(arguments.out);
  const data::TensorFile file = data::read_tensor_file(arguments.file);
  if (!file.declares)
    throw problem::UsageError(
        arguments.file +
        " does not say how its outputs are computed, from which the bounds follow; add "
        "abn.scheme, abn.statistics, abn.accumulate, abn.normalise and abn.materialises");
  const abn_problem& p = file.inputs.problem;
  data::SafetensorsFile out;
  out.metadata["abn.problem"] = problem::to_string(p);
  for (const compare::Expectation& one : judge::all_expectations_of(file)) {
    if (one.points.empty()) continue;
    std::vector<double> exact, low, bound;
    for (const compare::Point& point : one.points)
      exact.push_back(point.hi), low.push_back(point.lo), bound.push_back(bound_of(point));
    const std::string name = compare::output_name(one.output);
    const bool whole = compare::is_tensor(one.output);
    const std::vector<std::int64_t> shape = !whole ? std::vector<std::int64_t>{p.c}
                                            : p.layout == ABN_NHWC
                                                ? std::vector<std::int64_t>{p.n, p.s, p.c}
                                                : std::vector<std::int64_t>{p.n, p.c, p.s};
    out.tensors[name] = tensor_of(name, exact, shape);
    out.tensors[name + ".low"] = tensor_of(name + ".low", low, shape);
    out.tensors[name + ".bound"] = tensor_of(name + ".bound", bound, shape);
  }
  data::write_safetensors(arguments.out, out);
  say("Bounds: " + arguments.out + "\n");
  return 0;
}

}  // namespace abn::verify::command
