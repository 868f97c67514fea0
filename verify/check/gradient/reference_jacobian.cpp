// Channel by channel: a step and its error bars, the rows by backward, the columns by differences,
// and the worst of each input.
#include "verify/check/gradient/reference_jacobian.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "verify/check/gradient/reference_columns.hpp"
#include "verify/data/cases.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/judge/judge.hpp"
#include "verify/oracle/activation.hpp"
#include "verify/problem/claims.hpp"
#include "verify/problem/error.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::check::gradient {
namespace {

using reference::Channel;
using reference::Double8;
using reference::Forward;
using reference::Gradients;
using reference::Vector;

constexpr const char* op = "gradient";

ReferenceChannel reference_channel(problem::Inputs& inputs, std::size_t c, const abn_claims& claims,
                                   const bound::Arithmetic& arithmetic) {
  ReferenceChannel s;
  s.differences = channel_differences(inputs, static_cast<std::int64_t>(c), claims, arithmetic);
  const ChannelDifferences& d = s.differences;
  if (!d.judged || std::count(d.out.begin(), d.out.end(), 1) > 0)
    throw problem::UsageError(
        fmt::format("Channel {} has samples that are not finite, or at the activation's kink and "
                    "cannot be moved away from it; "
                    "use other data, such as --data standard",
                    c));
  const oracle::ChannelParameters& p = d.channel.parameters;
  s.channel.gamma = Double8(p.gamma), s.channel.beta = Double8(p.beta),
  s.channel.eps = Double8(p.eps);
  s.channel.scale =
      p.abs_eps ? reference::ScaleConvention::abs_eps : reference::ScaleConvention::signed_gamma;
  s.channel.activation.kind = oracle::reference_kind(p.activation);
  s.channel.activation.parameter = Double8(p.parameter);
  s.base = s.forward(packed(d.channel.x), s.channel);
  return s;
}

void find_rows(const ReferenceChannel& s, const PackBackward& backward, Rows& rows) {
  const std::size_t m = s.m(), blocks = (m + points - 1) / points;
  rows.dx.resize(blocks * m);
  rows.dgamma.resize(m), rows.dbeta.resize(m);
  reference::Recovered<Double8> recovered{s.base.y, s.base.xhat, {}};
  Vector<Double8> dz = Vector<Double8>::Constant(static_cast<Eigen::Index>(m), Double8(0.0));
  for (std::size_t j = 0; j < m; j += Double8::lanes) {
    const std::size_t lanes = std::min<std::size_t>(Double8::lanes, m - j);
    for (std::size_t k = 0; k < lanes; ++k) dz[static_cast<Eigen::Index>(j + k)].lane[k] = 1;
    const Gradients<Double8> gradients =
        backward(s.base, s.channel, dz, s.differences.frozen, recovered);
    for (std::size_t k = 0; k < lanes; ++k) {
      dz[static_cast<Eigen::Index>(j + k)].lane[k] = 0;
      rows.dgamma[j + k] = gradients.dgamma.lane[k], rows.dbeta[j + k] = gradients.dbeta.lane[k];
    }
    for (std::size_t block = 0; block < blocks; ++block) {
      const Double8* const dx = gradients.dx.data() + block * points;
      const std::size_t inputs = std::min<std::size_t>(points, m - block * points);
      for (std::size_t k = 0; k < lanes; ++k)
        for (std::size_t i = 0; i < inputs; ++i) rows.dx[block * m + j + k][i] = dx[i].lane[k];
    }
  }
}

/// dz_j/dgamma and dz_j/dbeta by one evaluation: lanes 0 to 3 are gamma and beta, up and down.
void find_parameters(const ReferenceChannel& s, const Rows& rows, std::vector<Entry>& gamma,
                     std::vector<Entry>& beta) {
  const ChannelDifferences& d = s.differences;
  const problem::Format& format = problem::format_of(ABN_F64);
  Channel<Double8> moved = s.channel;
  moved.gamma.lane[0] += d.gamma_step, moved.gamma.lane[1] -= d.gamma_step;
  moved.beta.lane[2] += d.beta_step, moved.beta.lane[3] -= d.beta_step;
  const double gamma_width = moved.gamma.lane[0] - moved.gamma.lane[1],
               beta_width = moved.beta.lane[2] - moved.beta.lane[3];
  const Forward<Double8> f = s.forward(packed(d.channel.x), moved);
  gamma.clear(), beta.clear();
  for (std::size_t j = 0; j < s.m(); ++j) {
    const Double8& z = f.z[static_cast<Eigen::Index>(j)];
    const double dgamma = rows.dgamma[j], dbeta = rows.dbeta[j];
    if (d.has_dgamma())
      gamma.push_back({(z.lane[0] - z.lane[1]) / gamma_width,
                       d.dgamma_bar(j, gamma_width, dgamma, format), dgamma});
    beta.push_back(
        {(z.lane[2] - z.lane[3]) / beta_width, d.dbeta_bar(j, beta_width, dbeta, format), dbeta});
  }
}

/// Tallies entries of one channel into a record; place(k) names the k-th.
template <class Place>
void add_entries(results::Record& record, const judge::Origin& origin,
                 const std::vector<Entry>& entries, Place&& place) {
  for (std::size_t k = 0; k < entries.size(); ++k) {
    const Entry& one = entries[k];
    compare::Point point;
    point.hi = one.difference, point.bound = point.fit_bound = one.bar;
    if (std::fabs(one.difference) > one.bar) record.discriminating_cases = 1;
    if (results::Witness* const witness = add_point(record, origin, point, one.backward, ABN_F64))
      witness->where = place(k);
  }
}

}  // namespace

Gradients<Double8> standard_backward(const Forward<Double8>& f, const Channel<Double8>& channel,
                                     const Vector<Double8>& dz, bool frozen,
                                     reference::Recovered<Double8>& recovered) {
  recovered.dy = reference::upstream_of_affine(f.z, channel, dz);
  const auto sums = reference::sums(recovered);
  return frozen ? reference::gradients_frozen(recovered, sums, f.g, f.r,
                                              reference::dgamma_factor(channel))
                : reference::gradients_training(recovered, sums, f.g, f.r,
                                                reference::dgamma_factor(channel));
}

std::vector<std::string> reference_jacobian_ids() {
  std::vector<std::string> ids;
  for (const char* layout : {"nchw", "nhwc"})
    for (const char* output : {"dx", "dgamma", "dbeta"})
      ids.push_back(fmt::format("reference/gradient/f64/{}/jacobian_{}", layout, output));
  return ids;
}

std::vector<results::Record> check_reference_jacobian(const problem::Inputs& inputs,
                                                      const std::string& data, std::uint64_t seed,
                                                      const std::string& pattern,
                                                      const PackBackward& backward) {
  const abn_problem& p = inputs.problem;
  if (p.dtype != ABN_F64 || p.param_dtype != ABN_F64 || p.mode == ABN_INFERENCE)
    throw problem::UsageError(
        fmt::format("The Jacobian of the reference is found in f64, in training or with frozen "
                    "statistics, and not for {}; "
                    "give a problem like n8c32s64,f64,leaky_relu",
                    problem::to_string(p)));
  judge::Origin origin;
  origin.variant = "reference";
  origin.problem = p, origin.data = data, origin.seed = seed;
  origin.command_head = "abn-verify grad ";
  origin.command_tail = fmt::format(" --problem {} --data {} --seed {}", problem::to_string(p),
                                    judge::shell_word(data), seed);
  std::vector<results::Record> records;
  for (const char* output : {"dx", "dgamma", "dbeta"})
    records.push_back(judge::blank_record(origin, op, fmt::format("jacobian_{}", output),
                                          results::CheckKind::numbers));

  const abn_claims claims =
      problem::claims_of(expect::reference_variant(expect::ReferenceArithmetic::f64, ABN_STANDARD),
                         p)
          .claims;
  const bound::Arithmetic arithmetic = bound::arithmetic_of(p, claims);
  problem::Inputs moved = inputs;
  Rows rows;
  std::vector<Entry> dx, dgamma, dbeta;
  for (std::size_t c = 0; problem::element_count(p) > 0 && c < static_cast<std::size_t>(p.c); ++c) {
    const ReferenceChannel channel = reference_channel(moved, c, claims, arithmetic);
    find_rows(channel, backward, rows);
    worst_of_columns(channel, rows, dx);
    find_parameters(channel, rows, dgamma, dbeta);
    add_entries(records[0], origin, dx,
                [&](std::size_t i) { return fmt::format("dz/dx[c {}, sample {}]", c, i); });
    add_entries(records[1], origin, dgamma,
                [&](std::size_t j) { return fmt::format("dz[c {}, sample {}]/dgamma", c, j); });
    add_entries(records[2], origin, dbeta,
                [&](std::size_t j) { return fmt::format("dz[c {}, sample {}]/dbeta", c, j); });
  }
  std::erase_if(records,
                [&](const results::Record& record) { return !data::matches(pattern, record.id); });
  for (results::Record& record : records) {
    record.failed_cases = record.tally.failed > 0 ? 1 : 0;
    results::conclude(record);
    if (record.verdict == results::Verdict::pass)
      record.reason += fmt::format("; {} forward and {} backward evaluations of the problem",
                                   2 * (problem::sample_count(p) + 2), problem::sample_count(p));
  }
  return records;
}

}  // namespace abn::verify::check::gradient
