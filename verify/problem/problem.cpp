// Parses, checks and prints problem strings.
#include "verify/problem/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <vector>

#include "verify/problem/activation.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/printable.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::problem {
namespace {

constexpr const char* example = "write for example n2c64s12,nhwc,bf16,leaky_relu:0.01";
constexpr double default_eps = 1e-5, default_momentum = 0.1;

constexpr Word dtype_words[] = {
    {"f16", "IEEE half precision: 11 bits, from 2^-24 to 65504."},
    {"bf16", "bfloat16: 8 bits, with the range of f32."},
    {"f32", "IEEE single precision: 24 bits."},
    {"f64", "IEEE double precision: 53 bits."},
};
constexpr Word layout_words[] = {
    {"nchw", "Tensors are stored image by image, and in it channel by channel."},
    {"nhwc", "Tensors are stored image by image, and in it sample by sample with all channels."},
};
constexpr Word scale_words[] = {
    {"signed", "The scale g is gamma itself, as in PyTorch, cuDNN and the paper."},
    {"abs_eps", "The scale g is |gamma| + eps, as in the InPlace-ABN code of its authors."},
};
constexpr Word mode_words[] = {
    {"training",
     "The statistics are those of the batch; the running mean and variance are updated."},
    {"inference", "The running mean and variance are used; there is no backward."},
    {"frozen", "The running mean and variance are used, forward and backward."},
};
constexpr Word scheme_words[] = {
    {"standard", "Backward has x and z."},
    {"checkpoint_x", "Backward has x and computes xhat, y and z again."},
    {"checkpoint_xhat", "Backward has xhat and computes y and z again."},
    {"in_place_1",
     "Backward has z alone: y is the activation's inverse of z, and xhat = (y - beta)/g."},
    {"in_place_2", "Backward has z alone and writes the gradients in terms of y, without xhat."},
};
constexpr Word statistics_words[] = {
    {"two_pass", "The mean first, then the sum of (x - mean)^2."},
    {"welford", "Welford's updates, or Chan's merges of partial (count, mean, sum of squares)."},
    {"one_pass",
     "E[x^2] - mean^2. The difference cancels where the mean is large against the deviation, so "
     "its bound grows with kappa^2."},
};
constexpr Word normalise_words[] = {
    {"direct", "y = g*((x - mean)*r) + beta, with the difference formed first."},
    {"folded",
     "y = a*x + b with a = g*r and b = beta - a*mean. The rounding of a*x is amplified by "
     "|mean|/sigma."},
    {"folded_apart",
     "y = a*x + b with b = beta - (mean*g)*r, so that the rounding of a is amplified as well."},
};
constexpr Word accumulate_words[] = {
    dtype_words[ABN_F16],
    dtype_words[ABN_BF16],
    dtype_words[ABN_F32],
    dtype_words[ABN_F64],
    {"tf32", "TensorFloat-32: 11 bits with the range of f32, as tensor cores round operands."},
};
constexpr Word kink_words[] = {
    {"undeclared", "phi'(0) may be either one-sided derivative, the same for a whole call."},
    {"right", "phi'(0) = 1 at a kink, as in InPlace-ABN and in JAX's leaky ReLU."},
    {"left", "phi'(0) is the slope, or alpha, as in PyTorch and in JAX's ELU."},
};
constexpr Word running_variance_words[] = {
    {"unbiased", "The running variance takes in v*m/(m-1), as in PyTorch and cuDNN."},
    {"biased", "The running variance takes in v itself, as in ONNX, Flax and Keras."},
};

int index_in(std::span<const Word> words, std::string_view name) {
  const auto at =
      std::find_if(words.begin(), words.end(), [&](const Word& word) { return name == word.name; });
  return at == words.end() ? -1 : static_cast<int>(at - words.begin());
}

const char* name_in(std::span<const Word> words, int index) {
  return index >= 0 && index < static_cast<int>(words.size())
             ? words[static_cast<std::size_t>(index)].name
             : "unknown";
}

int require(std::span<const Word> words, std::string_view name, const char* what) {
  const int index = index_in(words, name);
  if (index >= 0) return index;
  std::vector<const char*> names;
  for (const Word& word : words) names.push_back(word.name);
  throw UsageError(fmt::format("\"{}\" is not {}; use {}", name, what, fmt::join(names, ", ")));
}

double parse_number(std::string_view text, std::string_view option) {
  double value = 0;
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos)
    return parse_number(text.substr(0, slash), option) /
           parse_number(text.substr(slash + 1), option);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value))
    throw UsageError(fmt::format("\"{}\" needs a finite number after the colon and has \"{}\"; {}",
                                 option, text, example));
  return value;
}

int type_in(std::string_view name, std::string_view option) {
  const int type = index_in(dtype_words, name);
  if (type >= 0) return type;
  throw UsageError(
      fmt::format("\"{}\" names no type; use f16, bf16, f32 or f64 after the colon", option));
}

// nN cC sS at the head of the string.
void parse_sizes(std::string_view text, abn_problem& problem) {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (auto [letter, size] : {std::pair{'n', &problem.n}, {'c', &problem.c}, {'s', &problem.s}}) {
    const bool named = at != end && *at == letter;
    const auto result = named ? std::from_chars(at + 1, end, *size)
                              : std::from_chars_result{at, std::errc::invalid_argument};
    if (result.ec == std::errc::result_out_of_range)
      throw UsageError(
          fmt::format("The size {} in \"{}\" is too large for 64 bits; {}", letter, text, example));
    if (result.ec != std::errc{})
      throw UsageError(
          fmt::format("\"{}\" does not begin with its sizes as nN, cC and sS; {}", text, example));
    at = result.ptr;
  }
  if (at != end)
    throw UsageError(fmt::format("\"{}\" needs a comma behind its sizes; {}", text, example));
}

std::string shortest(double value, int dtype) {
  return dtype == ABN_F32 ? fmt::format("{}", static_cast<float>(value)) : fmt::format("{}", value);
}

/// A cumulative average (momentum None) weighs its K-th value by 1/K, which has no short decimal.
std::string momentum_text(double momentum, int dtype) {
  constexpr double longest_average = 1e6;
  constexpr std::size_t short_decimal = 6;
  std::string decimal = shortest(momentum, dtype);
  if (decimal.size() <= short_decimal || momentum < 1 / longest_average) return decimal;
  const double count = std::round(1 / momentum);
  return round_to(format_of(dtype), 1 / count) == momentum ? fmt::format("1/{}", count) : decimal;
}

/// Every option as it may be typed, for suggestions.
std::vector<std::string> option_words() {
  std::vector<std::string> words{"eps:1e-05", "momentum:0.1"};
  for (const Word& word : dtype_words)
    words.push_back(fmt::format("param:{}", word.name)),
        words.push_back(fmt::format("out:{}", word.name));
  for (const Activation& row : activation_table)
    words.push_back(row.has_parameter() ? fmt::format("{}:{}", row.name, row.default_parameter)
                                        : row.name);
  const auto add = [&](std::span<const Word> more) {
    for (const Word& word : more) words.emplace_back(word.name);
  };
  add(layout_words), add(dtype_words), add(scale_words), add(mode_words);
  return words;
}

}  // namespace

abn_problem parse_problem(std::string_view text, int param_dtype, SingleSample single) {
  require_printable(text, "problem");
  abn_problem problem{};
  problem.struct_size = sizeof problem;
  problem.dtype = ABN_F32;
  problem.eps = default_eps;
  problem.momentum = default_momentum;
  double parameter = std::numeric_limits<double>::quiet_NaN();
  std::set<std::string> seen;
  const auto once = [&](const char* what, std::string_view option) {
    if (!seen.insert(what).second)
      throw UsageError(fmt::format(
          "\"{}\" sets the {} a second time in \"{}\"; leave one of them out", option, what, text));
  };

  const std::size_t comma = text.find(',');
  parse_sizes(text.substr(0, comma), problem);
  std::string_view rest =
      comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  while (comma != std::string_view::npos) {
    const std::size_t next = rest.find(',');
    const std::string_view option = rest.substr(0, next);
    const std::size_t colon = option.find(':');
    const std::string_view word = option.substr(0, colon);
    const bool has_value = colon != std::string_view::npos;
    const std::string_view value = has_value ? option.substr(colon + 1) : std::string_view{};
    int index;
    if (!has_value && (index = index_in(layout_words, word)) >= 0) {
      once("layout", option), problem.layout = index;
    } else if (!has_value && (index = index_in(dtype_words, word)) >= 0) {
      once("storage type", option), problem.dtype = index;
    } else if (!has_value && (index = index_in(scale_words, word)) >= 0) {
      once("scale convention", option), problem.scale = index;
    } else if (!has_value && (index = index_in(mode_words, word)) >= 0) {
      once("mode", option), problem.mode = index;
    } else if ((index = activation_from_name(word)) >= 0 &&
               (!has_value || activation_of(index).has_parameter())) {
      once("activation", option), problem.activation = index;
      if (has_value) parameter = parse_number(value, option);
    } else if (has_value && word == "eps") {
      once("eps", option), problem.eps = parse_number(value, option);
    } else if (has_value && word == "momentum") {
      once("momentum", option), problem.momentum = parse_number(value, option);
    } else if (has_value && word == "param") {
      once("parameter type", option), param_dtype = type_in(value, option);
    } else if (has_value && word == "out") {
      once("type of z and dz", option), problem.out_type = type_in(value, option) + 1;
    } else if (index >= 0) {
      throw UsageError(
          fmt::format("{} has no parameter, and \"{}\" in \"{}\" gives it one; write {}",
                      activation_name(index), option, text, activation_name(index)));
    } else if (const std::string hint = activation_hint(word); !hint.empty()) {
      throw UsageError(
          fmt::format("\"{}\" in \"{}\" is not an option of a problem; {}", option, text, hint));
    } else {
      static const std::vector<std::string> words = option_words();
      throw UsageError(
          fmt::format("\"{}\" in \"{}\" is not an option of a problem; did you mean {}?", option,
                      text, nearest(option, words)));
    }
    if (next == std::string_view::npos) break;
    rest = rest.substr(next + 1);
  }

  problem.param_dtype = param_dtype >= 0 ? param_dtype : wide_type_of(problem.dtype);
  if (out_type_of(problem) == problem.dtype) problem.out_type = 0;
  problem.activation_parameter =
      std::isnan(parameter) ? activation_of(problem).default_parameter : parameter;
  // Refused before rounding, so that the sentence quotes what was typed; validate() looks again at
  // what is left after it.
  validate(problem, single);
  const Format& format = format_of(scalar_type_of(problem));
  const char* const parameter_name = activation_of(problem).parameter_name;
  for (auto [name, field] :
       {std::pair{"eps", &problem.eps},
        {"momentum", &problem.momentum},
        {parameter_name != nullptr ? parameter_name : "", &problem.activation_parameter}}) {
    const double rounded = round_to(format, *field);
    if (*field > 0 && rounded == 0 && field != &problem.momentum)
      throw UsageError(fmt::format("The {} {} in \"{}\" rounds to 0 in {}; use a larger one", name,
                                   *field, text, dtype_name(format.dtype)));
    if (!std::isfinite(rounded))
      throw UsageError(
          fmt::format("The {} {} in \"{}\" is beyond the range of {}; use a smaller one", name,
                      *field, text, dtype_name(format.dtype)));
    *field = rounded;
  }
  validate(problem, single);
  if (!seen.contains("activation"))
    throw UsageError(
        fmt::format("\"{}\" names no activation; add the one that the kernel computes, for example "
                    "identity, leaky_relu:0.01 or elu:1",
                    text));
  return problem;
}

std::string to_string(const abn_problem& problem) {
  std::string text = fmt::format("n{}c{}s{},{},{}", problem.n, problem.c, problem.s,
                                 layout_name(problem.layout), dtype_name(problem.dtype));
  if (problem.param_dtype != wide_type_of(problem.dtype))
    text += fmt::format(",param:{}", dtype_name(problem.param_dtype));
  if (problem.out_type != 0) text += fmt::format(",out:{}", dtype_name(out_type_of(problem)));
  text += fmt::format(",{}", activation_name(problem.activation));
  const Format& format = format_of(scalar_type_of(problem));
  if (activation_of(problem).has_parameter())
    text += fmt::format(":{}", shortest(problem.activation_parameter, format.dtype));
  if (problem.eps != round_to(format, default_eps))
    text += fmt::format(",eps:{}", shortest(problem.eps, format.dtype));
  if (problem.momentum != round_to(format, default_momentum))
    text += fmt::format(",momentum:{}", momentum_text(problem.momentum, format.dtype));
  if (problem.scale != ABN_SCALE_SIGNED) text += fmt::format(",{}", scale_name(problem.scale));
  if (problem.mode != ABN_TRAINING) text += fmt::format(",{}", mode_name(problem.mode));
  return text;
}

void validate(const abn_problem& problem, SingleSample single) {
  if (problem.n < 0 || problem.c < 0 || problem.s < 0)
    throw UsageError(fmt::format("The sizes n{}c{}s{} must not be negative; use 0 or more",
                                 problem.n, problem.c, problem.s));
  std::int64_t bytes = 8;  // of the widest type, so that no buffer of the case can overflow
  for (const std::int64_t size : {problem.n, problem.c, problem.s})
    if (size > 0 && __builtin_mul_overflow(bytes, size, &bytes))
      throw UsageError(
          fmt::format("A tensor of n{}c{}s{} does not fit into 2^63 bytes; use smaller sizes",
                      problem.n, problem.c, problem.s));
  if (single == SingleSample::refused && problem.mode == ABN_TRAINING &&
      sample_count(problem) == 1 && problem.c > 0)
    throw UsageError(
        "Training on one sample a channel has no variance; use n*s of at least 2, or inference or "
        "frozen");
  // of the same type, whatever it is, or of f32
  if (problem.param_dtype != ABN_F32 && problem.param_dtype != problem.dtype)
    throw UsageError(fmt::format("Parameters of type {} do not go with {} tensors; use param:f32{}",
                                 dtype_name(problem.param_dtype), dtype_name(problem.dtype),
                                 problem.dtype == ABN_F32
                                     ? std::string()
                                     : fmt::format(" or param:{}", dtype_name(problem.dtype))));
  if (is_narrow(out_type_of(problem)) != is_narrow(problem.dtype))
    throw UsageError(fmt::format(
        "An output of type {} does not go with {} tensors; leave out: away, or use one of f16, "
        "bf16 and f32 for both",
        dtype_name(out_type_of(problem)), dtype_name(problem.dtype)));
  if (problem.activation < 0 || problem.activation >= activation_count)
    throw UsageError(fmt::format("{} is not the code of an activation; use one of cuda/kernel.h",
                                 problem.activation));
  if (activation_of(problem).has_parameter() &&
      !(problem.activation_parameter > 0 && std::isfinite(problem.activation_parameter)))
    throw UsageError(fmt::format("{} with {} {} has no inverse; use a finite one above 0",
                                 activation_name(problem.activation),
                                 activation_of(problem).parameter_name,
                                 problem.activation_parameter));
  if (!(problem.eps >= 0 && std::isfinite(problem.eps)))
    throw UsageError(fmt::format(
        "eps {} is not a finite number of at least 0; write for example eps:1e-05", problem.eps));
  if (!(problem.momentum >= 0 && problem.momentum <= 1))
    throw UsageError(
        fmt::format("momentum {} is not a number from 0 to 1; write for example momentum:0.1",
                    problem.momentum));
}

std::int64_t sample_count(const abn_problem& problem) { return problem.n * problem.s; }
std::int64_t element_count(const abn_problem& problem) { return problem.n * problem.c * problem.s; }

std::int64_t element_offset(const abn_problem& problem, std::int64_t n, std::int64_t c,
                            std::int64_t s) {
  return problem.layout == ABN_NCHW ? (n * problem.c + c) * problem.s + s
                                    : (n * problem.s + s) * problem.c + c;
}

const char* dtype_name(int dtype) { return name_in(dtype_words, dtype); }
const char* layout_name(int layout) { return name_in(layout_words, layout); }
const char* scale_name(int scale) { return name_in(scale_words, scale); }
const char* mode_name(int mode) { return name_in(mode_words, mode); }
const char* scheme_name(int scheme) { return name_in(scheme_words, scheme); }
const char* statistics_name(int statistics) { return name_in(statistics_words, statistics); }
const char* normalise_name(int normalise) { return name_in(normalise_words, normalise); }
const char* accumulate_name(int dtype) { return name_in(accumulate_words, dtype); }
const char* kink_name(int kink) { return name_in(kink_words, kink); }
const char* running_variance_name(int running_variance) {
  return name_in(running_variance_words, running_variance);
}
int dtype_from_name(std::string_view name) { return require(dtype_words, name, "a type"); }
int scheme_from_name(std::string_view name) { return require(scheme_words, name, "a scheme"); }
int statistics_from_name(std::string_view name) {
  return require(statistics_words, name, "a class of statistics");
}
int normalise_from_name(std::string_view name) {
  return require(normalise_words, name, "a way to normalise");
}

int accumulate_from_name(std::string_view name) {
  return require(accumulate_words, name, "an accumulate type");
}
int kink_from_name(std::string_view name) { return require(kink_words, name, "a kink"); }
int running_variance_from_name(std::string_view name) {
  return require(running_variance_words, name, "a running variance");
}

std::span<const WordGroup> problem_words() {
  static constexpr WordGroup groups[] = {{"storage type", dtype_words},
                                         {"layout", layout_words},
                                         {"scale convention", scale_words},
                                         {"mode", mode_words},
                                         {"scheme", scheme_words},
                                         {"class of statistics", statistics_words},
                                         {"way to normalise", normalise_words},
                                         {"accumulate type", std::span(accumulate_words).last(1)},
                                         {"kink", kink_words},
                                         {"running variance", running_variance_words}};
  return groups;
}

std::string place_of(const abn_problem& problem, const std::string& name, bool tensor,
                     std::int64_t element) {
  if (!tensor) return fmt::format("{}[c {}]", name, element);
  const std::int64_t c_first = element / problem.s, c_last = element / problem.c;
  if (problem.layout == ABN_NHWC)
    return fmt::format("{}[n {}, c {}, s {}]", name, c_last / problem.s, element % problem.c,
                       c_last % problem.s);
  return fmt::format("{}[n {}, c {}, s {}]", name, c_first / problem.c, c_first % problem.c,
                     element % problem.s);
}

abn_problem example_problem(int dtype, int layout, int mode) {
  abn_problem problem = parse_problem("n16c64s64,leaky_relu");
  problem.dtype = dtype;
  problem.param_dtype = wide_type_of(dtype);
  problem.layout = layout;
  problem.mode = mode;
  return problem;
}

}  // namespace abn::verify::problem
