// What a plug-in whose kernels run on the emulator exports beside its variants. abn_add_kernel() of
// ci/cmake/kernel.cmake compiles this file into it with two definitions:
//
//   ABN_EMULATOR_TAG      a symbol that abn-verify has if it was built from the same emulator;
//                         loading fails where it has not, instead of two versions that disagree
//                         about the emulator's structs
//   ABN_SANITIZED_FILE    the shared object with the instrumented build of the same variants, which
//                         lies in the same folder
#define ABN_EXPORT extern "C" [[gnu::visibility("default")]]

extern "C" const int ABN_EMULATOR_TAG;

ABN_EXPORT const int* const abn_plugin_emulator;
const int* const abn_plugin_emulator = &ABN_EMULATOR_TAG;

ABN_EXPORT const char abn_plugin_sanitized[];
const char abn_plugin_sanitized[] = ABN_SANITIZED_FILE;
