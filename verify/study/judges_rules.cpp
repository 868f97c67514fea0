// The rules of other projects. A comparison is written so that a NaN makes it false.
#include "verify/study/judges_rules.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "verify/problem/format.hpp"

namespace abn::verify::study {
namespace {

struct Tolerance {
  double relative, absolute;
};

double reference(const Sample& sample, std::size_t i) {
  return problem::round_to(problem::format_of(sample.dtype), sample.exact[i]);
}

/// Every element of `got` with its reference.
template <class Accepts>
bool all_accepted(const Sample& sample, const Accepts& accepts) {
  for (std::size_t i = 0; i < sample.got.size(); ++i)
    if (!accepts(sample.got[i], reference(sample, i))) return false;
  return true;
}

/// |got - expected| <= absolute + relative |expected|
bool all_close(const Sample& sample, const Tolerance& tolerance) {
  return all_accepted(sample, [&](double got, double expected) {
    const double difference = std::fabs(got - expected);
    return got == expected ||
           (std::isfinite(difference) &&
            difference <= tolerance.absolute + tolerance.relative * std::fabs(expected));
  });
}

/// The largest of |a(i)|, NaN if any is.
template <class Value>
double largest(std::size_t count, const Value& value) {
  double most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double size = std::fabs(value(i));
    if (!(size <= most)) most = size;
    if (std::isnan(most)) return most;
  }
  return most;
}

bool is_16_bit(int dtype) { return dtype == ABN_F16 || dtype == ABN_BF16; }

bool pytorch(const Sample& sample) {
  constexpr Tolerance f16{1e-3, 1e-5}, bf16{1.6e-2, 1e-5}, f32{1.3e-6, 1e-5}, f64{1e-7, 1e-7};
  return all_close(sample, sample.dtype == ABN_F16    ? f16
                           : sample.dtype == ABN_BF16 ? bf16
                           : sample.dtype == ABN_F32  ? f32
                                                      : f64);
}

bool flash_attention(const Sample& sample) {
  constexpr double factor = 2, detour = 0.3;
  constexpr Tolerance vectors{1e-5, 1e-5};
  if (!compare::is_tensor(sample.output)) return all_close(sample, vectors);
  const problem::Format& format = problem::format_of(sample.dtype);
  const std::size_t count = sample.got.size();
  const double error =
      largest(count, [&](std::size_t i) { return sample.got[i] - reference(sample, i); });
  const double plain =
      largest(count, [&](std::size_t i) { return sample.plain[i] - reference(sample, i); });
  const double rounding = largest(count, [&](std::size_t i) {
    const double expected = reference(sample, i);
    return problem::round_to(format, problem::round_to(format, expected + detour) - detour) -
           expected;
  });
  return error <= factor * plain + factor * rounding;
}

bool benchdnn(const Sample& sample) {
  constexpr double mean = 1e-7, variance = 5e-7, parameters = 5e-6, forward = 2e-6, backward = 6e-7,
                   smallest_relative = 1e-5;
  const double scale = std::ldexp(
      1.0, problem::format_of(ABN_F32).precision - problem::format_of(sample.dtype).precision);
  if (compare::is_gradient(sample.output)) {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < sample.got.size(); ++i) {
      const double expected = reference(sample, i);
      difference += (sample.got[i] - expected) * (sample.got[i] - expected);
      size += expected * expected;
    }
    const double threshold = sample.output == compare::Output::dx ? scale * backward : parameters;
    return std::sqrt(difference) <= threshold * std::sqrt(size);
  }
  const bool is_mean =
      sample.output == compare::Output::mean || sample.output == compare::Output::running_mean;
  const double threshold = compare::is_tensor(sample.output) ? scale * forward
                           : is_mean                         ? mean
                                                             : variance;
  return all_accepted(sample, [&](double got, double expected) {
    return std::fabs(got - expected) <=
           threshold * (std::fabs(expected) > smallest_relative ? std::fabs(expected) : 1);
  });
}

bool kernelbench_first(const Sample& sample) { return all_close(sample, {1e-2, 1e-2}); }

bool kernelbench(const Sample& sample) {
  constexpr double narrow = 1e-2, wide = 1e-4;
  const double tolerance = is_16_bit(sample.dtype) ? narrow : wide;
  return all_close(sample, {tolerance, tolerance});
}

bool miopen_driver(const Sample& sample) {
  constexpr double wide = 1e-4, narrow = 2e-3, backward = 1000;
  double sum = 0;
  for (std::size_t i = 0; i < sample.got.size(); ++i)
    sum += (sample.got[i] - sample.exact[i]) * (sample.got[i] - sample.exact[i]);
  const double size =
      std::max(largest(sample.exact.size(), [&](std::size_t i) { return sample.exact[i]; }),
               largest(sample.got.size(), [&](std::size_t i) { return sample.got[i]; }));
  const double tolerance = (is_16_bit(sample.storage) ? narrow : wide) *
                           (compare::is_gradient(sample.output) ? backward : 1);
  return std::isfinite(sum) &&
         std::sqrt(sum) <= tolerance * size * std::sqrt(static_cast<double>(sample.got.size()));
}

bool cutlass_profiler(const Sample& sample) {
  constexpr double epsilon = 0.05, floor = 1 / 256.0;
  return all_accepted(sample, [&](double got, double expected) {
    const double difference = std::fabs(got - expected),
                 sizes = std::fabs(got) + std::fabs(expected);
    if (got == expected) return true;
    if (got == 0 || expected == 0 || sizes < floor) return difference < epsilon * floor;
    return difference < epsilon * sizes;
  });
}

bool cutlass_equal(const Sample& sample) {
  return all_accepted(sample, [](double got, double expected) { return got == expected; });
}

bool transformer_engine(const Sample& sample) {
  constexpr Tolerance f16{1e-3, 1e-5}, bf16{1e-2, 1e-5}, f32{5e-6, 5e-7}, statistics{5e-5, 1e-6},
      gradients{5e-4, 5e-4};
  constexpr double nudge = 1e-6;
  const Tolerance tolerance = compare::is_gradient(sample.output)  ? gradients
                              : !compare::is_tensor(sample.output) ? statistics
                              : sample.dtype == ABN_F16            ? f16
                              : sample.dtype == ABN_BF16           ? bf16
                                                                   : f32;
  const problem::Format& format = problem::format_of(sample.dtype);
  return all_accepted(sample, [&](double got, double expected) {
    const double difference = std::fabs(got - expected);
    if (difference <= tolerance.absolute || difference <= tolerance.relative * std::fabs(expected))
      return true;
    // Neighbours in the type, as two roundings of one number may be.
    const double middle = (got + expected) / 2,
                 low = problem::round_to(format, middle - nudge * std::fabs(middle)),
                 high = problem::round_to(format, middle + nudge * std::fabs(middle));
    return low == std::min(got, expected) && high == std::max(got, expected);
  });
}

bool cudnn_frontend(const Sample& sample) { return all_close(sample, {1e-3, 1e-3}); }

bool onnx(const Sample& sample) { return all_close(sample, {1e-3, 1e-7}); }

constexpr std::array rules{
    JudgeRule{"PyTorch assert_close",
              "|got - ref| <= atol + rtol |ref|; rtol, atol: f16 1e-3, 1e-5; bf16 1.6e-2, 1e-5; "
              "f32 1.3e-6, 1e-5",
              "torch.testing.assert_close, defaults, PyTorch 1.13.1", pytorch},
    JudgeRule{"FlashAttention, twice",
              "tensors: max |got - ref| <= 2 max |plain - ref| + 2 max |(ref + 0.3 - 0.3) - ref|, "
              "plain being an unfused implementation "
              "in the same precision; a number a channel: |got - ref| <= 1e-5 + 1e-5 |ref|, as "
              "there for the logarithm of the sum",
              "Dao-AILab/flash-attention 01afd16, hopper/test_flash_attn.py", flash_attention},
    JudgeRule{
        "benchdnn bnorm",
        "forward |got - ref| <= t |ref| (t alone up to 1e-5), t: 2e-6 2^(24-p), mean 1e-7, "
        "variance 5e-7; backward the 2-norm of "
        "got - ref <= t that of ref, t: dx 6e-7 2^(24-p), dgamma and dbeta 5e-6. Meant for "
        "benchdnn's own data, on which sums are "
        "exact; without its second look at sums that beta cancels",
        "oneDNN 3.8-dev, tests/benchdnn/bnorm, with the thresholds for backends of other vendors",
        benchdnn},
    JudgeRule{"KernelBench, first",
              "|got - ref| <= 1e-2 + 1e-2 |ref|; there for the output of forward, here for all",
              "ScalingIntelligence/KernelBench, first release", kernelbench_first},
    JudgeRule{"KernelBench",
              "|got - ref| <= t + t |ref|, t: f32 1e-4, f16 and bf16 1e-2; there for the output of "
              "forward, here for all",
              "ScalingIntelligence/KernelBench 01f92ad, src/eval.py", kernelbench},
    JudgeRule{"MIOpenDriver",
              "the root mean square of got - ref <= t max(max |got|, max |ref|), t: f32 1e-4, f16 "
              "and bf16 2e-3, a thousandfold for "
              "gradients",
              "ROCm/MIOpen, driver/bn_driver.hpp as of the types TInput and TOut (5e-4 for f16 "
              "until then)",
              miopen_driver},
    JudgeRule{"CUTLASS profiler",
              "|got - ref| < 0.05 (|got| + |ref|), or < 0.05/256 where either is 0 or both are "
              "below 1/256",
              "NVIDIA/cutlass, profiler, defaults of --epsilon and --nonzero-floor, August 2026",
              cutlass_profiler},
    JudgeRule{"CUTLASS unit tests", "got = ref; meant for tensors of whole numbers",
              "NVIDIA/cutlass, test/unit, August 2026", cutlass_equal},
    JudgeRule{"TransformerEngine",
              "|got - ref| <= atol, or <= rtol |ref|, or both round from one number; rtol, atol: "
              "f16 1e-3, 1e-5; bf16 1e-2, 1e-5; f32 "
              "5e-6, 5e-7; statistics 5e-5, 1e-6; gradients 5e-4, 5e-4",
              "NVIDIA/TransformerEngine 165f3fb, tests/cpp/operator/test_normalization.cu",
              transformer_engine},
    JudgeRule{"cuDNN frontend",
              "|got - ref| <= 1e-3 + 1e-3 |ref|; there for forward in f16, here for all",
              "NVIDIA/cudnn-frontend 0f72ac0, test/python_fe/test_batchnorm.py", cudnn_frontend},
    JudgeRule{"ONNX backend test", "|got - ref| <= 1e-7 + 1e-3 |ref|",
              "onnx/onnx 054f0c3, onnx/backend/test/loader", onnx},
};

}  // namespace

std::span<const JudgeRule> judge_rules() { return rules; }

}  // namespace abn::verify::study
