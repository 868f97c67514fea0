// The same thing in another way: again, in place, in shards, with the statistics saved.
#include <algorithm>
#include <limits>

#include "verify/check/property/bounded_calls.hpp"
#include "verify/check/property/rearrange.hpp"

namespace abn::verify::check::property {
namespace {

bool has_backward(const abn_problem& problem) { return problem.mode != ABN_INFERENCE; }

void equal(Examination& out, const Outputs& a, const Outputs& b, bool bits) {
  for (const Result& one : a.results) {
    if (bits)
      same_bits(out, one, b[one.output], dtype_of(a.problem, one.output), same_place);
    else
      relate(out, one, b[one.output], same_place);
  }
}

Examination in_place(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_claims claims = calls.claims(inputs.problem);
  const bool bits = claims.deterministic == 1;
  const Bounds bounds = bits ? Bounds::none : Bounds::stored;
  const Outputs plain = calls.forward(inputs, bounds);
  Examination out;
  if (claims.z_may_alias_x == 1) equal(out, calls.forward(inputs, bounds, true), plain, bits);
  if (claims.dx_may_alias_dz == 1 && has_backward(inputs.problem))
    equal(out, calls.backward(inputs, plain.saved, bounds, true),
          calls.backward(inputs, plain.saved, bounds), bits);
  return out;
}

Examination deterministic(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const Outputs plain = calls.forward(inputs, Bounds::none);
  Examination out;
  constexpr std::uint64_t schedules = 2;
  for (std::uint64_t schedule = 1; schedule <= schedules; ++schedule) {
    equal(out, calls.forward(inputs, Bounds::none, false, schedule), plain, true);
    if (has_backward(inputs.problem))
      equal(out, calls.backward(inputs, plain.saved, Bounds::none, false, schedule),
            calls.backward(inputs, plain.saved, Bounds::none), true);
  }
  return out;
}

/// The samples [begin, end) of every channel as a batch of one image.
problem::Inputs shard_of(const problem::Inputs& inputs, std::int64_t begin, std::int64_t end) {
  abn_problem part = inputs.problem;
  part.n = 1, part.s = end - begin;
  const Places elements = places(part, [&](std::int64_t, std::int64_t c, std::int64_t s) {
    return problem::sample_offset(inputs.problem, c, begin + s);
  });
  return rearranged(inputs, part, elements, same_channels(part));
}

/// (count, mean, variance) with the errors of the latter two.
struct Moments {
  long double count = 0, mean = 0, variance = 0;
  double mean_error = 0, variance_error = 0;
};

/// Chan's ordered merge; the mean's errors are averaged, and stand behind the variance through the
/// distance of the means.
Moments merged(const Moments& a, const Moments& b) {
  Moments out;
  out.count = a.count + b.count;
  const long double of_a = a.count / out.count, of_b = b.count / out.count, delta = b.mean - a.mean;
  out.mean = a.mean + delta * of_b;
  out.variance = of_a * a.variance + of_b * b.variance + of_a * of_b * delta * delta;
  const auto wa = static_cast<double>(of_a), wb = static_cast<double>(of_b);
  const double apart = a.mean_error + b.mean_error;
  out.mean_error = wa * a.mean_error + wb * b.mean_error;
  out.variance_error = wa * a.variance_error + wb * b.variance_error +
                       wa * wb * (2 * static_cast<double>(std::abs(delta)) * apart + apart * apart);
  return out;
}

Examination shards(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const std::int64_t m = problem::sample_count(p);
  // Uneven: a third (two samples at least) and the rest.
  const std::int64_t cut = std::max<std::int64_t>(2, m / 3);
  std::vector<Outputs> parts;
  std::vector<std::int64_t> counts;
  for (const auto& [begin, end] : {std::pair{std::int64_t{0}, cut}, std::pair{cut, m}}) {
    parts.push_back(calls.forward(shard_of(inputs, begin, end)));
    counts.push_back(end - begin);
  }
  const Outputs whole = calls.forward(inputs);
  const Result &mean = whole[compare::Output::mean], &variance = whole[compare::Output::variance];
  const int dtype = p.param_dtype;
  Examination out;
  for (std::int64_t c = 0; c < p.c; ++c) {
    const auto at = static_cast<std::size_t>(c);
    bool usable = is_ordinary(mean.expected.points[at], dtype) &&
                  is_ordinary(variance.expected.points[at], dtype);
    Moments all;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      const Result &part_mean = parts[k][compare::Output::mean],
                   &part_variance = parts[k][compare::Output::variance];
      const compare::Point &of_mean = part_mean.expected.points[at],
                           &of_variance = part_variance.expected.points[at];
      usable = usable && is_ordinary(of_mean, dtype) && is_ordinary(of_variance, dtype) &&
               std::isfinite(part_mean.got[at]) && std::isfinite(part_variance.got[at]);
      const Moments next{static_cast<long double>(counts[k]), part_mean.got[at],
                         part_variance.got[at], of_mean.bound, of_variance.bound};
      all = k == 0 ? next : merged(all, next);
    }
    if (!usable) {
      ++out.left_out;
      continue;
    }
    const auto own = static_cast<double>(own_rounding * (std::abs(all.mean) + all.variance));
    expect_near(out, finding_of(out, compare::Output::mean, dtype), c, all.mean,
                mean.expected.points[at].bound + all.mean_error + own, mean.got[at]);
    expect_near(out, finding_of(out, compare::Output::variance, dtype), c, all.variance,
                variance.expected.points[at].bound + all.variance_error + own, variance.got[at]);
  }
  return out;
}

Examination inference(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const Outputs training = calls.forward(inputs);
  problem::Inputs again = inputs;
  again.problem.mode = ABN_INFERENCE;
  const Result &mean = training[compare::Output::mean],
               &variance = training[compare::Output::variance];
  again.running_mean = mean.got, again.running_var = variance.got;
  const Outputs other = calls.forward(again);
  Examination out;
  show_channels(out, "running_mean", again.running_mean),
      show_channels(out, "running_var", again.running_var);
  // The statistics that were saved are those of the batch within their bounds, and z moves along
  // with them.
  relate(out, training[compare::Output::z], other[compare::Output::z], same_place, 1,
         [&](std::int64_t i) {
           const std::int64_t c = channel_of(p, i);
           const auto at = static_cast<std::size_t>(c);
           const ChannelStatistics statistics = statistics_of(training, c);
           const double mean_error = mean.expected.points[at].bound,
                        variance_error = variance.expected.points[at].bound;
           const long double lowest = statistics.variance + p.eps - variance_error;
           if (!statistics.usable || !(lowest > 0) || !std::isfinite(mean_error))
             return std::numeric_limits<double>::infinity();
           const long double r = 1 / std::sqrt(lowest),
                             deviation =
                                 std::abs(inputs.x[static_cast<std::size_t>(i)] - statistics.mean);
           const long double moved = deviation * (r - statistics.r) + r * mean_error;
           return static_cast<double>(lipschitz(p) *
                                      std::abs(static_cast<long double>(scale_of(inputs, c))) *
                                      moved * (1 + own_rounding));
         });
  return out;
}

constexpr Property table[] = {
    {"shards",
     "In training the statistics of a batch are the ordered Chan merge of those of its shards. "
     "Only for at least four samples a channel.",
     "the statistics of the batch are not the merge of those of its shards",
     [](const abn_problem& p, const abn_claims&) {
       return p.mode == ABN_TRAINING && problem::sample_count(p) >= 4;
     },
     shards},
    {"inference",
     "Inference with the statistics that training saved gives training's z, within the bounds of "
     "both and of the statistics.",
     "inference with the statistics that training saved does not give training's z",
     [](const abn_problem& p, const abn_claims&) { return p.mode == ABN_TRAINING; }, inference},
    {"in_place",
     "A call in place gives the bits of a call out of place. If the variant is not deterministic, "
     "it keeps the bounds of both instead.",
     "a call in place does not give what the call out of place gives",
     [](const abn_problem& p, const abn_claims& claims) {
       return claims.z_may_alias_x == 1 || (claims.dx_may_alias_dz == 1 && has_backward(p));
     },
     in_place},
    {"deterministic",
     "Another order of threads and blocks, other buffers and other bytes in memory that nobody "
     "wrote give the same bits. Only if the variant claims to be deterministic.",
     "the same call in another order of threads and blocks, with other buffers and poison, gives "
     "other results",
     [](const abn_problem&, const abn_claims& claims) { return claims.deterministic == 1; },
     deterministic},
};

}  // namespace

std::span<const Property> repetition_properties() { return table; }

}  // namespace abn::verify::check::property
