// From an address in the program to file and line: a reader of the line table (.debug_line, DWARF
// versions 2 to 5) that compilers write under -g1. An instrumented file is compiled with it, and it
// survives stripping (CMakeLists.txt keeps that section).
//
// A line table is a program for a small machine with registers for address, file and line; running
// it yields rows in ascending order of address, and an address belongs to the last row at or below
// it. Code that was inlined has the lines of the inlined function, which is what a finding should
// name.
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <span>

#include "cuda/emulator/sites.hpp"

namespace abn::emulator {
namespace {

using Bytes = std::span<const unsigned char>;

// Reads on through a section; a read beyond its end yields zeros and leaves nothing, so that a
// damaged table ends soon.
class Reader {
 public:
  explicit Reader(Bytes bytes) : left_(bytes) {}
  bool done() const { return left_.empty(); }
  std::size_t size() const { return left_.size(); }
  Bytes take(std::size_t count) {
    count = std::min(count, left_.size());
    const Bytes taken = left_.first(count);
    left_ = left_.subspan(count);
    return taken;
  }
  std::uint64_t fixed(std::size_t count) {
    std::uint64_t value = 0;
    const Bytes bytes = take(count);
    std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
    return value;
  }
  std::uint64_t unsigned_leb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint64_t byte = fixed(1);
      if (shift < 64) value |= (byte & 127) << shift;
      if (!(byte & 128)) return value;
    }
  }
  std::int64_t signed_leb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint64_t byte = fixed(1);
      if (shift < 64) value |= (byte & 127) << shift;
      if (byte & 128) continue;
      if ((byte & 64) && shift + 7 < 64) value |= ~std::uint64_t{0} << (shift + 7);
      return static_cast<std::int64_t>(value);
    }
  }
  std::string text() {
    const auto end = std::find(left_.begin(), left_.end(), 0);
    std::string value(left_.begin(), end);
    take(value.size() + 1);
    return value;
  }

 private:
  Bytes left_;
};

struct Row {
  std::uintptr_t address;
  const std::string* file;
  unsigned line;
  bool end;  // of a run of code: what follows belongs to nobody
};

// The sections of a file that matter here, and its rows once they are worked out.
class LineTable {
 public:
  explicit LineTable(const char* path);
  ~LineTable() {
    if (file_) munmap(file_, size_);
  }
  LineTable(const LineTable&) = delete;
  LineTable& operator=(const LineTable&) = delete;
  Place place(std::uintptr_t address) const;

 private:
  void find_sections();
  void read_unit(Reader unit, bool wide);
  std::string form(Reader& reader, std::uint64_t form, bool wide) const;
  std::vector<std::string> entries(Reader& reader, const std::vector<std::string>& folders,
                                   bool wide) const;
  void run(Reader program, const std::vector<const std::string*>& files);
  const std::string* keep(const std::string& file) {
    return &*names_.insert(last_parts(file.c_str())).first;
  }

  struct Header {
    unsigned least_length, most_operations, opcodes, line_range;
    int line_base;
    std::vector<unsigned> operands;  // of the standard opcodes
  } header_{};
  void* file_ = nullptr;
  std::size_t size_ = 0;
  Bytes lines_, line_texts_, texts_;
  std::set<std::string> names_;
  std::vector<Row> rows_;
};

LineTable::LineTable(const char* path) {
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  struct stat status;
  if (fstat(descriptor, &status) == 0 && status.st_size > 0) {
    size_ = static_cast<std::size_t>(status.st_size);
    file_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (file_ == MAP_FAILED) file_ = nullptr;
  }
  close(descriptor);
  if (!file_) return;
  find_sections();
  for (Reader section(lines_); !section.done();) {
    std::uint64_t length = section.fixed(4);
    const bool wide = length == 0xffffffff;  // the 64-bit format
    if (wide) length = section.fixed(8);
    read_unit(Reader(section.take(length)), wide);
  }
  std::stable_sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
    // a run that ends where the next begins comes first
    return a.address != b.address ? a.address < b.address : a.end > b.end;
  });
}

void LineTable::find_sections() {
  const Bytes all(static_cast<const unsigned char*>(file_), size_);
  const auto within = [&all](std::uint64_t offset, std::uint64_t size) {
    return offset <= all.size() && size <= all.size() - offset ? all.subspan(offset, size)
                                                               : Bytes();
  };
  Elf64_Ehdr elf;
  if (size_ < sizeof elf) return;
  std::memcpy(&elf, all.data(), sizeof elf);
  if (std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_ident[EI_CLASS] != ELFCLASS64) return;
  const auto section = [&](unsigned index) {
    Elf64_Shdr header{};
    const Bytes bytes = within(elf.e_shoff + std::uint64_t{index} * sizeof header, sizeof header);
    if (!bytes.empty()) std::memcpy(&header, bytes.data(), sizeof header);
    return header;
  };
  const Elf64_Shdr names_header = section(elf.e_shstrndx);
  const Bytes names = within(names_header.sh_offset, names_header.sh_size);
  for (unsigned i = 0; i < elf.e_shnum; ++i) {
    const Elf64_Shdr header = section(i);
    if (header.sh_name >= names.size() || header.sh_type != SHT_PROGBITS ||
        (header.sh_flags & SHF_COMPRESSED))
      continue;
    const std::string name = Reader(names.subspan(header.sh_name)).text();
    const Bytes bytes = within(header.sh_offset, header.sh_size);
    if (name == ".debug_line") lines_ = bytes;
    if (name == ".debug_line_str") line_texts_ = bytes;
    if (name == ".debug_str") texts_ = bytes;
  }
}

// The text of a value, or nothing where it is a number that nobody needs; a folder's number comes
// as its digits.
std::string LineTable::form(Reader& reader, std::uint64_t form, bool wide) const {
  const auto text_at = [](Bytes section, std::uint64_t offset) {
    return offset < section.size() ? Reader(section.subspan(offset)).text() : std::string();
  };
  switch (form) {
    case 0x08:  // string
      return reader.text();
    case 0x1f:  // line_strp
      return text_at(line_texts_, reader.fixed(wide ? 8 : 4));
    case 0x0e:  // strp
      return text_at(texts_, reader.fixed(wide ? 8 : 4));
    case 0x0b:  // data1, 2, 4, 8, 16
      return std::to_string(reader.fixed(1));
    case 0x05:
      return std::to_string(reader.fixed(2));
    case 0x06:
      return std::to_string(reader.fixed(4));
    case 0x07:
      return std::to_string(reader.fixed(8));
    case 0x1e:
      return reader.take(16), std::string();
    case 0x0f:  // udata
      return std::to_string(reader.unsigned_leb());
    case 0x09:  // block
      return reader.take(reader.unsigned_leb()), std::string();
    default:
      return reader.take(reader.size()), std::string();  // unknown: nothing behind it can be read
  }
}

std::string path_of(const std::string& folder, const std::string& name) {
  return folder.empty() || name.starts_with('/') ? name : folder + "/" + name;
}

// Version 5's list of folders, or of files.
std::vector<std::string> LineTable::entries(Reader& reader, const std::vector<std::string>& folders,
                                            bool wide) const {
  constexpr std::uint64_t path = 1, directory = 2;  // DW_LNCT_
  std::vector<std::pair<std::uint64_t, std::uint64_t>> formats(reader.fixed(1));
  for (auto& [content, how] : formats) content = reader.unsigned_leb(), how = reader.unsigned_leb();
  const std::uint64_t count = reader.unsigned_leb();
  std::vector<std::string> list;
  for (std::uint64_t i = 0; i < count && !reader.done(); ++i) {
    std::string name;
    std::size_t folder = 0;
    for (const auto& [content, how] : formats) {
      const std::string value = form(reader, how, wide);
      if (content == path) name = value;
      if (content == directory && !value.empty()) folder = std::stoul(value);
    }
    list.push_back(path_of(folder < folders.size() ? folders[folder] : "", name));
  }
  return list;
}

void LineTable::read_unit(Reader unit, bool wide) {
  const std::uint64_t version = unit.fixed(2);
  if (version < 2 || version > 5) return;
  if (version == 5) unit.fixed(2);  // sizes of addresses and of segment selectors
  Reader header(unit.take(unit.fixed(wide ? 8 : 4)));
  header_.least_length = static_cast<unsigned>(header.fixed(1));
  header_.most_operations = version >= 4 ? static_cast<unsigned>(header.fixed(1)) : 1;
  header.fixed(1);  // default_is_stmt
  // a negative one is meant
  header_.line_base =
      static_cast<std::int8_t>(header.fixed(1));  // NOLINT(bugprone-signed-char-misuse)
  header_.line_range = static_cast<unsigned>(header.fixed(1));
  header_.opcodes = static_cast<unsigned>(header.fixed(1));
  if (header_.line_range == 0 || header_.opcodes == 0) return;
  header_.operands.assign(header_.opcodes, 0);
  for (unsigned i = 1; i < header_.opcodes; ++i)
    header_.operands[i] = static_cast<unsigned>(header.fixed(1));

  std::vector<const std::string*> files;
  if (version == 5) {
    const std::vector<std::string> folders = entries(header, {}, wide);
    for (std::string& file : entries(header, folders, wide)) files.push_back(keep(std::move(file)));
  } else {
    std::vector<std::string> folders(1);
    for (std::string folder = header.text(); !folder.empty(); folder = header.text())
      folders.push_back(std::move(folder));
    files.push_back(keep(""));  // counted from 1
    for (std::string name = header.text(); !name.empty(); name = header.text()) {
      const std::uint64_t folder = header.unsigned_leb();
      header.unsigned_leb(), header.unsigned_leb();  // time and size
      files.push_back(keep(path_of(folder < folders.size() ? folders[folder] : "", name)));
    }
  }
  run(unit, files);
}

void LineTable::run(Reader program, const std::vector<const std::string*>& files) {
  struct {
    std::uint64_t address = 0, file = 1;
    std::int64_t line = 1;
  } state;
  const decltype(state) fresh{};
  std::size_t run_begin = rows_.size();
  const auto emit = [&](bool end) {
    const std::string* file = state.file < files.size() ? files[state.file] : nullptr;
    rows_.push_back({state.address, file, static_cast<unsigned>(state.line), end});
  };
  while (!program.done()) {
    const auto opcode = static_cast<unsigned>(program.fixed(1));
    if (opcode >= header_.opcodes) {  // a special one: address and line at once
      const unsigned adjusted = opcode - header_.opcodes;
      state.address += adjusted / header_.line_range * header_.least_length;
      state.line += header_.line_base + static_cast<int>(adjusted % header_.line_range);
      emit(false);
      continue;
    }
    switch (opcode) {
      case 0: {  // an extended one
        Reader extended(program.take(program.unsigned_leb()));
        const std::uint64_t what = extended.fixed(1);
        if (what == 2) state.address = extended.fixed(extended.size());
        if (what != 1) break;
        emit(true);
        if (rows_[run_begin].address == 0) rows_.resize(run_begin);  // code that the linker dropped
        run_begin = rows_.size();
        state = fresh;
        break;
      }
      case 1:
        emit(false);
        break;
      case 2:
        state.address += program.unsigned_leb() * header_.least_length;
        break;
      case 3:
        state.line += program.signed_leb();
        break;
      case 4:
        state.file = program.unsigned_leb();
        break;
      case 8:
        state.address += (255 - header_.opcodes) / header_.line_range * header_.least_length;
        break;
      case 9:
        state.address += program.fixed(2);
        break;
      default:
        for (unsigned i = 0; i < header_.operands[opcode]; ++i) program.unsigned_leb();
    }
  }
}

Place LineTable::place(std::uintptr_t address) const {
  auto row =
      std::upper_bound(rows_.begin(), rows_.end(), address,
                       [](std::uintptr_t wanted, const Row& one) { return wanted < one.address; });
  // A compiler gives line 0 to what it cannot attribute: then what comes before it has to do.
  while (row != rows_.begin()) {
    --row;
    if (row->end) return {};
    if (row->line != 0 && row->file) return {*row->file, row->line};
  }
  return {};
}

}  // namespace

Place place_in_code(std::uintptr_t return_address) {
  static std::mutex mutex;
  static std::map<std::string, LineTable> tables;  // by path
  Dl_info info;
  link_map* map = nullptr;
  const std::uintptr_t address = return_address - 1;  // in the call
  if (!dladdr1(reinterpret_cast<void*>(address), &info, reinterpret_cast<void**>(&map),
               RTLD_DL_LINKMAP) ||
      !map)
    return {};
  const char* path = map->l_name && *map->l_name ? map->l_name : "/proc/self/exe";
  const std::lock_guard lock(mutex);
  return tables.try_emplace(path, path).first->second.place(address - map->l_addr);
}

}  // namespace abn::emulator
