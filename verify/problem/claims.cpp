// The claims' ranges and their agreement with the scheme.
#include "verify/problem/claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <utility>

#include "verify/problem/format.hpp"
#include "verify/problem/guarded.hpp"
#include "verify/problem/problem.hpp"

namespace abn::verify::problem {
namespace {

/// What backward cannot do without, for each scheme. With x at hand the statistics can be found
/// again; without it they cannot.
std::uint32_t needed(int scheme, int mode) {
  const std::uint32_t variance = mode == ABN_TRAINING ? std::uint32_t{ABN_SAVES_VAR} : 0u;
  switch (scheme) {
    case ABN_STANDARD:
      return ABN_SAVES_X | ABN_SAVES_Z;
    case ABN_CHECKPOINT_X:
      return ABN_SAVES_X;
    case ABN_CHECKPOINT_XHAT:
      return ABN_SAVES_XHAT | variance;
    default:
      return ABN_SAVES_Z | variance;
  }
}

std::string nonsense_in_traffic(const abn_claims& claims) {
  constexpr int most = 1000;
  const std::pair<const char*, const abn_sweeps*> all[] = {
      {"sweeps_x", &claims.sweeps_x},       {"sweeps_z", &claims.sweeps_z},
      {"sweeps_xhat", &claims.sweeps_xhat}, {"sweeps_dz", &claims.sweeps_dz},
      {"sweeps_kept", &claims.sweeps_kept}, {"sweeps_dx", &claims.sweeps_dx}};
  for (const auto& [name, sweeps] : all) {
    if (sweeps->loads < 0 || sweeps->loads > most || sweeps->stores < 0 || sweeps->stores > most)
      return fmt::format("its {} are {} loads and {} stores; use 0 to {}", name, sweeps->loads,
                         sweeps->stores, most);
    const bool input =
        sweeps == &claims.sweeps_x || sweeps == &claims.sweeps_dz || sweeps == &claims.sweeps_kept;
    if (input && sweeps->stores != 0)
      return fmt::format("its {} have {} stores; inputs are not written, so use 0", name,
                         sweeps->stores);
  }
  if (claims.coalesced < 0 || claims.coalesced > 1)
    return fmt::format("its coalesced is {}; use 0 or 1", claims.coalesced);
  return {};
}

/// "z and var" for a mask of ABN_SAVES_ flags.
std::string saved_names(std::uint32_t saves) {
  std::string names;
  for (const auto& [flag, name] : {std::pair{ABN_SAVES_X, "x"},
                                   {ABN_SAVES_Z, "z"},
                                   {ABN_SAVES_XHAT, "xhat"},
                                   {ABN_SAVES_MEAN, "mean"},
                                   {ABN_SAVES_VAR, "var"}})
    if ((saves & static_cast<std::uint32_t>(flag)) != 0)
      names += (names.empty() ? "" : " and ") + std::string(name);
  return names;
}

// ---- ceilings
// A claim that widens the bound must stay one that somebody could mean.
//
// function_ulp counts in the accumulate type A. A function that is good to four ulp of the storage
// type T, which is all that a stored result shows, errs by 4*2^(pA - pT) ulp of A; fast
// approximations in the accumulate type itself stay below 1024 (__expf has 2 + 1.17*|x|, 104 at the
// end of f32). And an error of an eighth of the value, 2^(pA - 3) ulp, is no function any more.
double most_function_ulp(const abn_claims& claims, const abn_problem& problem) {
  const int own = format_of(claims.accumulate).precision,
            stored = format_of(problem.dtype).precision;
  constexpr double usual = 1024, few = 4;
  return std::min(std::max(usual, few * std::ldexp(1.0, own - stored)), std::ldexp(1.0, own - 3));
}

// Sums and element-wise arithmetic of fewer bits than the tensors have: tensor cores round f32 to
// tf32, and f64 is computed in f32. Below that nobody goes.
int coarsest_accumulate(int dtype) {
  return dtype == ABN_F64 ? ABN_F32 : dtype == ABN_F32 ? ABN_TF32 : ABN_BF16;
}

std::string implausible_in(const abn_claims& claims, const abn_problem& problem) {
  const int coarsest = coarsest_accumulate(problem.dtype);
  if (format_of(claims.accumulate).precision < format_of(coarsest).precision)
    return fmt::format(
        "implausible claim accumulate {}: for {} tensors nothing coarser than {} is one; claim the "
        "type in which the kernel computes",
        accumulate_name(claims.accumulate), dtype_name(problem.dtype), accumulate_name(coarsest));
  const double most = most_function_ulp(claims, problem);
  if (activation_of(problem).needs_functions() && claims.function_ulp > most)
    return fmt::format(
        "implausible claim function_ulp {:g}: with accumulate {} and {} tensors at most {:g} is "
        "one; claim what exp and log1p of the kernel err by",
        claims.function_ulp, accumulate_name(claims.accumulate), dtype_name(problem.dtype), most);
  return {};
}

}  // namespace

bool is_in_place(const abn_claims& claims) {
  return claims.scheme == ABN_IN_PLACE_1 || claims.scheme == ABN_IN_PLACE_2;
}

std::string beyond_recommended(const abn_claims& claims, const abn_problem& problem,
                               bool backward) {
  constexpr double usual_ulp = 4;  // of the recommended class (verify/bound/bound.cpp)
  constexpr std::int64_t lanes = 256, levels = 8;
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
  if (format_of(claims.accumulate).precision < format_of(wide_type_of(problem.dtype)).precision)
    add(fmt::format("accumulate {}", accumulate_name(claims.accumulate)));
  const std::int64_t depth = backward ? claims.depth_backward : claims.depth_statistics;
  if (depth > sample_count(problem) / lanes + levels + 1) add(fmt::format("depth {}", depth));
  if (claims.statistics == ABN_ONE_PASS) add("one_pass");
  if (claims.normalise != ABN_DIRECT) add(normalise_name(claims.normalise));
  if (claims.materialises != 0) add("materialised intermediate results");
  if (activation_of(problem).needs_functions() && claims.function_ulp > usual_ulp)
    add(fmt::format("function_ulp {:g}", claims.function_ulp));
  return text.empty() ? "nothing unusual" : text;
}

std::string nonsense_in(const abn_claims& claims, const abn_problem& problem) {
  const auto outside = [](std::int64_t value, std::int64_t last) {
    return value < 0 || value > last;
  };
  if (outside(claims.scheme, ABN_IN_PLACE_2))
    return fmt::format("its scheme is {}; use one of ABN_STANDARD to ABN_IN_PLACE_2",
                       claims.scheme);
  if (outside(claims.statistics, ABN_ONE_PASS))
    return fmt::format("its statistics are {}; use one of ABN_TWO_PASS to ABN_ONE_PASS",
                       claims.statistics);
  if (outside(claims.normalise, ABN_FOLDED_APART))
    return fmt::format("its normalise is {}; use ABN_DIRECT, ABN_FOLDED or ABN_FOLDED_APART",
                       claims.normalise);
  if (outside(claims.kink, ABN_KINK_LEFT))
    return fmt::format("its kink is {}; use one of ABN_KINK_UNDECLARED to ABN_KINK_LEFT",
                       claims.kink);
  if (outside(claims.running_variance, ABN_RUNNING_BIASED))
    return fmt::format(
        "its running_variance is {}; use ABN_RUNNING_UNBIASED or "
        "ABN_RUNNING_BIASED",
        claims.running_variance);
  if (outside(claims.accumulate, ABN_TF32))
    return fmt::format("its accumulate type is {}; use one of ABN_F16 to ABN_TF32",
                       claims.accumulate);
  constexpr std::uint32_t all_saves = ABN_SAVES_X | ABN_SAVES_Z | ABN_SAVES_XHAT | ABN_SAVES_MEAN |
                                      ABN_SAVES_VAR | ABN_SAVES_INVSTD;
  constexpr std::uint32_t all_materialises = ABN_MATERIALISES_Y | ABN_MATERIALISES_XHAT |
                                             ABN_MATERIALISES_DY | ABN_MATERIALISES_STATISTICS |
                                             ABN_MATERIALISES_ACTIVATION;
  if ((claims.saves & ~all_saves) != 0)
    return fmt::format("its saves are {:#x}; use the ABN_SAVES_ flags only", claims.saves);
  if ((claims.materialises & ~all_materialises) != 0)
    return fmt::format("its materialises is {:#x}; use the ABN_MATERIALISES_ flags only",
                       claims.materialises);
  if ((claims.saves & ABN_SAVES_INVSTD) != 0 && (claims.saves & ABN_SAVES_VAR) == 0)
    return "it saves 1/sqrt(var+eps) and no var, in whose place it is; add ABN_SAVES_VAR to saves";
  if (problem.mode != ABN_INFERENCE) {
    const std::uint32_t missing = needed(claims.scheme, problem.mode) & ~claims.saves;
    if (missing != 0)
      return fmt::format("its scheme {} needs {}, which it does not save; add the flag to saves",
                         scheme_name(claims.scheme), saved_names(missing));
    if (is_in_place(claims) && !activation_of(problem).has_inverse())
      return fmt::format(
          "its scheme {} finds y again from z, and {} has no inverse; keep x or xhat, or return "
          "ABN_ERROR_UNSUPPORTED",
          scheme_name(claims.scheme), activation_name(problem.activation));
  }
  constexpr int largest_alignment = 256;  // what the workspace gets, and what allocators give
  if (outside(claims.alignment, largest_alignment) ||
      (claims.alignment & (claims.alignment - 1)) != 0)
    return fmt::format("its alignment is {}; use 0 or a power of two up to {}", claims.alignment,
                       largest_alignment);
  for (const int flag :
       {claims.z_may_alias_x, claims.dx_may_alias_dz, claims.deterministic, claims.affine_apart})
    if (outside(flag, 1)) return fmt::format("one of its flags is {}; use 0 or 1", flag);
  if (element_count(problem) > 0)
    for (const std::int64_t depth : {claims.depth_statistics, claims.depth_backward})
      if (depth < 1) return fmt::format("a reduction depth is {}; use 1 to N*S", depth);
  constexpr std::uint32_t out_types = 1U << ABN_F16 | 1U << ABN_BF16 | 1U << ABN_F32;
  if ((claims.other_out_types & ~out_types) != 0)
    return fmt::format(
        "its other_out_types are {:#x}; use 1 << ABN_F16, 1 << ABN_BF16 and 1 << ABN_F32 only",
        claims.other_out_types);
  if (!std::isfinite(claims.function_ulp) || claims.function_ulp < 0)
    return fmt::format("its function_ulp is {}; use a finite number >= 0", claims.function_ulp);
  if (std::string implausible = implausible_in(claims, problem); !implausible.empty())
    return implausible;
  return nonsense_in_traffic(claims);
}

bool claims_traffic(const abn_claims& claims, bool backward) {
  const auto any = [](const abn_sweeps& sweeps) { return sweeps.loads != 0 || sweeps.stores != 0; };
  return backward ? any(claims.sweeps_dz) || any(claims.sweeps_kept) || any(claims.sweeps_dx)
                  : any(claims.sweeps_x) || any(claims.sweeps_z) || any(claims.sweeps_xhat);
}

std::string sweeps_text(const abn_claims& claims, bool backward) {
  std::string text;
  const auto add = [&](const char* name, int times, const char* way) {
    if (times > 0)
      text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", name,
                          times == 1 ? "once" : fmt::format("{} times", times), way);
  };
  const auto tensor = [&](const char* name, const abn_sweeps& sweeps) {
    add(name, sweeps.loads, "in"), add(name, sweeps.stores, "out");
  };
  if (backward)
    tensor("dz", claims.sweeps_dz), tensor("what is kept", claims.sweeps_kept),
        tensor("dx", claims.sweeps_dx);
  else
    tensor("x", claims.sweeps_x), tensor("z", claims.sweeps_z), tensor("xhat", claims.sweeps_xhat);
  return text;
}

Claimed claims_of(const abn_variant& variant, const abn_problem& problem) {
  Claimed claimed;
  if (problem.out_type != 0) {
    // A variant that has never heard of the field would take the problem for another one.
    abn_problem plain = problem;
    plain.out_type = 0;
    const Claimed of_plain = claims_of(variant, plain);
    if (of_plain.status != ABN_OK || !of_plain.nonsense.empty()) return of_plain;
    claimed.status = ABN_ERROR_UNSUPPORTED;
    if ((of_plain.claims.other_out_types >> out_type_of(problem) & 1U) == 0) return claimed;
  }
  claimed.claims.struct_size = sizeof claimed.claims;
  Answer answer;
  try {
    answer = ask_claims(variant, problem, claimed.claims);
  } catch (const std::exception& wrong) {  // its worker ended, and says how
    claimed.nonsense = wrong.what();
    return claimed;
  }
  claimed.status = answer.status;
  if (answer.signal != 0) {
    claimed.nonsense = fmt::format("claims() crashed with signal {} ({})", answer.signal,
                                   strsignal(answer.signal));
    return claimed;
  }
  if (claimed.status != ABN_OK) {
    if (claimed.status != ABN_ERROR_UNSUPPORTED)
      claimed.nonsense = fmt::format("claims() returned {}; return ABN_OK or ABN_ERROR_UNSUPPORTED",
                                     claimed.status);
    return claimed;
  }
  claimed.nonsense = nonsense_in(claimed.claims, problem);
  const std::int64_t m = std::max<std::int64_t>(sample_count(problem), 1);
  claimed.claims.depth_statistics = std::min(claimed.claims.depth_statistics, m);
  claimed.claims.depth_backward = std::min(claimed.claims.depth_backward, m);
  // Elements of two types do not lie over each other.
  if (problem.out_type != 0) claimed.claims.z_may_alias_x = claimed.claims.dx_may_alias_dz = 0;
  return claimed;
}

std::string unsupported_text(const abn_variant& variant, const abn_problem& problem) {
  std::string text = "the variant does not support " + to_string(problem);
  if (activation_of(problem).has_inverse()) return text;
  abn_problem plain = problem;
  set_activation(plain, ABN_IDENTITY, 0);
  const Claimed claimed = claims_of(variant, plain);
  if (claimed.status == ABN_OK && is_in_place(claimed.claims))
    text += fmt::format(
        ": it works in place, where y is found again from z, and {} has no inverse; a scheme that "
        "keeps x or xhat can do it",
        activation_name(problem.activation));
  return text;
}

#define FIELD(name, sentence) \
  { {#name, sentence}, offsetof(abn_claims, name), sizeof(abn_claims::name) }

std::span<const ClaimField> claim_fields() {
  static constexpr ClaimField fields[] = {
      FIELD(scheme,
            "What backward works from: standard, checkpoint_x, checkpoint_xhat, in_place_1 "
            "or in_place_2."),
      FIELD(statistics, "How the variance is found: two_pass, welford or one_pass."),
      FIELD(normalise, "How y is formed from x: direct, folded or folded_apart."),
      FIELD(accumulate, "The type in which sums and element-wise arithmetic are done."),
      FIELD(saves, "The buffers that forward leaves for backward: x, z, xhat, mean, variance."),
      FIELD(
          materialises,
          "The intermediate results that are rounded to the storage type on the way: y, xhat, dy, "
          "statistics, and activation for every operation inside phi and phi'."),
      FIELD(z_may_alias_x, "1: forward may write z over x."),
      FIELD(dx_may_alias_dz, "1: backward may write dx over dz."),
      FIELD(deterministic, "1: the same inputs give the same bits in every run."),
      FIELD(
          alignment,
          "The number of bytes to which every pointer must be aligned; 0 or 1 means the alignment "
          "of its element type."),
      FIELD(depth_statistics,
            "The number of roundings on the longest way from one sample to the finished sums of "
            "forward. A loop over m samples has m, a tree over T lanes ceil(m/T) + log2(T)."),
      FIELD(depth_backward, "The same for the sums of backward, of dy and of dy*xhat."),
      FIELD(function_ulp,
            "The largest error of exp, expm1, log1p, tanh and erf as the kernel computes them, in "
            "ulp "
            "of the accumulate type."),
      FIELD(sweeps_x, "How many times forward loads every element of x."),
      FIELD(sweeps_z, "How many times forward loads and stores every element of z."),
      FIELD(sweeps_xhat, "How many times forward loads and stores every element of xhat."),
      FIELD(sweeps_dz, "How many times backward loads every element of dz."),
      FIELD(sweeps_kept,
            "How many times backward loads every element of each tensor that forward kept for it."),
      FIELD(sweeps_dx, "How many times backward loads and stores every element of dx."),
      FIELD(coalesced,
            "1: neighbouring lanes access neighbouring elements, so that a warp touches no 32-byte "
            "sector in vain."),
      FIELD(kink, "The derivative at the kink y = 0 that backward takes: right, left, or either."),
      FIELD(running_variance, "What enters the running variance: unbiased or biased."),
      FIELD(other_out_types, "The types that z and dz may have beside that of x."),
      FIELD(affine_apart, "1: one of gamma and beta may be missing where the other is not."),
  };
  return fields;
}

#undef FIELD

}  // namespace abn::verify::problem
