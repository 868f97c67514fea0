// Which Python interpreter runs the kernels of a Python file, and where it finds the package.
#pragma once

#include <string>
#include <vector>

namespace abn::verify::call {

/// The words of a worker's program: an interpreter and the module that serves. The interpreter is
/// what ABN_VERIFY_PYTHON names, or the python3 beside this program, as in a virtual environment,
/// or the one on PATH. The package of a build folder is put behind PYTHONPATH.
std::vector<std::string> python_words();

}  // namespace abn::verify::call
