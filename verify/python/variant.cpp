// From the structs of kernel.h to Python objects and back.
#include "verify/python/variant.hpp"

#include <nanobind/stl/string.h>

#include <stdexcept>
#include <utility>

#include "verify/python/buffer.hpp"
#include "verify/worker/foreign.hpp"

namespace abn::verify::python {
namespace nb = nanobind;
namespace {

bool has_bit(std::uint32_t mask, std::int32_t code) {
  return code >= 0 && code < 32 && (mask >> code & 1U) != 0;
}

/// The usual type of the parameters: f64 beside f64, else f32.
bool is_usual(const abn_problem& p) {
  return p.param_dtype == (p.dtype == ABN_F64 ? ABN_F64 : ABN_F32);
}

nb::tuple tuple_of(const abn_problem& p) {
  return nb::make_tuple(p.layout, p.n, p.c, p.s, p.dtype, p.param_dtype, p.activation, p.scale,
                        p.mode, p.out_type, p.activation_parameter, p.eps, p.momentum);
}

template <class Field>
bool take(nb::handle name, nb::handle value, const char* wanted, Field& field) {
  if (nb::cast<std::string>(name) != wanted) return false;
  field = nb::cast<Field>(value);
  return true;
}

void fill(abn_claims& out, const nb::dict& claims) {
  for (const auto& [name, value] : claims) {
    const auto is = [&, n = name, v = value](const char* wanted, auto& field) {
      return take(n, v, wanted, field);
    };
    const bool known =
        is("scheme", out.scheme) || is("statistics", out.statistics) ||
        is("normalise", out.normalise) || is("accumulate", out.accumulate) ||
        is("saves", out.saves) || is("materialises", out.materialises) ||
        is("z_may_alias_x", out.z_may_alias_x) || is("dx_may_alias_dz", out.dx_may_alias_dz) ||
        is("deterministic", out.deterministic) || is("depth_statistics", out.depth_statistics) ||
        is("depth_backward", out.depth_backward) || is("function_ulp", out.function_ulp) ||
        is("kink", out.kink) || is("running_variance", out.running_variance) ||
        is("other_out_types", out.other_out_types) || is("affine_apart", out.affine_apart);
    if (!known)
      throw std::invalid_argument("no field of abn_claims: " + nb::cast<std::string>(name));
  }
}

/// What `work` returns, with the interpreter's lock held; an exception is the call's failure.
template <class Work>
auto in_python(const Work& work) {
  const nb::gil_scoped_acquire lock;
  try {
    return work();
  } catch (const worker::Raised&) {
    throw;
  } catch (const std::exception& wrong) {  // nb::python_error among them, whose end needs the lock
    throw worker::Raised(std::string("raised ") + wrong.what());
  }
}

std::uint32_t mask_of(nb::handle kernel, const char* name) {
  return nb::cast<std::uint32_t>(kernel.attr(name));
}

}  // namespace

PythonVariant::PythonVariant(nb::object kernel)
    : kernel_(std::move(kernel)),
      name_(nb::cast<std::string>(kernel_.attr("name"))),
      summary_(nb::cast<std::string>(kernel_.attr("summary"))),
      types_(mask_of(kernel_, "types")),
      param_types_(mask_of(kernel_, "param_types")),
      layouts_(mask_of(kernel_, "layouts")),
      activations_(mask_of(kernel_, "activations")),
      scales_(mask_of(kernel_, "scales")),
      modes_(mask_of(kernel_, "modes")),
      leaves_out_(mask_of(kernel_, "leaves_out")),
      entries_(worker::entry_points_for(*this)) {
  abn_variant& base = entries_.functions.base;
  base.abi_version = ABN_ABI_VERSION, base.struct_size = sizeof(abn_variant);
  base.name = name_.c_str(), base.summary = summary_.c_str();
  base.memory = ABN_MEMORY_HOST;
}

PythonVariant::~PythonVariant() { worker::return_entry_points(entries_.number); }

bool PythonVariant::may_support(const abn_problem& p) const {
  return has_bit(types_, p.dtype) && has_bit(layouts_, p.layout) &&
         has_bit(activations_, p.activation) && has_bit(scales_, p.scale) &&
         has_bit(modes_, p.mode) &&
         (param_types_ == 0 ? is_usual(p) : has_bit(param_types_, p.param_dtype));
}

int PythonVariant::claims(const abn_problem& problem, abn_claims& out) {
  if (!may_support(problem)) return ABN_ERROR_UNSUPPORTED;
  return in_python([&]() -> int {
    const nb::object answer = kernel_.attr("claims")(tuple_of(problem));
    if (answer.is_none()) return ABN_ERROR_UNSUPPORTED;
    if (nb::isinstance<nb::str>(answer)) throw worker::Raised(nb::cast<std::string>(answer));
    fill(out, nb::cast<nb::dict>(answer));
    return ABN_OK;
  });
}

std::size_t PythonVariant::size(const abn_problem&, worker::Size, int) { return 0; }

void PythonVariant::call(bool backward, const abn_problem& problem, const nb::dict& buffers) const {
  const nb::object said = kernel_.attr("call")(backward, tuple_of(problem), buffers);
  if (!said.is_none()) throw worker::Raised(nb::cast<std::string>(said));
}

int PythonVariant::forward(worker::Entry, const abn_problem& p, const abn_forward_args& a,
                           const void*, int) {
  return in_python([&]() -> int {
    const int outer = p.out_type == 0 ? p.dtype : p.out_type - 1;
    nb::dict buffers;
    buffers["x"] = tensor_of(a.x, p.dtype, p), buffers["z"] = tensor_of(a.z, outer, p);
    buffers["xhat"] = tensor_of(a.xhat, p.dtype, p);
    buffers["gamma"] = vector_of(a.gamma, p), buffers["beta"] = vector_of(a.beta, p);
    buffers["running_mean"] = vector_of(a.running_mean, p);
    buffers["running_var"] = vector_of(a.running_var, p);
    buffers["mean"] = vector_of(a.mean, p), buffers["var"] = vector_of(a.var, p);
    call(false, p, buffers);
    return ABN_OK;
  });
}

int PythonVariant::backward(worker::Entry, const abn_problem& p, const abn_backward_args& a,
                            const void*, int) {
  return in_python([&]() -> int {
    const int outer = p.out_type == 0 ? p.dtype : p.out_type - 1;
    nb::dict buffers;
    buffers["dz"] = tensor_of(a.dz, outer, p), buffers["x"] = tensor_of(a.x, p.dtype, p);
    buffers["z"] = tensor_of(a.z, outer, p), buffers["xhat"] = tensor_of(a.xhat, p.dtype, p);
    buffers["dx"] = tensor_of(a.dx, p.dtype, p);
    buffers["gamma"] = vector_of(a.gamma, p), buffers["beta"] = vector_of(a.beta, p);
    buffers["mean"] = vector_of(a.mean, p), buffers["var"] = vector_of(a.var, p);
    buffers["dgamma"] = vector_of(a.dgamma, p), buffers["dbeta"] = vector_of(a.dbeta, p);
    call(true, p, buffers);
    return ABN_OK;
  });
}

}  // namespace abn::verify::python
