// __libc_single_threaded of 2.32, by which libstdc++ leaves out atomic operations: never, then.
extern "C" [[gnu::visibility("hidden")]] char __libc_single_threaded;
char __libc_single_threaded = 0;
