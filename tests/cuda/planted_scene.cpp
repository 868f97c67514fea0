// Buffers of scenes, the emulator's scene, and the table that kernel files fill.
#include "tests/cuda/planted_scene.hpp"

#include <memory>

namespace abn::tests {

thread_local Lines* marked = nullptr;

namespace {

constexpr std::size_t distance = 1 << 16;  // between buffers

std::string last_two_parts(const std::string& path) {
  const std::size_t slash = path.rfind('/'),
                    before = slash == std::string::npos ? slash : path.rfind('/', slash - 1);
  return before == std::string::npos ? path : path.substr(before + 1);
}

}  // namespace

void defect(const char* file, unsigned line) {
  if (marked->lines.insert(line).second) marked->file = last_two_parts(file);
}

std::vector<Planted>& planted(Compiler compiler) {
  static std::vector<Planted> lists[2];
  return lists[static_cast<int>(compiler)];
}
Plant::Plant(Compiler compiler, std::initializer_list<Planted> list) {
  std::vector<Planted>& all = planted(compiler);
  all.insert(all.end(), list.begin(), list.end());
}

template <class T>
T* Scene::place(const char* name, std::size_t count, bool written, bool writable) {
  const std::size_t bytes = count * sizeof(T);
  unsigned char* const memory =
      memory_.emplace_back(std::make_unique<unsigned char[]>(bytes + 2 * distance)).get();
  void* aligned = memory + distance;
  std::size_t space = bytes + distance;
  std::align(256, bytes, aligned, space);
  watch({name, aligned, bytes, sizeof(T), written, writable});
  return static_cast<T*>(aligned);
}
float* Scene::input(const char* name, std::size_t count) {
  float* const values = place<float>(name, count, true, false);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i + 1);
  return values;
}
float* Scene::output(const char* name, std::size_t count) {
  return place<float>(name, count, false, true);
}
float* Scene::zeros(const char* name, std::size_t count) {
  return place<float>(name, count, true, true);
}
unsigned* Scene::counters(const char* name, std::size_t count) {
  return place<unsigned>(name, count, true, true);
}

void EmulatedScene::launch(const Launched&, const std::function<void()>& here) { here(); }
void EmulatedScene::watch(const emulator::WatchedBuffer& buffer) { session_.watch(buffer); }

}  // namespace abn::tests
