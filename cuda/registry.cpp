// The list of variants that were built with the project, kept in an order that no link order can
// change.
#include "cuda/registry.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cuda/host_code.h"

namespace {

// Function-local statics: registration runs before main, in no set order.
std::vector<const abn_variant*>& variants() {
  static std::vector<const abn_variant*> list;
  return list;
}
std::vector<const abn_variant*>& instrumented_variants() {
  static std::vector<const abn_variant*> list;
  return list;
}

std::vector<const abn_variant*>& host_code() {
  static std::vector<const abn_variant*> list;
  return list;
}

std::vector<const abn_floors*>& all_floors() {
  static std::vector<const abn_floors*> list;
  return list;
}

bool comes_before(const abn_variant* a, const abn_variant* b) {
  if (a->memory != b->memory) return a->memory < b->memory;
  return std::strcmp(a->name, b->name) < 0;
}

}  // namespace

int abn_register_variant(const abn_variant* variant) {
  auto& list = variants();
  list.insert(std::upper_bound(list.begin(), list.end(), variant, comes_before), variant);
  return 0;
}

int abn_register_host_code(const abn_variant* variant) {
  host_code().push_back(variant);
  return abn_register_variant(variant);
}

int abn_is_host_code(const abn_variant* variant) {
  const auto& list = host_code();
  return std::find(list.begin(), list.end(), variant) != list.end() ? 1 : 0;
}

const abn_variant* abn_in_tree_variant(uint32_t index) {
  const auto& list = variants();
  return index < list.size() ? list[index] : nullptr;
}

int abn_register_instrumented_variant(const abn_variant* variant) {
  instrumented_variants().push_back(variant);
  return 0;
}

const abn_variant* abn_instrumented_variant(const char* name) {
  for (const abn_variant* variant : instrumented_variants())
    if (std::strcmp(variant->name, name) == 0) return variant;
  return nullptr;
}

int abn_register_floors(const abn_floors* floors) {
  all_floors().push_back(floors);
  return 0;
}

const abn_floors* abn_in_tree_floors(int32_t memory) {
  for (const abn_floors* floors : all_floors())
    if (floors->memory == memory) return floors;
  return nullptr;
}
