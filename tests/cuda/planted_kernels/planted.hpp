// Planted defects and their table: small kernels that are wrong in one way, each marked at the line
// that a finding has to name.
//
// The kernels are compiled with instrumentation, by g++ and again by clang++ where there is one,
// and by nvcc, whose PTX of them is in fixtures/ptx/planted; this header and what it declares is
// plain C++, so that all of them and the tests share it. Kernels are not in unnamed namespaces: by
// its symbol a test finds the text that nvcc made of a kernel.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda/emulator/report.h"

namespace abn::tests {

// Stands on the line of an access (or barrier) that is wrong, and is called just before it.
#ifdef __CUDACC__
__device__ __forceinline__ void defect() {}
#else
void defect(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE());
#endif

// What a scene launches; arguments[i] points to the kernel's i-th.
struct Launched {
  struct Size {
    unsigned x, y, z;
  };
  Size grid, block, cluster;
  std::size_t shared_bytes;
  bool cooperative;
  const void* kernel;
  const void* const* arguments;
};

// A machine with buffers that lie so far apart that an overrun of one does not reach the next.
class Scene {
 public:
  virtual ~Scene() = default;
  float* input(const char* name, std::size_t count);        // written and read-only: 1, 2, 3, ...
  float* output(const char* name, std::size_t count);       // unwritten
  float* zeros(const char* name, std::size_t count);        // written and writable
  unsigned* counters(const char* name, std::size_t count);  // likewise
  // `here` runs the kernel where it is compiled for the emulator.
  virtual void launch(const Launched& what, const std::function<void()>& here) = 0;

 private:
  virtual void watch(const emulator::WatchedBuffer& buffer) = 0;
  template <class T>
  T* place(const char* name, std::size_t count, bool written, bool writable);
  std::vector<std::unique_ptr<unsigned char[]>> memory_;
};

struct Planted {
  const char* name;
  const char* kind;    // of the finding
  const char* buffer;  // that it names; null: any
  void (*run)(Scene&);
  bool marked = true;  // defect() stands on the line
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
