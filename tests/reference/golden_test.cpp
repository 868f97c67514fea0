// The reference against golden values from mpmath (60 digits) and PyTorch (float64), which share no
// code with it.

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>

#include <gtest/gtest.h>

#include "reference/multiprecision.hpp"
#include "tests/reference/support.hpp"
#include "tests/support/sha256.hpp"

namespace abn::tests {
namespace {

struct GoldenCase {
  std::string name;
  std::map<std::string, std::vector<std::string>> values;  // quantity -> values as text

  const std::string& text(const std::string& quantity) const { return values.at(quantity).at(0); }
  double number(const std::string& quantity) const {
    return std::strtod(text(quantity).c_str(), nullptr);
  }
  Vector<double> vector(const std::string& quantity) const {
    const auto& texts = values.at(quantity);
    Vector<double> out(static_cast<Eigen::Index>(texts.size()));
    for (std::size_t i = 0; i < texts.size(); ++i)
      out[static_cast<Eigen::Index>(i)] = std::strtod(texts[i].c_str(), nullptr);
    return out;
  }
};

struct GoldenFile {
  std::map<std::string, std::string> header;
  std::string body;
  std::vector<GoldenCase> cases;
};

GoldenFile read_golden(const std::string& name) {
  const char* root = std::getenv("ABN_SOURCE_DIR");
#ifdef ABN_SOURCE_DIR
  if (root == nullptr) root = ABN_SOURCE_DIR;
#endif
  const std::string path = std::string(root == nullptr ? "." : root) + "/fixtures/golden/" + name;
  std::ifstream file(path);
  if (!file)
    throw std::runtime_error(path +
                             " cannot be read; set ABN_SOURCE_DIR to the root of the sources.");

  GoldenFile golden;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    if (line.rfind("# ", 0) == 0) {
      std::string hash, key, value;
      fields >> hash >> key >> std::ws;
      std::getline(fields, value);
      golden.header[key] = value;
      continue;
    }
    golden.body += line + '\n';
    std::string name_of_case, quantity, index, value;
    fields >> name_of_case >> quantity >> index >> value;
    if (golden.cases.empty() || golden.cases.back().name != name_of_case)
      golden.cases.push_back({name_of_case, {}});
    auto& values = golden.cases.back().values[quantity];
    if (value.empty() || index != (index == "-" ? "-" : std::to_string(values.size())))
      throw std::runtime_error(path + " has a malformed row: " + line + "; regenerate it with " +
                               golden.header["command"] + ".");
    values.push_back(value);
  }
  return golden;
}

Problem problem_of(const GoldenCase& golden) {
  static const std::map<std::string, ActivationKind> kinds = {
      {"identity", ActivationKind::identity},
      {"leaky_relu", ActivationKind::leaky_relu},
      {"elu", ActivationKind::elu},
      {"celu", ActivationKind::celu},
      {"relu", ActivationKind::relu},
      {"relu6", ActivationKind::relu6},
      {"silu", ActivationKind::silu},
      {"gelu", ActivationKind::gelu},
      {"gelu_tanh", ActivationKind::gelu_tanh},
      {"sigmoid", ActivationKind::sigmoid},
      {"tanh", ActivationKind::tanh},
      {"hardswish", ActivationKind::hardswish}};
  Problem p;
  p.channel.activation = {kinds.at(golden.text("activation")), golden.number("parameter")};
  p.channel.scale =
      golden.text("scale") == "abs_eps" ? ScaleConvention::abs_eps : ScaleConvention::signed_gamma;
  p.channel.gamma = golden.number("gamma");
  p.channel.beta = golden.number("beta");
  p.channel.eps = golden.number("eps");
  p.frozen = golden.text("mode") != "training";
  p.old_mean = golden.number("old_mean");
  p.old_variance = golden.number("old_variance");
  p.x = golden.vector("x");
  p.dz = golden.vector("dz");
  return p;
}

const std::set<std::string> output_names = {"mean", "variance", "new_mean", "new_variance",
                                            "z",    "dx",       "dgamma",   "dbeta"};

// Every output by the name it has in the files.
template <class T>
using Outputs = std::map<std::string, Vector<T>>;

template <class T>
Outputs<T> outputs_of(const Problem& p, const Forward<T>& f, const Gradients<T>& gradients,
                      double momentum) {
  const auto one = [](const T& value) { return Vector<T>(Vector<T>::Constant(1, value)); };
  Outputs<T> out = {{"z", f.z},
                    {"dx", gradients.dx},
                    {"dgamma", one(gradients.dgamma)},
                    {"dbeta", one(gradients.dbeta)}};
  if (p.frozen) return out;
  out["mean"] = one(f.mean);
  out["variance"] = one(f.variance);
  out["new_mean"] = one(running_mean(T(p.old_mean), f.mean, T(momentum)));
  out["new_variance"] =
      one(running_variance(T(p.old_variance), f.variance, as_count<T>(p.x.size()), T(momentum)));
  return out;
}

// One unit in the last of `digits` stored digits of a number written d.ddde+-x: half of it is the
// rounding of the golden value, the other half is left to the reference. A stored zero is exact in
// theory, and its neighbours in the file are of order 1.
Real100 last_digit(const std::string& text, int digits) {
  const auto exponent_at = text.find('e');
  const bool zero = text == "0.0";
  const int exponent =
      zero || exponent_at == std::string::npos ? 0 : std::atoi(text.c_str() + exponent_at + 1);
  return pow(Real100(10), exponent - digits + 1);
}

// What the error of an output in arithmetic with unit roundoff u is measured against.
double output_scale(const std::string& name, const Problem& p, const GradientScale& scale,
                    double sigma) {
  const double largest_x = p.x.abs().maxCoeff();
  if (name == "dx") return scale.dx;
  if (name == "dgamma" || name == "dbeta") return scale.sum;
  if (name == "mean" || name == "new_mean") return largest_x + std::abs(p.old_mean);
  if (name == "variance" || name == "new_variance")
    return largest_x * sigma + sigma * sigma + p.old_variance;
  return 1;  // z: its size is within the factor 1 + |g| + |beta| of the amplification
}

// The largest |stored - computed| / allowed over all outputs that `golden` stores; `allowed` is
// (quantity, stored text) -> Real100.
template <class T, class Allowed>
double worst_ratio(const GoldenCase& golden, const Outputs<T>& computed, const Allowed& allowed) {
  double worst = 0;
  for (const auto& [name, texts] : golden.values) {
    if (output_names.count(name) == 0 || computed.count(name) == 0) continue;
    const Vector<T>& got = computed.at(name);
    if (static_cast<std::size_t>(got.size()) != texts.size())
      return std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const Real100 stored(texts[i]);
      const Real100 error = abs(stored - Real100(got[static_cast<Eigen::Index>(i)]));
      worst = std::max(worst, difference(error, Real100(0), allowed(name, texts[i])));
    }
  }
  return worst;
}

// The five schemes in 100 digits, judged on the last stored digit.
double ratio_to_digits(const GoldenCase& golden, const GoldenFile& file, const Problem& p,
                       const Gradients<Real100>& gradients) {
  const int digits = std::stoi(file.header.at("digits"));
  const Outputs<Real100> computed =
      outputs_of(p, forward<Real100>(p), gradients, golden.number("momentum"));
  return worst_ratio(golden, computed, [&](const std::string&, const std::string& text) {
    return last_digit(text, digits);
  });
}

// A scheme in 50 digits, judged on arithmetic with unit roundoff u.
double ratio_to_roundoff(const GoldenCase& golden, const Problem& p,
                         const Gradients<Real50>& gradients, double u) {
  const Forward<Real50> f = forward<Real50>(p);
  const GradientScale scale = gradient_scale(p, f);
  const double growth = amplification(p, f);
  const double sigma = 1 / static_cast<double>(f.r);
  const Outputs<Real50> computed = outputs_of(p, f, gradients, golden.number("momentum"));
  return worst_ratio(golden, computed, [&](const std::string& name, const std::string&) {
    return Real100(u * growth * output_scale(name, p, scale, sigma));
  });
}

constexpr double float64_roundoff = 0x1p-53;
const double real50_roundoff = std::ldexp(1.0, -std::numeric_limits<Real50>::digits);

TEST(Sha256, MatchesThePublishedExamples) {  // FIPS 180-2, appendix B
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

class ReferenceGoldenFile : public testing::TestWithParam<const char*> {};

TEST_P(ReferenceGoldenFile, FileIsAsItsToolWroteIt) {
  const GoldenFile file = read_golden(GetParam());
  for (const char* key : {"tool", "version", "digits", "command", "date", "sha256"})
    EXPECT_EQ(file.header.count(key), 1u) << "header row '# " << key << "' is missing";
  EXPECT_EQ(sha256(file.body), file.header.at("sha256"))
      << "The rows were edited after the tool wrote them; regenerate with: "
      << file.header.at("command");
}

TEST_P(ReferenceGoldenFile, CoversEveryActivationScaleModeAndSign) {
  std::set<std::string> seen;
  for (const GoldenCase& golden : read_golden(GetParam()).cases)
    seen.insert(golden.text("activation") + golden.text("scale") + golden.text("mode") +
                (golden.number("gamma") < 0 ? "-" : "+"));
  for (const char* activation : {"identity", "leaky_relu", "elu", "celu"})
    for (const char* scale : {"signed_gamma", "abs_eps"})
      for (const char* mode : {"training", "frozen"})
        for (const char* sign : {"+", "-"})
          EXPECT_EQ(seen.count(std::string(activation) + scale + mode + sign), 1u)
              << activation << ' ' << scale << ' ' << mode << ' ' << sign;
}

TEST(ReferenceGolden, MpmathHasEveryActivationWithoutAnInverseAtItsEnds) {
  std::set<std::string> seen;
  for (const GoldenCase& golden : read_golden("batch_norm_mpmath.tsv").cases)
    seen.insert(golden.name);
  for (const char* activation :
       {"relu", "relu6", "silu", "gelu", "gelu_tanh", "sigmoid", "tanh", "hardswish"})
    for (const char* kind : {"signed_gamma-training", "signed_gamma-frozen", "abs_eps-training",
                             "abs_eps-frozen", "inference", "wide", "low", "high", "gamma_zero"})
      EXPECT_EQ(seen.count(std::string(activation) + "-" + kind), 1u) << activation << ' ' << kind;
}

INSTANTIATE_TEST_SUITE_P(Engines, ReferenceGoldenFile,
                         testing::Values("batch_norm_mpmath.tsv", "batch_norm_torch.tsv"),
                         [](const auto& file) { return file.index == 0 ? "mpmath" : "torch"; });

TEST(ReferenceGolden, EverySchemeIn100DigitsAgreesWithMpmathToTheDigitsStored) {
  const GoldenFile file = read_golden("batch_norm_mpmath.tsv");
  for (const GoldenCase& golden : file.cases) {
    const Problem p = problem_of(golden);
    const Forward<Real100> f = forward<Real100>(p);
    for (const Scheme scheme : all_schemes) {
      const bool in_place = scheme == Scheme::in_place_one || scheme == Scheme::in_place_two;
      if (in_place && !p.channel.activation.has_inverse()) {
        EXPECT_THROW(backward(p, f, scheme), std::invalid_argument) << golden.name;
        continue;
      }
      Gradients<Real100> gradients = backward(p, f, scheme);
      if (in_place && f.g == 0) {  // dgamma cannot be recovered and is only promised to be finite
        EXPECT_TRUE(isfinite(gradients.dgamma)) << golden.name;
        gradients.dgamma = Real100(golden.text("dgamma"));
      }
      EXPECT_LE(ratio_to_digits(golden, file, p, gradients), 1)
          << golden.name << ", scheme " << static_cast<int>(scheme);
    }
  }
}

TEST(ReferenceGolden, CheckpointingIn50DigitsAgreesWithMpmathToItsRoundoff) {
  for (const GoldenCase& golden : read_golden("batch_norm_mpmath.tsv").cases) {
    const Problem p = problem_of(golden);
    const Gradients<Real50> gradients = backward(p, forward<Real50>(p), Scheme::checkpoint_x);
    EXPECT_LE(ratio_to_roundoff(golden, p, gradients, real50_roundoff), 1) << golden.name;
  }
}

TEST(ReferenceGolden, PyTorchAgreesToTheRoundoffOfFloat64) {
  for (const GoldenCase& golden : read_golden("batch_norm_torch.tsv").cases) {
    const Problem p = problem_of(golden);
    const Gradients<Real50> gradients = backward(p, forward<Real50>(p), Scheme::checkpoint_x);
    EXPECT_LE(ratio_to_roundoff(golden, p, gradients, float64_roundoff), 1) << golden.name;
  }
}

// The judges above are worth something only if they reject a wrong backward pass.
TEST(ReferenceGolden, RejectsAGradientWithoutTheXhatTerm) {
  for (const char* name : {"batch_norm_mpmath.tsv", "batch_norm_torch.tsv"}) {
    const GoldenFile file = read_golden(name);
    int rejected = 0;
    for (const GoldenCase& golden : file.cases) {
      const Problem p = problem_of(golden);
      const Forward<Real50> f = forward<Real50>(p);
      if (p.frozen || f.g == 0 || f.variance == 0) continue;  // there the term is absent or 0
      const Recovered<Real50> recovered = recover(p, f, Scheme::checkpoint_x);
      if (sums(recovered).s1 == 0) continue;  // every y on the flat side of ReLU
      Sums<Real50> without = sums(recovered);
      without.s1 = 0;
      Gradients<Real50> wrong = backward(p, f, Scheme::checkpoint_x);
      wrong.dx = gradients_training(recovered, without, f.g, f.r, Real50(1)).dx;
      EXPECT_GT(ratio_to_roundoff(golden, p, wrong, float64_roundoff), 1) << golden.name;
      ++rejected;
    }
    EXPECT_GE(rejected, 20) << name;
  }
}

}  // namespace
}  // namespace abn::tests
