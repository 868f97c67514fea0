// Planted defects and their table: small kernels that are wrong in one way, each marked at the line
// that a finding has to name.
//
// The kernels are compiled with instrumentation, by g++ and again by clang++ where there is one;
// this header and what it declares is plain C++, so that the two and the tests share it.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cuda/emulator/report.h"

namespace abn::tests {

// Stands on the line of an access (or barrier) that is wrong, and is called just before it.
void defect(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE());

// Buffers that lie so far apart that an overrun of one does not reach the next, in a session of
// their own.
class Scene {
 public:
  explicit Scene(const emulator::Settings& settings);
  float* input(const char* name, std::size_t count);        // written and read-only: 1, 2, 3, ...
  float* output(const char* name, std::size_t count);       // unwritten
  float* zeros(const char* name, std::size_t count);        // written and writable
  unsigned* counters(const char* name, std::size_t count);  // likewise
  emulator::Session& session() { return *session_; }

 private:
  template <class T>
  T* place(const char* name, std::size_t count, bool written, bool writable);
  std::unique_ptr<emulator::Session> session_;
  std::vector<std::unique_ptr<unsigned char[]>> memory_;
};

struct Planted {
  const char* name;
  const char* kind;    // of the finding
  const char* buffer;  // that it names; null: any
  void (*run)(Scene&);
};

enum class Compiler { gnu, clang };
// Defects, and kernels that look like them and are right (kind is null).
std::vector<Planted>& planted(Compiler compiler);

// In a kernel file: adds a list to the table when the program starts.
struct Plant {
  Plant(Compiler compiler, std::initializer_list<Planted> list);
};

}  // namespace abn::tests

#if defined(__clang__)
#define ABN_PLANTED_BY abn::tests::Compiler::clang
#else
#define ABN_PLANTED_BY abn::tests::Compiler::gnu
#endif
