// Names of forms to a file, as soon as they are met: a worker may end at any time.
#include "cuda/ptx/runtime/forms_met.hpp"

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

namespace abn::ptx::runtime {
namespace {

const char* path() {
  static const char* const path = std::getenv("ABN_PTX_FORMS");
  return path;
}

}  // namespace

bool are_forms_asked_for() { return path() != nullptr; }

void note_forms(const Program& program, const Outcome& outcome) {
  static std::set<const Form*> met;  // under the lock of launches
  if (!are_forms_asked_for()) return;
  std::string lines;
  for (std::size_t i = 0; i < outcome.executed.size(); ++i)
    if (outcome.executed[i] != 0 && met.insert(program.code[i].form).second)
      lines += program.code[i].form->name + "\n";
  if (lines.empty()) return;
  if (std::FILE* const file = std::fopen(path(), "a")) {
    std::fwrite(lines.data(), 1, lines.size(), file);  // at once: what others write stays whole
    std::fclose(file);
  }
}

}  // namespace abn::ptx::runtime
