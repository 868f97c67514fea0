// The extension abn_verify._core: a Python process that serves the judge as its workers do. No
// oracle and no framework is in it.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "abn_build.hpp"
#include "verify/python/buffer.hpp"
#include "verify/python/variant.hpp"
#include "verify/worker/serve.hpp"

namespace abn::verify::python {
namespace nb = nanobind;
namespace {

using Owned = std::vector<std::unique_ptr<PythonVariant>>;

/// The variants of what `open` finds behind a path. They end with the server that asks for them,
/// which has no call of its own left then.
worker::Variants variants_of(const nb::callable& open, const std::string& path) {
  const nb::gil_scoped_acquire lock;
  const std::shared_ptr<Owned> variants(new Owned, [](Owned* owned) {
    const nb::gil_scoped_acquire again;
    delete owned;
  });
  try {
    for (const nb::handle kernel : open(path))
      variants->push_back(std::make_unique<PythonVariant>(nb::borrow(kernel)));
  } catch (const nb::python_error& wrong) {  // ends with the lock held
    throw std::runtime_error(nb::cast<std::string>(nb::str(wrong.value())));
  }
  return {[variants](std::uint32_t index) {
            return index < variants->size() ? (*variants)[index]->variant() : nullptr;
          },
          [variants](std::uint32_t index) { return variants->at(index)->leaves_out(); }};
}

std::string serve(int socket, const nb::callable& open, bool shared) {
  worker::Host host;
  host.socket = socket, host.shared = shared;
  host.open = [&open](const std::string& path) { return variants_of(open, path); };
  const nb::gil_scoped_release unlocked;
  return worker::serve(std::move(host));
}

}  // namespace
}  // namespace abn::verify::python

NB_MODULE(_core, module) {
  namespace nb = nanobind;
  using namespace abn::verify;
  module.doc() = "Serves the judge abn-verify from a Python process.";
  module.attr("version") = build::version;
  python::Buffer::bind(module);
  module.def("serve", &python::serve, nb::arg("socket"), nb::arg("open"), nb::arg("shared"),
             "Answers the judge's questions on a socket until nobody asks any more. open(path) "
             "makes the kernels of what the judge names; shared says that the process does other "
             "things as well. Returns what was wrong with a question, or an empty text.");
}
