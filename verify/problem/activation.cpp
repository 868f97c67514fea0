// Names of activations, and what a storage type does to their saturation.
#include "verify/problem/activation.hpp"

#include "verify/problem/format.hpp"

namespace abn::verify::problem {
namespace {

double drawn_from(std::span<const double> parameters, std::uint64_t drawn) {
  return parameters.empty() ? 0 : parameters[drawn % parameters.size()];
}

}  // namespace

double lowest_invertible(const abn_problem& problem) {
  const double end = phi_of(problem).saturation();
  return std::isfinite(end) ? next_above(format_of(out_type_of(problem)), end) : end;
}

double lifted(const abn_problem& problem, double z) {
  return z <= phi_of(problem).saturation() ? lowest_invertible(problem) : z;
}

void lift_saturated(const abn_problem& problem, std::vector<double>& z) {
  const double end = phi_of(problem).saturation(), lowest = lowest_invertible(problem);
  if (!std::isfinite(end)) return;
  for (double& value : z)
    if (value <= end) value = lowest;
}

const char* activation_name(int code) {
  return code >= 0 && code < activation_count ? activation_of(code).name : "unknown";
}

int activation_from_name(std::string_view name) {
  for (const Activation& row : activation_table)
    if (name == row.name) return row.code;
  return -1;
}

void set_activation(abn_problem& problem, int activation, double parameter) {
  problem.activation = activation;
  problem.activation_parameter = activation_of(activation).has_parameter()
                                     ? round_to(format_of(problem.param_dtype), parameter)
                                     : 0;
}

void draw_usual(abn_problem& problem, int activation, std::uint64_t drawn) {
  set_activation(problem, activation, drawn_from(activation_of(activation).usual, drawn));
}

void draw_varied(abn_problem& problem, int activation, std::uint64_t drawn) {
  set_activation(problem, activation, drawn_from(activation_of(activation).varied, drawn));
}

}  // namespace abn::verify::problem
