// Certification of a backward without differences, in any storage type: structured cotangents on
// the kernel's own stored z.
//
// Against the exact adjoint (expect_backward with the probe as dz, judged by bound; dx, dgamma and
// dbeta in one record):
//   probe_ones        1
//   probe_xhat        xhat; with 1 it spans what training subtracts from dy, so a missing mean or
//                     xhat term is all that there is to see
//   probe_units       a 1 at one sample of every channel: the first, the last and those at the
//                     edges of warps, blocks and tiles
//   probe_rademacher  K = 16 vectors of random signs. If the errors of an output are E = e.v, e a
//                     fixed row and v the signs, then by the inequality of Paley and Zygmund
//                     P(|<e,v>| >= |e|/2) >= (1 - 1/4)^2/3 = 3/16, E v^4 <= 3 |e|^4 for such sums.
//                     So an error row of twice the bound is missed with at most (13/16)^K = 3.6 %
//                     where one channel has it and (13/16)^(K C) where all C have: 1.7e-6 for C =
//                     4.
//
// adjoint: in terms of dy backward is self-adjoint, dx = A dy, so with dy = phi' dz and phi' taken
// exactly from the stored z
//   sum_i phi'_i u_i B(v)_i = sum_i phi'_i v_i B(u)_i      for each channel,
// both sides from the kernel. With b(v) the bounds of expect_backward they may differ by sum
// |phi'_i u_i| b_i(v) + sum |phi'_i v_i| b_i(u). A kernel that computes nothing passes this one;
// the probes are for that.
//
// difference: f(t) = sum w_j z_j(x + t v) of each channel through the kernel's forward in its own
// type against <v, B(w)>. x lies on a grid and v = +-1 times a step of it, mostly with the sign of
// the exact gradient, so x + t v is exact. Nine values at the smallest steps give the noise of f
// (measured_noise), and Richardson's table over steps of up to an eighth of sigma its derivative
// with a bar (verify/check/gradient/methods.hpp); the gradient has the bound of expect_gradient.
// How many decimal digits the difference can see, log10 |D|/bar in the best channel, stands beside
// the witness; below half a digit the case is skipped, for the method can say nothing.
#pragma once

#include <vector>

#include "verify/call/evaluator.hpp"
#include "verify/check/group.hpp"

namespace abn::verify::check::gradient {

inline constexpr int rademacher_probes = 16;

/// True for the probes of the first group, and of the others.
bool is_probe(const CheckName& name);

/// The wanted records of the names probe_... and adjoint.
std::vector<results::Record> probe_records(const Work& work, const call::Evaluator& evaluator,
                                           const problem::Inputs& inputs);

/// The record of the name difference.
results::Record difference_record(const Work& work, const CheckName& name,
                                  const call::Evaluator& evaluator, problem::Inputs inputs);

/// Samples of a channel that are given a 1: the edges that m has.
std::vector<std::int64_t> unit_positions(std::int64_t m);

}  // namespace abn::verify::check::gradient
