// Names, types, shapes and metadata of a tensor file.
#include "verify/data/tensor_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>

#include "verify/data/safetensors.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/printable.hpp"
#include "verify/problem/problem.hpp"
#include "verify/problem/suggest.hpp"

namespace abn::verify::data {
namespace {

/// Frameworks call the C library, SLEEF (1 or 3.5 ulp) or CUDA (expm1f: 1 ulp, expf: 2 ulp), and
/// say nowhere which: the worst of these, rounded up.
constexpr double undeclared_function_ulp = 4;

struct OutputName {
  const char* tensor;
  compare::Output output;
};
constexpr std::array output_names{OutputName{"saved_mean", compare::Output::mean},
                                  OutputName{"saved_var", compare::Output::variance},
                                  OutputName{"saved_invstd", compare::Output::invstd},
                                  OutputName{"running_mean_out", compare::Output::running_mean},
                                  OutputName{"running_var_out", compare::Output::running_var},
                                  OutputName{"z", compare::Output::z},
                                  OutputName{"dx", compare::Output::dx},
                                  OutputName{"dgamma", compare::Output::dgamma},
                                  OutputName{"dbeta", compare::Output::dbeta}};
constexpr std::array input_names{"x",           "dz",     "gamma",      "beta", "running_mean",
                                 "running_var", "sum_dy", "sum_dy_xhat"};
constexpr std::array keys{"abn.format",       "abn.problem",          "abn.scheme",
                          "abn.statistics",   "abn.accumulate",       "abn.normalise",
                          "abn.materialises", "abn.depth_statistics", "abn.depth_backward",
                          "abn.kink",         "abn.samples",          "abn.running_variance"};

const char* container_type(int dtype) {
  constexpr const char* names[] = {"F16", "BF16", "F32", "F64"};
  return names[dtype];
}

std::string clean_name(const std::string& path) {
  std::string name = std::filesystem::path(path).stem().string();
  for (char& letter : name)
    if ((std::isalnum(static_cast<unsigned char>(letter)) == 0 ||
         static_cast<unsigned char>(letter) >= 0x80) &&
        letter != '_' && letter != '-')
      letter = '_';
  return name;
}

class Reader {
 public:
  Reader(const std::string& path, SafetensorsFile file) : path_(path), file_(std::move(file)) {}

  /// Calls `parse` on a word of the file and puts the path before what it complains of.
  template <class Parse>
  auto within(const std::string& word, Parse parse) const {
    try {
      return parse(std::string_view(word));
    } catch (const problem::UsageError& wrong) {
      throw problem::UsageError(fmt::format("{}: {}", path_, problem::printable(wrong.what())));
    }
  }

  TensorFile read() {
    refuse_unknown();
    if (text("abn.format").value_or("") != "1")
      refuse(R"(declares no abn.format "1")", "add it to the metadata as fixtures/README.md shows");
    const auto problem_text = text("abn.problem");
    if (!problem_text)
      refuse("declares no abn.problem", "add its sizes and options as fixtures/README.md shows");
    TensorFile out;
    out.name = clean_name(path_);
    // the tensors say these types, so the problem need not
    const int parameters = parameter_type();
    out.inputs.problem = within(*problem_text, [&](std::string_view word) {
      return problem::parse_problem(word, parameters, problem::SingleSample::accepted);
    });
    problem_ = out.inputs.problem;
    if (const int behind = type_behind();
        behind >= 0 && out.inputs.problem.out_type == 0 && behind != out.inputs.problem.dtype)
      out.inputs.problem.out_type = behind + 1;
    within("", [&](std::string_view) {
      problem::validate(out.inputs.problem, problem::SingleSample::accepted);
    });
    problem_ = out.inputs.problem;
    if (problem::element_count(problem_) == 0)
      refuse("holds a problem without elements", "dump a step that has some");
    out.inputs.affine = has("gamma") || has("beta");
    out.inputs.x = tensor("x", true);
    if (out.inputs.x.empty())
      refuse("holds no x", "add the input of the batch norm as it was before the step");
    out.inputs.dz = tensor("dz", true);
    out.inputs.gamma = tensor("gamma", false), out.inputs.beta = tensor("beta", false);
    const auto channels = static_cast<std::size_t>(problem_.c);
    if (out.inputs.affine && out.inputs.gamma.empty())
      out.inputs.gamma.assign(channels, 1), out.inputs.unit_scale = true;
    if (out.inputs.affine && out.inputs.beta.empty())
      out.inputs.beta.assign(channels, 0), out.inputs.zero_shift = true;
    out.inputs.running_mean = tensor("running_mean", false),
    out.inputs.running_var = tensor("running_var", false);
    out.inputs.whole = whole_batch();
    for (const auto& [name, output] : output_names) {
      const bool statistic = output == compare::Output::mean || output == compare::Output::variance;
      if (statistic && out.inputs.whole.samples > 0) continue;  // an input then
      auto values = tensor(name, compare::is_tensor(output));
      if (!values.empty()) out.outputs.push_back({output, std::move(values)});
    }
    std::stable_sort(out.outputs.begin(), out.outputs.end(),
                     [](const auto& a, const auto& b) { return a.output < b.output; });
    refuse_contradictions();
    read_claims(out);
    return out;
  }

 private:
  [[noreturn]] void refuse(const std::string& what, const std::string& remedy) const {
    throw problem::UsageError(fmt::format("{} {}; {}", path_, problem::printable(what), remedy));
  }

  bool has(const std::string& name) const { return file_.tensors.count(name) != 0; }

  std::optional<std::string> text(const std::string& key) const {
    const auto at = file_.metadata.find(key);
    return at == file_.metadata.end() ? std::nullopt : std::optional(at->second);
  }

  /// A word that is spelled wrong must not be a tensor that nobody judges.
  void refuse_unknown() const {
    for (const auto& [key, value] : file_.metadata)
      if (key.starts_with("abn.") && std::find(keys.begin(), keys.end(), key) == keys.end())
        refuse(fmt::format("has the unknown metadata key \"{}\"", key),
               fmt::format("did you mean {}?", problem::nearest(key, {keys.begin(), keys.end()})));
    std::vector<std::string> names(input_names.begin(), input_names.end());
    for (const auto& one : output_names) names.emplace_back(one.tensor);
    for (const auto& [name, tensor] : file_.tensors)
      if (std::find(names.begin(), names.end(), name) == names.end())
        refuse(fmt::format("has the unknown tensor \"{}\"", name),
               fmt::format("did you mean {}? Leave out what is none of {}",
                           problem::nearest(name, names), fmt::join(names, ", ")));
  }

  /// The values of a tensor, N*C*S or C of them; empty where the file has none of this name.
  std::vector<double> tensor(const std::string& name, bool full) const {
    const auto at = file_.tensors.find(name);
    if (at == file_.tensors.end()) return {};
    const Tensor& found = at->second;
    const bool behind = name == "z" || name == "dz";
    const int dtype = !full    ? problem_.param_dtype
                      : behind ? problem::out_type_of(problem_)
                               : problem_.dtype;
    const int held = dtype_of(found);
    // parameters may have been widened on their way into the file, which loses nothing
    const bool widened = !full && held >= 0 &&
                         problem::format_of(held).precision > problem::format_of(dtype).precision;
    if (held != dtype && !widened)
      refuse(fmt::format("holds {} as {} and its problem needs {}", name, found.dtype,
                         container_type(dtype)),
             behind ? "name it in abn.problem, as out:TYPE where x has another one"
             : full
                 ? "name the type of the tensors in abn.problem"
                 : "store all parameters in one type, that of param: where abn.problem names it");
    if (!(full ? shape_fits(found.shape) : found.shape == std::vector<std::int64_t>{problem_.c}))
      refuse(fmt::format("holds {} with shape [{}] and its problem needs {}", name,
                         fmt::join(found.shape, ", "),
                         full ? full_shape() : fmt::format("[{}]", problem_.c)),
             "correct the sizes in abn.problem or the tensor");
    std::vector<double> values(
        static_cast<std::size_t>(full ? problem::element_count(problem_) : problem_.c));
    problem::unpack(problem::format_of(held), found.bytes.data(), values);
    // Frameworks save the statistics of half models in f32: they are then not even rounded.
    const bool unrounded = name.starts_with("saved_");
    for (const double value : values)
      if (widened && !unrounded && std::isfinite(value) &&
          problem::round_to(problem::format_of(dtype), value) != value)
        refuse(fmt::format("holds {} with {}, which is not a number of {}", name, value,
                           problem::dtype_name(dtype)),
               fmt::format("write param:{} in abn.problem, or round the tensor",
                           problem::dtype_name(held)));
    return values;
  }

  std::string full_shape() const {
    return problem_.layout == ABN_NCHW
               ? fmt::format("[{}, {}, {}]", problem_.n, problem_.c, problem_.s)
               : fmt::format("[{}, {}, {}]", problem_.n, problem_.s, problem_.c);
  }

  /// N first, C second or last, and the rest multiplies to S.
  bool shape_fits(const std::vector<std::int64_t>& shape) const {
    if (shape.size() < 2 || shape.front() != problem_.n) return false;
    const std::size_t channel = problem_.layout == ABN_NCHW ? 1 : shape.size() - 1;
    if (shape[channel] != problem_.c) return false;
    std::int64_t spatial = 1;
    for (std::size_t i = 1; i < shape.size(); ++i)
      // no overflow: the container has checked that the whole product fits
      if (i != channel) spatial *= shape[i];
    return spatial == problem_.s;
  }

  void refuse_contradictions() const {
    const auto together = [&](const char* one, const char* other) {
      if (has(one) != has(other))
        refuse(fmt::format("holds {} without {}", has(one) ? one : other, has(one) ? other : one),
               "add the other or leave both out");
    };
    together("running_mean", "running_var");
    const auto needs = [&](const char* name, const char* needed) {
      if (has(name) && !has(needed))
        refuse(fmt::format("holds {} without {}, from which it follows", name, needed),
               fmt::format("add {}", needed));
    };
    for (const char* const gradient : {"dx", "dgamma", "dbeta"}) needs(gradient, "dz");
    needs("dgamma", "gamma");
    needs("dbeta", "beta");
    needs("running_mean_out", "running_mean");
    needs("running_var_out", "running_var");
    if (has("saved_var") && has("saved_invstd"))
      refuse("holds saved_var and saved_invstd", "keep the one that backward reads");
    if (problem_.mode == ABN_TRAINING) return;
    if (!has("running_mean"))
      refuse(fmt::format("holds no running_mean and running_var, which {} mode needs",
                         problem::mode_name(problem_.mode)),
             "add them");
    for (const char* const name :
         {"saved_mean", "saved_var", "saved_invstd", "running_mean_out", "running_var_out"})
      if (has(name))
        refuse(fmt::format("holds {}, which {} mode does not compute", name,
                           problem::mode_name(problem_.mode)),
               "leave it out or correct the mode in abn.problem");
    if (problem_.mode == ABN_INFERENCE)
      for (const char* const name : {"dx", "dgamma", "dbeta"})
        if (has(name))
          refuse(fmt::format("holds {}, and inference has no backward", name),
                 "correct the mode in abn.problem: it is training or frozen");
  }

  /// The type of the parameters that the file holds, -1 where it holds none.
  int parameter_type() const {
    for (const char* const name : {"gamma", "beta", "running_mean", "running_var", "saved_mean",
                                   "saved_var", "saved_invstd"})
      if (const auto at = file_.tensors.find(name); at != file_.tensors.end())
        return dtype_of(at->second);
    return -1;
  }

  /// The type of z and dz, where x has the one that the problem says; -1 where there are none.
  int type_behind() const {
    const auto x = file_.tensors.find("x");
    if (x == file_.tensors.end() || x->second.dtype != container_type(problem_.dtype)) return -1;
    for (const char* const name : {"z", "dz"})
      if (const auto at = file_.tensors.find(name); at != file_.tensors.end())
        return dtype_of(at->second);
    return -1;
  }

  static int dtype_of(const Tensor& tensor) {
    for (const int dtype : problem::storage_types)
      if (tensor.dtype == container_type(dtype)) return dtype;
    return -1;
  }

  /// What the file says of all ranks of a sharded batch, of which it is one.
  problem::WholeBatch whole_batch() const {
    problem::WholeBatch whole;
    const auto value = text("abn.samples");
    const std::int64_t m = problem::sample_count(problem_);
    if (!value) {
      for (const char* const sum : {"sum_dy", "sum_dy_xhat"})
        if (has(sum))
          refuse(fmt::format("holds {} and declares no abn.samples", sum),
                 "say how many samples a channel has on all ranks together");
      return whole;
    }
    std::int64_t count = 0;
    const char* const end = value->data() + value->size();
    const auto parsed = std::from_chars(value->data(), end, count);
    if (parsed.ec != std::errc{} || parsed.ptr != end || count <= m)
      refuse(fmt::format("declares abn.samples \"{}\"", *value),
             fmt::format("use the number of samples that a channel has on all ranks together, "
                         "which is more than the {} of this file",
                         m));
    if (problem_.mode != ABN_TRAINING)
      refuse("declares abn.samples outside of training", "leave it out");
    if (!has("saved_mean") || !has("saved_var"))
      refuse("declares abn.samples without the statistics of all ranks",
             "add saved_mean and saved_var");
    if (has("sum_dy") != has("sum_dy_xhat"))
      refuse("holds one of sum_dy and sum_dy_xhat", "add the other or leave both out");
    whole.samples = static_cast<double>(count);
    whole.mean = tensor("saved_mean", false), whole.variance = tensor("saved_var", false);
    whole.sum_dy = tensor("sum_dy", false), whole.sum_dy_xhat = tensor("sum_dy_xhat", false);
    return whole;
  }

  std::int64_t depth(const char* key) const {
    const std::int64_t m = problem::sample_count(problem_);
    const auto value = text(key);
    if (!value) return m;
    std::int64_t count = 0;
    const char* const end = value->data() + value->size();
    const auto parsed = std::from_chars(value->data(), end, count);
    if (parsed.ec != std::errc{} || parsed.ptr != end || count < 1 || count > m)
      refuse(fmt::format("declares {} \"{}\"", key, *value),
             fmt::format("use a whole number from 1 to m = N*S = {}", m));
    return count;
  }

  std::uint32_t materialises(const std::string& list) const {
    // in the order of the ABN_MATERIALISES_ bits
    constexpr std::array names{"y", "xhat", "dy", "statistics", "activation"};
    std::uint32_t flags = 0;
    for (std::string_view rest = list; !rest.empty();) {
      const std::size_t comma = rest.find(',');
      const std::string_view word = rest.substr(0, comma);
      const auto at = std::find(names.begin(), names.end(), word);
      if (at == names.end())
        refuse(fmt::format("declares abn.materialises \"{}\"", list),
               "use a list of y, xhat, dy, statistics and activation without blanks, or nothing");
      flags |= 1u << (at - names.begin());
      rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    }
    return flags;
  }

  void read_claims(TensorFile& out) const {
    abn_claims& claims = out.claims;
    claims.struct_size = sizeof claims;
    out.declares = true;
    for (const char* const key :
         {"abn.scheme", "abn.statistics", "abn.accumulate", "abn.normalise", "abn.materialises"})
      if (!text(key)) {
        if (!out.outputs.empty())
          refuse(fmt::format("holds outputs and declares no {}", key),
                 "say how they were computed, for the error bound follows from it");
        out.declares = false;
      }
    if (const auto word = text("abn.scheme"))
      claims.scheme =
          within(*word, [](std::string_view name) { return problem::scheme_from_name(name); });
    if (const auto word = text("abn.statistics"))
      claims.statistics =
          within(*word, [](std::string_view name) { return problem::statistics_from_name(name); });
    if (const auto word = text("abn.accumulate"))
      claims.accumulate =
          within(*word, [](std::string_view name) { return problem::accumulate_from_name(name); });
    if (const auto word = text("abn.kink"))
      claims.kink =
          within(*word, [](std::string_view name) { return problem::kink_from_name(name); });
    if (const auto word = text("abn.running_variance"))
      claims.running_variance = within(
          *word, [](std::string_view name) { return problem::running_variance_from_name(name); });
    if (const auto word = text("abn.normalise"))
      claims.normalise =
          within(*word, [](std::string_view name) { return problem::normalise_from_name(name); });
    if (const auto word = text("abn.materialises")) claims.materialises = materialises(*word);
    claims.depth_statistics = depth("abn.depth_statistics");
    claims.depth_backward = depth("abn.depth_backward");
    claims.function_ulp = undeclared_function_ulp;
    const bool reads_x = claims.scheme == ABN_STANDARD || claims.scheme == ABN_CHECKPOINT_X;
    const bool reads_z = claims.scheme == ABN_STANDARD || problem::is_in_place(claims);
    if (reads_x) claims.saves |= ABN_SAVES_X;
    if (reads_z) claims.saves |= ABN_SAVES_Z;
    if (has("saved_mean")) claims.saves |= ABN_SAVES_MEAN;
    if (has("saved_var")) claims.saves |= ABN_SAVES_VAR;
    if (has("saved_invstd")) claims.saves |= ABN_SAVES_VAR | ABN_SAVES_INVSTD;
  }

  const std::string& path_;
  SafetensorsFile file_;
  abn_problem problem_{};
};

}  // namespace

TensorFile read_tensor_file(const std::string& path) {
  return tensor_file_of(read_safetensors(path), path);
}

TensorFile tensor_file_of(SafetensorsFile file, const std::string& path) {
  return Reader(path, std::move(file)).read();
}

}  // namespace abn::verify::data
