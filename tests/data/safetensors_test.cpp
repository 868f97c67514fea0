// The safetensors reader refuses every malformed file with a sentence of its own, reads back what
// the writer wrote, and never crashes on damage.
#include "verify/data/safetensors.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/sha256.hpp"

namespace abn::verify::data {
namespace {

namespace fs = std::filesystem;

fs::path source_folder() {
  const char* folder = std::getenv("ABN_SOURCE_DIR");
#ifdef ABN_SOURCE_DIR
  if (folder == nullptr) folder = ABN_SOURCE_DIR;
#endif
  return folder != nullptr ? folder : ".";
}

/// A folder of its own for one test, removed at its end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (fs::temp_directory_path() / "abn-safetensors-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("no scratch folder in " + fs::temp_directory_path().string());
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string file(const char* name) const { return (path_ / name).string(); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string length_prefix(std::uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

std::string container(const std::string& header, std::size_t data_bytes) {
  return length_prefix(header.size()) + header + std::string(data_bytes, '\x11');
}

/// What the reader says of a file with these bytes; empty if it accepts them.
std::string refusal(const std::string& bytes) {
  const ScratchFolder scratch;
  const std::string path = scratch.file("file.safetensors");
  write_text(path, bytes);
  try {
    read_safetensors(path);
  } catch (const problem::UsageError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.rfind(path + ": ", 0), 0u) << message;  // names the file
    EXPECT_NE(message.back(), '.') << message;                // as all of the tool
    return message.substr(path.size() + 2);
  }
  return "";
}

TEST(Safetensors, ReadsAMinimalFile) {
  const ScratchFolder scratch;
  const std::string path = scratch.file("file.safetensors");
  write_text(path, container(R"({"a":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]},)"
                             R"("__metadata__":{"k":"v"}}   )",
                             4));
  const SafetensorsFile file = read_safetensors(path);
  ASSERT_EQ(file.tensors.size(), 1u);
  const Tensor& tensor = file.tensors.at("a");
  EXPECT_EQ(tensor.name, "a");
  EXPECT_EQ(tensor.dtype, "BF16");
  EXPECT_EQ(tensor.shape, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(tensor.bytes, std::vector<std::byte>(4, std::byte{0x11}));
  EXPECT_EQ(file.metadata, (std::map<std::string, std::string>{{"k", "v"}}));
}

TEST(Safetensors, AcceptsScalarsEmptyTensorsAndAnyOrder) {
  EXPECT_EQ(refusal(container("{}", 0)), "");
  EXPECT_EQ(refusal(container(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4)), "");
  EXPECT_EQ(refusal(container(R"({"b":{"data_offsets":[4,8],"shape":[1],"dtype":"F32"},)"
                              R"("e":{"dtype":"F64","shape":[0,7],"data_offsets":[4,4]},)"
                              R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                              8)),
            "");
}

struct Refused {
  const char* title;
  std::string bytes;
  const char* phrase;  // of the sentence that names this fault and no other
};

std::vector<Refused> refused_files() {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const auto one = [](const char* dtype, const char* shape, const char* offsets) {
    return std::string(R"({"a":{"dtype":")") + dtype + R"(","shape":)" + shape +
           R"(,"data_offsets":)" + offsets + "}}";
  };
  const auto two = [](const char* first, const char* second) {
    return std::string(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)") + first +
           R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + second + "}}";
  };
  return {
      {"empty file", "", "the file is empty"},
      {"shorter than a length", "\x01\x02\x03", "too few for a safetensors header"},
      {"header of 10 GB", length_prefix(10'000'000'000) + good, "more than the 100000000"},
      {"header of 2^64 - 1", length_prefix(~std::uint64_t{0}) + good, "more than the 100000000"},
      {"truncated in the header", container(good, 0).substr(0, 30), "only 22 follow"},
      {"truncated in the data", container(good, 7), "ends at byte 8 but the file holds 7"},
      {"no header", length_prefix(0), "does not begin with '{'"},
      {"blank before the header", container(" " + good, 8), "does not begin with '{'"},
      {"a list for a header", container("[1]", 0), "does not begin with '{'"},
      {"malformed JSON", container(R"({"a":{"dtype":"F32",})", 0), "not valid JSON"},
      {"two JSON values", container(good + "{}", 8), "not valid JSON"},
      {"unfinished JSON", container(good.substr(0, good.size() - 1), 8), "not valid JSON"},
      {"not UTF-8",
       container("{\"\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8),
       "not valid JSON"},
      {"deep nesting", container(R"({"a":{"shape":)" + std::string(1'000'000, '['), 0),
       "shape of tensor 'a' holds a list"},
      {"duplicate tensor",
       container(two("[0,8]", "[8,16]").replace(two("[0,8]", "[8,16]").find("\"b\""), 3, "\"a\""),
                 16),
       "the name 'a' occurs twice"},
      {"duplicate through an escape",
       container(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                 R"("\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                 2),
       "the name 'a' occurs twice"},
      {"duplicate field",
       container(R"({"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,8]}})", 8),
       "the field 'shape' of tensor 'a' occurs twice"},
      {"duplicate metadata key", container(R"({"__metadata__":{"k":"1","k":"2"}})", 0),
       "the metadata key 'k' occurs twice"},
      {"two metadata objects", container(R"({"__metadata__":{},"__metadata__":{}})", 0),
       "the name '__metadata__' occurs twice"},
      {"unknown field",
       container(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", 8),
       "unknown field 'x'"},
      {"no dtype", container(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8), "has no dtype"},
      {"no shape", container(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8), "has no shape"},
      {"no offsets", container(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "has no data_offsets"},
      {"a tensor that is a number", container(R"({"a":1})", 0),
       "'a' is a number where an object belongs"},
      {"metadata that is a list", container(R"({"__metadata__":[]})", 0),
       "'__metadata__' is a list where an object belongs"},
      {"metadata number", container(R"({"__metadata__":{"k":1}})", 0),
       "metadata maps strings to strings"},
      {"metadata object", container(R"({"__metadata__":{"k":{}}})", 0),
       "metadata maps strings to strings"},
      {"metadata null", container(R"({"__metadata__":{"k":null}})", 0),
       "metadata maps strings to strings"},
      {"dtype that is a number",
       container(R"({"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}})", 8),
       "dtype of tensor 'a' holds a number"},
      {"shape that is a number", container(one("F32", "2", "[0,8]"), 8),
       "shape of tensor 'a' holds a number"},
      {"shape of strings", container(one("F32", "[\"2\"]", "[0,8]"), 8),
       "shape of tensor 'a' holds a string"},
      {"shape of truth values", container(one("F32", "[true]", "[0,8]"), 8),
       "shape of tensor 'a' holds a truth value"},
      {"negative size", container(one("F32", "[-2]", "[0,8]"), 8),
       "in shape of tensor 'a' is negative"},
      {"fractional size", container(one("F32", "[2.0]", "[0,8]"), 8), "is not a whole number"},
      {"size with an exponent", container(one("F32", "[2e0]", "[0,8]"), 8),
       "is not a whole number"},
      {"size beyond 63 bits", container(one("F32", "[9223372036854775808]", "[0,8]"), 8),
       "does not fit in 63 bits"},
      {"size beyond 64 bits", container(one("F32", "[99999999999999999999999]", "[0,8]"), 8),
       "does not fit in 63 bits"},
      {"product that overflows", container(one("F32", "[4294967296,4294967296,2]", "[0,8]"), 8),
       "overflows"},
      {"product that wraps to 0", container(one("F32", "[4611686018427387904,4]", "[0,0]"), 0),
       "overflows"},
      {"unknown dtype", container(one("F33", "[2]", "[0,8]"), 8), "unknown dtype 'F33'"},
      {"bytes too few", container(one("F64", "[2]", "[0,8]"), 8),
       "has 8 bytes but F64 of shape [2] needs 16"},
      {"bytes too many", container(one("F16", "[2]", "[0,8]"), 8),
       "has 8 bytes but F16 of shape [2] needs 4"},
      {"one offset", container(one("F32", "[2]", "[8]"), 8), "has 1 data_offsets"},
      {"three offsets", container(one("F32", "[2]", "[0,8,8]"), 8), "has 3 data_offsets"},
      {"negative offset", container(one("F32", "[2]", "[-8,0]"), 8),
       "in data_offsets of tensor 'a' is negative"},
      {"end before begin", container(one("F32", "[2]", "[8,0]"), 8), "before it begins"},
      {"out of range", container(one("F32", "[2]", "[1000000000000,1000000000008]"), 8),
       "ends at byte 1000000000008 but the file holds 8"},
      {"overlap", container(two("[0,8]", "[4,12]"), 12), "tensors 'a' and 'b' overlap"},
      {"the same bytes twice", container(two("[0,8]", "[0,8]"), 8), "tensors 'a' and 'b' overlap"},
      {"a hole between tensors", container(two("[0,8]", "[12,20]"), 20),
       "4 bytes before tensor 'b' belong to no tensor"},
      {"a hole at the front", container(one("F32", "[2]", "[4,12]"), 12),
       "4 bytes before tensor 'a' belong to no tensor"},
      {"data left over", container(good, 11), "the last 3 bytes belong to no tensor"},
  };
}

TEST(Safetensors, RefusesEveryMalformedFileWithItsSentence) {
  for (const Refused& file : refused_files()) {
    const std::string message = refusal(file.bytes);
    EXPECT_NE(message.find(file.phrase), std::string::npos)
        << file.title << ": " << (message.empty() ? "accepted" : message);
  }
}

TEST(Safetensors, RefusesWhatIsNoFile) {
  const ScratchFolder scratch;
  const auto message_for = [](const std::string& path) -> std::string {
    try {
      read_safetensors(path);
    } catch (const problem::UsageError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(message_for(scratch.path().string()).find("this is a folder"), std::string::npos);
  EXPECT_NE(message_for(scratch.file("absent")).find("there is no such file"), std::string::npos);
  EXPECT_NE(message_for("/dev/null").find("not a regular file"), std::string::npos);
  const std::string huge = scratch.file("huge");
  write_text(huge, length_prefix(10'000'000'000));
  std::error_code no_sparse_files;
  fs::resize_file(huge, 20'000'000'000, no_sparse_files);  // 20 GB that occupy one block
  if (!no_sparse_files) {
    EXPECT_NE(message_for(huge).find("dump one layer of one step a file"), std::string::npos);
  }
  const std::string secret = scratch.file("secret");
  write_text(secret, container("{}", 0));
  fs::permissions(secret, fs::perms::none);
  if (::geteuid() != 0) {
    EXPECT_NE(message_for(secret).find("cannot be opened"), std::string::npos);
  }
}

TEST(Safetensors, MessagesCarryNoControlCharacters) {
  const std::string message = refusal(container(R"({"\u001b[2Jname":1})", 0));
  EXPECT_NE(message.find("?[2Jname"), std::string::npos);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
}

TEST(Safetensors, WriterIsAtomicAndRefusesNonsense) {
  const ScratchFolder scratch;
  const std::string path = scratch.file("file.safetensors");
  SafetensorsFile file;
  file.tensors["a"] = {"a", "F32", {2}, std::vector<std::byte>(8)};
  write_safetensors(path, file);
  const std::string before = read_text(path);

  SafetensorsFile wrong = file;
  wrong.tensors["a"].bytes.pop_back();
  EXPECT_THROW(write_safetensors(path, wrong), std::invalid_argument);
  wrong = file;
  wrong.tensors["a"].dtype = "F33";
  EXPECT_THROW(write_safetensors(path, wrong), std::invalid_argument);
  wrong = file;
  wrong.tensors["a"].name = "b";
  EXPECT_THROW(write_safetensors(path, wrong), std::invalid_argument);
  wrong = file;
  wrong.metadata["k"] = "\xff";
  EXPECT_THROW(write_safetensors(path, wrong), std::invalid_argument);
  EXPECT_THROW(write_safetensors(scratch.file("absent/file"), file), problem::UsageError);
  fs::create_directories(scratch.path() / "taken" / "inside");
  EXPECT_THROW(write_safetensors(scratch.file("taken"), file),
               problem::UsageError);  // the rename fails

  EXPECT_EQ(read_text(path), before);
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(scratch.path())) ++entries;
  EXPECT_EQ(entries, 2u) << "a temporary file was left behind";
}

rc::Gen<std::string> any_text() {
  return rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127));
}

TEST(Safetensors, RoundTripsBitForBit) {
  const ScratchFolder scratch;
  const std::string path = scratch.file("file.safetensors");
  const bool holds = rc::check("read(write(file)) == file", [&] {
    const std::vector<std::pair<std::string, std::size_t>> types{
        {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"U8", 1}, {"BOOL", 1}};
    SafetensorsFile file;
    file.metadata = *rc::gen::container<std::map<std::string, std::string>>(any_text(), any_text());
    for (const std::string& name : *rc::gen::container<std::vector<std::string>>(any_text())) {
      const auto& [dtype, size] = types[*rc::gen::inRange<std::size_t>(0, types.size())];
      const auto shape = *rc::gen::container<std::vector<std::int64_t>>(
          *rc::gen::inRange<std::size_t>(0, 4), rc::gen::inRange<std::int64_t>(0, 5));
      std::size_t bytes = size;
      for (const std::int64_t extent : shape) bytes *= static_cast<std::size_t>(extent);
      const auto raw =
          *rc::gen::container<std::vector<std::uint8_t>>(bytes, rc::gen::arbitrary<std::uint8_t>());
      Tensor tensor{name, dtype, shape, {}};
      for (const std::uint8_t byte : raw) tensor.bytes.push_back(std::byte{byte});
      file.tensors[name] = tensor;
    }
    write_safetensors(path, file);
    const SafetensorsFile back = read_safetensors(path);
    RC_ASSERT(back.metadata == file.metadata);
    RC_ASSERT(back.tensors.size() == file.tensors.size());
    for (const auto& [name, tensor] : file.tensors) {
      const Tensor& other = back.tensors.at(name);
      RC_ASSERT(other.name == name);
      RC_ASSERT(other.dtype == tensor.dtype);
      RC_ASSERT(other.shape == tensor.shape);
      RC_ASSERT(other.bytes == tensor.bytes);
    }
  });
  EXPECT_TRUE(holds);
}

/// Damaged files are either still well-formed or refused; anything else (another exception, a
/// crash) fails the test.
bool reads_or_refuses(const std::string& path) {
  try {
    const SafetensorsFile file = read_safetensors(path);
    for (const auto& [name, tensor] : file.tensors)
      if (tensor.bytes.size() > fs::file_size(path)) return false;
  } catch (const problem::UsageError&) {
  }
  return true;
}

TEST(Safetensors, DamageNeverCrashes) {
  const ScratchFolder scratch;
  const std::string path = scratch.file("file.safetensors");
  SafetensorsFile small;
  small.metadata = {{"abn.format", "1"}, {"abn.problem", "n2c1s1,leaky_relu"}};
  small.tensors["x"] = {"x", "F32", {2, 1, 1}, std::vector<std::byte>(8, std::byte{7})};
  small.tensors["gamma"] = {"gamma", "F64", {1}, std::vector<std::byte>(8, std::byte{9})};
  write_safetensors(path, small);
  const std::string good = read_text(path);
  ASSERT_FALSE(good.empty());

  for (std::size_t length = 0; length < good.size(); ++length) {  // every truncation is noticed
    write_text(path, good.substr(0, length));
    EXPECT_THROW(read_safetensors(path), problem::UsageError) << length;
  }
  constexpr int rounds = 4000;
  constexpr unsigned seed = 5;
  std::mt19937 random(seed);
  const std::string interesting = "{}[]\",:-+.eE0123456789\\ \xff";
  for (int round = 0; round < rounds; ++round) {
    std::string damaged = good;
    const unsigned changes = 1 + random() % 4;
    for (unsigned change = 0; change < changes; ++change) {
      const std::size_t at = random() % damaged.size();
      switch (random() % 5) {
        case 0:
          damaged[at] = static_cast<char>(damaged[at] ^ (1 << random() % 8));
          break;
        case 1:
          damaged[at] = static_cast<char>(random());
          break;
        case 2:
          damaged[at] = interesting[random() % interesting.size()];
          break;
        case 3:
          damaged.insert(at, 1, interesting[random() % interesting.size()]);
          break;
        default:
          damaged.erase(at, 1 + random() % 3);
          break;
      }
      if (damaged.empty()) break;
    }
    write_text(path, damaged);
    ASSERT_TRUE(reads_or_refuses(path)) << "round " << round;
  }
}

TEST(SafetensorsFixtures, RealFilesReadAndMatchTheirSums) {
  const fs::path folder = source_folder() / "fixtures" / "real";
  std::ifstream sums(folder / "SHA256SUMS");
  ASSERT_TRUE(sums) << "no SHA256SUMS in " << folder << "; set ABN_SOURCE_DIR to the repository";
  std::set<std::string> listed;
  for (std::string sum, name; sums >> sum >> name;) {
    EXPECT_EQ(sum, tests::sha256(read_text((folder / name).string())))
        << name << " is not the file that was captured";
    EXPECT_TRUE(listed.insert(name).second) << name << " is listed twice";
  }
  std::set<std::string> present;
  std::uintmax_t total = 0;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".safetensors") {
      present.insert(entry.path().filename().string());
      total += entry.file_size();
    }
  EXPECT_EQ(listed, present);
  constexpr std::uintmax_t most = 8'000'000;  // what the repository grants to real tensors
  EXPECT_LE(total, most);

  for (const std::string& name : present) {
    const SafetensorsFile file = read_safetensors((folder / name).string());
    EXPECT_EQ(file.metadata.at("abn.format"), "1") << name;
    std::int64_t n = 0, c = 0, s = 0;
    ASSERT_EQ(std::sscanf(file.metadata.at("abn.problem").c_str(), "n%ldc%lds%ld,", &n, &c, &s), 3)
        << name;
    const bool channels_last = file.metadata.at("abn.problem").find(",nhwc,") != std::string::npos;
    const std::vector<std::int64_t> tensor_shape =
        channels_last ? std::vector{n, s, c} : std::vector{n, c, s};
    for (const char* input : {"x", "dz", "gamma", "beta", "running_mean", "running_var"})
      EXPECT_TRUE(file.tensors.contains(input)) << name << " " << input;
    for (const auto& [tensor_name, tensor] : file.tensors) {
      const bool per_element =
          tensor_name == "x" || tensor_name == "z" || tensor_name == "dx" || tensor_name == "dz";
      EXPECT_EQ(tensor.shape, per_element ? tensor_shape : std::vector{c})
          << name << " " << tensor_name;
      if (!per_element) {
        EXPECT_EQ(tensor.dtype, "F32") << name << " " << tensor_name;
      }
    }
    const bool half = file.tensors.at("x").dtype == "F16";
    for (const char* output :
         {"z", "saved_mean", "running_mean_out", "running_var_out", "dx", "dgamma", "dbeta"})
      EXPECT_EQ(file.tensors.contains(output), !half) << name << " " << output;
  }
}

}  // namespace
}  // namespace abn::verify::data
