// Fuzz target: the text of a study, read, shown, written and read again.
#include "verify/study/study.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/reads_or_refuses.hpp"

using namespace abn::verify;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  study::is_study(text);
  fuzz::reads_or_refuses_in_print([&] {
    const study::Study read = study::study_from_json(text);
    study::study_text(read, false);
    const std::string written = study::study_to_json(read);
    if (!study::is_study(written)) fuzz::broken("what was written is a study", written);
    if (study::study_to_json(study::study_from_json(written)) != written)
      fuzz::broken("what was written is read back as it was", written);
  });
  return 0;
}
