// Packs the fields of a message into bytes, and takes them out again without trusting a length.
//
// A message has one function visit(archive), which names its fields in their order; a Packer writes
// them and an Unpacker reads them, so the two cannot disagree. Numbers are little-endian and as
// wide as their type, a list or a text is a 32-bit count and its elements, and the structs of
// cuda/kernel.h lie as they lie in memory.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace abn::verify::worker {

static_assert(std::endian::native == std::endian::little, "messages are little-endian");

// What gives a message both visits from one list of its fields.
#define ABN_MESSAGE(...)                               \
  template <class Archive>                             \
  void visit(Archive& a) {                             \
    const auto all = [&](auto&... f) { (a(f), ...); }; \
    all(__VA_ARGS__);                                  \
  }                                                    \
  template <class Archive>                             \
  void visit(Archive& a) const {                       \
    const auto all = [&](auto&... f) { (a(f), ...); }; \
    all(__VA_ARGS__);                                  \
  }

/// Bytes that are no message of the protocol.
struct NoMessage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Packer {
 public:
  template <class Field>
  void operator()(const Field& field) {
    if constexpr (std::is_arithmetic_v<Field> || std::is_enum_v<Field>) {
      raw(&field, sizeof field);
    } else if constexpr (requires { field.visit(*this); }) {
      field.visit(*this);
    } else {  // a text or a list
      (*this)(static_cast<std::uint32_t>(field.size()));
      for (const auto& element : field) (*this)(element);
    }
  }
  void raw(const void* data, std::size_t bytes) {
    const auto* const begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + bytes);
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

/// Throws NoMessage where the bytes end too early.
class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class Field>
  void operator()(Field& field) {
    if constexpr (std::is_same_v<Field, bool>) {
      std::uint8_t byte = 0;
      raw(&byte, sizeof byte);
      field = byte != 0;
    } else if constexpr (std::is_arithmetic_v<Field> || std::is_enum_v<Field>) {
      raw(&field, sizeof field);
    } else if constexpr (requires { field.visit(*this); }) {
      field.visit(*this);
    } else {
      std::uint32_t count = 0;
      (*this)(count);
      if (count > bytes_.size()) throw NoMessage("a list is longer than its message");
      field.resize(count);  // no more than there are bytes, as an element has at least one
      for (auto& element : field) (*this)(element);
    }
  }
  void raw(void* data, std::size_t bytes) {
    if (bytes > bytes_.size()) throw NoMessage("a message ends too early");
    std::memcpy(data, bytes_.data(), bytes);
    bytes_ = bytes_.subspan(bytes);
  }
  /// Throws NoMessage if anything is left.
  void finish() const {
    if (!bytes_.empty()) throw NoMessage("a message has bytes that nobody asked for");
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace abn::verify::worker
