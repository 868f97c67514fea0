// Each property fails on variants planted to break it, and RapidCheck's minimal case is small: the
// list of them is `bugs`.
//
// A planted variant is a reference variant around which a function meddles with what goes in or
// comes out, in double. It claims what the reference claims.
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/check/property/support.hpp"
#include "verify/data/recipes.hpp"
#include "verify/expect/reference_variant.hpp"

namespace {

using namespace abn::verify;
using namespace abn::verify::check;
using namespace abn::verify::check::property;
using namespace property_tests;

using Values = std::vector<double>;

const abn_variant* base = nullptr;

std::vector<std::byte> packed(int dtype, Values values) {
  const problem::Format& format = problem::format_of(dtype);
  for (double& value : values) value = problem::round_to(format, value);
  std::vector<std::byte> bytes(values.size() * static_cast<std::size_t>(format.bytes));
  problem::pack(format, values, bytes.data());
  return bytes;
}
Values unpacked(int dtype, const void* from, std::int64_t count) {
  Values values(from == nullptr ? 0 : static_cast<std::size_t>(count));
  if (from != nullptr)
    problem::unpack(problem::format_of(dtype), static_cast<const std::byte*>(from), values);
  return values;
}
void store(int dtype, const Values& values, void* to) {
  if (to == nullptr) return;
  const std::vector<std::byte> bytes = packed(dtype, values);
  std::copy(bytes.begin(), bytes.end(), static_cast<std::byte*>(to));
}

/// A tensor or vector of a call: in, out, or both.
struct Slot {
  int dtype = ABN_F32;
  bool present = false;
  Values values;
  std::vector<std::byte> bytes;
  void* ready() {
    if (!present) return nullptr;
    bytes = packed(dtype, values);
    return bytes.data();
  }
  void read() {
    if (present) values = unpacked(dtype, bytes.data(), static_cast<std::int64_t>(values.size()));
  }
};

struct ForwardCall {
  abn_problem p;
  bool aliased;
  Slot x, z, xhat, gamma, beta, running_mean, running_var, mean, var;

  void run() {
    abn_forward_args a{};
    a.struct_size = sizeof a;
    a.x = x.ready(), a.z = z.ready(), a.xhat = xhat.ready(), a.gamma = gamma.ready(),
    a.beta = beta.ready();
    a.running_mean = running_mean.ready(), a.running_var = running_var.ready(),
    a.mean = mean.ready(), a.var = var.ready();
    base->forward(&p, &a);
    for (Slot* slot : {&z, &xhat, &running_mean, &running_var, &mean, &var}) slot->read();
  }
  /// Training with something else than v + eps under the root.
  template <class Root>
  void run_with(Root root) {
    run();
    if (p.mode != ABN_TRAINING) return;
    ForwardCall again = *this;
    again.p.mode = ABN_INFERENCE;
    again.running_mean.values = mean.values, again.running_var.values = var.values;
    again.running_mean.present = again.running_var.present = true;
    again.mean.present = again.var.present = false;
    for (double& v : again.running_var.values) v = root(v, p.eps) - p.eps;
    again.run();
    z.values = again.z.values, xhat.values = again.xhat.values;
  }
};

struct BackwardCall {
  abn_problem p;
  bool aliased;
  Slot dz, x, z, xhat, dx, gamma, beta, mean, var, dgamma, dbeta;

  void run() {
    abn_backward_args a{};
    a.struct_size = sizeof a;
    a.dz = dz.ready(), a.x = x.ready(), a.z = z.ready(), a.xhat = xhat.ready(), a.dx = dx.ready(),
    a.gamma = gamma.ready();
    a.beta = beta.ready(), a.mean = mean.ready(), a.var = var.ready(), a.dgamma = dgamma.ready(),
    a.dbeta = dbeta.ready();
    base->backward(&p, &a);
    for (Slot* slot : {&dx, &dgamma, &dbeta}) slot->read();
  }
  double scale(std::int64_t c) const {
    if (!gamma.present) return 1;
    const double own = gamma.values[static_cast<std::size_t>(c)];
    return p.scale == ABN_SCALE_ABS_EPS ? std::abs(own) + p.eps : own;
  }
  double r(std::int64_t c) const {
    return 1 / std::sqrt(var.values[static_cast<std::size_t>(c)] + p.eps);
  }
};

struct Bug {
  const char* property;
  const char* what;
  void (*forward)(ForwardCall&) = [](ForwardCall& call) { call.run(); };
  void (*backward)(BackwardCall&) = [](BackwardCall& call) { call.run(); };
  std::int64_t most_channels = 2, most_samples = 8;  ///< of the minimal case
};
const Bug* bug = nullptr;

Slot slot(int dtype, const void* from, std::int64_t count) {
  Slot out;
  out.dtype = dtype, out.present = from != nullptr, out.values = unpacked(dtype, from, count);
  return out;
}

int planted_forward(const abn_problem* p, const abn_forward_args* a) {
  const std::int64_t all = problem::element_count(*p), c = p->c;
  const int t = p->dtype, q = p->param_dtype;
  ForwardCall call{*p,
                   a->x == a->z,
                   slot(t, a->x, all),
                   slot(t, a->z, all),
                   slot(t, a->xhat, all),
                   slot(q, a->gamma, c),
                   slot(q, a->beta, c),
                   slot(q, a->running_mean, c),
                   slot(q, a->running_var, c),
                   slot(q, a->mean, c),
                   slot(q, a->var, c)};
  bug->forward(call);
  store(t, call.z.values, a->z), store(t, call.xhat.values, a->xhat),
      store(q, call.mean.values, a->mean), store(q, call.var.values, a->var);
  if (p->mode == ABN_TRAINING)
    store(q, call.running_mean.values, a->running_mean),
        store(q, call.running_var.values, a->running_var);
  return ABN_OK;
}
int planted_backward(const abn_problem* p, const abn_backward_args* a) {
  const std::int64_t all = problem::element_count(*p), c = p->c;
  const int t = p->dtype, q = p->param_dtype;
  BackwardCall call{*p,
                    a->dz == a->dx,
                    slot(t, a->dz, all),
                    slot(t, a->x, all),
                    slot(t, a->z, all),
                    slot(t, a->xhat, all),
                    slot(t, a->dx, all),
                    slot(q, a->gamma, c),
                    slot(q, a->beta, c),
                    slot(q, a->mean, c),
                    slot(q, a->var, c),
                    slot(q, a->dgamma, c),
                    slot(q, a->dbeta, c)};
  bug->backward(call);
  store(t, call.dx.values, a->dx), store(q, call.dgamma.values, a->dgamma),
      store(q, call.dbeta.values, a->dbeta);
  return ABN_OK;
}

std::int64_t channel(const abn_problem& p, std::size_t element) {
  const auto i = static_cast<std::int64_t>(element);
  return p.layout == ABN_NHWC ? i % p.c : i / p.s % p.c;
}
template <class Call, class Change>
void each(const Call& call, Values& tensor, Change change) {
  for (std::size_t i = 0; i < tensor.size(); ++i) change(tensor[i], channel(call.p, i));
}
double one_up(int dtype, double value) {
  return std::isfinite(value) ? problem::next_above(problem::format_of(dtype), value) : value;
}
/// The gradients of frozen statistics: both means of the bracket are missing.
void without_means(BackwardCall& call) {
  call.p.mode = ABN_FROZEN;
  call.run();
}
double sum_of_channel(const abn_problem& p, const Values& tensor, std::int64_t c) {
  double sum = 0;
  for (std::int64_t i = 0; i < problem::sample_count(p); ++i)
    sum += tensor[static_cast<std::size_t>(problem::sample_offset(p, c, i))];
  return sum;
}
int calls = 0;

Bug in_forward(const char* property, const char* what, void (*forward)(ForwardCall&)) {
  Bug out{property, what};
  out.forward = forward;
  return out;
}
Bug in_backward(const char* property, const char* what, void (*backward)(BackwardCall&)) {
  Bug out{property, what};
  out.backward = backward;
  return out;
}

const std::vector<Bug> bugs = {
    in_backward("round_trip", "ELU without a guard: 0 times the logarithm of 0 poisons the channel",
                [](BackwardCall& call) {
                  call.run();
                  const double end = problem::phi_of(call.p).saturation();
                  each(call, call.z.values, [&](double z, std::int64_t c) {
                    if (std::isfinite(end) && z <= end && call.dgamma.present)
                      call.dgamma.values[static_cast<std::size_t>(c)] = NAN;
                  });
                }),
    in_backward("round_trip", "xhat recovered as y/g, beta forgotten",
                [](BackwardCall& call) {
                  std::fill(call.beta.values.begin(), call.beta.values.end(), 0.0);
                  call.run();
                }),
    in_forward("recovery", "z stored with 4 bits less than its type has",
               [](ForwardCall& call) {
                 call.run();
                 each(call, call.z.values, [&](double& z, std::int64_t) {
                   const double unit = 16 * problem::ulp_of(problem::format_of(call.p.dtype), z);
                   if (std::isfinite(z) &&
                       std::abs(z) > 64 * problem::format_of(call.p.dtype).smallest_subnormal)
                     z = std::trunc(z / unit) * unit;
                 });
               }),
    in_forward("epsilon_variance", "max(v, eps) under the root",
               [](ForwardCall& call) {
                 call.run_with([](double v, double eps) { return std::max(v, eps); });
               }),
    in_forward("epsilon_variance", "eps missing",
               [](ForwardCall& call) { call.run_with([](double v, double) { return v; }); }),
    in_forward(
        "epsilon_vanishing", "eps added to the sum of squares of eight samples' worth",
        [](ForwardCall& call) { call.run_with([](double v, double eps) { return v + 8 * eps; }); }),
    in_forward("epsilon_dominating", "eps behind the root: sqrt(v) + eps",
               [](ForwardCall& call) {
                 call.run_with([](double v, double eps) {
                   return (std::sqrt(v) + eps) * (std::sqrt(v) + eps);
                 });
               }),
    in_forward("epsilon_dominating", "a root each: sqrt(v) + sqrt(eps)",
               [](ForwardCall& call) {
                 call.run_with([](double v, double eps) {
                   return (std::sqrt(v) + std::sqrt(eps)) * (std::sqrt(v) + std::sqrt(eps));
                 });
               }),
    in_forward("epsilon_monotone", "eps subtracted",
               [](ForwardCall& call) {
                 call.run_with([](double v, double eps) { return std::abs(v - eps); });
               }),
    in_forward("constant_channel", "a channel without variance is set to 0",
               [](ForwardCall& call) {
                 call.run();
                 if (!call.var.present) return;
                 each(call, call.z.values, [&](double& z, std::int64_t c) {
                   if (call.var.values[static_cast<std::size_t>(c)] == 0) z = 0;
                 });
               }),
    in_backward("epsilon_of_scale", "dgamma without the sign of gamma",
                [](BackwardCall& call) {
                  call.run();
                  for (std::size_t c = 0; c < call.dgamma.values.size(); ++c)
                    if (call.p.scale == ABN_SCALE_ABS_EPS && call.gamma.values[c] < 0)
                      call.dgamma.values[c] = -call.dgamma.values[c];
                }),
    in_forward("epsilon_of_scale", "|gamma| without eps",
               [](ForwardCall& call) {
                 if (call.p.scale == ABN_SCALE_ABS_EPS)
                   for (double& gamma : call.gamma.values) gamma = std::abs(gamma) - call.p.eps;
                 call.run();
               }),
    in_backward("equivalence", "in-place II without the division by g",
                [](BackwardCall& call) {
                  call.run();
                  for (std::size_t c = 0; c < call.dgamma.values.size(); ++c)
                    call.dgamma.values[c] *= call.scale(static_cast<std::int64_t>(c));
                }),
    in_backward("equivalence", "dx without r",
                [](BackwardCall& call) {
                  call.run();
                  each(call, call.dx.values, [&](double& dx, std::int64_t c) { dx /= call.r(c); });
                }),
    in_backward("sum_dx", "both means missing", without_means),
    in_backward("sum_dx", "an absolute 1e-3 added to every dx",
                [](BackwardCall& call) {
                  call.run();
                  constexpr double added = 1e-3;
                  for (double& dx : call.dx.values) dx += added;
                }),
    in_backward("sum_dx_xhat", "the term of xhat missing, so that dx still adds up to 0",
                [](BackwardCall& call) {
                  const bool training = call.p.mode == ABN_TRAINING;
                  without_means(call);
                  const Values dx = call.dx.values;
                  if (training)
                    each(call, call.dx.values, [&](double& value, std::int64_t c) {
                      value -= sum_of_channel(call.p, dx, c) /
                               static_cast<double>(problem::sample_count(call.p));
                    });
                }),
    in_backward("linear", "dz clipped to 1",
                [](BackwardCall& call) {
                  for (double& dz : call.dz.values) dz = std::clamp(dz, -1.0, 1.0);
                  call.run();
                }),
    in_backward("linear", "1e-3 added to every dz",
                [](BackwardCall& call) {
                  constexpr double added = 1e-3;
                  for (double& dz : call.dz.values) dz += added;
                  call.run();
                }),
    in_backward("constants", "the mean of dy taken over m - 1",
                [](BackwardCall& call) {
                  call.run();
                  const auto m = static_cast<double>(problem::sample_count(call.p));
                  if (call.p.mode == ABN_TRAINING && call.dbeta.present)
                    each(call, call.dx.values, [&](double& dx, std::int64_t c) {
                      dx -= call.scale(c) * call.r(c) *
                            call.dbeta.values[static_cast<std::size_t>(c)] / (m * (m - 1));
                    });
                }),
    in_backward("self_adjoint", "half of the dz of the element before leaks into dx",
                [](BackwardCall& call) {
                  call.run();
                  for (std::size_t i = 1; i < call.dx.values.size(); ++i)
                    call.dx.values[i] += call.dz.values[i - 1] / 2;
                }),
    in_forward("channel_permutation", "odd channels one ulp higher",
               [](ForwardCall& call) {
                 call.run();
                 each(call, call.z.values, [&](double& z, std::int64_t c) {
                   z = c % 2 == 1 ? one_up(call.p.dtype, z) : z;
                 });
               }),
    in_backward("channel_permutation", "the sums of channel 0 are used for all",
                [](BackwardCall& call) {
                  call.run();
                  for (double& dbeta : call.dbeta.values) dbeta = call.dbeta.values.front();
                }),
    in_backward("sample_permutation", "the first sample missing in dbeta",
                [](BackwardCall& call) {
                  call.run();
                  for (std::size_t c = 0; c < call.dbeta.values.size(); ++c) {
                    const auto first = static_cast<std::size_t>(
                        problem::sample_offset(call.p, static_cast<std::int64_t>(c), 0));
                    if (call.p.activation == ABN_IDENTITY)
                      call.dbeta.values[c] -= call.dz.values[first];
                  }
                }),
    in_forward("layout", "NHWC takes the beta of the channel before",
               [](ForwardCall& call) {
                 if (call.p.layout == ABN_NHWC && !call.beta.values.empty())
                   std::rotate(call.beta.values.begin(), call.beta.values.end() - 1,
                               call.beta.values.end());
                 call.run();
               }),
    in_backward("layout", "NHWC rounds dx to half of its bits",
                [](BackwardCall& call) {
                  call.run();
                  if (call.p.layout != ABN_NHWC) return;
                  for (double& dx : call.dx.values) {
                    int exponent = 0;
                    const double fraction = std::frexp(dx, &exponent);
                    const int bits = problem::format_of(call.p.dtype).precision / 2;
                    if (std::isfinite(dx))
                      dx = std::ldexp(std::nearbyint(std::ldexp(fraction, bits)), exponent - bits);
                  }
                }),
    in_forward("shift", "x clamped to 8 against overflow",
               [](ForwardCall& call) {
                 constexpr double most = 8;
                 for (double& x : call.x.values) x = std::clamp(x, -most, most);
                 call.run();
               }),
    in_forward("shift", "the variance in one pass, in half of the bits",
               [](ForwardCall& call) {
                 call.run();
                 for (std::size_t c = 0; c < call.var.values.size(); ++c) {
                   const double mean = call.mean.values[c],
                                u = std::sqrt(problem::format_of(call.p.param_dtype).unit_roundoff);
                   call.var.values[c] += u * mean * mean;
                 }
               }),
    in_backward("scaling_dz", "dz below 1/16 taken for 0",
                [](BackwardCall& call) {
                  for (double& dz : call.dz.values)
                    if (std::abs(dz) < 0x1p-4) dz = 0;
                  call.run();
                }),
    in_backward("scaling_dz", "2^-12 added to dgamma",
                [](BackwardCall& call) {
                  call.run();
                  for (double& dgamma : call.dgamma.values) dgamma += 0x1p-12;
                }),
    in_backward("sign_flip", "dx rounded upwards",
                [](BackwardCall& call) {
                  call.run();
                  for (double& dx : call.dx.values)
                    if (dx != 0) dx = one_up(call.p.dtype, dx);
                }),
    in_forward("scaling_x", "a variance below 1/16 taken for 1/16",
               [](ForwardCall& call) {
                 call.run_with([](double v, double eps) { return std::max(v, 0x1p-4) + eps; });
               }),
    in_forward("shards", "the unbiased variance saved",
               [](ForwardCall& call) {
                 call.run();
                 const auto m = static_cast<double>(problem::sample_count(call.p));
                 for (double& var : call.var.values) var *= m / (m - 1);
               }),
    in_forward("inference", "eps baked into the saved variance",
               [](ForwardCall& call) {
                 call.run();
                 for (double& var : call.var.values) var += call.p.eps;
               }),
    in_forward("in_place", "in place the last element is done twice",
               [](ForwardCall& call) {
                 call.run();
                 if (call.aliased && !call.z.values.empty())
                   call.z.values.back() = 2 * call.z.values.back();
               }),
    in_backward("in_place", "in place the sums see a dz that is dx already",
                [](BackwardCall& call) {
                  call.run();
                  if (!call.aliased) return;
                  for (std::size_t c = 0; c < call.dbeta.values.size(); ++c)
                    call.dbeta.values[c] =
                        sum_of_channel(call.p, call.dx.values, static_cast<std::int64_t>(c));
                }),
    in_forward("deterministic",
               "sums in the order in which blocks arrive: every other call one ulp off",
               [](ForwardCall& call) {
                 call.run();
                 if (++calls % 2 == 0)
                   for (double& mean : call.mean.values) mean = one_up(call.p.param_dtype, mean);
               }),
    in_backward("deterministic", "dgamma by atomics: every third call one ulp off",
                [](BackwardCall& call) {
                  call.run();
                  if (++calls % 3 == 0)
                    for (double& dgamma : call.dgamma.values)
                      dgamma = one_up(call.p.param_dtype, dgamma);
                }),
};

constexpr int most_cases = 400;

class Planted : public testing::TestWithParam<std::size_t> {};

TEST_P(Planted, IsFoundAndItsMinimalCaseIsSmall) {
  bug = &bugs[GetParam()];
  base = &expect::reference_variant(expect::ReferenceArithmetic::f64, ABN_IN_PLACE_1);
  calls = 0;
  abn_variant variant = *base;
  variant.name = "planted";
  variant.forward = planted_forward, variant.backward = planted_backward;
  const Property* const property = property_named(bug->property);
  ASSERT_NE(property, nullptr) << bug->property;
  const Outcome outcome = outcome_of(*property, on_host(variant), most_cases);
  ASSERT_FALSE(outcome.held) << property->name << " does not see this: " << bug->what;
  const abn_problem& p = outcome.smallest.inputs.problem;
  fmt::print("{}: {}\n  after {} cases: {} ({} x {})\n", bug->property, bug->what, outcome.compared,
             problem::to_string(p), p.c, problem::sample_count(p));
  ASSERT_EQ(outcome.record.verdict, results::Verdict::fail) << outcome.text;
  EXPECT_LE(p.c, bug->most_channels) << outcome.text;
  EXPECT_LE(problem::sample_count(p), bug->most_samples) << outcome.text;
  // What is printed says what was compared with what, names the check and replays just this case.
  EXPECT_NE(outcome.text.find(fmt::format("because   {}: ", property->broken)), std::string::npos)
      << outcome.text;
  EXPECT_EQ(outcome.text.find("error above its bound"), std::string::npos) << outcome.text;
  const std::string id = fmt::format("planted/property/{}/{}/{}", problem::dtype_name(p.dtype),
                                     problem::layout_name(p.layout), property->name);
  EXPECT_NE(outcome.text.find("FAIL " + id), std::string::npos) << outcome.text;
  EXPECT_NE(outcome.text.find(replay_command(id, outcome.smallest)), std::string::npos)
      << outcome.text;
  const problem::Inputs again = data::parse_given(data::given_text(outcome.smallest.inputs),
                                                  problem::parse_problem(problem::to_string(p)));
  EXPECT_EQ(data::given_text(again), data::given_text(outcome.smallest.inputs));
}

INSTANTIATE_TEST_SUITE_P(All, Planted, testing::Range<std::size_t>(0, bugs.size()),
                         [](const auto& each_index) {
                           return std::string(bugs[each_index.param].property) + "_" +
                                  std::to_string(each_index.param);
                         });

/// The witness of a planted bug on a given case.
results::Witness witness_of(const Bug& planted, const char* problem, const char* data,
                            std::uint64_t seed) {
  bug = &planted;
  base = &expect::reference_variant(expect::ReferenceArithmetic::f64, ABN_IN_PLACE_1);
  abn_variant variant = *base;
  variant.name = "planted";
  variant.forward = planted_forward, variant.backward = planted_backward;
  GeneratedCase one;
  one.inputs = data::make_inputs(problem::parse_problem(problem), data, seed);
  one.seed = seed;
  const results::Record record =
      record_of(*property_named(planted.property), on_host(variant), one);
  EXPECT_EQ(record.verdict, results::Verdict::fail) << planted.property;
  EXPECT_NE(record.reason.find("break the property"), std::string::npos) << record.reason;
  return record.witnesses.empty() ? results::Witness{} : record.witnesses.front();
}

const Bug& bug_of(const std::string& property, const std::string& what) {
  for (const Bug& one : bugs)
    if (one.property == property && one.what == what) return one;
  throw std::out_of_range(what);
}

double input(const results::Witness& witness, const std::string& name) {
  for (const auto& [own, value] : witness.inputs)
    if (own == name) return value;
  return std::nan("");
}

/// A property gives the kernel other numbers than its case has: those are what explains the
/// failure.
TEST(PropertyWitness, ShowsTheInputsThatWereUsed) {
  const results::Witness scale = witness_of(bug_of("epsilon_of_scale", "|gamma| without eps"),
                                            "n2c3s5,f32,identity,eps:0.1,abs_eps", "standard", 3);
  EXPECT_EQ(input(scale, "eps"), 0x1p-4);
  EXPECT_EQ(input(scale, "gamma(signed)"),
            std::abs(input(scale, "gamma(abs_eps)")) + input(scale, "eps"));
  EXPECT_EQ(std::fmod(input(scale, "gamma(abs_eps)"), 0x1p-4), 0);
  EXPECT_TRUE(std::isnan(input(scale, "gamma"))) << "the case's own gamma was not used";

  const results::Witness flipped =
      witness_of(bug_of("sign_flip", "dx rounded upwards"), "n2c3s5,f32,identity", "standard", 3);
  EXPECT_EQ(input(flipped, "dz(flipped)"), -input(flipped, "dz"));

  const results::Witness variance = witness_of(bug_of("epsilon_variance", "eps missing"),
                                               "n2c3s5,f32,identity,eps:0.1", "standard", 3);
  EXPECT_TRUE(std::isnan(input(variance, "gamma"))) << "no affine was given";

  const results::Witness probe =
      witness_of(bug_of("round_trip", "xhat recovered as y/g, beta forgotten"),
                 "n2c3s5,f32,identity", "standard", 3);
  EXPECT_EQ(input(probe, "dz"), 1);
}

TEST(PropertyWitness, SaysWhetherBitsOrBoundsAreBroken) {
  const results::Witness bits =
      witness_of(bug_of("channel_permutation", "odd channels one ulp higher"),
                 "n2c4s8,nhwc,f32,identity", "standard", 3);
  EXPECT_EQ(bits.reason, "the result changes when the channels are permuted: the bits differ");
  const results::Witness bound =
      witness_of(bug_of("sample_permutation", "the first sample missing in dbeta"),
                 "n2c4s8,nhwc,f32,identity", "standard", 3);
  EXPECT_EQ(bound.reason,
            "the result changes when the samples of a channel are permuted: they differ by more "
            "than rounding explains");
}

TEST(PropertyTable, SaysOfEachWhatBreaksItInWordsOfItsOwn) {
  std::set<std::string> sentences;
  for (const Property& property : properties()) {
    EXPECT_TRUE(property.broken != nullptr && *property.broken != '\0') << property.name;
    EXPECT_TRUE(sentences.insert(property.broken).second) << property.name;
  }
}

TEST(PlantedVariants, AreRightKernelsWithoutTheirBug) {
  static const Bug none{"", "none"};
  bug = &none;
  base = &expect::reference_variant(expect::ReferenceArithmetic::f64, ABN_IN_PLACE_1);
  abn_variant variant = *base;
  variant.name = "planted";
  variant.forward = planted_forward, variant.backward = planted_backward;
  constexpr int cases = 60;
  for (const Property& property : properties()) {
    const Outcome outcome = outcome_of(property, on_host(variant), cases);
    EXPECT_TRUE(outcome.held) << outcome.text;
  }
}

TEST(PlantedVariants, EveryPropertyHasOne) {
  std::set<std::string> planted;
  for (const Bug& one : bugs) planted.insert(one.property);
  for (const Property& property : properties())
    EXPECT_TRUE(planted.contains(property.name)) << property.name << " has no planted bug";
  EXPECT_EQ(planted.size(), properties().size());
}

}  // namespace
