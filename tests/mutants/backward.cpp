// Backward: y, xhat and dy of every sample found again by the scheme, both sums, then dx element by
// element.
#include "tests/mutants/channel.hpp"
#include "tests/mutants/kernel.hpp"

namespace abn::mutants {
namespace {

template <class A>
struct Recovered {
  std::vector<A> y, xhat, dy;
};

/// A channel with its parameters and statistics.
template <class A>
struct Backward : Channel<A> {
  using Base = Channel<A>;
  using Base::c, Base::eps, Base::has, Base::m, Base::p, Base::parameter, Base::plan;
  const abn_backward_args& a;
  A g = this->scale(a.gamma), beta = this->shift(a.beta);
  A mean = a.mean != nullptr ? this->read_vector(a.mean) : A(0),
    r = root_of(this->read_vector(a.var));
  bool in_place = plan.design.scheme == ABN_IN_PLACE_1 || plan.design.scheme == ABN_IN_PLACE_2;
  bool folded = Base::folded();
  A g_of_inversion =
      has(Bug::gamma_floored) && std::fabs(g) < A(0x1p-10) ? std::copysign(A(0x1p-10), g) : g;

  Backward(const Plan& own_plan, const abn_problem& problem, std::int64_t channel,
           const abn_backward_args& args)
      : Base{own_plan, problem, channel, Pass::backward}, a(args) {}

  A root_of(A saved) const {
    if (this->training() && plan.design.saves_invstd) return saved;
    return this->inverse_deviation(saved);
  }

  bool branch(A z, A xhat, A dz) const {
    if (p.activation == ABN_IDENTITY) return false;
    if (has(Bug::branch_of_xhat)) return xhat < 0;
    if (has(Bug::branch_of_dz)) return dz < 0;
    if (plan.design.kink_left && z == 0) return true;
    return has(Bug::branch_by_comparison) ? z < 0 : std::signbit(z);
  }

  A liftable(A z) const {
    const bool exponential = p.activation == ABN_ELU || p.activation == ABN_CELU;
    const bool saturated = exponential && z <= -parameter && !has(Bug::saturated_unguarded);
    // of the type in which it goes on, where that is the narrower one
    const int type = sizeof(A) == sizeof(float) && p.dtype == ABN_F64 ? ABN_F32 : p.dtype;
    return saturated ? static_cast<A>(next_towards_zero(type, static_cast<double>(-parameter))) : z;
  }

  A inverted(A z, bool negative) const {
    if (!negative || has(Bug::slope_not_inverted)) return z;
    if (p.activation == ABN_LEAKY_RELU)
      return has(Bug::slope_multiplied_in_inverse) ? z * this->slope() : z / this->slope();
    const A log =
        has(Bug::elu_log_of_sum) ? std::log(1 + z / this->alpha()) : std::log1p(z / this->alpha());
    return p.activation == ABN_CELU ? this->width() * log : log;
  }

  /// phi'
  A slope_at(A z, A y, bool negative) const {
    if (!negative || has(Bug::slope_missing) ||
        (has(Bug::slope_missing_in_frozen) && !this->training()))
      return 1;
    if (p.activation == ABN_LEAKY_RELU) {
      if (has(Bug::slope_divided)) return 1 / this->slope();
      return has(Bug::slope_twice) ? this->slope() * this->slope() : this->slope();
    }
    const A width = this->width();
    A slope = this->alpha();
    if (has(Bug::elu_derivative_of_y))
      slope *= std::expm1(y / width);
    else if (has(Bug::elu_derivative_without_alpha))
      slope = z + 1;
    else if (has(Bug::elu_written_first))
      slope = y + this->alpha();
    else if (a.z != nullptr)
      slope = z + this->alpha();
    else
      slope *= std::exp(y / width);
    slope /= width;
    return has(Bug::slope_twice) ? slope * slope : slope;
  }

  /// What phi' of an activation without an inverse is taken at.
  A of_z(A z, A y) const {
    return has(Bug::silu_derivative_of_z) && p.activation == ABN_SILU ? z : y;
  }

  A normalised(A y) const {
    if (g == 0 && !has(Bug::gamma_zero_unguarded)) return 0;  // nothing of x is left
    const A inverse = 1 / g_of_inversion, shift = has(Bug::beta_not_subtracted) ? A(0) : beta;
    return folded ? this->multiply_add(y, inverse, -shift * inverse) : (y - shift) / g_of_inversion;
  }

  Recovered<A> recover() const {
    const std::vector<A> dz = this->read(a.dz, Tensor::dz);
    const std::vector<A> kept = this->read(a.z != nullptr   ? a.z
                                           : a.x != nullptr ? a.x
                                                            : a.xhat,
                                           Tensor::kept);
    const std::vector<A> x = a.x != nullptr ? this->read(a.x, Tensor::kept) : std::vector<A>();
    Recovered<A> out{kept, kept, dz};
    for (std::size_t i = 0; i < kept.size(); ++i) {
      A& y = out.y[i];
      A& xhat = out.xhat[i];
      bool negative = false;
      A z = kept[i];
      if (in_place) {
        z = liftable(z);
        negative = branch(z, (z - beta) / g, dz[i]);
        y = inverted(z, negative);
        xhat = normalised(y);
      } else {
        if (a.x != nullptr) xhat = (x[i] - mean) * r;
        const A factor = g * r;
        y = folded && a.x != nullptr
                ? this->multiply_add(factor, x[i], this->offset(mean, g, r, beta))
                : this->multiply_add(g, xhat, beta);
        if ((plan.design.materialises & ABN_MATERIALISES_Y) != 0) y = this->in_storage(y);
        z = a.z != nullptr ? liftable(z) : this->activate(y, xhat);
        negative = branch(z, xhat, dz[i]);
      }
      xhat = this->materialised(ABN_MATERIALISES_XHAT, Bug::xhat_in_storage, xhat);
      if (has(Bug::xhat_clipped)) xhat = std::clamp(xhat, A(-4), A(4));
      out.dy[i] = dz[i] * (this->has_inverse() ? slope_at(z, y, negative)
                                               : this->curve().derivative(of_z(z, y)));
      out.dy[i] = this->materialised(ABN_MATERIALISES_DY, Bug::dy_in_storage, out.dy[i]);
    }
    return out;
  }

  /// `before`: sum(dy) of the channel that was done before this one.
  void run(A& before) const {
    const Recovered<A> v = recover();
    const std::vector<A> dz = has(Bug::sums_of_dz) || has(Bug::dbeta_of_dz)
                                  ? this->read(a.dz, Tensor::dz)
                                  : std::vector<A>();
    const auto dy = [&](std::int64_t i) {
      return has(Bug::sums_of_dz) ? dz[static_cast<std::size_t>(i)]
                                  : v.dy[static_cast<std::size_t>(i)];
    };
    const bool two = plan.design.scheme == ABN_IN_PLACE_2;
    const bool ends =
        has(Bug::frozen_sums_end_at_40960) && p.mode == ABN_FROZEN && p.layout == ABN_NCHW;
    const std::int64_t seen = ends ? std::min(m, this->longest_row) : m;
    const bool last_skipped = has(Bug::dgamma_last_skipped) ||
                              (has(Bug::power_of_two_dgamma_last_skipped) && this->power_of_two());
    const A s0 = this->sum(seen, dy);
    A s1 = this->sum(last_skipped ? seen - 1 : seen, [&](std::int64_t i) {
      const auto k = static_cast<std::size_t>(i);
      if (has(Bug::dgamma_of_deviation)) return dy(i) * (v.xhat[k] / r);
      return dy(i) * (two || has(Bug::dgamma_of_y) ? v.y[k] : v.xhat[k]);
    });
    if (has(Bug::dgamma_expanded)) {
      const std::vector<A> x = this->read(a.x, Tensor::kept);
      s1 = r * (this->sum(m, [&](std::int64_t i) {
             return dy(i) * x[static_cast<std::size_t>(i)];
           }) - mean * s0);
    }
    if (two) {
      const A difference =
          has(Bug::in_place_2_without_beta) ? s1 : this->multiply_add(-beta, s0, s1);
      s1 = g == 0 ? A(0) : has(Bug::in_place_2_not_divided) ? difference : difference / g;
    }
    // The sum lies in the workspace until everything is done.
    auto* const kept = static_cast<double*>(a.workspace);
    kept[c] = has(Bug::workspace_not_cleared) ? kept[c] + static_cast<double>(s0)
                                              : static_cast<double>(s0);
    if (has(Bug::workspace_overrun)) kept[c + 1] = 0;
    const A own = static_cast<A>(kept[c]);
    if (!(has(Bug::gradients_only_with_dx) && a.dx == nullptr)) write_gradients(own, s1, dz);
    if (a.dx != nullptr) write_dx(v, has(Bug::sums_of_channel_before) ? before : own, s1);
    before = own;
    // reads dz again, which in place is dx by now
    if (has(Bug::in_place_sums_late) && a.dx != nullptr) {
      const std::vector<A> again = this->read(a.dz, Tensor::dz);
      if (p.activation == ABN_IDENTITY)
        this->write_vector(a.dbeta, this->sum(m, [&](std::int64_t i) {
          return again[static_cast<std::size_t>(i)];
        }));
    }
  }

  void write_gradients(A s0, A s1, const std::vector<A>& dz) const {
    const A gamma = a.gamma != nullptr ? this->read_vector(a.gamma) : A(1);
    A dgamma = s1, dbeta = s0;
    if (p.scale == ABN_SCALE_ABS_EPS && a.gamma != nullptr) {
      const bool negative = has(Bug::dgamma_sign_of_minus_zero) ? std::signbit(gamma) : gamma < 0;
      if (negative && !has(Bug::dgamma_sign_lost)) dgamma = -s1;
      if (gamma == 0 && has(Bug::dgamma_sign_of_zero)) dgamma = 0;
    }
    if (has(Bug::dgamma_zero_in_frozen) && !this->training()) dgamma = 0;
    if (has(Bug::dgamma_mean)) dgamma /= static_cast<A>(m);
    if (has(Bug::dbeta_of_dz))
      dbeta = this->sum(m, [&](std::int64_t i) { return dz[static_cast<std::size_t>(i)]; });
    if (has(Bug::dgamma_dbeta_swapped)) std::swap(dgamma, dbeta);
    if (has(Bug::gradients_in_storage))
      dgamma = this->in_storage(dgamma), dbeta = this->in_storage(dbeta);
    if (has(Bug::gradients_accumulated) && a.dgamma != nullptr)
      dgamma += this->read_vector(a.dgamma);
    this->write_vector(a.dgamma, dgamma);
    this->write_vector(a.dbeta, dbeta);
  }

  void write_dx(const Recovered<A>& v, A s0, A s1) const {
    A count = static_cast<A>(m);
    if (has(Bug::count_m_minus_one) && m > 1) count -= 1;
    if (has(Bug::backward_count_without_space)) count = static_cast<A>(p.n);
    if (has(Bug::backward_count_without_batch)) count = static_cast<A>(p.s);
    const bool training_formula =
        this->training() ? !has(Bug::dx_frozen_formula) : has(Bug::dx_training_formula);
    const bool nhwc_tail = has(Bug::nhwc_tail_channels) && p.layout == ABN_NHWC && c >= p.c / 4 * 4;
    const bool one_image = has(Bug::one_image_path_without_term) && p.n == 1;
    const A mean_dy = has(Bug::dx_missing_mean_dy) ? A(0) : s0 / count;
    const A mean_product = has(Bug::dx_missing_xhat_term) || nhwc_tail || one_image
                               ? A(0)
                               : (has(Bug::dx_xhat_term_negated) ? -s1 : s1) / count;
    const A scale = has(Bug::dx_missing_gamma) ? A(1) : has(Bug::dx_gamma_twice) ? g * g : g;
    const A root = has(Bug::dx_missing_rstd) ? A(1) : has(Bug::dx_rstd_twice) ? r * r : r;
    const bool two = plan.design.scheme == ABN_IN_PLACE_2;
    for (std::int64_t i = 0; i < m; ++i) {
      const auto k = static_cast<std::size_t>(i);
      A dx = scale * root * v.dy[k];
      if (training_formula && two && !plan.design.dx_by_xhat)
        dx = root * (this->multiply_add(-mean_product, v.y[k], scale * v.dy[k]) -
                     this->multiply_add(-beta, s1, scale * s0) / count);
      else if (training_formula && has(Bug::nhwc_wide_without_term) && this->in_wide_tile(i))
        dx = scale * root * (v.dy[k] - mean_dy);
      else if (training_formula)
        dx = scale * root * this->multiply_add(-v.xhat[k], mean_product, v.dy[k] - mean_dy);
      if (in_place && g == 0 && !has(Bug::gamma_zero_unguarded)) dx = 0;
      if (has(Bug::dx_zero)) dx = 0;
      if (has(Bug::dx_is_dz)) dx = static_cast<A>(load(p.dtype, a.dz, this->at(i)));
      this->write(a.dx, i, dx);
    }
  }
};

template <class A>
void all_channels(const Plan& plan, const abn_problem& p, const abn_backward_args& a) {
  A before = 0;
  for (std::int64_t c = 0; c < p.c; ++c) Backward<A>(plan, p, c, a).run(before);
}

/// One bit of dx[0] in every other call, as sums by atomics have it.
void disturb(const abn_problem& p, const abn_backward_args& a) {
  static thread_local int calls = 0;
  if (++calls % 2 == 0 && a.dx != nullptr)
    store(p.dtype, next_towards_zero(p.dtype, load(p.dtype, a.dx, 0)), a.dx, 0);
}

}  // namespace

int backward(const Plan& plan, const abn_problem& p, const abn_backward_args& a) {
  if (p.n * p.c * p.s == 0) return ABN_OK;
  if (a.workspace == nullptr || a.workspace_bytes < workspace_bytes(p)) return ABN_ERROR_WORKSPACE;
  if (computes_in_double(plan, p))
    all_channels<double>(plan, p, a);
  else
    all_channels<float>(plan, p, a);
  if (plan.bug == Bug::every_other_call_off) disturb(p, a);
  return ABN_OK;
}

}  // namespace abn::mutants
