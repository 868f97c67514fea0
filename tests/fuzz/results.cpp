// Fuzz target: the text of a results file, read, shown, written and read again.
#include "verify/results/results.hpp"

#include <cstddef>
#include <cstdint>
#include <string>

#include "tests/fuzz/reads_or_refuses.hpp"

using namespace abn::verify;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  fuzz::reads_or_refuses_in_print([&] {
    results::Results read = results::results_from_json(text);
    const std::string written = results::to_json(read);
    if (results::to_json(results::results_from_json(written)) != written)
      fuzz::broken("what was written is read back as it was", written);
    // What a terminal and a report are made of.
    results::headline(read), results::summary_table(read);
    for (results::Record& record : read.records) {
      results::failure_text(record);
      results::Record twice = record;
      results::merge(twice, record);
      results::conclude(twice);
    }
  });
  return 0;
}
