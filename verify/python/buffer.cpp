// DLPack by nanobind, the array interface by hand: NumPy makes arrays of DLPack read-only before
// version 2.1.
#include "verify/python/buffer.hpp"

#include <nanobind/ndarray.h>

#include <array>
#include <string>
#include <utility>

#include "verify/worker/mapped_segments.hpp"

namespace abn::verify::python {
namespace nb = nanobind;
namespace {

struct Type {
  const char* name;
  const char* numpy;
  nb::dlpack::dtype dlpack;
};

const Type& type_of(int dtype) {
  constexpr auto floating = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float),
                 brain = static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat);
  static const std::array<Type, 4> types{{{"f16", "<f2", {floating, 16, 1}},
                                          {"bf16", "<u2", {brain, 16, 1}},
                                          {"f32", "<f4", {floating, 32, 1}},
                                          {"f64", "<f8", {floating, 64, 1}}}};
  return types.at(static_cast<std::size_t>(dtype));
}

nb::tuple tuple_of(const std::vector<std::int64_t>& numbers, std::int64_t times = 1) {
  nb::list list;
  for (const std::int64_t number : numbers) list.append(number * times);
  return nb::tuple(list);
}

nb::object buffer_of(const void* data, int dtype, std::vector<std::int64_t> shape,
                     std::vector<std::int64_t> strides) {
  if (data == nullptr) return nb::none();
  return nb::cast(
      Buffer(const_cast<void*>(data), dtype, std::move(shape), std::move(strides), worker::lent));
}

}  // namespace

Buffer::Buffer(void* data, int dtype, std::vector<std::int64_t> shape,
               std::vector<std::int64_t> strides, std::shared_ptr<const void> memory)
    : data_(data),
      dtype_(dtype),
      shape_(std::move(shape)),
      strides_(std::move(strides)),
      memory_(std::move(memory)) {}

const char* Buffer::dtype() const { return type_of(dtype_).name; }
nb::tuple Buffer::shape() const { return tuple_of(shape_); }
nb::tuple Buffer::strides() const { return tuple_of(strides_); }

nb::dict Buffer::array_interface() const {
  const Type& type = type_of(dtype_);
  nb::dict all;
  all["version"] = 3;
  all["typestr"] = type.numpy;
  all["shape"] = tuple_of(shape_);
  all["strides"] = tuple_of(strides_, type.dlpack.bits / 8);
  all["data"] = nb::make_tuple(reinterpret_cast<std::uintptr_t>(data_), false);
  return all;
}

nb::object Buffer::dlpack(nb::handle self, const nb::kwargs& options) {
  const Buffer& own = nb::cast<const Buffer&>(self);
  std::vector<std::size_t> shape(own.shape_.begin(), own.shape_.end());
  const nb::ndarray<nb::array_api> array(own.data_, shape.size(), shape.data(), self,
                                         own.strides_.data(), type_of(own.dtype_).dlpack);
  return nb::cast(array).attr("__dlpack__")(**options);
}

void Buffer::bind(nb::module_& module) {
  nb::class_<Buffer>(module, "Buffer",
                     "A tensor of a call: memory that the judge shares. Any framework takes it by "
                     "DLPack, NumPy by numpy.asarray.")
      .def_prop_ro("dtype", &Buffer::dtype, "\"f16\", \"bf16\", \"f32\" or \"f64\"")
      .def_prop_ro("shape", &Buffer::shape)
      .def_prop_ro("strides", &Buffer::strides, "in elements")
      .def_prop_ro("__array_interface__", &Buffer::array_interface)
      .def("__dlpack__",
           [](nb::handle self, const nb::kwargs& options) { return dlpack(self, options); })
      .def("__dlpack_device__", [](const Buffer&) {
        return nb::make_tuple(static_cast<int>(nb::device::cpu::value), 0);
      });
}

nb::object tensor_of(const void* data, int dtype, const abn_problem& p) {
  if (p.layout == ABN_NHWC) return buffer_of(data, dtype, {p.n, p.c, p.s}, {p.s * p.c, 1, p.c});
  return buffer_of(data, dtype, {p.n, p.c, p.s}, {p.c * p.s, p.s, 1});
}

nb::object vector_of(const void* data, const abn_problem& p) {
  return buffer_of(data, p.param_dtype, {p.c}, {1});
}

}  // namespace abn::verify::python
