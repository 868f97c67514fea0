// Cases for properties, generated and shrunk by ourselves: RapidCheck's own numbers have no NaN,
// infinity, subnormal or large value.
//
// A generated case is a problem with its inputs. What is drawn: the type, layout, activation, mode
// and scale; m around the widths of a vector access, a warp and a block, split into N*S; and for
// each channel and tensor one kind of numbers (Kind). All of it is a function of one 64-bit word,
// which is what RapidCheck draws.
//
// Shrinking goes by a measure (complexity) that every step has to lower, so it ends: fewer
// channels, fewer samples, default parameters, a simpler problem, a smaller mean (kappa down),
// shorter mantissas, exponents nearer to 0, simple numbers.
#pragma once

#include <fmt/format.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <ostream>
#include <vector>

#include "verify/data/given.hpp"
#include "verify/data/random.hpp"
#include "verify/judge/judge.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/inputs.hpp"
#include "verify/problem/problem.hpp"

namespace property_tests {

using namespace abn::verify;

struct GeneratedCase {
  problem::Inputs inputs;
  std::uint64_t seed = 0;  ///< of the property's own draws
};

/// What numbers a channel has.
enum class Kind : std::uint8_t {
  normal,
  patterns,
  exponents,
  special,
  near_point,
  cancelling,
  offset,
  integers
};
inline constexpr std::uint64_t kind_count = 8;

/// `count` numbers of a kind, rounded to the format. `finite` keeps NaN and infinity out.
inline std::vector<double> numbers(Kind kind, const problem::Format& format, std::size_t count,
                                   const data::Stream& draw, bool finite) {
  std::vector<double> out(count);
  const double scale = draw.power_of_two(-4, 4, 0);
  const double kappa = draw.power_of_two(1, 12, 1) * draw.sign(2);
  const double points[] = {
      0, 1, -1, format.smallest_subnormal, std::ldexp(1.0, format.emin), 2, -17.25, -8.5, -6.25};
  const double point = points[draw.below(std::size(points), 3)];
  const double inf = std::numeric_limits<double>::infinity(),
               nan = std::numeric_limits<double>::quiet_NaN();
  const double specials[] = {0.0,
                             -0.0,
                             1,
                             -1,
                             0.5,
                             -2,
                             format.smallest_subnormal,
                             -format.smallest_subnormal,
                             std::ldexp(1.0, format.emin),
                             1 + 2 * format.unit_roundoff,
                             -40,
                             format.largest,
                             -format.largest,
                             inf,
                             -inf,
                             nan};
  constexpr std::size_t nonfinite = 3, huge = 2;  // at the end of specials
  const data::Stream each = draw.fork(1);
  for (std::size_t i = 0; i < count; ++i) {
    double value = 0;
    switch (kind) {
      case Kind::normal:
        value = scale * each.normal(i);
        break;
      case Kind::patterns: {
        std::byte bytes[8];
        const std::uint64_t bits = each.bits(i);
        for (int b = 0; b < 8; ++b) bytes[b] = static_cast<std::byte>(bits >> (8 * b));
        problem::unpack(format, bytes, {&value, 1});
        break;
      }
      case Kind::exponents:
        value = each.sign(2 * i) * each.power_of_two(-12, 6, 2 * i + 1);
        break;
      case Kind::special:
        value = specials[each.below(std::size(specials) - (finite ? nonfinite + huge : 0), i)];
        break;
      case Kind::near_point: {
        constexpr std::uint64_t ulps = 9;
        value =
            point + (static_cast<double>(each.below(ulps, i)) - 4) * problem::ulp_of(format, point);
        break;
      }
      case Kind::cancelling: {
        const double size = scale * each.normal(i / 2);
        value = i % 2 == 0 ? size : -size * (1 + format.unit_roundoff * 4);
        break;
      }
      case Kind::offset:
        value = scale * (kappa + each.normal(i));
        break;
      case Kind::integers:
        value = static_cast<double>(each.below(17, i)) - 8;
        break;
    }
    value = problem::round_to(format, value);
    if (finite && !std::isfinite(value)) value = std::signbit(value) ? -1 : 1;
    out[i] = value;
  }
  return out;
}

inline constexpr std::array<std::int64_t, 18> sample_counts{
    1, 2, 3, 4, 6, 8, 16, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 257};
inline constexpr std::int64_t most_elements = 400;

/// The case that a 64-bit word stands for. `size` 0..100 allows longer channels.
inline GeneratedCase case_of(std::uint64_t word, int size) {
  const data::Stream draw(word);
  std::uint64_t next = 0;
  const auto pick = [&](std::uint64_t count) { return draw.below(count, next++); };
  GeneratedCase out;
  out.seed = pick(1000);
  abn_problem& p = out.inputs.problem;
  p.struct_size = sizeof p;
  p.dtype = static_cast<int>(pick(4));
  p.param_dtype = p.dtype == ABN_F64 && pick(3) != 0 ? ABN_F64 : ABN_F32;
  p.layout = static_cast<int>(pick(2));
  p.activation = static_cast<int>(pick(3));
  p.scale = pick(3) == 0 ? ABN_SCALE_ABS_EPS : ABN_SCALE_SIGNED;
  const std::uint64_t mode = pick(6);
  p.mode = mode == 0 ? ABN_INFERENCE : mode == 1 ? ABN_FROZEN : ABN_TRAINING;
  const problem::Format &parameter = problem::format_of(p.param_dtype),
                        &storage = problem::format_of(p.dtype);
  constexpr double slopes[] = {0.01, 0.25, 1.5, 0.2}, alphas[] = {1, 0.5, 1.7},
                   epses[] = {1e-5, 1e-3, 0.1, 0x1p-10};
  const std::uint64_t of_activation = pick(12);
  p.activation_parameter =
      p.activation == ABN_LEAKY_RELU ? problem::round_to(parameter, slopes[of_activation % 4])
      : p.activation == ABN_ELU      ? problem::round_to(parameter, alphas[of_activation % 3])
                                     : 0;
  p.eps = problem::round_to(parameter, epses[pick(4)]);
  p.momentum = problem::round_to(parameter, 0.1);
  const std::size_t reach = sample_counts.size() * static_cast<std::size_t>(20 + size) / 120;
  const std::int64_t m = std::max<std::int64_t>(
      sample_counts[pick(std::max<std::size_t>(reach, 4))], p.mode == ABN_TRAINING ? 2 : 1);
  p.n = m;
  // N*S = m with a small N, a large N, or S = 1
  for (const std::int64_t divisor : {2, 3, 1, 5, 127})
    if (m % divisor == 0 && pick(3) == 0) p.n = divisor;
  if (p.n < m && pick(2) == 0) p.n = m / p.n;
  p.s = m / p.n;
  p.c = 1 + static_cast<std::int64_t>(pick(
                static_cast<std::uint64_t>(std::clamp<std::int64_t>(most_elements / m, 1, 6))));

  // One case in four may have anything in it; the others are numbers that a network could have.
  const bool finite = pick(4) != 0;
  const auto channels = static_cast<std::size_t>(p.c);
  const auto fill = [&](std::uint64_t label, std::vector<double>& tensor) {
    tensor.resize(static_cast<std::size_t>(problem::element_count(p)));
    for (std::int64_t c = 0; c < p.c; ++c) {
      const data::Stream own = draw.fork(label * 1000 + static_cast<std::uint64_t>(c));
      Kind kind = static_cast<Kind>(own.below(kind_count, 0));
      if (finite && kind == Kind::patterns) kind = Kind::normal;
      const std::vector<double> values =
          numbers(kind, storage, static_cast<std::size_t>(m), own.fork(7), finite);
      for (std::int64_t i = 0; i < m; ++i)
        tensor[static_cast<std::size_t>(problem::sample_offset(p, c, i))] =
            values[static_cast<std::size_t>(i)];
    }
  };
  fill(1, out.inputs.x), fill(2, out.inputs.dz);
  out.inputs.affine = pick(8) != 0;
  const data::Stream vectors = draw.fork(3);
  for (std::size_t c = 0; c < channels; ++c) {
    const auto at = [&](std::uint64_t which) { return c * 8 + which; };
    if (out.inputs.affine) {
      const std::uint64_t kind = vectors.below(8, at(0));
      const double gamma = kind == 0   ? 0
                           : kind == 1 ? vectors.power_of_two(-20, 3, at(1))
                                       : vectors.uniform(0.25, 2, at(1));
      out.inputs.gamma.push_back(problem::round_to(parameter, gamma * vectors.sign(at(2))));
      const double beta = vectors.below(4, at(3)) == 0   ? 0
                          : vectors.below(4, at(3)) == 1 ? vectors.uniform(-40, 4, at(4))
                                                         : vectors.normal(at(4));
      out.inputs.beta.push_back(problem::round_to(parameter, beta));
    }
    out.inputs.running_mean.push_back(problem::round_to(parameter, vectors.normal(at(5))));
    out.inputs.running_var.push_back(
        problem::round_to(parameter, vectors.power_of_two(-6, 4, at(6))));
  }
  return out;
}

/// Bits between the first and the last 1 of a value's significand, plus the size of its exponent
/// and its sign; 0 for 0.
inline std::int64_t complexity(double value) {
  if (std::isnan(value)) return 400;
  if (std::isinf(value)) return 399;
  if (value == 0) return std::signbit(value) ? 1 : 0;
  int exponent = 0;
  double fraction = std::frexp(std::abs(value), &exponent);
  std::int64_t bits = 0;
  for (; fraction != 0; ++bits) fraction = 2 * fraction - std::floor(2 * fraction);
  return 1 + 2 * bits + std::abs(exponent - 1) + (value < 0 ? 1 : 0);
}

/// What shrinking lowers: first elements, then the problem, then the numbers.
inline std::array<std::int64_t, 3> complexity(const GeneratedCase& one) {
  const abn_problem& p = one.inputs.problem;
  std::int64_t numbers = 0;
  for (const auto* tensor : {&one.inputs.x, &one.inputs.dz, &one.inputs.gamma, &one.inputs.beta,
                             &one.inputs.running_mean, &one.inputs.running_var})
    for (const double value : *tensor) numbers += complexity(value);
  const std::int64_t problem = (p.layout != ABN_NCHW) + 2 * p.activation +
                               (p.mode != ABN_TRAINING) + (p.scale != ABN_SCALE_SIGNED) +
                               4 * std::abs(p.dtype - ABN_F32) + one.inputs.affine +
                               static_cast<std::int64_t>(one.seed != 0) + complexity(p.eps) +
                               complexity(p.activation_parameter);
  return {p.c * problem::sample_count(p) * 4 + p.c + p.n, problem, numbers};
}

/// The case with other samples and channels: those of `images`, `channels`, `pixels` of the old
/// one.
inline GeneratedCase part(const GeneratedCase& from, const std::vector<std::int64_t>& images,
                          const std::vector<std::int64_t>& channels,
                          const std::vector<std::int64_t>& pixels) {
  GeneratedCase out = from;
  problem::Inputs& to = out.inputs;
  const problem::Inputs& old = from.inputs;
  abn_problem& p = to.problem;
  p.n = static_cast<std::int64_t>(images.size()), p.c = static_cast<std::int64_t>(channels.size()),
  p.s = static_cast<std::int64_t>(pixels.size());
  const auto elements = static_cast<std::size_t>(problem::element_count(p));
  to.x.assign(elements, 0), to.dz.assign(elements, 0);
  for (std::int64_t n = 0; n < p.n; ++n)
    for (std::int64_t c = 0; c < p.c; ++c)
      for (std::int64_t s = 0; s < p.s; ++s) {
        const auto a = static_cast<std::size_t>(problem::element_offset(p, n, c, s));
        const auto b = static_cast<std::size_t>(problem::element_offset(
            old.problem, images[static_cast<std::size_t>(n)], channels[static_cast<std::size_t>(c)],
            pixels[static_cast<std::size_t>(s)]));
        to.x[a] = old.x[b], to.dz[a] = old.dz[b];
      }
  const auto pick = [&](const std::vector<double>& values) {
    std::vector<double> kept;
    for (const std::int64_t c : channels)
      if (static_cast<std::size_t>(c) < values.size())
        kept.push_back(values[static_cast<std::size_t>(c)]);
    return kept;
  };
  to.gamma = pick(old.gamma), to.beta = pick(old.beta), to.running_mean = pick(old.running_mean),
  to.running_var = pick(old.running_var);
  return out;
}

inline std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = begin; i < end; ++i) out.push_back(i);
  return out;
}

/// The case in another type: every number rounded to it.
inline GeneratedCase in_type(GeneratedCase one, int dtype) {
  abn_problem& p = one.inputs.problem;
  p.dtype = dtype;
  p.param_dtype = dtype == ABN_F64 ? p.param_dtype : ABN_F32;
  const problem::Format &storage = problem::format_of(p.dtype),
                        &parameter = problem::format_of(p.param_dtype);
  for (auto* tensor : {&one.inputs.x, &one.inputs.dz})
    for (double& value : *tensor) value = problem::round_to(storage, value);
  for (auto* vector :
       {&one.inputs.gamma, &one.inputs.beta, &one.inputs.running_mean, &one.inputs.running_var})
    for (double& value : *vector) value = problem::round_to(parameter, value);
  p.eps = problem::round_to(parameter, p.eps),
  p.activation_parameter = problem::round_to(parameter, p.activation_parameter);
  p.momentum = problem::round_to(parameter, p.momentum);
  return one;
}

/// Simpler numbers that could stand for one.
inline std::vector<double> simpler(double value) {
  std::vector<double> out{0, 1, -1};
  if (!std::isfinite(value) || value == 0) return out;
  out.push_back(-value);
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  for (const int bits : {1, 2, 4, 8, 12, 18, 24, 40})
    out.push_back(std::ldexp(std::trunc(std::ldexp(fraction, bits)), exponent - bits));
  out.push_back(std::ldexp(fraction, (exponent - 1) / 2 + 1));
  return out;
}

/// Simpler cases, the simplest first; each has a lower complexity.
inline std::vector<GeneratedCase> simpler(const GeneratedCase& one) {
  std::vector<GeneratedCase> out;
  const abn_problem& p = one.inputs.problem;
  const auto limit = complexity(one);
  const auto offer = [&](GeneratedCase candidate) {
    const abn_problem& q = candidate.inputs.problem;
    if (q.mode == ABN_TRAINING && problem::sample_count(q) < 2) return;
    if (complexity(candidate) < limit) out.push_back(std::move(candidate));
  };
  const auto images = range(0, p.n), channels = range(0, p.c), pixels = range(0, p.s);
  if (p.c > 1)
    for (std::int64_t c = 0; c < p.c; ++c) offer(part(one, images, {c}, pixels));
  const auto runs = [](std::int64_t count) {
    std::vector<std::vector<std::int64_t>> kept;
    for (std::int64_t length = 1; length < count; length *= 2) {
      kept.push_back(range(0, length));
      kept.push_back(range(count - length, count));
    }
    if (count > 2) kept.push_back(range(0, count - 1)), kept.push_back(range(1, count));
    if (count > 2 && count <= 8)
      for (std::int64_t i = 1; i + 1 < count; ++i) {
        auto without = range(0, count);
        without.erase(without.begin() + i);
        kept.push_back(std::move(without));
      }
    return kept;
  };
  for (const auto& kept : runs(p.c)) offer(part(one, images, kept, pixels));
  for (const auto& kept : runs(p.n)) offer(part(one, kept, channels, pixels));
  for (const auto& kept : runs(p.s)) offer(part(one, images, channels, kept));

  const auto change = [&](auto&& how) {
    GeneratedCase candidate = one;
    how(candidate);
    offer(std::move(candidate));
  };
  change([](GeneratedCase& c) {
    c.inputs.affine = false, c.inputs.gamma.clear(), c.inputs.beta.clear();
  });
  change([](GeneratedCase& c) {
    c.inputs.problem.activation = ABN_IDENTITY, c.inputs.problem.activation_parameter = 0;
  });
  change([](GeneratedCase& c) { c.inputs.problem.layout = ABN_NCHW; });
  change([](GeneratedCase& c) { c.inputs.problem.scale = ABN_SCALE_SIGNED; });
  change([](GeneratedCase& c) { c.inputs.problem.mode = ABN_TRAINING; });
  change([](GeneratedCase& c) { c.seed = 0; });
  offer(in_type(one, ABN_F32));
  for (const double eps : {1.0, 0x1p-10, 0x1p-17})
    change([&](GeneratedCase& c) { c.inputs.problem.eps = eps; });
  if (p.activation != ABN_IDENTITY)
    change([](GeneratedCase& c) {
      c.inputs.problem.activation_parameter = c.inputs.problem.activation == ABN_ELU ? 1 : 0.25;
    });

  // Whole tensors at once, then number by number.
  const problem::Format &storage = problem::format_of(p.dtype),
                        &parameter = problem::format_of(p.param_dtype);
  const auto tensors = {
      &problem::Inputs::x,    &problem::Inputs::dz,           &problem::Inputs::gamma,
      &problem::Inputs::beta, &problem::Inputs::running_mean, &problem::Inputs::running_var};
  for (const auto tensor : tensors) {
    const bool stored = tensor == &problem::Inputs::x || tensor == &problem::Inputs::dz;
    const problem::Format& format = stored ? storage : parameter;
    if ((one.inputs.*tensor).empty()) continue;
    change([&](GeneratedCase& c) {
      std::fill((c.inputs.*tensor).begin(), (c.inputs.*tensor).end(),
                tensor == &problem::Inputs::running_var ? 1.0 : 0.0);
    });
    change([&](GeneratedCase& c) {
      std::fill((c.inputs.*tensor).begin(), (c.inputs.*tensor).end(), 1.0);
    });
    if (tensor == &problem::Inputs::x) {  // kappa down
      change([&](GeneratedCase& c) {
        for (double& value : c.inputs.x)
          value = problem::round_to(format, value - std::nearbyint(one.inputs.x.front()));
      });
    }
    for (const int bits : {1, 3, 6, 10, 16})
      change([&](GeneratedCase& c) {
        for (double& value : c.inputs.*tensor) {
          int exponent = 0;
          const double fraction = std::frexp(value, &exponent);
          if (std::isfinite(value))
            value = problem::round_to(
                format, std::ldexp(std::trunc(std::ldexp(fraction, bits)), exponent - bits));
        }
      });
    constexpr std::size_t few = 12;
    if ((one.inputs.*tensor).size() > few) continue;
    for (std::size_t i = 0; i < (one.inputs.*tensor).size(); ++i)
      for (const double value : simpler((one.inputs.*tensor)[i])) {
        const double rounded = problem::round_to(format, value);
        if (tensor == &problem::Inputs::running_var && !(rounded > 0)) continue;
        if (complexity(rounded) < complexity((one.inputs.*tensor)[i]))
          change([&](GeneratedCase& c) { (c.inputs.*tensor)[i] = rounded; });
      }
  }
  return out;
}

/// Cases that `fits`; a draw that does not is drawn again.
inline rc::Gen<GeneratedCase> generated_case(std::function<bool(const abn_problem&)> fits) {
  return [fits = std::move(fits)](const rc::Random& random, int size) {
    rc::Random source = random;
    constexpr int most_draws = 1000;
    GeneratedCase drawn = case_of(source.next(), size);
    for (int i = 0; i < most_draws && !fits(drawn.inputs.problem); ++i)
      drawn = case_of(source.next(), size);
    if (!fits(drawn.inputs.problem)) throw rc::GenerationFailure("no problem fits this property");
    return rc::shrinkable::shrinkRecur(std::move(drawn), [fits](const GeneratedCase& one) {
      std::vector<GeneratedCase> candidates = simpler(one);
      std::erase_if(candidates, [&](const GeneratedCase& candidate) {
        return !fits(candidate.inputs.problem);
      });
      return rc::seq::fromContainer(std::move(candidates));
    });
  };
}

/// The command that runs just this case.
inline std::string replay_command(const std::string& id, const GeneratedCase& one) {
  return fmt::format("abn-verify run {} --problem {} --data {} --seed {}", id,
                     judge::shell_word(problem::to_string(one.inputs.problem)),
                     judge::shell_word(data::given_text(one.inputs)), one.seed);
}

/// For RapidCheck: channel by channel, each number in hexadecimal and decimal.
inline void showValue(const GeneratedCase& one, std::ostream& os) {
  const problem::Inputs& in = one.inputs;
  const abn_problem& p = in.problem;
  os << fmt::format("{}, seed {}\n", problem::to_string(p), one.seed);
  constexpr std::int64_t most_shown = 8;
  for (std::int64_t c = 0; c < std::min(p.c, most_shown); ++c) {
    const auto at = static_cast<std::size_t>(c);
    os << fmt::format("  channel {}:", c);
    if (in.affine)
      os << fmt::format(" gamma {:a} ({:.6g}), beta {:a} ({:.6g})", in.gamma[at], in.gamma[at],
                        in.beta[at], in.beta[at]);
    if (p.mode != ABN_TRAINING)
      os << fmt::format(" running mean {:a} ({:.6g}), running var {:a} ({:.6g})",
                        in.running_mean[at], in.running_mean[at], in.running_var[at],
                        in.running_var[at]);
    os << '\n';
    for (std::int64_t i = 0; i < std::min(problem::sample_count(p), most_shown); ++i) {
      const auto element = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      os << fmt::format("    x {:a} ({:.6g})  dz {:a} ({:.6g})\n", in.x[element], in.x[element],
                        in.dz[element], in.dz[element]);
    }
    if (problem::sample_count(p) > most_shown)
      os << fmt::format("    and {} more samples\n", problem::sample_count(p) - most_shown);
  }
  if (p.c > most_shown) os << fmt::format("  and {} more channels\n", p.c - most_shown);
}

}  // namespace property_tests
