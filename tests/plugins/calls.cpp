// bin/plugins/calls.so: the kernel of tests/check/calls/kernel.hpp, right and with each mistake.
#include "tests/check/calls/kernel.hpp"

namespace {

using abn::calls_tests::CallBug;
using abn::calls_tests::CalledKernel;

template <CallBug bug>
constexpr abn_variant named(const char* name) {
  abn_variant out = CalledKernel<bug>::variant;
  out.name = name;
  return out;
}

#define ROW(bug) named<CallBug::bug>("calls_" #bug)

constexpr abn_variant all[] = {
    named<CallBug::none>("called"),
    ROW(running_mean_needs_var),
    ROW(running_var_needs_mean),
    ROW(running_mean_replaced),
    ROW(mean_needs_var),
    ROW(var_needs_mean),
    ROW(variance_kept_in_var),
    ROW(dgamma_needs_dbeta),
    ROW(dbeta_needs_dgamma),
    ROW(gradients_need_dx),
    ROW(sum_kept_in_dgamma),
    ROW(gradient_in_the_other),
    ROW(nothing_asked_refused),
    ROW(statistics_need_affine),
    ROW(workspace_unchecked),
    ROW(workspace_only_null),
    ROW(workspace_other_status),
    ROW(workspace_late),
    ROW(order_by_address_of_dz),
    ROW(order_by_page_of_x),
    ROW(statistics_by_address),
    ROW(gamma_by_address),
    ROW(z_by_size),
    ROW(hundredth_call),
    ROW(every_64th_backward),
    ROW(left_by_larger_problem),
    ROW(static_scratch),
    ROW(static_scratch_backward),
    ROW(first_thread_only),
    ROW(no_affine_without_beta),
    ROW(no_affine_without_beta_backward),
    ROW(beta_lost_without_gamma),
    ROW(beta_lost_without_gamma_backward),
    ROW(eps_added_without_gamma),
    ROW(eps_added_without_gamma_backward),
    ROW(gradients_need_both),
    ROW(apart_refused),
    ROW(z_rounded_to_dtype),
    ROW(z_stored_as_dtype),
    ROW(z_read_as_dtype),
    ROW(dz_read_as_dtype),
    ROW(dz_rounded_to_dtype),
    ROW(dx_rounded_to_out_type),
};

#undef ROW

}  // namespace

extern "C" __attribute__((visibility("default"))) const abn_variant* abn_plugin(uint32_t index) {
  return index < std::size(all) ? &all[index] : nullptr;
}
