// Symmetries: other orders of channels and samples, another layout, shifted and scaled data.
#include <algorithm>
#include <limits>

#include "verify/check/property/bounded_calls.hpp"
#include "verify/check/property/rearrange.hpp"
#include "verify/problem/format.hpp"

namespace abn::verify::check::property {
namespace {

bool has_backward(const abn_problem& problem) { return problem.mode != ABN_INFERENCE; }

/// Both sides' outputs by the bounds of both, channel outputs by channel. `slack` by channel.
template <class Slack>
void relate_all(Examination& examination, const Outputs& a, const Outputs& b,
                const Places& elements, const Places& channels, Slack slack) {
  for (const Result& one : a.results) {
    const bool tensor = compare::is_tensor(one.output);
    const Places& from = tensor ? elements : channels;
    relate(
        examination, one, b[one.output],
        [&](std::int64_t i) { return from[static_cast<std::size_t>(i)]; }, 1,
        [&](std::int64_t i) { return slack(tensor ? channel_of(a.problem, i) : i); });
  }
}
void relate_all(Examination& examination, const Outputs& a, const Outputs& b,
                const Places& elements, const Places& channels) {
  relate_all(examination, a, b, elements, channels, [](std::int64_t) { return 0.0; });
}

void same_bits_all(Examination& examination, const Outputs& a, const Outputs& b,
                   const Places& elements, const Places& channels) {
  for (const Result& one : a.results) {
    const Places& from = compare::is_tensor(one.output) ? elements : channels;
    same_bits(examination, one, b[one.output], dtype_of(a.problem, one.output),
              [&](std::int64_t i) { return from[static_cast<std::size_t>(i)]; });
  }
}

/// Forward and backward of the case in another order against the case itself. Backward has what the
/// case's forward stored, in that order.
Examination reordered(const BoundedCalls& calls, const problem::Inputs& inputs,
                      const abn_problem& other, const Places& elements, const Places& channels,
                      bool bits) {
  const Bounds bounds = bits ? Bounds::none : Bounds::stored;
  const problem::Inputs moved = rearranged(inputs, other, elements, channels);
  Examination out;
  const auto compare = [&](const Outputs& a, const Outputs& b) {
    if (bits)
      same_bits_all(out, a, b, elements, channels);
    else
      relate_all(out, a, b, elements, channels);
  };
  const Outputs plain = calls.forward(inputs, bounds);
  compare(calls.forward(moved, bounds), plain);
  if (has_backward(inputs.problem))
    compare(calls.backward(moved, rearranged(plain.saved, elements, channels), bounds),
            calls.backward(inputs, plain.saved, bounds));
  return out;
}

Examination channel_permutation(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const Places elements = places(p, [&](std::int64_t n, std::int64_t c, std::int64_t s) {
    return problem::element_offset(p, n, p.c - 1 - c, s);
  });
  Places channels = same_channels(p);
  std::reverse(channels.begin(), channels.end());
  // Kernels load whole aligned vectors, so channels whose runs of samples begin elsewhere in a
  // vector may be summed in another order.
  constexpr std::int64_t widest_access = 32;  // bytes
  const bool aligned_alike =
      p.layout == ABN_NHWC || p.s * problem::format_of(p.dtype).bytes % widest_access == 0;
  return reordered(calls, inputs, p, elements, channels,
                   calls.claims(p).deterministic == 1 && aligned_alike);
}

Examination sample_permutation(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const std::int64_t m = problem::sample_count(p);
  // A rotation behind a reversal: the first sample, from which shifted sums start, becomes another.
  const auto moved = [&](std::int64_t i) { return m - 1 - (i + m / 2) % m; };
  const Places elements = places(p, [&](std::int64_t n, std::int64_t c, std::int64_t s) {
    return problem::sample_offset(p, c, moved(n * p.s + s));
  });
  return reordered(calls, inputs, p, elements, same_channels(p), false);
}

Examination layout(const BoundedCalls& calls, const problem::Inputs& inputs) {
  abn_problem other = inputs.problem;
  other.layout = other.layout == ABN_NCHW ? ABN_NHWC : ABN_NCHW;
  const Places elements = places(other, [&](std::int64_t n, std::int64_t c, std::int64_t s) {
    return problem::element_offset(inputs.problem, n, c, s);
  });
  return reordered(calls, inputs, other, elements, same_channels(other), false);
}

Examination shift(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  constexpr double steps = 64;  // beside up to 32 of the data: 7 bits in all
  problem::Inputs plain = inputs, moved = inputs;
  std::vector<double> by(static_cast<std::size_t>(p.c), 0.0);
  for (std::int64_t c = 0; c < p.c; ++c) {
    const double step = grid_of(p, inputs.x, c).step, offset = (c % 2 == 0 ? steps : -steps) * step;
    by[static_cast<std::size_t>(c)] = offset;
    for (std::int64_t i = 0; step > 0 && i < problem::sample_count(p); ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      plain.x[at] = std::nearbyint(inputs.x[at] / step) * step;
      moved.x[at] = plain.x[at] + offset;
    }
  }
  Examination out;
  show_elements(out, "x", plain.x), show_elements(out, "x(shifted)", moved.x);
  const Places elements = places(p, [&](std::int64_t n, std::int64_t c, std::int64_t s) {
    return problem::element_offset(p, n, c, s);
  });
  const Places channels = same_channels(p);
  Outputs a = calls.forward(moved), b = calls.forward(plain);
  const problem::Saved saved_a = a.saved, saved_b = b.saved;
  std::vector<bool> compared;
  for (std::int64_t c = 0; c < p.c; ++c)
    compared.push_back(by[static_cast<std::size_t>(c)] != 0 && statistics_fit(a, c) &&
                       statistics_fit(b, c));
  const auto moved_only = [&](std::int64_t c) {
    return compared[static_cast<std::size_t>(c)] ? 0.0 : std::numeric_limits<double>::infinity();
  };
  // Of the statistics the mean moves along, and the running mean with it; the variances stay.
  for (std::size_t c = 0; c < by.size(); ++c) {
    const Result &mean_a = a[compare::Output::mean], &mean_b = b[compare::Output::mean];
    const compare::Point &of_a = mean_a.expected.points[c], &of_b = mean_b.expected.points[c];
    if (!compared[c])
      ++out.left_out;
    else
      expect_near(out, finding_of(out, compare::Output::mean, p.param_dtype),
                  static_cast<std::int64_t>(c), static_cast<long double>(mean_b.got[c]) + by[c],
                  of_a.bound + of_b.bound, mean_a.got[c]);
  }
  std::erase_if(a.results, [](const Result& one) {
    return one.output == compare::Output::mean || one.output == compare::Output::running_mean;
  });
  relate_all(out, a, b, elements, channels, moved_only);
  relate_all(out, calls.backward(moved, saved_a, Bounds::truth),
             calls.backward(plain, saved_b, Bounds::truth), elements, channels, moved_only);
  return out;
}

// Scaling by powers of two is exact as long as nothing under- or overflows. With every input 0 or
// within 2^+-10, r and g too, factors of 2^+-3 at most and f32's (or bf16's) exponents in the sums,
// a product of dy and a recovered xhat stays above 2^-13 (dy of leaky ReLU) 2^-25 (ELU's smallest
// gap) 2^-44 (xhat after cancellation) = 2^-82, far from 2^-126.
constexpr double smallest_input = 0x1p-10, largest_input = 0x1p10;

bool in_range(double value) {
  return value == 0 || (std::abs(value) >= smallest_input && std::abs(value) <= largest_input);
}

/// Power of two of the seed: 2^-3 .. 2^3 without 2^0.
int exponent_of(std::uint64_t seed) {
  const int k = static_cast<int>(data::Stream(seed).fork(3).below(6, 0));
  return k < 3 ? k - 3 : k - 2;
}

/// Which channels have all of these tensors, gamma and beta in range, exactly representable tensors
/// when multiplied by `factor`, and g other than 0.
std::vector<bool> comfortable(const problem::Inputs& inputs,
                              const std::vector<const std::vector<double>*>& tensors,
                              const std::vector<double>& scaled, double factor,
                              const std::vector<double>& variance) {
  const abn_problem& p = inputs.problem;
  const problem::Format& storage = problem::format_of(p.dtype);
  std::vector<bool> out(static_cast<std::size_t>(p.c), true);
  for (std::int64_t c = 0; c < p.c; ++c) {
    const auto at = static_cast<std::size_t>(c);
    bool good =
        scale_of(inputs, c) != 0 && in_range(scale_of(inputs, c)) && in_range(beta_of(inputs, c));
    const double spread = variance[at] + p.eps;
    good = good && spread >= smallest_input * smallest_input &&
           spread <= largest_input * largest_input;
    for (std::int64_t i = 0; i < problem::sample_count(p) && good; ++i) {
      const auto element = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      for (const std::vector<double>* const tensor : tensors)
        good = good && (tensor->empty() || in_range((*tensor)[element]));
      good =
          good && problem::round_to(storage, scaled[element] * factor) == scaled[element] * factor;
    }
    out[at] = good;
  }
  return out;
}

/// Far from the subnormal numbers of storage and accumulate type, and from the largest ones.
bool scales_exactly(double value, int storage, int accumulate) {
  const problem::Format &s = problem::format_of(storage), &a = problem::format_of(accumulate);
  const int lowest = std::max(s.emin + 4, a.emin + 2 * a.precision);
  return std::isfinite(value) && value != 0 && std::ilogb(value) >= lowest &&
         std::abs(value) <= s.largest / largest_input;
}

Examination scaling_dz(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const double factor = std::ldexp(1.0, exponent_of(calls.seed()));
  const Outputs forward = calls.forward(inputs, Bounds::none);
  const problem::Saved& saved = forward.saved;
  const std::vector<double>& variance =
      p.mode == ABN_TRAINING ? forward[compare::Output::variance].got : inputs.running_var;
  const std::vector<bool> good =
      comfortable(inputs, {&inputs.x, &inputs.dz, &forward[compare::Output::z].got, &saved.xhat},
                  inputs.dz, factor, variance);
  problem::Inputs scaled = inputs;
  for (double& dz : scaled.dz) dz = problem::round_to(problem::format_of(p.dtype), dz * factor);
  const Outputs a = calls.backward(scaled, saved, Bounds::none),
                b = calls.backward(inputs, saved, Bounds::none);
  const int accumulate = calls.claims(p).accumulate;
  Examination out;
  show_elements(out, "dz", inputs.dz), show_elements(out, "dz(scaled)", scaled.dz);
  for (const Result& one : a.results) {
    const std::vector<double>& plain = b[one.output].got;
    const int dtype = dtype_of(p, one.output);
    same_bits(out, one, b[one.output], dtype, same_place, factor, true, [&](std::int64_t i) {
      const std::int64_t c = compare::is_tensor(one.output) ? channel_of(p, i) : i;
      return good[static_cast<std::size_t>(c)] &&
             scales_exactly(plain[static_cast<std::size_t>(i)], dtype, accumulate);
    });
  }
  return out;
}

Examination sign_flip(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const problem::Saved saved = calls.forward(inputs, Bounds::none).saved;
  problem::Inputs flipped = inputs;
  for (double& dz : flipped.dz) dz = -dz;
  const Outputs a = calls.backward(flipped, saved, Bounds::none),
                b = calls.backward(inputs, saved, Bounds::none);
  Examination out;
  show_elements(out, "dz", inputs.dz), show_elements(out, "dz(flipped)", flipped.dz);
  for (const Result& one : a.results)
    same_bits(out, one, b[one.output], dtype_of(inputs.problem, one.output), same_place, -1, false,
              [](std::int64_t) { return true; });
  return out;
}

Examination scaling_x(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const int k = exponent_of(calls.seed());
  const double factor = std::ldexp(1.0, k);
  problem::Inputs scaled = inputs;
  for (double& x : scaled.x)
    x = problem::round_to(problem::format_of(inputs.problem.dtype), x * factor);
  scaled.problem.eps *= factor * factor;
  const Outputs a = calls.forward(scaled, Bounds::none), b = calls.forward(inputs, Bounds::none);
  const std::vector<bool> good =
      comfortable(inputs, {&inputs.x}, inputs.x, factor, b[compare::Output::variance].got);
  const int accumulate = calls.claims(inputs.problem).accumulate;
  Examination out;
  show_elements(out, "x", inputs.x), show_elements(out, "x(scaled)", scaled.x);
  show_problem(out, "eps", inputs.problem.eps),
      show_problem(out, "eps(scaled)", scaled.problem.eps);
  for (const Result& one : a.results) {
    // they mix in what was not scaled
    if (one.output == compare::Output::running_mean || one.output == compare::Output::running_var)
      continue;
    const int dtype = dtype_of(inputs.problem, one.output);
    const bool tensor = compare::is_tensor(one.output);
    const double by = one.output == compare::Output::mean       ? factor
                      : one.output == compare::Output::variance ? factor * factor
                                                                : 1;
    const std::vector<double>& plain = b[one.output].got;
    same_bits(out, one, b[one.output], dtype, same_place, by, true, [&](std::int64_t i) {
      const std::int64_t c = tensor ? channel_of(inputs.problem, i) : i;
      return good[static_cast<std::size_t>(c)] &&
             (tensor || scales_exactly(plain[static_cast<std::size_t>(i)], dtype, accumulate));
    });
  }
  return out;
}

/// f16 has too few exponents for sums; intermediates rounded to it underflow.
bool scales(const abn_problem& problem, const abn_claims& claims) {
  return claims.accumulate != ABN_F16 && !(claims.materialises != 0 && problem.dtype == ABN_F16);
}

constexpr Property table[] = {
    {"channel_permutation",
     "Channels in another order give the same results in that order, within the bounds of both; "
     "bit for bit if the variant is deterministic and all channels are aligned alike.",
     "the result changes when the channels are permuted",
     [](const abn_problem& p, const abn_claims&) { return p.c > 1; }, channel_permutation},
    {"sample_permutation",
     "Samples in another order give the same statistics, sums and results in that order, within "
     "the bounds of both.",
     "the result changes when the samples of a channel are permuted",
     [](const abn_problem& p, const abn_claims&) { return problem::sample_count(p) > 1; },
     sample_permutation},
    {"layout",
     "NCHW and NHWC give the same results, within the bounds of both. Backward works on the same "
     "stored numbers.",
     "NCHW and NHWC do not give the same result",
     [](const abn_problem&, const abn_claims&) { return true; }, layout},
    {"shift",
     "In training x + c gives the z, variance and gradients of x, and a mean that is larger by c, "
     "within the bounds of both. Only where x and x + c are exact.",
     "x + c does not give what x gives, with a mean that is c larger",
     [](const abn_problem& p, const abn_claims&) { return p.mode == ABN_TRAINING; }, shift},
    {"scaling_dz",
     "Multiplying dz by a power of two multiplies every gradient by it, bit for bit. Only while "
     "nothing under- or overflows.",
     "dz times a power of two does not give the gradients times that power",
     [](const abn_problem& p, const abn_claims& claims) {
       return has_backward(p) && claims.deterministic == 1 && scales(p, claims);
     },
     scaling_dz},
    {"sign_flip", "The gradients of -dz are those of dz with the other sign, bit for bit.",
     "-dz does not give the gradients of dz with the other sign",
     [](const abn_problem& p, const abn_claims& claims) {
       return has_backward(p) && claims.deterministic == 1;
     },
     sign_flip},
    {"scaling_x",
     "In training x*2^k with eps*4^k leaves z as it is and scales mean and variance, bit for bit. "
     "Only with the signed scale, while nothing under- or overflows.",
     "x*2^k with eps*4^k does not give the z of x, and its statistics scaled",
     [](const abn_problem& p, const abn_claims& claims) {
       return p.mode == ABN_TRAINING && p.scale == ABN_SCALE_SIGNED && claims.deterministic == 1 &&
              scales(p, claims);
     },
     scaling_x},
};

}  // namespace

std::span<const Property> symmetry_properties() { return table; }

}  // namespace abn::verify::check::property
