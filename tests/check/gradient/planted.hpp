// A right in-place kernel for every storage type, and the same with the backward of one simulated
// kernel after the other: what gradient checks have to refuse.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "verify/call/device.hpp"
#include "verify/check/gradient/kernel_gradients.hpp"
#include "verify/expect/reference_variant.hpp"
#include "verify/problem/format.hpp"
#include "verify/problem/problem.hpp"
#include "verify/results/results.hpp"
#include "verify/run/runner.hpp"
#include "verify/study/simulate.hpp"

namespace abn::verify::check::gradient {

using Planted = study::Bug;

/// The forward, and what is kept, is the reference's; f64 in f64 and the others in f32.
inline const abn_variant& right_kernel(const abn_problem& p) {
  return expect::reference_variant(
      p.dtype == ABN_F64 ? expect::ReferenceArithmetic::f64 : expect::ReferenceArithmetic::f32,
      ABN_IN_PLACE_1);
}

inline std::vector<double> read(int dtype, const void* from, std::int64_t count) {
  std::vector<double> values(static_cast<std::size_t>(count));
  problem::unpack(problem::format_of(dtype), static_cast<const std::byte*>(from), values);
  return values;
}
inline void write(int dtype, const std::vector<double>& values, void* to) {
  if (to == nullptr) return;
  problem::pack(problem::format_of(dtype), values, static_cast<std::byte*>(to));
}

/// In-place I in double, rounded once where it is stored: every other error is the bug's.
template <Planted bug>
int planted_backward(const abn_problem* problem, const abn_backward_args* a) {
  const abn_problem& p = *problem;
  study::SimulatedKernel kernel;
  kernel.declared.scheme = ABN_IN_PLACE_1;
  kernel.declared.accumulate = ABN_F64;
  kernel.declared.summation = study::Summation::sequential;
  kernel.bug = bug;
  problem::Inputs inputs;
  inputs.problem = p;
  inputs.dz = read(p.dtype, a->dz, problem::element_count(p));
  inputs.gamma = read(p.param_dtype, a->gamma, p.c);
  inputs.beta = read(p.param_dtype, a->beta, p.c);
  problem::Saved saved;
  saved.z = read(p.dtype, a->z, problem::element_count(p));
  (p.mode == ABN_TRAINING ? saved.variance : inputs.running_var) = read(p.param_dtype, a->var, p.c);
  const study::KernelOutputs got = study::simulate_backward(inputs, saved, kernel);
  write(p.dtype, got.dx, a->dx);
  write(p.param_dtype, got.dgamma, a->dgamma);
  write(p.param_dtype, got.dbeta, a->dbeta);
  return ABN_OK;
}

template <Planted bug>
const abn_variant& planted_variant() {
  static const abn_variant variant = {
      ABN_ABI_VERSION,
      sizeof(abn_variant),
      "planted",
      "in place, with one bug",
      ABN_MEMORY_HOST,
      0,
      [](const abn_problem* p, abn_claims* out) { return right_kernel(*p).claims(p, out); },
      [](const abn_problem* p, int direction) {
        return right_kernel(*p).workspace_bytes(p, direction);
      },
      [](const abn_problem* p, const abn_forward_args* a) {
        return right_kernel(*p).forward(p, a);
      },
      planted_backward<bug>};
  return variant;
}

/// Records of one variant on one problem, by the last part of their ids.
inline std::map<std::string, results::Record> grad(const abn_variant& variant,
                                                   const std::string& problem,
                                                   const std::string& pattern = "*",
                                                   const std::string& data = "standard",
                                                   std::uint64_t seed = 3) {
  call::Subject subject;
  subject.variant = &variant;
  subject.device = call::host_device();
  const std::vector<call::Subject> subjects{subject};
  const std::vector<data::Case> cases{data::replay(problem, data, seed)};
  RunOptions options;
  options.threads = 1;
  options.pattern = pattern;
  std::map<std::string, results::Record> by_check;
  for (results::Record& record : run::run(gradient_checks, subjects, cases, options))
    by_check[record.check] = std::move(record);
  return by_check;
}

}  // namespace abn::verify::check::gradient
