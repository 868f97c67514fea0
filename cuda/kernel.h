/*
 * The C ABI of a kernel variant: everything that someone outside this project needs in order to
 * write a batch norm + activation kernel and have it judged.
 *
 * What is computed
 * ----------------
 * Per channel c, with m = n*s samples x, stored type T (dtype), parameters of type P (param_dtype):
 *
 *   mu = mean(x)      v = mean((x-mu)^2)  (biased)      r = 1/sqrt(v+eps)      xhat = (x-mu)*r
 *   y  = g*xhat + beta                    z = phi(y)
 *   g  = gamma (ABN_SCALE_SIGNED)   or   g = |gamma| + eps (ABN_SCALE_ABS_EPS)
 *
 *   phi(y) = y for y >= 0 and below, with a > 0 for activation_parameter:
 *     ABN_IDENTITY    z = y
 *     ABN_LEAKY_RELU  z = a*y                y = z/a              phi' = a
 *     ABN_ELU         z = a*expm1(y)         y = log1p(z/a)       phi' = a*exp(y) = z + a
 *     ABN_CELU        z = a*expm1(y/a)       y = a*log1p(z/a)     phi' = exp(y/a) = (z + a)/a
 *
 *   Activations without an inverse, for schemes that keep x or xhat; s = 1/(1 + exp(-y)), P(y) =
 *   (1 + erf(y/sqrt(2)))/2, p(y) = exp(-y*y/2)/sqrt(2*pi), w = sqrt(2/pi)*(y + 0.044715*y^3), and
 *   w' = sqrt(2/pi)*(1 + 0.134145*y^2):
 *     ABN_RELU        z = max(y, 0)                    phi' = 1 for y > 0, else 0
 *     ABN_RELU6       z = min(max(y, 0), 6)            phi' = 1 for 0 < y < 6, else 0
 *     ABN_SILU        z = y*s                          phi' = s*(1 + y*(1 - s))
 *     ABN_GELU        z = y*P(y)                       phi' = P(y) + y*p(y)
 *     ABN_GELU_TANH   z = y*(1 + t)/2, t = tanh(w)     phi' = (1 + t + y*(1 - t^2)*w')/2
 *     ABN_SIGMOID     z = s                            phi' = s*(1 - s) = z*(1 - z)
 *     ABN_TANH        z = tanh(y)                      phi' = 1 - z^2
 *     ABN_HARDSWISH   z = y*min(max(y + 3, 0), 6)/6    phi' = 0, y/3 + 1/2, 1 up to -3, up to 3, on
 *
 *   running_mean <- (1-momentum)*running_mean + momentum*mu
 *   running_var  <- (1-momentum)*running_var  + momentum*v*m/(m-1)          (unbiased, without eps)
 *
 *   dy = dz*phi'(y)    dbeta = S0 = sum(dy)    S1 = sum(dy*xhat)
 *   dgamma = S1, times sign(gamma) under ABN_SCALE_ABS_EPS, where sign(0) = +1
 *   dx = g*r*(dy - S0/m - xhat*S1/m)   (training)      dx = g*r*dy   (frozen)
 *
 * Modes: ABN_TRAINING uses the batch's mu and v and updates the running buffers; ABN_INFERENCE uses
 * the running buffers, forward only; ABN_FROZEN uses the running buffers forward and backward. The
 * running buffers are read-only in the latter two.
 *
 * A problem with a value that a variant does not know, of these or of any other enum, is none that
 * it does: ABN_ERROR_UNSUPPORTED. Later versions may add some.
 *
 * Sizes and layout: ABN_NCHW puts element (n, c, s) at (n*C + c)*S + s, ABN_NHWC at (n*S + s)*C +
 * c; tensors are dense. Any n, c, s >= 0 may come, with products beyond 2^31. If n*c*s == 0 there
 * is no work: return ABN_OK and write nothing, the running buffers included. m = 1 in training is
 * refused by the caller and need not be handled.
 *
 * The numerical edges, where kernels and the judge must agree:
 *   - Leaky ReLU writes +0 for y = +0 and y = -0. A stored z = -0 therefore means that slope*y
 *     underflowed; backward takes the branch from the sign bit of z, not from a comparison with
 *     zero (with ABN_KINK_LEFT +0 belongs to the negative branch too). ELU and CELU take theirs
 *     from the sign bit of z likewise, and write +0 for y = +0 and y = -0 too.
 *   - ELU and CELU saturate: a stored z <= -alpha cannot be inverted. Backward treats it, in the
 *     inverse and in phi' alike, as the next value above -alpha of the storage type, or of the type
 *     that it computes in where that is narrower. (Unguarded,
 *     log1p(-1) * 0 turns the whole channel into NaN.) A scheme that keeps x need not move it: its
 *     phi' may be 0 there, and what it makes of a dz that is not finite is not judged.
 *   - CELU is smooth at 0: phi' is 1 from both sides. With alpha = 1 it is ELU.
 *   - The kinks of ReLU (0), ReLU6 (0 and 6) and hardswish (-3 and 3): where y is one, or may be
 *     one by the errors of y that the claims allow, phi' of either side is right. A zero that an
 *     activation without an inverse writes may have either sign.
 *   - Relative accuracy ends where the formulas above lose it, and the bounds say so. 1 + erf and 1
 *     + tanh are off by roundings of 1: the negative tails of GELU have an absolute error of some
 *     |y|*u. exp(-y) overflows in the end: sigmoid and SiLU may be 0 from there on. 1 - s and 1 -
 *     z^2 are off by roundings of 1 where s or |z| is nearly 1. A sigmoid made of tanh is worse
 *     than that at its negative tail, and not granted.
 *   - Far out all of them are what they tend to: 0, 1, 6 or y, phi' 0 or 1, also where a square, a
 *     cube or an exponential on the way overflows. From exp(-|y|) < u^2 on, u the unit roundoff, s,
 *     tanh and erf are taken to have come out as 0, 1 or -1. At y = -infinity SiLU, GELU and
 *     hardswish may be NaN. What becomes of dy where y is NaN or infinite is not judged; nor is it
 *     where dz is not finite and phi' below 1/2 (kernels multiply dz by 0, or select).
 *   - g = 0: x cannot be recovered from z. dx is 0, dbeta is S0, dgamma must be finite; a z or dz
 *     that is not finite may make NaN of dx and dgamma, or not.
 *   - v = 0 (constant channel): z = phi(beta), gradients by the formulas.
 *   - NaN or infinity in a channel must not reach another channel. Any NaN equals any NaN.
 *     Statistics and everything computed from non-finite statistics must be non-finite; inference
 *     and frozen mode act element by element, and there the class (NaN, +inf, -inf) must be right,
 *     as it must with finite statistics where gamma or beta is NaN or infinite. With an infinite g
 *     a folded a*x + b may be NaN.
 *   - A z that is NaN, stored or found again: identity and leaky ReLU go on with it as with any
 *     number (phi' of either branch, for conversions lose the sign of a NaN); what becomes of dy
 *     under ELU and CELU is not judged. Forward should store NaN with the sign bit 0, so that
 *     machines agree.
 *   - g may be subnormal, and 1/g then overflows: divide, or scale g by a power of two first. Data
 *     may be subnormal too: the mean is the sum divided by m; samples divided by m beforehand
 *     underflow one by one.
 *   - Where sums or products leave the accumulate type that is claimed, nothing is demanded of what
 *     they reach.
 *   - gamma == NULL and beta == NULL: no affine, g = 1 and beta = 0 under both scale conventions.
 *     One of them alone is NULL only in calls of a variant that claims affine_apart: without gamma
 *     g = 1 under both scale conventions, without beta beta = 0. dgamma is NULL wherever gamma is,
 *     and dbeta wherever beta is.
 *
 * eps, momentum and the activation's parameter arrive in double but already rounded to f32 (to f64
 * where the parameters are f64), so narrowing them to it is exact.
 *
 * How a variant is judged
 * -----------------------
 * The claims below choose the error bound: per element, from the declared algorithm class,
 * accumulate type, depth and storage type. A claim that is too generous is a wider bound and is
 * reported as such; a claim that is too strict makes the kernel fail. Buffers that the scheme does
 * not keep are NULL in backward. Every buffer is guarded on both sides, outputs and workspace are
 * filled with NaN, inputs must not be written, and no alignment beyond `alignment` is given.
 *
 * How often a call moves its tensors is a claim too (abn_claims::sweeps_x and what follows).
 * `abn-verify run --sanitize` counts the bytes and the 32-byte sectors of every buffer, and they
 * have to agree; a variant that claims nothing of the kind is not judged by them.
 *
 * A plug-in is a shared object that exports one symbol, ABN_PLUGIN_SYMBOL:
 *
 *   extern "C" const abn_variant* abn_plugin(uint32_t index) { return index == 0 ? &mine : NULL; }
 *
 * All entries of a variant are re-entrant: the host variants are called from several threads at
 * once. A call owes nothing to the calls before it: same arguments, same results, whatever was
 * computed before, at the same addresses or elsewhere. What is left out (NULL) changes nothing of
 * what is still asked for but its roundings.
 *
 * A plug-in is loaded by worker processes of the judge; what it says of itself there, it says every
 * time. A call leaves the processor's rounding mode, treatment of subnormals and traps as it found
 * them, its problem and its arguments as they were given, and no process behind.
 */
#ifndef ABN_KERNEL_H
#define ABN_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when the meaning of a field changes. New fields are appended and recognised by
 * struct_size. */
#define ABN_ABI_VERSION 1
#define ABN_PLUGIN_SYMBOL "abn_plugin"

/* The comments stand in a column of their own. */
/* clang-format off */
enum { ABN_F16 = 0, ABN_BF16 = 1, ABN_F32 = 2, ABN_F64 = 3,    /* dtype, param_dtype, accumulate */
       ABN_TF32 = 4 };         /* accumulate only: 11 bits with the range of f32, as tensor cores
                                * round what they multiply */
enum { ABN_NCHW = 0, ABN_NHWC = 1 };                           /* layout */
enum { ABN_IDENTITY = 0, ABN_LEAKY_RELU = 1,                   /* activation */
       ABN_ELU = 2, ABN_CELU = 3,
       ABN_RELU = 4, ABN_RELU6 = 5, ABN_SILU = 6,              /* without an inverse from here on */
       ABN_GELU = 7, ABN_GELU_TANH = 8, ABN_SIGMOID = 9,
       ABN_TANH = 10, ABN_HARDSWISH = 11 };
enum { ABN_SCALE_SIGNED = 0, ABN_SCALE_ABS_EPS = 1 };          /* scale */
enum { ABN_TRAINING = 0, ABN_INFERENCE = 1, ABN_FROZEN = 2 };  /* mode */
enum { ABN_MEMORY_HOST = 0, ABN_MEMORY_CUDA = 1 };             /* where a variant's pointers live */

enum {                         /* what a call returns; anything but ABN_OK fails the check that made
                                * the call */
  ABN_OK = 0,
  ABN_ERROR_UNSUPPORTED = 1,   /* the variant does not do this problem */
  ABN_ERROR_ARGUMENT = 2,      /* a required pointer is NULL or a size is impossible */
  ABN_ERROR_WORKSPACE = 3,     /* workspace_bytes is smaller than the variant asked for, or
                                * workspace is NULL although it asked for some: to be returned
                                * before anything is written */
  ABN_ERROR_LAUNCH = 4,        /* the kernel could not be launched */
  ABN_ERROR_COMMUNICATION = 5  /* the partials of a sharded batch could not be gathered
                                * (cuda/sync.h) */
};

enum {                         /* scheme: what backward works from */
  ABN_STANDARD = 0,            /* keeps x and z */
  ABN_CHECKPOINT_X = 1,        /* keeps x, recomputes xhat, y, z */
  ABN_CHECKPOINT_XHAT = 2,     /* keeps xhat, recomputes y, z */
  ABN_IN_PLACE_1 = 3,          /* keeps z; y = phi^-1(z), xhat = (y-beta)/g; with a backward only
                                * where phi has an inverse */
  ABN_IN_PLACE_2 = 4           /* keeps z; y = phi^-1(z), gradients written in y, or dx in xhat =
                                * (y-beta)/g; likewise */
};

enum {                         /* statistics: how the variance is found */
  ABN_TWO_PASS = 0,            /* mean first, then the sum of (x-mean)^2 over all m samples */
  ABN_WELFORD = 1,             /* Welford updates, or Chan merges of partial (count, mean, M2) */
  ABN_ONE_PASS = 2             /* E[x^2] - mu^2 */
  /* Sums about a shift, E[(x-k)^2] - (mu-k)^2, err as ABN_ONE_PASS would with mu-k for mu. The
   * judge does not know k, so no class promises that; ABN_ONE_PASS is the nearest, and fits while
   * |mu-k| stays well below |mu|. A sample as k may be an outlier: |mu-k| then reaches sqrt(m-1)
   * sigma, the variance loses m times what two passes lose, and the failure that follows is a right
   * one. */
};

enum {                         /* normalise: how y is formed */
  ABN_DIRECT = 0,              /* g*((x-mu)*r) + beta and (y-beta)/g, the difference formed first */
  ABN_FOLDED = 1,              /* a*x + b with a = g*r, b = beta - a*mu, or y*(1/g) + (-beta/g):
                                * amplified by |mu|/sigma, |beta|/|y| */
  ABN_FOLDED_APART = 2         /* a*x + b with b = beta - (mu*g)*r: the rounding of a is not that of
                                * (mu*g)*r, so it is amplified too */
};

enum {                         /* kink: phi'(0) of leaky ReLU, and of ELU with alpha != 1, for which
                                * 1 and the slope are both subgradients */
  ABN_KINK_UNDECLARED = 0,     /* either, the same for a whole call */
  ABN_KINK_RIGHT = 1,          /* 1: z = +0 is not negative; InPlace-ABN, and JAX's leaky ReLU */
  ABN_KINK_LEFT = 2            /* slope or alpha: z = 0 is; PyTorch, and JAX's ELU */
};

enum {                         /* running_variance: what enters the running average */
  ABN_RUNNING_UNBIASED = 0,    /* v*m/(m-1): PyTorch, cuDNN */
  ABN_RUNNING_BIASED = 1       /* v: ONNX, Flax, Keras */
};

enum {                         /* saves: buffers that forward leaves for backward (bit mask). With
                                * _INVSTD beside _VAR, `var` of a training step holds r =
                                * 1/sqrt(v+eps) in both directions, as PyTorch and cuDNN keep it */
  ABN_SAVES_X = 1, ABN_SAVES_Z = 2, ABN_SAVES_XHAT = 4, ABN_SAVES_MEAN = 8, ABN_SAVES_VAR = 16,
  ABN_SAVES_INVSTD = 32
};

enum {                         /* materialises: intermediates rounded to the storage type on the way
                                * (bit mask). _Y also says that a standard backward may take phi' of
                                * ELU and CELU from a y found again from x, not from z; where there
                                * is no inverse it may without saying so. _STATISTICS: wherever mean
                                * and variance are used, in both directions; they may be saved
                                * before or behind that rounding. _ACTIVATION: phi and phi' of y,
                                * which is rounded too, are chains of operations of which each
                                * rounds its result to the type of z, as in frameworks that have
                                * each as a kernel of its own; phi^-1 is none of them */
  ABN_MATERIALISES_Y = 1, ABN_MATERIALISES_XHAT = 2, ABN_MATERIALISES_DY = 4,
  ABN_MATERIALISES_STATISTICS = 8, ABN_MATERIALISES_ACTIVATION = 16
};

typedef struct abn_problem {
  uint32_t struct_size;        /* sizeof(abn_problem) of the caller */
  int32_t layout;
  int64_t n, c, s;             /* images, channels, samples per image and channel (product of the
                                * spatial sizes) */
  int32_t dtype;               /* storage type of x, z, xhat, dz, dx */
  int32_t param_dtype;         /* of gamma, beta, statistics and their gradients: ABN_F32; ABN_F64
                                * with dtype ABN_F64; or dtype itself where that has 16 bits, as in
                                * models that are half precision throughout */
  int32_t activation;
  int32_t scale;
  int32_t mode;
  int32_t out_type;            /* 0: z and dz have the type dtype; else they have the type
                                * out_type - 1, and only x, xhat and dx have dtype. Only asked of a
                                * variant that claims other_out_types for out_type 0, and never in
                                * place */
  double activation_parameter; /* slope of leaky ReLU or alpha of ELU and CELU, > 0; 0 for the
                                * others */
  double eps;                  /* >= 0 */
  double momentum;             /* weight of the new value */
} abn_problem;

typedef struct abn_sweeps {    /* how many times one call loads and stores every element of a
                                * tensor; exactly, not at most */
  int16_t loads, stores;
} abn_sweeps;

typedef struct abn_claims {
  uint32_t struct_size;        /* set by the caller to sizeof(abn_claims) of its header; write no
                                * field behind it */
  int32_t scheme;
  int32_t statistics;
  int32_t normalise;
  int32_t accumulate;          /* type in which sums and element-wise arithmetic are done */
  uint32_t saves;
  uint32_t materialises;
  int32_t z_may_alias_x;       /* 1: forward may be called with z == x */
  int32_t dx_may_alias_dz;     /* 1: backward may be called with dx == dz */
  int32_t deterministic;       /* 1: same inputs give the same bits in every run */
  int32_t alignment;           /* bytes to which every pointer must be aligned; 0 or 1: that of its
                                * element type */
  int32_t reserved;            /* 0 */
  int64_t depth_statistics;    /* roundings on the longest path from one sample to the finished sum,
                                * 1..m; a tree over T lanes: ceil(m/T) + log2(T) */
  int64_t depth_backward;      /* the same for sum(dy) and sum(dy*xhat) */
  double function_ulp;         /* worst error of the exp, expm1, log1p, tanh, erf used, in ulp of
                                * the accumulate type; only activations with functions need it */
  /* Optional, for calls that are asked for every output; all 0: nothing is claimed of that
   * operation's traffic. Where an output takes the place of an input, what the two claim adds up.
   * The workspace must then be no tensor in disguise. */
  abn_sweeps sweeps_x, sweeps_z, sweeps_xhat;     /* forward; x has no stores */
  abn_sweeps sweeps_dz, sweeps_kept, sweeps_dx;   /* backward; kept: each of x, z and xhat that the
                                                   * scheme saves; dz and kept have no stores */
  int32_t coalesced;           /* 1: lanes that are neighbours access elements that are, so that a
                                * warp touches no 32-byte sector more than its bytes need but at the
                                * ends of runs (the s samples of an image and channel, or the c
                                * channels of a pixel), wherever a tensor lies on a 32-byte boundary
                                * */
  int32_t reserved_traffic;    /* 0 */
  /* Conventions of which the field has two. */
  int32_t kink;
  int32_t running_variance;
  uint32_t other_out_types;    /* bit 1 << type for every type that z and dz may have beside dtype
                                * (abn_problem::out_type) */
  int32_t affine_apart;        /* 1: one of gamma and beta may be NULL where the other is not */
} abn_claims;

typedef struct abn_forward_args {
  uint32_t struct_size;
  const void* x;               /* [n*c*s] T */
  void* z;                     /* [n*c*s] T; equal to x where z_may_alias_x, else a buffer of its
                                * own */
  void* xhat;                  /* [n*c*s] T, only with ABN_SAVES_XHAT, else NULL */
  const void* gamma;           /* [c] P, or NULL with beta for no affine; alone: affine_apart */
  const void* beta;            /* [c] P */
  void* running_mean;          /* [c] P; training: updated, NULL means skip, each for itself;
                                * inference and frozen: read only */
  void* running_var;           /* [c] P */
  void* mean;                  /* [c] P, out: batch mean; training only; NULL means skip */
  void* var;                   /* [c] P, out: batch variance, biased, without eps; training only;
                                * NULL means skip */
  void* workspace;             /* workspace_bytes(problem, ABN_FORWARD) bytes, 256-byte aligned,
                                * contents undefined */
  size_t workspace_bytes;
  void* stream;                /* a cudaStream_t; the call only enqueues work and never
                                * synchronises; NULL for host variants */
} abn_forward_args;

typedef struct abn_backward_args {
  uint32_t struct_size;
  const void* dz;              /* [n*c*s] T, upstream gradient */
  const void* x;               /* [n*c*s] T, with ABN_SAVES_X, else NULL */
  const void* z;               /* [n*c*s] T, with ABN_SAVES_Z, else NULL */
  const void* xhat;            /* [n*c*s] T, with ABN_SAVES_XHAT, else NULL */
  void* dx;                    /* [n*c*s] T; equal to dz where dx_may_alias_dz, else a buffer of its
                                * own; NULL means skip */
  const void* gamma;           /* [c] P, or NULL as in forward */
  const void* beta;            /* [c] P */
  const void* mean;            /* [c] P; training: as forward wrote it, with ABN_SAVES_MEAN, else
                                * NULL; frozen: running_mean */
  const void* var;             /* [c] P; training: as forward wrote it, with ABN_SAVES_VAR, else
                                * NULL; frozen: running_var */
  void* dgamma;                /* [c] P, overwritten, not accumulated into; NULL means skip */
  void* dbeta;                 /* [c] P */
  void* workspace;             /* workspace_bytes(problem, ABN_BACKWARD) bytes, 256-byte aligned,
                                * contents undefined */
  size_t workspace_bytes;
  void* stream;
} abn_backward_args;

enum { ABN_FORWARD = 0, ABN_BACKWARD = 1 };                                  /* direction */

typedef struct abn_variant {
  uint32_t abi_version;        /* ABN_ABI_VERSION */
  uint32_t struct_size;        /* sizeof(abn_variant), or of a larger struct that begins with one */
  const char* name;            /* letters, digits, '_' and '-': the first part of every check id */
  const char* summary;         /* one sentence for people */
  int32_t memory;              /* ABN_MEMORY_HOST or ABN_MEMORY_CUDA */
  int32_t reserved;            /* 0 */

  /* ABN_OK and the claims for this problem, or ABN_ERROR_UNSUPPORTED: the case is then skipped, and
   * said so. */
  int (*claims)(const abn_problem* problem, abn_claims* out);
  size_t (*workspace_bytes)(const abn_problem* problem, int direction);
  int (*forward)(const abn_problem* problem, const abn_forward_args* args);
  int (*backward)(const abn_problem* problem, const abn_backward_args* args);  /* not called in
                                                                                * ABN_INFERENCE */
} abn_variant;

/*
 * Optional: one batch sharded over several devices (sync batch norm)
 * -------------------------------------------------------------------
 * A variant whose struct_size is that of abn_split_variant also offers training in halves, with the
 * exchange left to the caller: every rank condenses its shard into `partial`, the partials of all
 * ranks are gathered in the order of the ranks, and every rank goes on with all of them
 * (cuda/sync.h).
 *
 *   forward_local -> partial    allgather    forward_apply(partials) -> z, mean, var, running_*
 *   backward_local -> partial   allgather    backward_apply(partials) -> dx
 *
 * The problem is the shard's own: n is its number of images and may differ from rank to rank,
 * everything else is equal. z, mean, var, the running buffers and dx come out as for the whole
 * batch, mean to running buffers with the same bits on every rank; m is the number of samples of
 * all ranks. backward_local also writes dgamma and dbeta, which are sums over the shard alone:
 * frameworks add them up with the other gradients. With one rank all results have the bits of
 * forward and backward. A shard with n = 0 takes part: it has no tensors, contributes nothing, and
 * gets the statistics of the others. A single sample on all ranks together is refused by the
 * caller. partial_bytes is a multiple of 16; `partial` and `partials` lie in the variant's memory,
 * aligned to 16 bytes. What they contain is the variant's own business. The workspace is that of
 * workspace_bytes for the same problem.
 */
typedef struct abn_split_variant {
  abn_variant base;            /* base.struct_size = sizeof(abn_split_variant) */
  size_t (*partial_bytes)(const abn_problem* shard, int direction);
  int (*forward_local)(const abn_problem* shard, const abn_forward_args* args, void* partial);
  int (*forward_apply)(const abn_problem* shard, const abn_forward_args* args,
                       const void* partials, int32_t ranks);
  int (*backward_local)(const abn_problem* shard, const abn_backward_args* args, void* partial);
  int (*backward_apply)(const abn_problem* shard, const abn_backward_args* args,
                        const void* partials, int32_t ranks);
} abn_split_variant;

/* The variant with its halves, or NULL. */
static inline const abn_split_variant* abn_split_of(const abn_variant* variant) {
  return variant->struct_size >= sizeof(abn_split_variant)
             ? (const abn_split_variant*)(const void*)variant
             : NULL;
}

/* Variant `index` of a plug-in; NULL behind the last. */
typedef const abn_variant* (*abn_plugin_function)(uint32_t index);
/* clang-format on */

#ifdef __cplusplus
}
#endif

#endif
