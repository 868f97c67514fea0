// The table of access sites.
#include "cuda/emulator/sites.hpp"

#include <cstring>
#include <utility>

namespace abn::emulator {

Sites::Site& Sites::add(std::uintptr_t return_address, const Where* where) {
  if (origins_.size() * 2 > table_.size()) {
    std::vector<Site> old(table_.size() * 2);
    std::swap(old, table_);
    for (const Site& site : old) {
      if (site.key == 0) continue;
      std::size_t i = slot(site.key);
      while (table_[i].key != 0) i = (i + 1) & (table_.size() - 1);
      table_[i] = site;
    }
  }
  std::size_t i = slot(return_address);
  while (table_[i].key != 0) i = (i + 1) & (table_.size() - 1);
  table_[i].key = return_address;
  table_[i].id = static_cast<SiteId>(origins_.size());
  origins_.push_back({return_address, where != nullptr, where ? *where : Where()});
  return table_[i];
}

std::string last_parts(const char* path) {
  // The last two parts of a path name a file of the project on any machine.
  const char* slash = std::strrchr(path, '/');
  while (slash && slash > path && slash[-1] != '/') --slash;
  return slash ? slash : path;
}

Place place_of(const Where& where) { return {last_parts(where.file_name()), where.line()}; }

std::string text_of(const Place& place) {
  return place.file.empty() ? "an unknown line" : place.file + ":" + std::to_string(place.line);
}

}  // namespace abn::emulator
