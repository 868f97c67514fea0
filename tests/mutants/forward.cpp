// The claims, and forward: statistics of a channel, running buffers, then z element by element.
#include <map>

#include "tests/mutants/channel.hpp"
#include "tests/mutants/kernel.hpp"

namespace abn::mutants {
namespace {

template <class A>
struct Statistics {
  A mean = 0, variance = 0;
};

template <class A>
Statistics<A> by_welford(const Channel<A>& k, const std::vector<A>& x) {
  std::array<Moments<A>, lanes> part{};
  const std::size_t parts = k.plan.design.summation == Summation::sequential ? 1 : lanes;
  for (std::size_t i = 0; i < x.size(); ++i) {
    Moments<A>& own = part[i % parts];
    own.count += 1;
    const A delta = x[i] - own.mean;
    own.mean += delta / own.count;
    own.m2 =
        k.multiply_add(delta, k.has(Bug::welford_delta_squared) ? delta : x[i] - own.mean, own.m2);
  }
  const Moments<A> all = tree(part, [&](const Moments<A>& a, const Moments<A>& b) {
    return merged(a, b, k.has(Bug::welford_count_zero));
  });
  return {all.mean, all.m2 / static_cast<A>(k.m)};
}

/// Two passes over each of a few unequal shards, and Chan's merges of what they found.
template <class A>
Statistics<A> by_shards(const Channel<A>& k, const std::vector<A>& x) {
  const std::int64_t shards = k.plan.design.shards;
  Moments<A> all;
  for (std::int64_t shard = 0; shard < shards; ++shard) {
    const std::int64_t first = k.m * shard * (shard + 1) / (shards * (shards + 1)),
                       last = k.m * (shard + 1) * (shard + 2) / (shards * (shards + 1));
    if (first == last) continue;
    const auto at = [&](std::int64_t i) { return x[static_cast<std::size_t>(first + i)]; };
    Moments<A> own;
    own.count = static_cast<A>(last - first);
    own.mean = k.sum(last - first, at) / own.count;
    own.m2 = k.sum(last - first,
                   [&](std::int64_t i) { return (at(i) - own.mean) * (at(i) - own.mean); });
    all = all.count == 0 ? own : merged(all, own, false);
  }
  return {all.mean, all.m2 / static_cast<A>(k.m)};
}

/// Mean and biased variance of the batch.
template <class A>
Statistics<A> batch_statistics(const Channel<A>& k, const std::vector<A>& x) {
  if (k.plan.design.shards > 1) return by_shards(k, x);
  if (k.plan.design.statistics == ABN_WELFORD) return by_welford(k, x);
  const auto sample = [&](std::int64_t i) { return x[static_cast<std::size_t>(i)]; };
  const auto term = [&](std::int64_t i) {
    return k.has(Bug::nan_skipped) && std::isnan(sample(i)) ? A(0) : sample(i);
  };
  std::int64_t seen = k.m;
  if (k.has(Bug::statistics_last_skipped) ||
      (k.has(Bug::power_of_two_last_skipped) && k.power_of_two()))
    --seen;
  if (k.has(Bug::first_image_only)) seen = k.p.s;
  A count = static_cast<A>(k.has(Bug::first_image_only) ? seen : k.m);
  if (k.has(Bug::count_without_space)) count = static_cast<A>(k.p.n);
  if (k.has(Bug::count_without_batch)) count = static_cast<A>(k.p.s);
  if (k.has(Bug::count_in_f16))
    count = static_cast<A>(rounded(ABN_F16, static_cast<double>(count)));
  const auto mean_of = [&](std::int64_t first, std::int64_t last) {
    return k.sum(last - first, [&](std::int64_t i) { return term(first + i); }) /
           static_cast<A>(last - first);
  };
  const std::int64_t shard = (k.m + 2) / 3;  // of two unequal shards, the smaller
  Statistics<A> found;
  found.mean = k.sum(seen, term) / count;
  if (k.has(Bug::shard_means_unweighted))
    found.mean = (mean_of(0, shard) + mean_of(shard, k.m)) / 2;
  if (k.plan.design.statistics == ABN_ONE_PASS || k.has(Bug::variance_one_pass)) {
    const A square = k.sum(seen, [&](std::int64_t i) { return sample(i) * sample(i); }) / count;
    found.variance = k.multiply_add(-found.mean, found.mean, square);
    if (found.variance < 0 && !k.has(Bug::one_pass_unclamped)) found.variance = 0;
    return found;
  }
  if (k.has(Bug::shift_is_first_sample)) {
    const A shift = sample(0),
            off = k.sum(seen, [&](std::int64_t i) { return sample(i) - shift; }) / count;
    const A square = k.sum(seen, [&](std::int64_t i) {
      return (sample(i) - shift) * (sample(i) - shift);
    }) / count;
    return {shift + off, std::max(k.multiply_add(-off, off, square), A(0))};
  }
  const bool matrix_path = k.has(Bug::matrix_path_unbiased) && k.p.s == 1;
  const A divisor = (k.has(Bug::variance_unbiased) || matrix_path) && k.m > 1 ? count - 1 : count;
  const A first_mean = k.has(Bug::shard_variances_averaged) ? mean_of(0, shard) : found.mean;
  const A second_mean = k.has(Bug::shard_variances_averaged) ? mean_of(shard, k.m) : found.mean;
  found.variance = k.sum(seen, [&](std::int64_t i) {
    A difference = term(i) - (i < shard ? first_mean : second_mean);
    if (k.has(Bug::variance_around_zero)) difference = term(i);
    if (k.has(Bug::products_in_tf32)) {
      const A large = difference * A(0x1p13 + 1);  // of the 24 bits 13 are dropped (Veltkamp)
      difference = large - (large - difference);
    }
    return difference * difference;
  }) / divisor;
  return found;
}

template <class A>
void update_running(const Channel<A>& k, const abn_forward_args& a, const Statistics<A>& batch) {
  if (k.has(Bug::running_not_updated)) return;
  const A momentum = k.taken(Number::momentum, static_cast<A>(k.p.momentum)),
          weight = k.has(Bug::momentum_swapped) ? 1 - momentum : momentum;
  const A count = static_cast<A>(k.m);
  A mean = batch.mean, variance = batch.variance * (count / (count - 1));
  if (k.has(Bug::running_variance_biased) || k.plan.design.biased_running)
    variance = batch.variance;
  if (k.has(Bug::running_variance_with_eps)) variance += k.eps;
  if (k.has(Bug::running_variance_is_deviation)) variance = std::sqrt(variance);
  if (k.has(Bug::running_swapped)) std::swap(mean, variance);
  const auto update = [&](void* vector, A value) {
    if (vector == nullptr) return;
    const A old = k.read_vector(vector);
    k.write_vector(vector, k.multiply_add(k.has(Bug::running_without_decay) ? A(1) : 1 - weight,
                                          old, weight * value));
  };
  for (int times = k.has(Bug::running_updated_twice) ? 2 : 1; times > 0; --times) {
    update(a.running_mean, mean);
    update(a.running_var, variance);
  }
}

template <class A>
void save(const Channel<A>& k, const abn_forward_args& a, const Statistics<A>& batch) {
  const A count = static_cast<A>(k.m);
  A variance = batch.variance;
  if (k.has(Bug::saved_variance_unbiased)) variance *= count / (count - 1);
  if (k.has(Bug::saved_variance_with_eps)) variance += k.eps;
  if (k.has(Bug::saved_inverse_deviation) || k.plan.design.saves_invstd)
    variance = k.inverse_deviation(variance);
  k.write_vector(a.mean, batch.mean);
  k.write_vector(a.var, variance);
}

/// The statistics that the channel is normalised with; in training they are also saved and
/// averaged.
template <class A>
Statistics<A> statistics_of(const Channel<A>& k, const abn_forward_args& a,
                            const std::vector<A>& x) {
  const auto running = [&] {
    return Statistics<A>{k.taken(Number::running_mean, k.read_vector(a.running_mean)),
                         k.taken(Number::running_var, k.read_vector(a.running_var))};
  };
  if (!k.training()) {
    if (k.has(Bug::batch_statistics_in_inference) && k.p.mode == ABN_INFERENCE)
      return batch_statistics(k, x);
    Statistics<A> given = running();
    if (k.has(Bug::inference_unbiased) && k.m > 1)
      given.variance *= static_cast<A>(k.m) / static_cast<A>(k.m - 1);
    if (k.has(Bug::running_updated_in_inference)) update_running(k, a, batch_statistics(k, x));
    return given;
  }
  Statistics<A> batch = batch_statistics(k, x);
  batch.variance = k.taken(Number::batch_variance, batch.variance);
  const auto in_storage = [&](A value) {
    return k.materialised(ABN_MATERIALISES_STATISTICS, Bug::statistics_in_storage, value);
  };
  batch = {in_storage(batch.mean), in_storage(batch.variance)};
  save(k, a, batch);
  Statistics<A> used = batch;
  const bool has_running = a.running_mean != nullptr && a.running_var != nullptr;
  if (k.has(Bug::running_statistics_in_training) && has_running) used = running();
  update_running(k, a, batch);
  if (k.has(Bug::running_written_first) && has_running) used = running();
  if (k.has(Bug::mean_not_subtracted)) used.mean = 0;
  return used;
}

/// `before`: the channel that was done before this one.
template <class A>
void forward_channel(const Channel<A>& k, const abn_forward_args& a, Statistics<A>& before) {
  if (k.has(Bug::channels_behind_64_dropped) && k.c >= 64) return;
  const std::vector<A> x = k.read(a.x, Tensor::x);
  Statistics<A> used = statistics_of(k, a, x);
  if (k.has(Bug::channel_of_neighbour) && k.c % 97 == 96) used = before;
  before = used;
  const A r = k.inverse_deviation(used.variance), beta = k.shift(a.beta);
  A g = k.scale(a.gamma);
  if (k.has(Bug::gamma_squared)) g *= g;
  const bool folded = k.folded();
  const A factor = g * r, offset = k.offset(used.mean, g, r, beta);
  const bool ends = k.has(Bug::inference_ends_at_40960) && k.p.mode == ABN_INFERENCE;
  for (std::int64_t i = 0; i < (ends ? std::min(k.m, k.longest_row) : k.m); ++i) {
    const A sample = x[static_cast<std::size_t>(i)];
    A xhat = (sample - used.mean) * r;
    k.write(a.xhat, i, xhat);
    xhat = k.materialised(ABN_MATERIALISES_XHAT, Bug::xhat_in_storage, xhat);
    A y = folded ? k.multiply_add(factor, sample, offset) : k.multiply_add(g, xhat, beta);
    y = k.materialised(ABN_MATERIALISES_Y, Bug::y_in_storage, y);
    if (k.has(Bug::gamma_zero_shortcut) && g == 0) y = beta;
    const A z = k.has(Bug::activation_before_affine) ? g * k.activate(xhat, xhat) + beta
                                                     : k.activate(y, xhat);
    k.write(a.z, i, z);
    if (k.has(Bug::input_overwritten) && a.z != a.x) k.write(const_cast<void*>(a.x), i, xhat);
  }
  // reads x again, which in place is z by now
  if (k.has(Bug::in_place_statistics_late) && k.training())
    k.write_vector(a.var, batch_statistics(k, k.read(a.x, Tensor::x)).variance);
}

template <class A>
void all_channels(const Plan& plan, const abn_problem& p, const abn_forward_args& a) {
  Statistics<A> before;
  for (std::int64_t c = 0; c < p.c; ++c)
    forward_channel(Channel<A>{plan, p, c, Pass::forward}, a, before);
}

/// The z of the last call with as many bytes instead of this one's.
void answer_from_cache(const abn_problem& p, const abn_forward_args& a) {
  static thread_local std::map<std::size_t, std::vector<std::byte>> cache;
  const auto bytes = static_cast<std::size_t>(p.n * p.c * p.s * bytes_of(p.dtype));
  auto* const z = static_cast<std::byte*>(a.z);
  const auto [entry, is_new] = cache.try_emplace(bytes, z, z + bytes);
  if (!is_new) std::copy(entry->second.begin(), entry->second.end(), z);
}

}  // namespace

int claims(const Plan& plan, const abn_problem& p, abn_claims& out) {
  const Design& design = plan.design;
  const std::int64_t m = p.n * p.s;
  if (design.narrow_parameters
          ? p.param_dtype != p.dtype || bytes_of(p.dtype) != 2
          : p.param_dtype != ABN_F32 && !(p.param_dtype == ABN_F64 && p.dtype == ABN_F64))
    return ABN_ERROR_UNSUPPORTED;
  if ((design.support == Support::one_pixel && p.s > 1) ||
      (design.support == Support::few_channels && p.c > 32) ||
      (design.support == Support::few_samples && m > 512) ||
      (design.support == Support::abs_eps && p.scale != ABN_SCALE_ABS_EPS))
    return ABN_ERROR_UNSUPPORTED;
  const bool in_place = design.scheme == ABN_IN_PLACE_1 || design.scheme == ABN_IN_PLACE_2;
  if (p.activation < ABN_IDENTITY || p.activation > (in_place ? ABN_CELU : ABN_HARDSWISH))
    return ABN_ERROR_UNSUPPORTED;
  const bool keeps_x = design.scheme == ABN_STANDARD || design.scheme == ABN_CHECKPOINT_X;
  const bool keeps_z = design.scheme == ABN_STANDARD || design.scheme == ABN_IN_PLACE_1 ||
                       design.scheme == ABN_IN_PLACE_2;
  const bool is_double = computes_in_double(plan, p);
  out.scheme = design.scheme;
  out.statistics = design.shards > 1 ? static_cast<int>(ABN_WELFORD) : design.statistics;
  out.normalise = design.normalise;
  out.kink = design.kink_left ? ABN_KINK_LEFT : ABN_KINK_RIGHT;
  out.running_variance = design.biased_running ? ABN_RUNNING_BIASED : ABN_RUNNING_UNBIASED;
  out.accumulate = is_double ? ABN_F64 : ABN_F32;
  out.saves = ABN_SAVES_VAR;
  if (design.saves_invstd) out.saves |= ABN_SAVES_INVSTD;
  if (keeps_x) out.saves |= ABN_SAVES_X | ABN_SAVES_MEAN;
  if (keeps_z) out.saves |= ABN_SAVES_Z;
  if (design.scheme == ABN_CHECKPOINT_XHAT) out.saves |= ABN_SAVES_XHAT;
  out.materialises = design.materialises;
  out.z_may_alias_x = keeps_x ? 0 : 1;
  out.dx_may_alias_dz = 1;
  out.deterministic = 1;
  out.alignment = 0;
  const bool one_lane =
      design.statistics == ABN_WELFORD && design.summation != Summation::sequential;
  out.depth_statistics = depth_of(one_lane ? Summation::blocks : design.summation, is_double, m);
  if (design.shards > 1)
    out.depth_statistics = std::min<std::int64_t>(out.depth_statistics + design.shards, m);
  out.depth_backward = depth_of(design.summation, is_double, m);
  out.function_ulp = 2;  // expm1, exp, log1p, tanh and erf of the GNU C library stay below
  return ABN_OK;
}

int forward(const Plan& plan, const abn_problem& p, const abn_forward_args& a) {
  if (p.n * p.c * p.s == 0) {
    if (plan.bug == Bug::empty_written && p.mode == ABN_TRAINING && a.running_mean != nullptr)
      for (std::int64_t c = 0; c < p.c; ++c) store(p.param_dtype, NAN, a.running_mean, c);
    return ABN_OK;
  }
  if (a.workspace == nullptr || a.workspace_bytes < workspace_bytes(p)) return ABN_ERROR_WORKSPACE;
  constexpr std::int64_t largest_grid = 1 << 18;
  // the launch failed and nobody looked
  if (plan.bug == Bug::large_ignored && p.n * p.c * p.s > largest_grid) return ABN_OK;
  ++forward_calls;
  if (computes_in_double(plan, p))
    all_channels<double>(plan, p, a);
  else
    all_channels<float>(plan, p, a);
  if (plan.bug == Bug::result_computed_twice && a.z != a.x) {
    abn_forward_args again = a;
    if (p.mode == ABN_TRAINING) again.running_mean = again.running_var = nullptr;
    return forward({Bug::none, plan.design}, p, again);
  }
  if (plan.bug == Bug::stale_output) answer_from_cache(p, a);
  return ABN_OK;
}

}  // namespace abn::mutants
