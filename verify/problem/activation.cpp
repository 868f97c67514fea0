// Names of activations, also those that others use, and what a storage type does to their
// saturation.
#include "verify/problem/activation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "verify/problem/format.hpp"

namespace abn::verify::problem {
namespace {

/// What frameworks and papers call an activation that is here under another name.
struct Alias {
  const char *name, *here;
};
constexpr Alias aliases[] = {
    {"none", "identity"},         {"linear", "identity"},     {"lrelu", "leaky_relu"},
    {"leakyrelu", "leaky_relu"},  {"leaky", "leaky_relu"},    {"swish", "silu"},
    {"silu_and_mul", "silu"},     {"gelu_erf", "gelu"},       {"gelu_exact", "gelu"},
    {"gelu_new", "gelu_tanh"},    {"gelu_fast", "gelu_tanh"}, {"gelutanh", "gelu_tanh"},
    {"gelu_approx", "gelu_tanh"}, {"logistic", "sigmoid"},    {"hard_swish", "hardswish"},
    {"hswish", "hardswish"},      {"h_swish", "hardswish"},   {"hard_silu", "hardswish"},
    {"relu_6", "relu6"},          {"rectifier", "relu"},      {"tanhf", "tanh"},
};
/// Activations that nothing here computes.
constexpr const char* others[] = {
    "mish",       "softplus",   "selu",        "prelu",        "rrelu",        "glu",
    "swiglu",     "geglu",      "hardsigmoid", "hard_sigmoid", "hardtanh",     "hard_tanh",
    "softsign",   "softmax",    "logsigmoid",  "log_sigmoid",  "threshold",    "quick_gelu",
    "tanhshrink", "softshrink", "hardshrink",  "relu2",        "squared_relu", "snake",
    "exp",        "sin",        "sine",        "log_softmax",
};

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

std::string activation_hint(std::string_view name) {
  std::string plain(name);
  for (char& letter : plain)
    letter =
        letter == '-' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  for (const Activation& row : activation_table)
    if (plain == row.name && plain != name) return fmt::format("did you mean {}?", row.name);
  for (const Alias& alias : aliases)
    if (plain == alias.name) return fmt::format("did you mean {}?", alias.here);
  if (std::find(std::begin(others), std::end(others), plain) == std::end(others)) return {};
  std::vector<const char*> known;
  for (const Activation& row : activation_table) known.push_back(row.name);
  return fmt::format("the activations that it can have are {}", fmt::join(known, ", "));
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
