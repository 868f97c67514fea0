// What the gradients of every scheme have in common: one another, their sums, linearity, symmetry.
#include <algorithm>
#include <limits>

#include "verify/check/property/bounded_calls.hpp"
#include "verify/check/property/rearrange.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/claims.hpp"

namespace abn::verify::check::property {
namespace {

bool has_backward(const abn_problem& problem) { return problem.mode != ABN_INFERENCE; }

/// Samples of channel c whose point is fit for a relation; false where one is not, for then no sum
/// can be judged.
bool all_ordinary(const Result& result, const abn_problem& p, std::int64_t c) {
  for (std::int64_t i = 0; i < problem::sample_count(p); ++i)
    if (!is_ordinary(
            result.expected.points[static_cast<std::size_t>(problem::sample_offset(p, c, i))],
            p.dtype))
      return false;
  return true;
}

Examination equivalence(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const abn_claims claims = calls.claims(p);
  const Outputs forward = calls.forward(inputs);
  const problem::Saved& saved = forward.saved;
  const Outputs truth = calls.backward(inputs, saved, Bounds::truth);
  const auto equal = [&](Examination& out, const Outputs& a, const Outputs& b) {
    for (const Result& one : a.results)
      relate(out, one, b[one.output], same_place, 1, [&](std::int64_t i) {
        return statistics_fit(forward, compare::is_tensor(one.output) ? channel_of(p, i) : i)
                   ? 0.0
                   : std::numeric_limits<double>::infinity();
      });
  };
  Examination out;
  for (int scheme = ABN_STANDARD; scheme <= ABN_IN_PLACE_2; ++scheme) {
    call::Subject other;
    other.variant = &expect::reference_variant(expect::ReferenceArithmetic::f64, scheme);
    other.device = call::host_device();
    const BoundedCalls partner(other, calls.seed());
    const problem::Saved own = partner.forward(inputs, Bounds::none).saved;
    equal(out, truth, partner.backward(inputs, own, Bounds::truth));
    // On the same stored z the two in-place methods are the same function.
    if (!problem::is_in_place(claims) || (scheme != ABN_IN_PLACE_1 && scheme != ABN_IN_PLACE_2))
      continue;
    equal(out, calls.backward(inputs, saved),
          partner.backward(inputs, {saved.z, {}, {}, saved.variance}));
  }
  return out;
}

Examination sum_dx(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const Outputs forward = calls.forward(inputs);
  const Outputs gradients = calls.backward(inputs, forward.saved, Bounds::truth);
  const Result& dx = gradients[compare::Output::dx];
  Examination out;
  Finding& finding = finding_of(out, compare::Output::dx, "sum(dx)", true);
  for (std::int64_t c = 0; c < p.c; ++c) {
    if (!all_ordinary(dx, p, c) || !statistics_fit(forward, c)) {
      ++out.left_out;
      continue;
    }
    long double sum = 0, own = 0;
    double bound = 0;
    for (std::int64_t i = 0; i < problem::sample_count(p); ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      sum += dx.got[at], own += std::abs(dx.got[at]);
      bound += dx.expected.points[at].bound;
    }
    expect_near(out, finding, c, 0, bound + static_cast<double>(own * own_rounding),
                static_cast<double>(sum));
  }
  return out;
}

Examination sum_dx_xhat(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const Outputs forward = calls.forward(inputs);
  const Outputs gradients = calls.backward(inputs, forward.saved, Bounds::truth);
  const Result& dx = gradients[compare::Output::dx];
  Examination out;
  Finding& finding = finding_of(out, compare::Output::dx, "sum(dx*xhat)", true);
  for (std::int64_t c = 0; c < p.c; ++c) {
    const ChannelStatistics statistics = statistics_of(forward, c);
    const double g = scale_of(inputs, c);
    long double s1 = 0;
    double s1_bound = 0;
    bool usable = statistics.usable && all_ordinary(dx, p, c);
    if (usable && gradients.has(compare::Output::dgamma) && g != 0) {
      const Result& dgamma = gradients[compare::Output::dgamma];
      const compare::Point& point = dgamma.expected.points[static_cast<std::size_t>(c)];
      usable = is_ordinary(point, p.param_dtype);
      s1 = static_cast<long double>(dgamma.got[static_cast<std::size_t>(c)]) *
           dgamma_sign(inputs, c);
      s1_bound = point.bound;
    } else {
      usable = usable && g == 0;  // without an affine S1 is not among the outputs
    }
    if (!usable) {
      ++out.left_out;
      continue;
    }
    const long double share = static_cast<long double>(p.eps) * statistics.r * statistics.r,
                      factor = g * statistics.r * share;
    long double sum = 0, own = std::abs(factor * s1);
    double bound = static_cast<double>(std::abs(factor)) * s1_bound;
    for (std::int64_t i = 0; i < problem::sample_count(p); ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      const long double xhat = (inputs.x[at] - statistics.mean) * statistics.r;
      sum += dx.got[at] * xhat,
          own += std::abs(dx.got[at]) * (std::abs(xhat) + std::abs(statistics.mean) * statistics.r);
      bound += dx.expected.points[at].bound * static_cast<double>(std::abs(xhat));
    }
    expect_near(out, finding, c, factor * s1, bound + static_cast<double>(own * own_rounding),
                static_cast<double>(sum));
  }
  return out;
}

Examination linear(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const problem::Saved saved = calls.forward(inputs, Bounds::none).saved;
  problem::Inputs first = inputs, second = inputs, both = inputs;
  first.dz = gridded_dz(inputs, calls.seed()), second.dz = another_dz(inputs, calls.seed());
  constexpr double a = 2, b = -1;  // at most 80 steps of the grid
  for (std::size_t i = 0; i < both.dz.size(); ++i) both.dz[i] = a * first.dz[i] + b * second.dz[i];
  const Outputs of_both = calls.backward(both, saved), of_first = calls.backward(first, saved),
                of_second = calls.backward(second, saved);
  Examination out;
  show_elements(out, "dz(u)", first.dz), show_elements(out, "dz(v)", second.dz);
  for (const Result& sum : of_both.results) {
    const Result &u = of_first[sum.output], &v = of_second[sum.output];
    const int dtype = sum.expected.dtype;
    Finding& finding = finding_of(out, sum.output, dtype);
    for (std::size_t i = 0; i < sum.got.size(); ++i) {
      const compare::Point &of_sum = sum.expected.points[i], &of_u = u.expected.points[i],
                           &of_v = v.expected.points[i];
      if (!is_ordinary(of_sum, dtype) || !is_ordinary(of_u, dtype) || !is_ordinary(of_v, dtype))
        ++out.left_out;
      else
        expect_near(out, finding, static_cast<std::int64_t>(i),
                    a * static_cast<long double>(u.got[i]) + b * static_cast<long double>(v.got[i]),
                    of_sum.bound + std::abs(a) * of_u.bound + std::abs(b) * of_v.bound, sum.got[i]);
    }
  }
  return out;
}

Examination constants(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  constexpr double constant = 1.5;
  problem::Inputs flat = inputs;
  std::fill(flat.dz.begin(), flat.dz.end(), constant);
  const Outputs forward = calls.forward(flat);
  const Outputs gradients = calls.backward(flat, forward.saved, Bounds::truth);
  Examination out;
  show_elements(out, "dz", flat.dz);
  for (const Result& one : gradients.results) {
    const int dtype = one.expected.dtype;
    Finding& finding = finding_of(out, one.output, dtype);
    const double expected = one.output == compare::Output::dbeta
                                ? constant * static_cast<double>(problem::sample_count(p))
                                : 0;
    for (std::size_t i = 0; i < one.got.size(); ++i) {
      const auto index = static_cast<std::int64_t>(i);
      if (!is_ordinary(one.expected.points[i], dtype) ||
          !statistics_fit(forward, compare::is_tensor(one.output) ? channel_of(p, index) : index))
        ++out.left_out;
      else
        expect_near(out, finding, index, expected, one.expected.points[i].bound, one.got[i]);
    }
  }
  return out;
}

Examination self_adjoint(const BoundedCalls& calls, const problem::Inputs& inputs) {
  const abn_problem& p = inputs.problem;
  const problem::Saved saved = calls.forward(inputs, Bounds::none).saved;
  problem::Inputs first = inputs, second = inputs;
  first.dz = gridded_dz(inputs, calls.seed()), second.dz = another_dz(inputs, calls.seed());
  const Outputs of_first = calls.backward(first, saved), of_second = calls.backward(second, saved);
  const Result &bu = of_first[compare::Output::dx], &bv = of_second[compare::Output::dx];
  Examination out;
  Finding& finding = finding_of(out, compare::Output::dx, "sum(dx*v)", true);
  for (std::int64_t c = 0; c < p.c; ++c) {
    if (!all_ordinary(bu, p, c) || !all_ordinary(bv, p, c)) {
      ++out.left_out;
      continue;
    }
    long double left = 0, right = 0, own = 0;
    double bound = 0;
    for (std::int64_t i = 0; i < problem::sample_count(p); ++i) {
      const auto at = static_cast<std::size_t>(problem::sample_offset(p, c, i));
      const long double l = static_cast<long double>(bu.got[at]) * second.dz[at],
                        r = static_cast<long double>(bv.got[at]) * first.dz[at];
      left += l, right += r, own += std::abs(l) + std::abs(r);
      bound += bu.expected.points[at].bound * std::abs(second.dz[at]) +
               bv.expected.points[at].bound * std::abs(first.dz[at]);
    }
    expect_near(out, finding, c, right, bound + static_cast<double>(own * own_rounding),
                static_cast<double>(left));
  }
  return out;
}

bool is_training(const abn_problem& p, const abn_claims&) { return p.mode == ABN_TRAINING; }

constexpr Property table[] = {
    {"equivalence",
     "Every scheme has the same gradients at the unrounded x, and both in-place methods on the "
     "same stored z, within the bounds of both.",
     "the gradients are not those that the reference finds by another scheme",
     [](const abn_problem& p, const abn_claims&) { return has_backward(p); }, equivalence},
    {"sum_dx", "In training the dx of a channel add up to 0.",
     "the dx of a channel do not add up to 0", is_training, sum_dx},
    {"sum_dx_xhat",
     "In training sum(dx*xhat) = g r S1 eps/(v+eps), with S1 from the kernel's own dgamma.",
     "sum(dx*xhat) is not g r S1 eps/(v+eps), with S1 from dgamma", is_training, sum_dx_xhat},
    {"linear", "Backward is linear in dz: B(2u - v) = 2 B(u) - B(v).",
     "the gradients of 2u - v are not twice those of u less those of v",
     [](const abn_problem& p, const abn_claims&) { return has_backward(p); }, linear},
    {"constants",
     "In training a dy that is the same everywhere gives dx = 0, dgamma = 0 and dbeta = m dy. Only "
     "for the identity.",
     "a dy that is the same everywhere does not give dx = 0, dgamma = 0 and dbeta = m dy",
     [](const abn_problem& p, const abn_claims&) {
       return p.mode == ABN_TRAINING && p.activation == ABN_IDENTITY;
     },
     constants},
    {"self_adjoint",
     "Backward is its own adjoint: sum(B(u) v) = sum(u B(v)), where B takes dz to dx. Only for the "
     "identity.",
     "sum(B(u) v) is not sum(u B(v)), where B takes dz to dx",
     [](const abn_problem& p, const abn_claims&) {
       return has_backward(p) && p.activation == ABN_IDENTITY;
     },
     self_adjoint},
};

}  // namespace

std::span<const Property> gradient_properties() { return table; }

}  // namespace abn::verify::check::property
