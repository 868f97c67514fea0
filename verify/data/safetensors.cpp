// Reader and writer of safetensors files; the header is parsed as a stream of events, so duplicate
// names are seen and nesting costs nothing.
#include "verify/data/safetensors.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>

#include "verify/problem/bounded_file.hpp"
#include "verify/problem/printable.hpp"

namespace abn::verify::data {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensor data is little-endian and is copied as it is");

constexpr std::size_t length_bytes = 8;  // of the header's length
// the limit of the format's own library
constexpr std::uint64_t largest_header = 100'000'000;
// one layer of one training step is far smaller
constexpr std::uint64_t largest_file = std::uint64_t{4} << 30;
constexpr const char* metadata_name = "__metadata__";

/// Bytes of one element; 0 for an unknown type.
std::uint64_t element_bytes(std::string_view dtype) {
  const auto is = [&](auto... names) { return ((dtype == names) || ...); };
  if (is("F64", "I64", "U64")) return 8;
  if (is("F32", "I32", "U32")) return 4;
  if (is("F16", "BF16", "I16", "U16")) return 2;
  return is("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2") ? 1 : 0;
}

/// Product of shape times the element size; nothing if it does not fit in 63 bits.
std::optional<std::uint64_t> tensor_bytes(const std::vector<std::int64_t>& shape,
                                          std::uint64_t element) {
  std::uint64_t bytes = element;
  for (const std::int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes))
      return std::nullopt;
    if (bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
      return std::nullopt;
  }
  return bytes;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// A string of the file for a message: short, and without anything that a terminal would obey.
std::string printable(std::string_view text) {
  constexpr std::size_t longest = 60;
  return "'" + problem::printable(text.substr(0, longest)) + (text.size() > longest ? "...'" : "'");
}

/// What the header says of one tensor.
struct Entry {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> offsets;
  std::set<std::string, std::less<>> fields;
};

/// Receives the events of the JSON parser and builds metadata and entries. A handler that returns
/// false stops the parser; `problem` then says why.
class HeaderEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;
  std::string problem;

  bool key(std::string& name) override {
    if (depth_ == 1) {
      if (!names_.insert(name).second)
        return refuse(fmt::format("the name {} occurs twice; give every tensor a name of its own",
                                  printable(name)));
      in_metadata_ = name == metadata_name;
      if (!in_metadata_) {
        entries.emplace_back();
        entries.back().name = name;
      }
    } else if (in_metadata_) {
      if (metadata.contains(name))
        return refuse(
            fmt::format("the metadata key {} occurs twice; write it once", printable(name)));
    } else {
      if (name != "dtype" && name != "shape" && name != "data_offsets")
        return refuse(
            fmt::format("{} has the unknown field {}; write only dtype, shape and data_offsets",
                        subject(), printable(name)));
      if (!entries.back().fields.insert(name).second)
        return refuse(fmt::format("the field {} of {} occurs twice; write it once", printable(name),
                                  subject()));
    }
    key_ = name;
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      metadata.emplace(key_, value);
      return true;
    }
    if (depth_ != 2 || key_ != "dtype") return unexpected("a string");
    entries.back().dtype = value;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_list_) return unexpected("a number");
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max()))
      return bad_number("does not fit in 63 bits");
    list().push_back(static_cast<std::int64_t>(value));
    return true;
  }
  bool number_integer(number_integer_t value) override {
    if (!in_list_) return unexpected("a number");
    if (value < 0) return bad_number("is negative");
    list().push_back(value);
    return true;
  }
  bool number_float(number_float_t, const string_t& text) override {
    if (!in_list_) return unexpected("a number");
    const bool digits_only = text.find_first_not_of("-0123456789") == std::string::npos;
    return bad_number(digits_only ? "does not fit in 63 bits" : "is not a whole number");
  }

  bool start_object(std::size_t) override {
    if (in_list_ || depth_ == 2) return unexpected("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && !in_metadata_) {
      for (const char* field : {"dtype", "shape", "data_offsets"})
        if (!entries.back().fields.contains(field))
          return refuse(
              fmt::format("{} has no {}; write dtype, shape and data_offsets", subject(), field));
    }
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    if (in_list_ || depth_ != 2 || in_metadata_ || key_ == "dtype") return unexpected("a list");
    in_list_ = true;
    return true;
  }
  bool end_array() override {
    in_list_ = false;
    return true;
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    return refuse(fmt::format(
        "the header is not valid JSON near byte {}; write the file again with a safetensors writer",
        position));
  }

 private:
  bool refuse(std::string why) {
    problem = std::move(why);
    return false;
  }
  std::string subject() const { return "tensor " + printable(entries.back().name); }
  std::vector<std::int64_t>& list() {
    return key_ == "shape" ? entries.back().shape : entries.back().offsets;
  }
  bool bad_number(const char* what) {
    return refuse(
        fmt::format("a number in {} of {} {}; write whole numbers from 0", key_, subject(), what));
  }
  bool unexpected(const char* what) {
    if (depth_ == 0)
      return refuse(
          "the header is not a JSON object; write the file again with a safetensors writer");
    if (depth_ == 1)
      return refuse(fmt::format(
          "{} is {} where an object belongs; write the file again with a safetensors writer",
          printable(key_of_level_one()), what));
    if (in_metadata_)
      return refuse(
          fmt::format("the metadata value of {} is {}; metadata maps strings to strings, so write "
                      "it as a string",
                      printable(key_), what));
    return refuse(
        fmt::format("{} of {} holds {}; write dtype as a string, shape and data_offsets as lists "
                    "of whole numbers",
                    key_, subject(), what));
  }
  std::string key_of_level_one() const {
    return in_metadata_ ? metadata_name : entries.back().name;
  }

  int depth_ = 0;  // objects that are open; 2 at most
  bool in_metadata_ = false, in_list_ = false;
  std::string key_;
  std::set<std::string> names_;
};

[[noreturn]] void fail(const std::string& path, const std::string& sentence) {
  throw problem::UsageError(fmt::format("{}: {}", path, sentence));
}

/// Where the bytes of a container come from, one piece behind the other.
struct Source {
  const std::string& name;
  std::uint64_t bytes;
  std::function<std::uint64_t(void* to, std::uint64_t most)> read;
};

void read_exactly(const Source& source, void* to, std::uint64_t bytes) {
  if (bytes > 0 && source.read(to, bytes) != bytes)
    fail(source.name,
         "the file ended or could not be read while it was being read; wait until its writer is "
         "done and try again");
}

/// Checks an entry by itself and against the size of the data.
void check_entry(const std::string& path, const Entry& entry, std::uint64_t data_bytes) {
  const std::string subject = "tensor " + printable(entry.name);
  const std::uint64_t element = element_bytes(entry.dtype);
  if (element == 0)
    fail(path, fmt::format("{} has the unknown dtype {}; write F16, BF16, F32 or F64", subject,
                           printable(entry.dtype)));
  if (entry.offsets.size() != 2)
    fail(path, fmt::format("{} has {} data_offsets; write two, begin and end", subject,
                           entry.offsets.size()));
  const auto begin = static_cast<std::uint64_t>(entry.offsets[0]),
             end = static_cast<std::uint64_t>(entry.offsets[1]);
  const auto bytes = tensor_bytes(entry.shape, element);
  if (!bytes)
    fail(path, fmt::format("the size of {} of shape {} overflows; check the shape", subject,
                           shape_text(entry.shape)));
  if (begin > end)
    fail(path, fmt::format("{} ends at byte {} before it begins at {}; write begin first", subject,
                           end, begin));
  if (end > data_bytes)
    fail(path, fmt::format("{} ends at byte {} but the file holds {} bytes of data; it is "
                           "truncated or its offsets are wrong, so dump it again",
                           subject, end, data_bytes));
  if (end - begin != *bytes)
    fail(
        path,
        fmt::format(
            "{} has {} bytes but {} of shape {} needs {}; make data_offsets, dtype and shape agree",
            subject, end - begin, entry.dtype, shape_text(entry.shape), *bytes));
}

/// The offsets must cover the data: no byte twice, none left over.
void check_cover(const std::string& path, std::vector<Entry>& entries, std::uint64_t data_bytes) {
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.offsets < b.offsets; });
  std::uint64_t covered = 0;
  const Entry* last = nullptr;
  for (const Entry& entry : entries) {
    const auto begin = static_cast<std::uint64_t>(entry.offsets[0]);
    if (begin < covered)
      fail(path, fmt::format("tensors {} and {} overlap; give each bytes of its own",
                             printable(last->name), printable(entry.name)));
    if (begin > covered)
      fail(path,
           fmt::format(
               "{} bytes before tensor {} belong to no tensor; write the tensors without gaps",
               begin - covered, printable(entry.name)));
    covered = static_cast<std::uint64_t>(entry.offsets[1]);
    last = &entry;
  }
  if (covered < data_bytes)
    fail(path,
         fmt::format(
             "the last {} bytes belong to no tensor; write no more data than the offsets cover",
             data_bytes - covered));
}

/// The header's text for a file, and its tensors in the order of their data: wide elements first,
/// so that each lies aligned.
std::pair<std::string, std::vector<const Tensor*>> header_of(const SafetensorsFile& file) {
  std::vector<const Tensor*> order;
  for (const auto& [name, tensor] : file.tensors) {
    const auto bytes = tensor_bytes(tensor.shape, element_bytes(tensor.dtype));
    if (element_bytes(tensor.dtype) == 0 || !bytes || *bytes != tensor.bytes.size())
      throw std::invalid_argument(
          fmt::format("tensor {} has {} bytes, which do not match {} of shape {}", printable(name),
                      tensor.bytes.size(), tensor.dtype, shape_text(tensor.shape)));
    if (name != tensor.name || name == metadata_name)
      throw std::invalid_argument(
          fmt::format("tensor {} is filed under {}", printable(tensor.name), printable(name)));
    order.push_back(&tensor);
  }
  std::stable_sort(order.begin(), order.end(), [](const Tensor* a, const Tensor* b) {
    return element_bytes(a->dtype) > element_bytes(b->dtype);
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!file.metadata.empty()) header[metadata_name] = file.metadata;
  std::uint64_t offset = 0;
  for (const Tensor* tensor : order) {
    header[tensor->name] = {{"dtype", tensor->dtype},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + tensor->bytes.size()}}};
    offset += tensor->bytes.size();
  }
  try {
    std::string text = header.dump();
    text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
    return {std::move(text), std::move(order)};
  } catch (const nlohmann::json::exception&) {
    throw std::invalid_argument("a tensor name or metadata string is not UTF-8");
  }
}

SafetensorsFile read_from(const Source& source) {
  const std::string& path = source.name;
  if (source.bytes < length_bytes)
    fail(path, fmt::format("the file has {} bytes, too few for a safetensors header; dump it again",
                           source.bytes));

  std::uint64_t header_bytes = 0;
  read_exactly(source, &header_bytes, length_bytes);
  if (header_bytes > largest_header)
    fail(path, fmt::format("the header claims {} bytes, more than the {} that are read; this "
                           "is not a safetensors file, or it is damaged; dump it again",
                           header_bytes, largest_header));
  if (header_bytes > source.bytes - length_bytes)
    fail(path, fmt::format("the header claims {} bytes but only {} follow; the file is truncated, "
                           "so dump it again",
                           header_bytes, source.bytes - length_bytes));
  std::string text(header_bytes, '\0');
  read_exactly(source, text.data(), header_bytes);
  if (text.empty() || text.front() != '{')
    fail(path, "the header does not begin with '{', so this is not a safetensors file; name one");

  HeaderEvents events;
  if (!nlohmann::json::sax_parse(text, &events)) fail(path, events.problem);
  const std::uint64_t data_bytes = source.bytes - length_bytes - header_bytes;
  for (const Entry& entry : events.entries) check_entry(path, entry, data_bytes);
  check_cover(path, events.entries, data_bytes);

  SafetensorsFile file;
  file.metadata = std::move(events.metadata);
  for (Entry& entry : events.entries) {  // in the order of their data
    std::vector<std::byte> bytes(static_cast<std::size_t>(entry.offsets[1] - entry.offsets[0]));
    read_exactly(source, bytes.data(), bytes.size());
    file.tensors.emplace(entry.name, Tensor{entry.name, std::move(entry.dtype),
                                            std::move(entry.shape), std::move(bytes)});
  }
  return file;
}

}  // namespace

SafetensorsFile read_safetensors(const std::string& path) {
  constexpr problem::FileKind kind{largest_file, "name a .safetensors file in it",
                                   "dump one layer of one step a file", "dump it again"};
  problem::BoundedFile file(path, kind);
  return read_from(
      {path, file.bytes(), [&](void* to, std::uint64_t most) { return file.read(to, most); }});
}

SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& name) {
  return read_from({name, bytes.size(), [&](void* to, std::uint64_t most) {
                      const std::size_t count = std::min<std::uint64_t>(most, bytes.size());
                      std::memcpy(to, bytes.data(), count);
                      bytes.remove_prefix(count);
                      return count;
                    }});
}

void write_safetensors(const std::string& path, const SafetensorsFile& file) {
  const auto [header, order] = header_of(file);
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format("{}.{}.{}.tmp", path, ::getpid(), counter++);
  const auto give_up = [&](const std::string& why) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    fail(path, fmt::format("the file cannot be written ({}); choose a folder that exists, is "
                           "writable and has space",
                           why));
  };
  errno = 0;
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  const std::uint64_t header_bytes = header.size();
  out.write(reinterpret_cast<const char*>(&header_bytes), length_bytes);
  out.write(header.data(), static_cast<std::streamsize>(header.size()));
  for (const Tensor* tensor : order)
    out.write(reinterpret_cast<const char*>(tensor->bytes.data()),
              static_cast<std::streamsize>(tensor->bytes.size()));
  out.close();
  if (!out) give_up(errno != 0 ? std::strerror(errno) : "input/output error");
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) give_up(error.message());
}

}  // namespace abn::verify::data
