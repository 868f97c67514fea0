// Fuzz target: the bytes of a safetensors file, as a container and as the tensors of a step.
#include "verify/data/safetensors.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/fuzz/reads_or_refuses.hpp"
#include "verify/data/tensor_file.hpp"

using namespace abn::verify;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(bytes), size);
  fuzz::reads_or_refuses_in_print([&] {
    data::SafetensorsFile read = data::parse_safetensors(file, "file");
    std::size_t held = 0;
    for (const auto& [name, tensor] : read.tensors) held += tensor.bytes.size();
    if (held > size) fuzz::broken("tensors hold no more bytes than their file", {});
    data::tensor_file_of(std::move(read), "file");
  });
  return 0;
}
