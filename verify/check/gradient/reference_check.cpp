// The records of the hand-derived gradients of the reference beside numeric ones.
//
// A verdict is |hand-derived - numeric| <= bar, with bar = the method's own bar + (roundings u M)
// of the hand-derived evaluation in the same scalar
// (verify/check/gradient/reference_derivation.hpp). For central100 the bar must besides be at most
// 1e-50 of the gradient's size, so that a wide bar passes nothing. Where that size is 0 (g = 0, or
// xhat = 0 throughout) the forward pass does not depend on the input at all: its differences are
// then exactly 0, which is demanded, and the bar of the hand-derived gradient stands alone.
#include "verify/check/gradient/reference_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <thread>

#include "verify/check/gradient/reference_numeric.hpp"
#include "verify/data/cases.hpp"

namespace abn::verify::check::gradient {
namespace {

using reference::Gradients;

constexpr Method all_methods[] = {Method::central100, Method::complex, Method::dual50,
                                  Method::real50};

/// In the order of Method.
constexpr problem::Word methods[] = {
    {"central100",
     "The gradients of the reference against central differences in 100 digits, whose error bar is "
     "at most 1e-50 of the gradient."},
    {"complex", "The gradients of the reference against complex steps in double."},
    {"dual50", "The gradients of the reference against dual numbers in 50 digits."},
    {"real50", "The gradients of every scheme agree with those of the standard one in 50 digits."},
};

const char* method_name(Method method) { return methods[static_cast<std::size_t>(method)].name; }

// of two schemes in 50 digits, beside condition number times size
constexpr double agreement_width = 1e-45;

/// The standard scheme's gradients, as what the others are to agree with.
Components<Real50> by_standard_scheme(const OneChannel<Real50>& setup) {
  const Gradients<Real50> standard = hand_derived(setup, Scheme::standard);
  Components<Real50> out;
  for (Eigen::Index i = 0; i < setup.x.size(); ++i) out.push_back({standard.dx[i], 0});
  out.push_back({standard.dgamma, 0});
  out.push_back({standard.dbeta, 0});
  return out;
}

/// Part of an id after the scheme, and the components that it covers.
struct OutputRange {
  const char* name;
  Eigen::Index begin, end;
};

std::vector<OutputRange> outputs_of(Method method, Eigen::Index m) {
  if (method == Method::real50) return {{"agreement", 0, m + 2}};
  return {{"dx", 0, m}, {"dgamma", m, m + 1}, {"dbeta", m + 1, m + 2}};
}

std::string id_of_check(Method method, const char* scheme, const char* output) {
  return fmt::format("reference/gradient/{}/{}/{}", method_name(method), scheme, output);
}

results::Record blank(Method method, const char* scheme, const char* output) {
  results::Record record;
  record.id = id_of_check(method, scheme, output);
  record.variant = "reference";
  record.op = "gradient";
  record.dtype = method_name(method);
  record.layout = scheme;
  record.check = output;
  record.kind = results::CheckKind::numbers;
  record.cases = 1;
  return record;
}

std::string digits(double value) { return fmt::format("{:.17g}", value); }
template <class T>
std::string digits(const T& value) {
  return value.str(std::numeric_limits<T>::digits10, std::ios_base::scientific);
}

/// What one element's comparison needs, in the arithmetic of the method.
template <class T>
struct Element {
  Component<T> numeric;
  T got;
  double bar = 0;  ///< the whole of it
};

template <class T>
compare::Comparison compare_element(const Element<T>& element) {
  using std::abs;
  const T difference = element.got - element.numeric.value;
  compare::Comparison out;
  out.error = static_cast<double>(difference);
  const double size = static_cast<double>(T(abs(difference)));
  const bool within = size <= element.bar;
  out.ratio = size == 0         ? 0
              : element.bar > 0 ? static_cast<double>(T(abs(difference)) / T(element.bar))
                                : std::numeric_limits<double>::infinity();
  if (std::isnan(out.ratio) || std::isnan(size))
    out.ratio = std::numeric_limits<double>::infinity();
  out.passed = within;
  if (!within) out.reason = "error above its bound";
  if (element.numeric.widest > 0 && !(element.bar <= element.numeric.widest)) {
    out.passed = false;
    out.ratio = std::max(out.ratio, element.bar / element.numeric.widest);
    out.reason = "the method's bar is wider than it may be beside the gradient's size";
  }
  if (element.numeric.moves) {
    out.passed = false;
    out.ratio = std::numeric_limits<double>::infinity();
    out.reason = "the forward pass moves with an input that it does not depend on";
  }
  // a quotient may round up where the comparison itself held
  if (out.passed) out.ratio = std::min(out.ratio, 1.0);
  return out;
}

std::string place(Eigen::Index i, Eigen::Index m) {
  return i < m ? fmt::format("dx[{}]", i) : i == m ? "dgamma" : "dbeta";
}

/// What is the same for all records of one case and method.
struct Place {
  const ReferenceCase& one;
  std::uint64_t seed;
};

template <class T>
void judge_component(results::Record& record, const Place& place_of_it, Eigen::Index i,
                     Eigen::Index m, const Element<T>& element) {
  const compare::Comparison comparison = compare_element(element);
  const double expected = static_cast<double>(element.numeric.value),
               got = static_cast<double>(element.got);
  const compare::Point point{.hi = expected, .lo = 0, .bound = element.bar, .fit_bound = 0};
  record.tally.add(i, point, got, comparison);
  using std::abs;
  if (static_cast<double>(T(abs(element.numeric.value))) > element.bar)
    record.discriminating_cases = 1;
  if (record.tally.worst != i) return;
  results::Witness witness;
  witness.problem = describe(place_of_it.one);
  witness.data = data_name(place_of_it.one.data);
  witness.seed = place_of_it.seed;
  witness.where = place(i, m);
  witness.expected = expected, witness.got = got;
  witness.expected_low = static_cast<double>(T(element.numeric.value - T(expected)));
  witness.error = comparison.error, witness.bound = element.bar, witness.ratio = comparison.ratio;
  witness.reason = comparison.reason;
  // Only of a failure are the digits worth their time.
  if (!comparison.passed)
    witness.reason += fmt::format(": {} in {}, numeric {}, hand-derived {}, bar {:.3g}",
                                  witness.where, witness.problem, digits(element.numeric.value),
                                  digits(element.got), element.bar);
  witness.reproduce = fmt::format("abn-verify grad {} --seed {}", record.id, place_of_it.seed);
  record.witnesses.assign(1, std::move(witness));
}

struct Wanted {
  const std::string& pattern;
  bool any(Method method, const char* scheme) const {
    for (const OutputRange& output : outputs_of(method, 1))
      if (data::matches(pattern, id_of_check(method, scheme, output.name))) return true;
    return false;
  }
  bool any(Method method) const {
    for (const Scheme scheme : all_schemes)
      if (!(method == Method::real50 && scheme == Scheme::standard) &&
          any(method, scheme_name(scheme)))
        return true;
    return false;
  }
};

/// The records of one case under one method, in the scalar T of that method.
template <class T>
void judge_schemes(std::vector<results::Record>& out, Method method, const Place& at,
                   const Wanted& wanted, const OneChannel<T>& setup, const Components<T>& numeric,
                   const GradientFunction<T>& hand) {
  const Eigen::Index m = setup.x.size();
  const bool flat = reference::effective_scale(setup.channel) == T(0);
  const bool agreement = method == Method::real50;
  const Magnitudes from_z = magnitudes(setup, true, true),
                   from_phi = magnitudes(setup, false, true),
                   from_x = magnitudes(setup, false, false);
  for (const Scheme scheme : all_schemes) {
    if ((agreement && scheme == Scheme::standard) || !wanted.any(method, scheme_name(scheme)))
      continue;
    if (inverts(scheme) && flat) continue;  // nothing of x is left in z
    const bool checkpointing = scheme == Scheme::checkpoint_x || scheme == Scheme::checkpoint_xhat;
    // The standard scheme, with which the others are compared, reads phi' off z.
    const Magnitudes& sizes = inverts(scheme)               ? from_z
                              : checkpointing && !agreement ? from_x
                                                            : from_phi;
    const Gradients<T> got = hand(setup, scheme);
    for (const OutputRange& output : outputs_of(method, m)) {
      results::Record record = blank(method, scheme_name(scheme), output.name);
      if (!data::matches(wanted.pattern, record.id)) continue;
      for (Eigen::Index i = output.begin; i < output.end; ++i) {
        const Component<T>& expected = numeric[static_cast<std::size_t>(i)];
        const double own = agreement ? agreement_width * component_of(sizes, i)
                                     : static_cast<double>(unit_roundoff<T>()) * roundings(m) *
                                           component_of(sizes, i);
        judge_component<T>(record, at, i, m,
                           {expected,
                            i < m    ? got.dx[i]
                            : i == m ? got.dgamma
                                     : got.dbeta,
                            expected.bar + own});
      }
      record.failed_cases = record.tally.failed > 0 ? 1 : 0;
      if (record.failed_cases > 0) record.verdict = results::Verdict::fail;
      out.push_back(std::move(record));
    }
  }
}

std::vector<results::Record> check_case(const Derivation& derivation, const ReferenceCase& one,
                                        const Wanted& wanted, std::uint64_t seed) {
  std::vector<results::Record> out;
  const Place at{one, seed};
  for (const Method method : all_methods) {
    if (!wanted.any(method)) continue;
    const OneChannel<Real100> setup = make_setup(one, seed, kink_margin(method));
    if (method == Method::central100) {
      judge_schemes<Real100>(out, method, at, wanted, setup,
                             by_central_differences(setup, magnitudes(setup, false, false)),
                             derivation.in_real100);
    } else if (method == Method::complex) {
      const OneChannel<double> own = convert<double>(setup);
      judge_schemes<double>(out, method, at, wanted, own,
                            by_complex_steps(own, magnitudes(own, false, false)),
                            derivation.in_double);
    } else {
      const OneChannel<Real50> own = convert<Real50>(setup);
      const Components<Real50> expected = method == Method::dual50
                                              ? by_duals(own, magnitudes(own, false, false))
                                              : by_standard_scheme(own);
      judge_schemes<Real50>(out, method, at, wanted, own, expected, derivation.in_real50);
    }
  }
  // Both ways to synchronise are one case of one record.
  std::vector<results::Record> joined;
  for (results::Record& record : out) {
    const auto same = std::find_if(joined.begin(), joined.end(), [&](const results::Record& other) {
      return other.id == record.id;
    });
    if (same == joined.end()) {
      joined.push_back(std::move(record));
      continue;
    }
    results::merge(*same, record);
    same->cases = 1;
    same->failed_cases = std::min<std::uint64_t>(1, same->failed_cases);
    same->discriminating_cases = std::min<std::uint64_t>(1, same->discriminating_cases);
  }
  return joined;
}

}  // namespace

const char* scheme_name(Scheme scheme) {
  switch (scheme) {
    case Scheme::standard:
      return "standard";
    case Scheme::checkpoint_x:
      return "checkpoint_x";
    case Scheme::checkpoint_xhat:
      return "checkpoint_xhat";
    case Scheme::in_place_1:
      return "in_place_1";
    case Scheme::in_place_2:
      return "in_place_2";
    case Scheme::sync:
    case Scheme::sync_in_place:
      return "sync";
  }
  return "?";
}

std::vector<results::Record> check_gradients(const Derivation& derivation,
                                             const std::vector<ReferenceCase>& cases,
                                             const std::string& pattern, std::uint64_t seed,
                                             int threads) {
  const Wanted wanted{pattern};
  std::vector<std::vector<results::Record>> found(cases.size());
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < cases.size(); i = next++)
      found[i] = check_case(derivation, cases[i], wanted, seed);
  };
  {
    const unsigned cores = threads > 0 ? static_cast<unsigned>(threads)
                                       : std::max(1u, std::thread::hardware_concurrency());
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < cores; ++i) others.emplace_back(work);
    work();
  }

  std::vector<results::Record> records;
  for (const std::string& id : reference_gradient_ids()) {
    std::optional<results::Record> all;
    for (std::vector<results::Record>& of_case : found)
      for (results::Record& record : of_case) {
        if (record.id != id) continue;
        if (all)
          results::merge(*all, record);
        else
          all = std::move(record);
      }
    if (!all) continue;
    results::conclude(*all);
    records.push_back(std::move(*all));
  }
  return records;
}

std::span<const problem::Word> gradient_method_words() { return methods; }

std::vector<std::string> reference_gradient_ids() {
  std::vector<std::string> ids;
  for (const Method method : all_methods)
    for (const Scheme scheme : all_schemes) {
      if (scheme == Scheme::sync_in_place ||
          (method == Method::real50 && scheme == Scheme::standard))
        continue;
      for (const OutputRange& output : outputs_of(method, 1))
        ids.push_back(id_of_check(method, scheme_name(scheme), output.name));
    }
  return ids;
}

std::vector<results::Record> check_reference_gradients(const std::string& pattern,
                                                       std::uint64_t seed, int threads) {
  return check_gradients({}, reference_cases(), pattern, seed, threads);
}

}  // namespace abn::verify::check::gradient
