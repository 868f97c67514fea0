// A plug-in of kernels that Triton compiled (fixtures/ptx/triton): it hands their text to the
// executor through cuda/ptx/ptx.h. PLANTED chooses a bug that the Python source lists; 0 is none.
#include <cstdio>

#include "cuda/kernel.h"
#include "cuda/ptx/ptx.h"

// There only where abn-verify runs with --device ptx.
extern "C" {
[[gnu::weak]] abn_ptx_module* abn_ptx_load(const char*, size_t, char*, size_t);
[[gnu::weak]] int abn_ptx_launch(abn_ptx_module*, const char*, const uint32_t*, const uint32_t*,
                                 const uint32_t*, uint32_t, void**);
}

#if PLANTED == 1
#define FORWARD_TAIL "_planted_1"
#else
#define FORWARD_TAIL ""
#endif
#if PLANTED == 2
#define BACKWARD_TAIL "_planted_2"
#else
#define BACKWARD_TAIL ""
#endif
#if PLANTED == 0
#define VARIANT_NAME "triton_kernel"
#else
#define TEXT_OF(number) #number
#define TEXT_OF_VALUE(number) TEXT_OF(number)
#define VARIANT_NAME "triton_kernel_planted_" TEXT_OF_VALUE(PLANTED)
#endif

// The text of a file, from NAME_begin to NAME_end.
#define EMBED(name, tail)                                                         \
  extern "C" const char name##_begin[], name##_end[];                             \
  asm(".section .rodata\n.globl " #name "_begin\n.hidden " #name "_begin\n" #name \
      "_begin:\n.incbin \"" PTX_FOLDER "/" #name tail ".ptx\"\n.globl " #name     \
      "_end\n.hidden " #name "_end\n" #name "_end:\n.previous\n");
EMBED(forward_f32, FORWARD_TAIL)
EMBED(forward_f16, FORWARD_TAIL)
EMBED(forward_bf16, FORWARD_TAIL)
EMBED(backward_f32, BACKWARD_TAIL)
EMBED(backward_f16, BACKWARD_TAIL)
EMBED(backward_bf16, BACKWARD_TAIL)

namespace {

// As the heads of the files say, and BLOCK of the Python source.
constexpr uint32_t threads = 128, shared_bytes = 16;
constexpr int64_t block = 256;

struct Text {
  const char *begin, *end;
};

// The module of a direction and a type, read at its first launch.
abn_ptx_module* module(int direction, int32_t dtype) {
  static const Text texts[2][3] = {{{forward_f16_begin, forward_f16_end},
                                    {forward_bf16_begin, forward_bf16_end},
                                    {forward_f32_begin, forward_f32_end}},
                                   {{backward_f16_begin, backward_f16_end},
                                    {backward_bf16_begin, backward_bf16_end},
                                    {backward_f32_begin, backward_f32_end}}};
  static abn_ptx_module* loaded[2][3] = {};
  abn_ptx_module*& one = loaded[direction][dtype];
  if (one == nullptr) {
    const Text& text = texts[direction][dtype];
    char why[512] = "";
    one = abn_ptx_load(text.begin, static_cast<size_t>(text.end - text.begin), why, sizeof why);
    if (one == nullptr) std::fprintf(stderr, "%s\n", why);
  }
  return one;
}

// The arguments in the order of the Python function; Triton appends two scratch pointers.
template <class... Argument>
int launch(int direction, const abn_problem* p, Argument... arguments) {
  if (p->n * p->c * p->s == 0) return ABN_OK;
  void* scratch = nullptr;
  void* pointers[] = {&arguments..., &scratch, &scratch};
  const uint32_t grid[] = {static_cast<uint32_t>(p->c), 1, 1}, size[] = {threads, 1, 1};
  abn_ptx_module* const text = module(direction, p->dtype);
  return text != nullptr && abn_ptx_launch(text, direction == ABN_FORWARD ? "forward" : "backward",
                                           grid, size, nullptr, shared_bytes, pointers) == 0
             ? ABN_OK
             : ABN_ERROR_LAUNCH;
}

float slope_of(const abn_problem* p) {
  return p->activation == ABN_IDENTITY ? 1 : static_cast<float>(p->activation_parameter);
}
int32_t is(const void* pointer) { return pointer != nullptr ? 1 : 0; }

int forward(const abn_problem* p, const abn_forward_args* a) {
  return launch(ABN_FORWARD, p, a->x, a->z, a->gamma, a->beta, a->running_mean, a->running_var,
                a->mean, a->var, p->n, p->c, p->s, static_cast<float>(p->eps),
                static_cast<float>(p->momentum), slope_of(p), int32_t{p->mode == ABN_TRAINING},
                is(a->gamma), is(a->running_mean), is(a->running_var), is(a->mean), is(a->var));
}

int backward(const abn_problem* p, const abn_backward_args* a) {
  return launch(ABN_BACKWARD, p, a->z, a->dz, a->dx, a->gamma, a->beta, a->var, a->dgamma, a->dbeta,
                p->n, p->c, p->s, static_cast<float>(p->eps), slope_of(p),
                int32_t{p->mode == ABN_TRAINING}, is(a->gamma), is(a->dx), is(a->dgamma),
                is(a->dbeta));
}

size_t workspace_bytes(const abn_problem*, int) { return 0; }

int claims(const abn_problem* p, abn_claims* out) {
  if (abn_ptx_load == nullptr || p->dtype == ABN_F64 || p->param_dtype != ABN_F32 ||
      p->layout != ABN_NCHW || p->scale != ABN_SCALE_SIGNED ||
      (p->activation != ABN_LEAKY_RELU && p->activation != ABN_IDENTITY))
    return ABN_ERROR_UNSUPPORTED;
  out->scheme = ABN_IN_PLACE_1;
  out->saves = ABN_SAVES_Z | ABN_SAVES_VAR;
  out->z_may_alias_x = out->dx_may_alias_dz = 1;
  out->statistics = ABN_TWO_PASS;
  out->kink = ABN_KINK_RIGHT;
  out->normalise = ABN_DIRECT;
  out->accumulate = ABN_F32;
  // A lane of the block takes every 256th sample of a row; then a tree over 256.
  out->depth_statistics = out->depth_backward = p->n * ((p->s + block - 1) / block) + 8;
  out->deterministic = 1;
  return ABN_OK;
}

const abn_variant variant = {ABN_ABI_VERSION, sizeof(abn_variant),
                             VARIANT_NAME,    "Triton's PTX, one program a channel.",
                             ABN_MEMORY_HOST, 0,
                             claims,          workspace_bytes,
                             forward,         backward};

}  // namespace

extern "C" [[gnu::visibility("default")]] const abn_variant* abn_plugin(uint32_t index) {
  return index == 0 ? &variant : nullptr;
}
