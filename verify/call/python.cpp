// The interpreter is looked for; whether it has the package it says itself when it is started.
#include "verify/call/python.hpp"

#include <cstdlib>
#include <filesystem>

namespace abn::verify::call {
namespace {

namespace fs = std::filesystem;

/// build/bin/abn-verify has the package in build/python. A package that is installed comes first.
void add_package_of_build(const fs::path& folder) {
  std::error_code error;
  const fs::path package = folder.parent_path() / "python";
  if (!fs::exists(package / "abn_verify" / "worker.py", error)) return;
  const char* const given = std::getenv("PYTHONPATH");
  const std::string before = given == nullptr ? "" : given;
  if (before.find(package.string()) != before.npos) return;
  setenv("PYTHONPATH", (before.empty() ? "" : before + ":").append(package.string()).c_str(), 1);
}

}  // namespace

std::vector<std::string> python_words() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  add_package_of_build(folder);
  std::string interpreter = "python3";
  if (const fs::path beside = folder / "python3"; fs::exists(beside, error))
    interpreter = beside.string();
  if (const char* const named = std::getenv("ABN_VERIFY_PYTHON"); named != nullptr && *named != 0)
    interpreter = named;
  return {interpreter, "-m", "abn_verify.worker"};
}

}  // namespace abn::verify::call
