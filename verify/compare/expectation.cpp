// The names of outputs and of the terms of a bound, as check ids, JSON and failure texts spell
// them.
#include "verify/compare/expectation.hpp"

namespace abn::verify::compare {

namespace {

constexpr std::array<problem::Word, 10> outputs{{
    {"mean", "The mean of the batch, one number a channel."},
    {"variance", "The biased variance of the batch, one number a channel."},
    {"invstd", "1/sqrt(variance + eps), which some kernels save instead of the variance."},
    {"running_mean", "The running mean after the call."},
    {"running_var",
     "The running variance after the call, without eps; unbiased where nothing else is claimed."},
    {"z", "The result: the activation of y."},
    {"xhat", "The normalised input, where the kernel keeps it for backward."},
    {"dx", "The gradient with respect to x."},
    {"dgamma", "The gradient with respect to gamma, one number a channel."},
    {"dbeta", "The gradient with respect to beta, one number a channel."},
}};

constexpr std::array<problem::Word, term_count> terms{{
    {"storage", "The rounding of a result to the storage or parameter type."},
    {"mean", "The error of the mean, in everything that is computed from it."},
    {"variance", "The error of the variance, through 1/sqrt(variance + eps)."},
    {"arithmetic",
     "The roundings of element-wise arithmetic, the reciprocal root and loads into a narrower "
     "type."},
    {"activation", "The rounding of the activation, of its functions and of its derivative."},
    {"inversion",
     "Finding y and xhat again from the stored z, which divides by gamma. It is large where "
     "|beta|/|gamma| is."},
    {"reduction of dy", "The roundings in the sum of dy."},
    {"reduction of dy*xhat", "The roundings in the sum of dy*xhat."},
    {"materialised",
     "The roundings of intermediate results to the storage type, as far as they are claimed."},
}};

}  // namespace

const char* output_name(Output output) { return outputs.at(static_cast<std::size_t>(output)).name; }
std::span<const problem::Word> output_words() { return outputs; }

bool is_tensor(Output output) {
  return output == Output::z || output == Output::xhat || output == Output::dx;
}

bool is_gradient(Output output) {
  return output == Output::dx || output == Output::dgamma || output == Output::dbeta;
}

const char* term_name(Term term) { return terms.at(static_cast<std::size_t>(term)).name; }
std::span<const problem::Word> term_words() { return terms; }

}  // namespace abn::verify::compare
