// A plug-in whose kernels are PTX text, as those of Triton, NVRTC or clang are: it hands them to
// the executor through cuda/ptx/ptx.h. The text is the file PTX_FILE, embedded; with BROKEN defined
// a store to shared memory says that it goes to global memory, and with FAULTS_AT_CHANNELS backward
// reads far outside of its buffers where there are so many channels. With ENDS or FUSES defined
// forward's 1 / sqrt(variance + eps) is right only where tanh.approx is, or where a mul and a sub
// are not fused: else it is off by 2^-11 of itself.
#include "cuda/ptx/ptx.h"

#include <cstdio>
#include <string>

#include "cuda/kernel.h"
#include "tests/plugins/text_claims.hpp"

// There only where abn-verify runs with --device ptx.
extern "C" {
[[gnu::weak]] abn_ptx_module* abn_ptx_load(const char*, size_t, char*, size_t);
[[gnu::weak]] int abn_ptx_launch(abn_ptx_module*, const char*, const uint32_t*, const uint32_t*,
                                 const uint32_t*, uint32_t, void**);
extern const char text_begin[], text_end[];
}
asm(".section .rodata\n.globl text_begin\n.hidden text_begin\ntext_begin:\n.incbin \"" PTX_FILE
    "\"\n.globl text_end\n.hidden text_end\ntext_end:\n.previous\n");

namespace {

abn_ptx_module* module() {
  static abn_ptx_module* const loaded = [] {
    std::string text(text_begin, text_end);
#ifdef BROKEN
    const std::string right = "st.shared.f32", wrong = "st.global.f32";
    const std::size_t at = text.find(right);
    text.replace(at, right.size(), wrong);
    // Its address has 32 bits, as an asm with "r" instead of "l" would have.
#endif
#if defined(ENDS) || defined(FUSES)
    const std::string root = "rcp.rn.f32 \t%f34, %f125;\n";
    const std::size_t behind = text.find(root) + root.size();
#ifdef ENDS
    const std::string factor = "tanh.approx.f32 %f208, 0f42A00000;\n";  // of 80: 1
#else
    const std::string factor =
        "mul.f32 %f208, 0f3F800800, 0f3F800800;\n"  // (1 + 2^-12)^2, rounded to 1 + 2^-11
        "sub.f32 %f208, %f208, 0f3F801000;\n"       // 0; fused: 2^-24
        "fma.rn.f32 %f208, %f208, 0f46000000, 0f3F800000;\n";
#endif
    text.insert(behind, factor + "mul.rn.f32 %f34, %f34, %f208;\n");
#endif
#ifdef FAULTS_AT_CHANNELS
    const std::size_t backward = text.find(".entry backward_kernel");
    const auto replace = [&](const std::string& old, const std::string& by) {
      text.replace(text.find(old, backward), old.size(), by);
    };
    replace("%p<70>", "%p<71>"), replace("%f<230>", "%f<231>"), replace("%rd<329>", "%rd<330>");
    replace("mov.u32 \t%r21, %ctaid.x;\n",  // %rd125 is p->c, and %rd4 is dx
            "mov.u32 \t%r21, %ctaid.x;\n"
            "setp.eq.s64 %p70, %rd125, " +
                std::to_string(FAULTS_AT_CHANNELS) +
                ";\n"
                "add.s64 %rd329, %rd4, 1099511627776;\n"
                "@%p70 ld.global.f32 %f230, [%rd329];\n");
#endif
    char why[512];
    abn_ptx_module* const read = abn_ptx_load(text.data(), text.size(), why, sizeof why);
    if (read == nullptr) std::fprintf(stderr, "%s\n", why);
    return read;
  }();
  return loaded;
}

int launch(const char* entry, const abn_problem* p, void* arguments_of_call) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  if (module() == nullptr) return ABN_ERROR_LAUNCH;
  abn_problem problem = *p;
  void* arguments[] = {&problem, arguments_of_call};
  const uint32_t grid[] = {static_cast<uint32_t>(p->c), 1, 1}, block[] = {text::threads, 1, 1};
  return abn_ptx_launch(module(), entry, grid, block, nullptr, text::shared_bytes, arguments) == 0
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}
int forward(const abn_problem* p, const abn_forward_args* args) {
  abn_forward_args copy = *args;
  return launch("forward_kernel", p, &copy);
}
int backward(const abn_problem* p, const abn_backward_args* args) {
  abn_backward_args copy = *args;
  return launch("backward_kernel", p, &copy);
}

int claims(const abn_problem* p, abn_claims* out) {
  return abn_ptx_load == nullptr ? ABN_ERROR_UNSUPPORTED : text::claims(p, out);
}

const abn_variant variant = {ABN_ABI_VERSION, sizeof(abn_variant),
                             "text_kernel",   "PTX text, one block a channel.",
                             ABN_MEMORY_HOST, 0,
                             claims,          text::workspace_bytes,
                             forward,         backward};

}  // namespace

extern "C" [[gnu::visibility("default")]] const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &variant : nullptr;
}
