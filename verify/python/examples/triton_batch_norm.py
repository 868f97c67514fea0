#!/usr/bin/env python3
"""Batch norm + leaky ReLU in Triton, in place, judged where the kernel may run: in Triton's
interpreter, as the PTX that Triton makes of it on the executor of abn-verify, and on a GPU.

    TRITON_INTERPRET=1 python3 triton_batch_norm.py interpreter    no GPU, no PyTorch
    python3 triton_batch_norm.py ptx                               no GPU, no PyTorch
    python3 triton_batch_norm.py gpu                               with PyTorch and a GPU

Or by the command line: abn-verify run --python triton_batch_norm.py:Ptx --only-plugins.
PLANTED=masked_lanes in the environment lets lanes behind the end of a row enter the variance.
In bf16 the interpreter of Triton 3.9 fails: it cuts f32 off to bf16, where the compiler rounds.

One program a channel, NCHW. Backward finds xhat again from z, whose sign bit tells the branch.
"""
import ctypes
import os
import sys

import triton
import triton.language as tl

import abn_verify

BLOCK = 128
PLANTED = {"": 0, "masked_lanes": 1}[os.environ.get("PLANTED", "")]


@triton.jit
def forward_kernel(x, z, gamma, beta, running_mean, running_var, mean_out, var_out, n, c, s, eps,
                   momentum, slope, training, BLOCK: tl.constexpr, PLANTED: tl.constexpr):
    channel = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    m = (n * s).to(tl.float32)
    if training != 0:
        total = tl.zeros((BLOCK,), tl.float32)
        for image in range(n):
            row = (image * c + channel) * s
            for start in range(0, s, BLOCK):
                inside = start + lane < s
                total += tl.load(x + row + start + lane, inside, 0.0).to(tl.float32)
        mean = tl.div_rn(tl.sum(total, 0), m)
        squares = tl.zeros((BLOCK,), tl.float32)
        for image in range(n):
            row = (image * c + channel) * s
            for start in range(0, s, BLOCK):
                inside = start + lane < s
                centred = tl.load(x + row + start + lane, inside, 0.0).to(tl.float32) - mean
                if PLANTED != 1:
                    centred = tl.where(inside, centred, 0.0)
                squares += centred * centred
        var = tl.div_rn(tl.sum(squares, 0), m)
        old_mean = tl.load(running_mean + channel)
        old_var = tl.load(running_var + channel)
        unbiased = var * tl.div_rn(m, m - 1.0)
        tl.store(mean_out + channel, mean)
        tl.store(var_out + channel, var)
        tl.store(running_mean + channel, (1.0 - momentum) * old_mean + momentum * mean)
        tl.store(running_var + channel, (1.0 - momentum) * old_var + momentum * unbiased)
    else:
        mean = tl.load(running_mean + channel)
        var = tl.load(running_var + channel)
    r = tl.div_rn(1.0, tl.sqrt_rn(var + eps))
    g = tl.load(gamma + channel)
    b = tl.load(beta + channel)
    for image in range(n):
        row = (image * c + channel) * s
        for start in range(0, s, BLOCK):
            inside = start + lane < s
            value = tl.load(x + row + start + lane, inside, 0.0).to(tl.float32)
            y = g * ((value - mean) * r) + b
            y = tl.where(y < 0.0, slope * y, y + 0.0)  # -0 becomes +0, as it is not below 0
            tl.store(z + row + start + lane, y.to(z.dtype.element_ty), inside)


@triton.jit
def backward_kernel(z, dz, dx, gamma, beta, var, dgamma, dbeta, n, c, s, eps, slope, training,
                    BLOCK: tl.constexpr, PLANTED: tl.constexpr):
    channel = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, BLOCK)
    g = tl.load(gamma + channel)
    b = tl.load(beta + channel)
    m = (n * s).to(tl.float32)
    r = tl.div_rn(1.0, tl.sqrt_rn(tl.load(var + channel) + eps))
    mean_dy = 0.0
    mean_product = 0.0
    for sweep in range(2):  # the sums, and then dx
        sum_dy = tl.zeros((BLOCK,), tl.float32)
        sum_product = tl.zeros((BLOCK,), tl.float32)
        for image in range(n):
            row = (image * c + channel) * s
            for start in range(0, s, BLOCK):
                inside = start + lane < s
                at = row + start + lane
                stored = tl.load(z + at, inside, 0.0).to(tl.float32)
                gradient = tl.load(dz + at, inside, 0.0).to(tl.float32)
                below = stored.to(tl.int32, bitcast=True) < 0
                y = tl.where(below, tl.div_rn(stored, slope), stored)
                dy = tl.where(below, slope * gradient, gradient)
                xhat = tl.where(g == 0.0, 0.0, tl.div_rn(y - b, g))
                if sweep == 0:
                    sum_dy += tl.where(inside, dy, 0.0)
                    sum_product += tl.where(inside, dy * xhat, 0.0)
                else:
                    means = tl.where(training != 0, mean_dy + xhat * mean_product, 0.0)
                    tl.store(dx + at, (g * r * (dy - means)).to(dx.dtype.element_ty), inside)
        if sweep == 0:
            all_dy = tl.sum(sum_dy, 0)
            all_product = tl.sum(sum_product, 0)
            tl.store(dbeta + channel, all_dy)
            tl.store(dgamma + channel, all_product)
            mean_dy = tl.div_rn(all_dy, m)
            mean_product = tl.div_rn(all_product, m)


# Three ways to launch: a function of the kernel, the problem, arrays and numbers.

class _Memory:
    """What Triton's interpreter takes for a tensor: an address and a type. It lies on the host
    already, so nothing is copied to it and back."""

    def __init__(self, address, dtype):
        self._address, self.dtype = address, dtype

    def data_ptr(self):
        return self._address

    def untyped_storage(self):
        return self

    def new_empty(self, *_, **__):
        return _Memory(self._address, self.dtype)

    def set_(self, storage, *_):
        self._address = storage.data_ptr()

    def cpu(self):
        return self

    def copy_(self, _):
        return self

    def storage_offset(self):
        return 0

    size = stride = storage_offset


LONG = {"f16": "float16", "bf16": "bfloat16", "f32": "float32"}


def address_of(buffer):
    return buffer.__array_interface__["data"][0]


def kind_of(buffer):
    """NumPy arrays stand for what a call leaves out, those of bf16 by their bits."""
    kinds = {"float32": "f32", "float16": "f16", "uint16": "bf16"}
    return kinds.get(str(buffer.dtype), str(buffer.dtype))


def interpreted(kernel, p, buffers, numbers):
    memory = [_Memory(address_of(one), LONG[kind_of(one)]) for one in buffers]
    kernel[(p.c,)](*memory, p.n, p.c, p.s, *numbers, BLOCK=BLOCK, PLANTED=PLANTED)


class _Executor:
    """Triton's PTX on the executor: libabn_ptx beside the program abn-verify."""

    def __init__(self):
        # PyDLL would hold the interpreter's lock; a kernel does not need it.
        self.library = ctypes.CDLL(abn_verify.library("abn_ptx"))
        self.library.abn_ptx_load.restype = ctypes.c_void_p
        self.library.abn_ptx_launch.argtypes = [ctypes.c_void_p, ctypes.c_char_p] + \
            [ctypes.c_void_p] * 3 + [ctypes.c_uint32, ctypes.c_void_p]
        self.modules = {}

    def module(self, kernel, types):
        """Compiled once for the types of its pointers, for sm_90."""
        key = (kernel.__name__, types)
        if key not in self.modules:
            from triton.backends.compiler import GPUTarget
            from triton.compiler import ASTSource
            names = {"f16": "*fp16", "bf16": "*bf16", "f32": "*fp32"}
            constants = {"BLOCK": BLOCK, "PLANTED": PLANTED}
            rest = {"n": "i64", "c": "i64", "s": "i64", "training": "i32"}
            signature = {}
            for index, name in enumerate(kernel.arg_names):
                signature[name] = (names[types[index]] if index < len(types) else "constexpr"
                                   if name in constants else rest.get(name, "fp32"))
            made = triton.compile(ASTSource(kernel, signature, constants),
                                  target=GPUTarget("cuda", 90, 32),
                                  options={"num_warps": 4, "enable_fp_fusion": True})
            text = made.asm["ptx"].encode()
            why = ctypes.create_string_buffer(512)
            loaded = self.library.abn_ptx_load(text, ctypes.c_size_t(len(text)), why,
                                               ctypes.c_size_t(len(why)))
            if not loaded:
                raise RuntimeError(why.value.decode())
            self.modules[key] = loaded, made.metadata.shared
        return self.modules[key]

    def __call__(self, kernel, p, buffers, numbers):
        module, shared = self.module(kernel, tuple(kind_of(one) for one in buffers))
        values = [ctypes.c_void_p(address_of(one)) for one in buffers]
        values += [ctypes.c_int64(size) for size in (p.n, p.c, p.s)]
        values += [ctypes.c_int32(number) if isinstance(number, int) else ctypes.c_float(number)
                   for number in numbers]
        values += [ctypes.c_void_p(), ctypes.c_void_p()]  # scratch memory, which Triton appends
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(one) for one in values))
        grid, block = (ctypes.c_uint32 * 3)(p.c, 1, 1), (ctypes.c_uint32 * 3)(128, 1, 1)
        status = self.library.abn_ptx_launch(module, kernel.__name__.encode(), grid, block, None,
                                             shared, pointers)
        if status:
            self.library.abn_ptx_last_finding.restype = ctypes.c_char_p
            raise RuntimeError(f"the launch ended with {status}: "
                               f"{self.library.abn_ptx_last_finding().decode()}")


_executor = []


def executed(kernel, p, buffers, numbers):
    if not _executor:
        _executor.append(_Executor())
    _executor[0](kernel, p, buffers, numbers)


def on_gpu(kernel, p, tensors, numbers):
    kernel[(p.c,)](*tensors, p.n, p.c, p.s, *numbers, BLOCK=BLOCK, PLANTED=PLANTED)


def claims(**where):
    """A lane takes every BLOCK-th sample of a row, and a tree adds the lanes up."""
    return abn_verify.kernel(
        scheme="in_place_1", saves=("z", "var"), types=("f32", "f16", "bf16"), kink="right",
        activations=("leaky_relu", "identity"), modes=("training", "inference", "frozen"),
        depth=lambda p: min(p.m, p.n * -(-p.s // BLOCK) + 7), supports=lambda p: p.m * p.c > 0,
        reentrant=False, **where)


class _InPlace:
    launch = None

    def forward(self, p, x, z, gamma, beta, running_mean, running_var, mean, var):
        type(self).launch(forward_kernel, p, [x, z, gamma, beta, running_mean, running_var,
                                              mean, var],
                          [p.eps, p.momentum, p.slope, int(p.training)])

    def backward(self, p, dz, z, gamma, beta, var, dx, dgamma, dbeta):
        type(self).launch(backward_kernel, p, [z, dz, dx, gamma, beta, var, dgamma, dbeta],
                          [p.eps, p.slope, int(p.training)])


@claims(arrays="dlpack")
class Interpreter(_InPlace):
    """Triton's interpreter; the process needs TRITON_INTERPRET=1 before it imports Triton."""
    launch = staticmethod(interpreted)


@claims(arrays="dlpack")
class Ptx(_InPlace):
    """What Triton compiles for sm_90, on abn-verify's executor."""
    launch = staticmethod(executed)


@claims(arrays="torch", device="cuda")
class Gpu(_InPlace):
    """A GPU."""
    launch = staticmethod(on_gpu)


if __name__ == "__main__":
    result = abn_verify.judge({"interpreter": Interpreter, "ptx": Ptx, "gpu": Gpu}[sys.argv[1]],
                              *sys.argv[2:], seed=1)
    print(result)
    sys.exit(0 if result else 1)
