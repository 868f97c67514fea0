// libabn_kernels.so as other languages meet it: one exported symbol, no library that a bare machine
// lacks, and the variants of this binary.
#include <dlfcn.h>
#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cuda/registry.h"
#include "verify/problem/problem.hpp"

namespace {

using Entry = const abn_variant* (*)(std::uint32_t);

std::string library_path() {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libabn_kernels.so")
      .string();
}

Entry entry_of_library() {
  void* const library = dlopen(library_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  return library == nullptr ? nullptr
                            : reinterpret_cast<Entry>(dlsym(library, "abn_in_tree_variant"));
}

/// What the dynamic linker sees of a shared object.
class DynamicTables {
 public:
  explicit DynamicTables(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), {});
    if (bytes_.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes_.data(), ELFMAG, SELFMAG) != 0)
      return;
    const auto header = at<Elf64_Ehdr>(0);
    for (std::size_t i = 0; i < header.e_shnum; ++i)
      sections_.push_back(at<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr)));
  }

  std::set<std::string> exported() const {
    return names<Elf64_Sym>(SHT_DYNSYM, [](const Elf64_Sym& symbol) {
      return symbol.st_shndx != SHN_UNDEF ? symbol.st_name : 0;
    });
  }
  std::set<std::string> needed() const {
    return names<Elf64_Dyn>(SHT_DYNAMIC, [](const Elf64_Dyn& one) {
      return one.d_tag == DT_NEEDED ? one.d_un.d_val : 0;
    });
  }

 private:
  template <class T>
  T at(std::size_t offset) const {
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  /// The strings at name_of(entry), where that is not 0, of all entries in sections of the type.
  template <class T, class NameOf>
  std::set<std::string> names(std::uint32_t type, const NameOf& name_of) const {
    std::set<std::string> found;
    for (const Elf64_Shdr& section : sections_)
      for (std::size_t i = 0; section.sh_type == type && i < section.sh_size / sizeof(T); ++i)
        if (const auto name = name_of(at<T>(section.sh_offset + i * sizeof(T))))
          found.insert(bytes_.data() + sections_[section.sh_link].sh_offset + name);
    return found;
  }

  std::vector<char> bytes_;
  std::vector<Elf64_Shdr> sections_;
};

}  // namespace

TEST(KernelLibrary, ExportsItsOneEntryAndNeedsOnlyTheCLibrary) {
  const DynamicTables tables(library_path());
  EXPECT_EQ(tables.exported(), std::set<std::string>{"abn_in_tree_variant"});
  EXPECT_FALSE(tables.needed().empty());
  for (const std::string& name : tables.needed()) {
    bool known = false;
    for (const char* prefix : {"libc.", "libm.", "libdl.", "librt.", "libpthread.", "ld-linux"})
      known |= name.rfind(prefix, 0) == 0;
#if defined(__SANITIZE_ADDRESS__)
    known |= name.starts_with("libasan.") || name.starts_with("libubsan.");
#endif
    EXPECT_TRUE(known) << name;
  }
}

TEST(KernelLibrary, HasTheVariantsOfThisBinaryInTheSameOrder) {
  const Entry entry = entry_of_library();
  ASSERT_NE(entry, nullptr) << dlerror();
  std::uint32_t index = 0;
  for (; abn_in_tree_variant(index) != nullptr; ++index) {
    ASSERT_NE(entry(index), nullptr) << abn_in_tree_variant(index)->name;
    EXPECT_NE(entry(index), abn_in_tree_variant(index));
    EXPECT_STREQ(entry(index)->name, abn_in_tree_variant(index)->name);
    EXPECT_EQ(entry(index)->memory, abn_in_tree_variant(index)->memory);
    EXPECT_EQ(entry(index)->abi_version, static_cast<std::uint32_t>(ABN_ABI_VERSION));
  }
  EXPECT_GT(index, 0u);
  EXPECT_EQ(entry(index), nullptr);
}

TEST(KernelLibrary, ComputesTheSameBits) {
  const Entry entry = entry_of_library();
  ASSERT_NE(entry, nullptr) << dlerror();
  const abn_problem problem = abn::verify::problem::parse_problem("n3c5s7,leaky_relu");
  for (std::uint32_t index = 0; entry(index) != nullptr && entry(index)->memory == ABN_MEMORY_HOST;
       ++index) {
    std::vector<std::vector<float>> outputs;
    for (const abn_variant* variant : {entry(index), abn_in_tree_variant(index)}) {
      std::vector<float> x(3 * 5 * 7), z(x.size());
      for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * i % 97) / 8;
      const std::size_t bytes = variant->workspace_bytes(&problem, ABN_FORWARD);
      std::vector<std::max_align_t> workspace((bytes + 256) / sizeof(std::max_align_t) + 1);
      void* aligned = workspace.data();
      std::size_t space = workspace.size() * sizeof(std::max_align_t);
      ASSERT_NE(std::align(256, bytes, aligned, space), nullptr);
      abn_forward_args args{};
      args.struct_size = sizeof args;
      args.x = x.data(), args.z = z.data();
      args.workspace = aligned, args.workspace_bytes = bytes;
      ASSERT_EQ(variant->forward(&problem, &args), ABN_OK) << variant->name;
      outputs.push_back(z);
    }
    EXPECT_EQ(outputs[0], outputs[1]) << entry(index)->name;
    EXPECT_NE(outputs[0], std::vector<float>(outputs[0].size()));
  }
}
