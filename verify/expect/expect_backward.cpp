// Expectations of backward: dx, dgamma and dbeta on what the kernel stored, and at the unrounded x.
#include "verify/expect/expect.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "verify/bound/backward.hpp"
#include "verify/expect/shared.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::expect {
namespace {

struct BackwardScratch {
  oracle::BackwardInput in;
  oracle::BackwardValues values;
};

struct BackwardExpectations {
  compare::Expectation dx, dgamma, dbeta;
};

bool in_place(const abn_claims& claims) {
  return claims.scheme == ABN_IN_PLACE_1 || claims.scheme == ABN_IN_PLACE_2;
}

oracle::Source source_of(const abn_claims& claims) {
  switch (claims.scheme) {
    case ABN_STANDARD:
      return oracle::Source::x_and_z;
    case ABN_CHECKPOINT_X:
      return oracle::Source::x;
    case ABN_CHECKPOINT_XHAT:
      return oracle::Source::xhat;
    default:
      return oracle::Source::z;
  }
}

// Statistics that were saved may be used in two ways, and a bound holds for both: a variant that
// rounds statistics to the storage type where it uses them may round those in its hands once more,
// and the writer of a file may have narrowed what backward had in full.
void add_readings(const bound::Arithmetic& a, const bound::ChannelNumbers& c, const abn_problem& p,
                  const abn_claims& claims, const problem::Saved& saved,
                  bound::StatisticsError& error) {
  if ((claims.materialises & ABN_MATERIALISES_STATISTICS) != 0) {
    const problem::Format& storage = problem::format_of(p.dtype);
    error.mean_materialised += std::fabs(problem::round_to(storage, c.mean) - c.mean);
    error.variance_materialised += std::fabs(problem::round_to(storage, c.variance) - c.variance);
  }
  if (!saved.narrowed) return;
  error.mean += a.store_parameter(std::fabs(c.mean));
  error.variance += a.store_parameter(c.variance);
}

bound::BackwardPlan plan_of(const bound::Arithmetic& a, const bound::ChannelNumbers& numbers,
                            const abn_problem& p, const abn_claims& claims,
                            const problem::Saved* saved, bool batch) {
  const bool end_to_end = saved == nullptr;
  const bool training = p.mode == ABN_TRAINING;
  bound::BackwardPlan plan;
  plan.scheme = claims.scheme;
  plan.end_to_end = end_to_end;
  if (problem::phi_of(p).curved())
    plan.smallest_gap = problem::lowest_invertible(p) + p.activation_parameter;
  if (!training) {
    plan.forward = plan.backward = bound::given_statistics_error(a, numbers, true);
  } else if (end_to_end) {
    plan.forward = plan.backward = numbers.shards()
                                       ? bound::given_statistics_error(a, numbers, false)
                                       : bound::batch_statistics_error(a, numbers);
    plan.backward.mean += a.store_parameter(std::fabs(numbers.mean));
    // r, rounded once, is half as sensitive to it as the variance
    plan.backward.variance += a.store_parameter(numbers.variance) +
                              (a.saves_invstd ? 2 * a.store_parameter(numbers.r) / numbers.r *
                                                    (numbers.variance + numbers.eps)
                                              : 0);
  } else {
    plan.backward = batch ? bound::batch_statistics_error(a, numbers)
                          : bound::given_statistics_error(a, numbers, false);
    plan.backward.has_root = a.saves_invstd && !batch;
    if (!batch) add_readings(a, numbers, p, claims, *saved, plan.backward);
  }
  return plan;
}

// What no rule of the operation settles. ELU takes its branch from the sign bit of z, and a NaN may
// have either: phi' is 1 or NaN, so dy of that element and dbeta are undefined; and all that the
// sums of dy reach, where xhat is a number that would leave them one. Without an inverse so they
// are where y is NaN or infinite: of relu and of y e^-y there. In place, g = 0 makes dx 0 and
// dgamma a finite number; of a z or dz that is not finite it may also make NaN. The true gradient
// of data that are not finite is no measure of anything.
void set_undefined(const oracle::BackwardInput& in, const oracle::BackwardValues& found,
                   bool true_gradient, bool lost, const abn_problem& p, std::int64_t c,
                   BackwardExpectations& out) {
  const auto channel = static_cast<std::size_t>(c);
  const auto finite = [](const std::vector<double>& values) {
    return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
  };
  const auto release_dx = [&](std::size_t i) {
    out.dx
        .points[static_cast<std::size_t>(
            problem::sample_offset(p, c, static_cast<std::int64_t>(i)))]
        .rule = compare::Rule::anything;
  };
  const auto release_all_dx = [&] {
    for (std::size_t i = 0; i < in.dz.size(); ++i) release_dx(i);
  };
  if (true_gradient && !(finite(in.x) && finite(in.dz))) {
    release_all_dx();
    out.dbeta.points[channel].rule = out.dgamma.points[channel].rule = compare::Rule::anything;
  }
  if (true_gradient) return;
  if (lost && !(finite(in.z) && finite(in.dz))) {
    out.dgamma.points[channel].rule = compare::Rule::anything;
    for (std::size_t i = 0; i < in.dz.size(); ++i)
      if (!in.frozen || !(std::isfinite(in.z[i]) && std::isfinite(in.dz[i]))) release_dx(i);
  }
  const problem::Phi phi = problem::phi_of(p);
  if (!(phi.curved() || !phi.has_inverse())) return;
  for (std::size_t i = 0; i < in.dz.size(); ++i) {
    // else z is found again from y
    const bool kept = in.source == oracle::Source::z || in.source == oracle::Source::x_and_z;
    if (phi.has_inverse() ? !std::isnan(kept ? in.z[i] : found.y[i]) : std::isfinite(found.y[i]))
      continue;
    out.dbeta.points[channel].rule = compare::Rule::anything;
    if (in.frozen) release_dx(i);
    if (!std::isfinite(found.xhat[i])) continue;
    out.dgamma.points[channel].rule = compare::Rule::anything;
    if (in.frozen) continue;
    release_all_dx();
    return;
  }
}

// A dz that is not finite times a phi' that may be 0: one kernel multiplies and has NaN, which the
// sums of training spread, another selects.
void set_undefined_products(const std::vector<bool>& undefined, bool training, const abn_problem& p,
                            std::int64_t c, BackwardExpectations& out) {
  const auto channel = static_cast<std::size_t>(c);
  problem::for_each_sample(p, c, [&](std::size_t i, std::size_t at) {
    if (training || undefined[i]) out.dx.points[at].rule = compare::Rule::anything;
  });
  out.dbeta.points[channel].rule = out.dgamma.points[channel].rule = compare::Rule::anything;
}

// Where g is infinite, dx in frozen mode is infinite or, of a dy that is 0, NaN. Which of the two
// is open where phi' is so near to 0 that it may round to it, of ELU whose z is -alpha but for the
// last digit of alpha, say; and where dy is, in the type in which it is stored between two kernels.
void set_infinite_scale(const oracle::BackwardInput& in, const oracle::BackwardValues& found,
                        const abn_claims& claims, const abn_problem& p, std::int64_t c,
                        BackwardExpectations& out) {
  constexpr double roundings = 8;  // of phi', and of dy
  const problem::Format& accumulate = problem::format_of(claims.accumulate);
  const bool stores_dy = (claims.materialises & ABN_MATERIALISES_DY) != 0;
  const problem::Format& of_dy = stores_dy ? problem::format_of(p.dtype) : accumulate;
  problem::for_each_sample(p, c, [&](std::size_t i, std::size_t at) {
    compare::Point& point = out.dx.points[at];
    const double dy = std::fabs(found.dy[i]);
    const bool may_be_zero =
        dy <= roundings * accumulate.unit_roundoff * std::fabs(in.dz[i]) ||
        problem::round_to(of_dy, dy * (1 - roundings * of_dy.unit_roundoff)) == 0;
    if (may_be_zero && point.rule == compare::Rule::same_class)
      point.rule = compare::Rule::any_nonfinite;
  });
}

// A gamma of f64 that is 0 in the accumulate type has no sign there, and sign(0) = +1.
bool loses_sign(const abn_claims& claims, const abn_problem& p, double gamma) {
  return p.scale == ABN_SCALE_ABS_EPS && gamma != 0 &&
         problem::round_to(problem::format_of(claims.accumulate), gamma) == 0;
}

// Everything of channel c; writes to that channel's points only. `saved` is null for the true
// gradient.
template <class Error>
void backward_channel(const problem::Inputs& inputs, const problem::Saved* saved,
                      const abn_claims& claims, const EvaluationPlan& judges, std::int64_t c,
                      BackwardScratch& scratch, BackwardExpectations& out) {
  const abn_problem& p = inputs.problem;
  const auto channel = static_cast<std::size_t>(c);
  const bool training = p.mode == ABN_TRAINING;
  oracle::BackwardInput& in = scratch.in;
  oracle::BackwardValues& v = scratch.values;
  in.parameters = parameters_of(inputs, channel);
  in.parameters.left_kink = claims.kink == ABN_KINK_LEFT;
  in.source = saved == nullptr ? oracle::Source::x : source_of(claims);
  in.frozen = !training;
  gather(p, inputs.dz, c, in.dz);
  const bool reads_x = in.source == oracle::Source::x || in.source == oracle::Source::x_and_z;
  if (reads_x) gather(p, inputs.x, c, in.x);
  if (in.source == oracle::Source::z || in.source == oracle::Source::x_and_z) {
    gather(p, saved->z, c, in.z);
    problem::lift_saturated(p, in.z);
  }
  if (in.source == oracle::Source::xhat) gather(p, saved->xhat, c, in.xhat);
  bool batch = false;  // the kernel has to find the statistics again
  if (!training) {
    in.statistics = {true, inputs.running_mean[channel], inputs.running_var[channel]};
  } else if (inputs.whole.samples > 0) {
    in.statistics = {true, inputs.whole.mean[channel], inputs.whole.variance[channel]};
  } else if (saved == nullptr) {
    in.statistics = {};
  } else {
    const auto of = [&](const std::vector<double>& vector) {
      return vector.empty() ? 0 : vector[channel];
    };
    batch = reads_x && (saved->mean.empty() || (saved->variance.empty() && saved->invstd.empty()));
    in.statistics = batch ? oracle::GivenStatistics{}
                          : oracle::GivenStatistics{true, of(saved->mean), of(saved->variance),
                                                    of(saved->invstd)};
  }
  const problem::WholeBatch& whole = inputs.whole;
  const bool sharded = training && whole.samples > 0;
  in.all = {};
  if (sharded && !whole.sum_dy.empty())
    in.all = {whole.samples, whole.sum_dy[channel], whole.sum_dy_xhat[channel]};

  oracle::backward_values(judges.precision, in, v);

  bound::ChannelNumbers numbers = numbers_of(p, in.parameters, v.mean.hi, v.variance.hi, v.r, v.g);
  numbers.phi.left_at_zero = in.parameters.left_kink;
  if (sharded) numbers.all_samples = whole.samples;
  if (!in.statistics.given) add_moments(numbers, in.x, v.xhat);
  const bound::BackwardPlan plan = plan_of(judges.declared, numbers, p, claims, saved, batch);
  const bound::BackwardPlan fit_plan =
      plan_of(judges.recommended, numbers, p, claims, saved, batch);
  const auto errors = bound::backward_errors<Error>(judges.declared, plan, judges.recommended,
                                                    fit_plan, numbers, in, v);
  const auto& declared = errors.declared;
  const auto& recommended = errors.recommended;

  // One element that is not finite reaches every dx of a training channel through the sums.
  const bool spoiled = training && !(std::isfinite(v.s0) && std::isfinite(v.s1) &&
                                     std::isfinite(v.r) && std::isfinite(v.g));
  const compare::Rule otherwise =
      training ? compare::Rule::any_nonfinite : compare::Rule::same_class;
  const bool no_statistics = plan.backward.overflows || plan.forward.overflows;
  // beyond it dx has to be infinite, whatever overflowed first
  const double storage_largest = problem::format_of(p.dtype).largest;
  problem::for_each_sample(p, c, [&](std::size_t i, std::size_t at) {
    compare::Point& point = out.dx.points[at];
    set_point(out.dx, at, element(v.dx, i), declared.dx[i], recommended.dx[i], otherwise);
    if (!declared.open.empty()) point.open = declared.open[i];
    if (spoiled)
      point.rule = compare::Rule::any_nonfinite;
    else if (no_statistics || (training && declared.overflows) ||
             (!declared.overflown.empty() && declared.overflown[i] &&
              std::fabs(v.dx.hi[i]) <= storage_largest))
      point.rule = compare::Rule::anything;
  });
  set_point(out.dbeta, channel, v.dbeta, declared.dbeta, recommended.dbeta,
            compare::Rule::any_nonfinite);
  set_point(out.dgamma, channel, v.dgamma, declared.dgamma, recommended.dgamma,
            compare::Rule::any_nonfinite);
  const auto release = [&](compare::Expectation& e, bool overflows) {
    if (overflows && e.points[channel].rule == compare::Rule::bounded)
      e.points[channel].rule = compare::Rule::anything;
  };
  if (!declared.undefined.empty()) set_undefined_products(declared.undefined, training, p, c, out);
  release(out.dgamma, no_statistics || declared.overflows);
  release(out.dbeta, no_statistics || declared.dbeta_overflows);
  const bool lost = in_place(claims) && v.g == 0;
  if (lost) out.dgamma.points[channel].rule = compare::Rule::any_finite;
  set_undefined(in, v, saved == nullptr, lost, p, c, out);
  if (!training && std::isinf(v.g)) set_infinite_scale(in, v, claims, p, c, out);
  if (inputs.affine && loses_sign(claims, p, inputs.gamma[channel]) &&
      out.dgamma.points[channel].rule == compare::Rule::bounded)
    out.dgamma.points[channel].rule = compare::Rule::any_finite;

  compare::ChannelFacts facts;
  double mean = v.mean.hi;
  if (!training) {
    mean = inputs.running_mean[channel];
  } else if (!reads_x && !inputs.x.empty()) {
    const double share = 1 / numbers.m;  // of each, since the sum of them may overflow
    double parts[4]{};                   // which need not wait for each other
    problem::for_each_sample(
        p, c, [&](std::size_t i, std::size_t at) { parts[i % 4] += inputs.x[at] * share; });
    mean = (parts[0] + parts[1]) + (parts[2] + parts[3]);
  }
  facts.kappa = condition_of_variance(mean, numbers.variance);
  facts.beta_over_g = std::fabs(numbers.beta) / std::fabs(numbers.g);
  double largest = 0, sum_abs = 0;
  double scale = 0, scale_product = 0;
  const double u = problem::format_of(problem::out_type_of(p)).unit_roundoff;
  for (std::size_t i = 0; i < v.dy.size(); ++i) {
    // Saturation makes dy as small as it likes; below a rounding error of dz it is no size to
    // measure by.
    const double size = bound::larger(std::fabs(v.dy[i]), u * std::fabs(in.dz[i]));
    largest = bound::larger(size, largest);  // a NaN counts for nothing
    scale += size;
    scale_product += size * std::fabs(v.xhat[i]);
    sum_abs += std::fabs(v.dy[i]);
  }
  facts.sum_condition = sum_abs == 0 ? 1 : sum_abs / std::fabs(v.s0);
  const auto keep = [&](compare::Expectation& e, double size) {
    e.channels[channel] = facts;
    e.channels[channel].scale = size;
  };
  keep(out.dx, std::fabs(v.g) * v.r * largest);
  keep(out.dgamma, scale_product);
  keep(out.dbeta, scale);
}

// Do more than half of the elements have a bound above the largest value of their channel, and
// `counts` holds for them?
template <class Predicate>
bool mostly_drowned(const compare::Expectation& e, const abn_problem& p, const Predicate& counts) {
  const auto size = static_cast<std::int64_t>(e.points.size());
  std::int64_t found = 0, others = 0;
  for (std::int64_t c = 0; c < p.c; ++c) {
    const auto each = [&](const auto& visit) {
      if (compare::is_tensor(e.output))
        problem::for_each_sample(p, c, visit);
      else
        visit(0, static_cast<std::size_t>(c));
    };
    double largest = 0;
    each([&](std::size_t, std::size_t at) {
      largest = bound::larger(std::fabs(e.points[at].hi), largest);
    });
    std::int64_t here = 0, in_channel = 0;
    each([&](std::size_t, std::size_t at) {
      const compare::Point& point = e.points[at];
      ++in_channel;
      here += point.rule == compare::Rule::bounded && point.bound > largest && counts(at) ? 1 : 0;
    });
    found += here, others += in_channel - here;
    if (2 * others >= size) return false;  // most often so after half of the channels
  }
  return 2 * found > size;
}

// Is it the inversion that drowns the signal? True where for more than half of the elements the
// bound exceeds the largest value of their channel, and inversion is its largest term.
bool is_limited_by_method(const compare::Expectation& e, const abn_problem& p) {
  return mostly_drowned(e, p, [&](std::size_t i) {
    const compare::Shares& shares = e.shares[i];
    return shares[static_cast<std::size_t>(compare::Term::inversion)] >=
           *std::max_element(shares.begin(), shares.end());
  });
}

std::vector<compare::Expectation> backward(const problem::Inputs& inputs,
                                           const problem::Saved* saved, const abn_claims& claims,
                                           Detail detail) {
  const abn_problem& p = inputs.problem;
  if (problem::element_count(p) == 0) return {};
  check_inputs(inputs, saved == nullptr || source_of(claims) == oracle::Source::x ||
                           source_of(claims) == oracle::Source::x_and_z);
  require_size(inputs.dz.size(), static_cast<std::size_t>(problem::element_count(p)), "dz");
  if (p.mode == ABN_INFERENCE)
    throw std::invalid_argument("Inference has no backward pass; ask for training or frozen mode.");
  const EvaluationPlan judges = evaluation_plan(p, claims);
  BackwardExpectations out{blank_expectation(compare::Output::dx, p, detail),
                           blank_expectation(compare::Output::dgamma, p, detail),
                           blank_expectation(compare::Output::dbeta, p, detail)};
  BackwardScratch scratch;
  const auto channel =
      detail == Detail::shares ? backward_channel<bound::Terms> : backward_channel<bound::Total>;
  for (std::int64_t c = 0; c < p.c; ++c) channel(inputs, saved, claims, judges, c, scratch, out);
  std::vector<compare::Expectation> all;
  for (compare::Expectation* e : {&out.dx, &out.dgamma, &out.dbeta}) all.push_back(std::move(*e));
  if (!in_place(claims)) return all;
  if (detail == Detail::shares) {
    for (compare::Expectation& e : all) e.method_limited = is_limited_by_method(e, p);
  } else if (std::any_of(all.begin(), all.end(), [&](const compare::Expectation& e) {
               return mostly_drowned(e, p, [](std::size_t) { return true; });
             })) {
    // rare: ask which term it is
    const std::vector<compare::Expectation> detailed =
        backward(inputs, saved, claims, Detail::shares);
    for (std::size_t i = 0; i < all.size(); ++i) all[i].method_limited = detailed[i].method_limited;
  }
  return all;
}

}  // namespace

std::vector<compare::Expectation> expect_backward(const problem::Inputs& inputs,
                                                  const problem::Saved& saved,
                                                  const abn_claims& claims, Detail detail) {
  const abn_problem& p = inputs.problem;
  const auto elements = static_cast<std::size_t>(problem::element_count(p)),
             channels = static_cast<std::size_t>(p.c);
  if (elements == 0) return {};
  const oracle::Source source = source_of(claims);
  if (source == oracle::Source::z || source == oracle::Source::x_and_z)
    require_size(saved.z.size(), elements, "the saved z");
  if (source == oracle::Source::xhat) require_size(saved.xhat.size(), elements, "the saved xhat");
  if (p.mode == ABN_TRAINING && (source == oracle::Source::z || source == oracle::Source::xhat))
    require_size(saved.invstd.empty() ? saved.variance.size() : saved.invstd.size(), channels,
                 "the saved variance");
  return backward(inputs, &saved, claims, detail);
}

std::vector<compare::Expectation> expect_gradient(const problem::Inputs& inputs,
                                                  const abn_claims& claims, Detail detail) {
  return backward(inputs, nullptr, claims, detail);
}

}  // namespace abn::verify::expect
