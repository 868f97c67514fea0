// Where a program begins: runs its constructors on every C library.
//
// Until 2.33 crt1.o handed a function to __libc_start_main that ran them. Since 2.34 it hands over
// nothing, and __libc_start_main of that version runs them itself. A program that is linked here
// asks for the old version with the new crt1.o, so the function is handed over here; newer C
// libraries still call it. Destructors are run by the dynamic loader in either.
#include <cstddef>

using Constructor = void(int, char**, char**);
extern "C" {
[[gnu::visibility("hidden")]] extern Constructor* __preinit_array_start[];
[[gnu::visibility("hidden")]] extern Constructor* __preinit_array_end[];
[[gnu::visibility("hidden")]] extern Constructor* __init_array_start[];
[[gnu::visibility("hidden")]] extern Constructor* __init_array_end[];
[[gnu::visibility("hidden")]] void _init();

int __real___libc_start_main(int (*main)(int, char**, char**), int count, char** words,
                             Constructor* init, void (*fini)(), void (*loader_fini)(), void* stack);

static void run_constructors(int count, char** words, char** environment) {
  const auto run = [&](Constructor** begin, Constructor** end) {
    for (; begin != end; ++begin) (*begin)(count, words, environment);
  };
  run(__preinit_array_start, __preinit_array_end);
  _init();
  run(__init_array_start, __init_array_end);
}

[[gnu::visibility("hidden")]] int __wrap___libc_start_main(int (*main)(int, char**, char**),
                                                           int count, char** words,
                                                           Constructor* init, void (*fini)(),
                                                           void (*loader_fini)(), void* stack) {
  return __real___libc_start_main(main, count, words, init != nullptr ? init : run_constructors,
                                  fini, loader_fini, stack);
}
}
