"""The kernels of this project from Python: libabn_kernels.so through ctypes, and the problem
strings of abn-verify.

The structures are those of cuda/kernel.h, which says what they mean; tests/source/abi.py compares
them. Nothing but the standard library is imported. """
import ctypes
import math
import re
import struct
from dataclasses import dataclass


class UsageError(Exception):
    """The command or the setup is wrong; one sentence that ends in what to do next."""


class AbnProblem(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("layout", ctypes.c_int32), ("n", ctypes.c_int64),
                ("c", ctypes.c_int64), ("s", ctypes.c_int64), ("dtype", ctypes.c_int32),
                ("param_dtype", ctypes.c_int32), ("activation", ctypes.c_int32),
                ("scale", ctypes.c_int32), ("mode", ctypes.c_int32), ("out_type", ctypes.c_int32),
                ("activation_parameter", ctypes.c_double), ("eps", ctypes.c_double),
                ("momentum", ctypes.c_double)]


class AbnClaims(ctypes.Structure):
    """As far as this script reads it; struct_size tells the variant to stop there."""
    _fields_ = [("struct_size", ctypes.c_uint32), ("scheme", ctypes.c_int32),
                ("statistics", ctypes.c_int32), ("normalise", ctypes.c_int32),
                ("accumulate", ctypes.c_int32), ("saves", ctypes.c_uint32),
                ("materialises", ctypes.c_uint32), ("z_may_alias_x", ctypes.c_int32),
                ("dx_may_alias_dz", ctypes.c_int32), ("deterministic", ctypes.c_int32),
                ("alignment", ctypes.c_int32), ("reserved", ctypes.c_int32)]


def pointers(*names):
    return [(name, ctypes.c_void_p) for name in names]


class ForwardArgs(ctypes.Structure):
    _fields_ = ([("struct_size", ctypes.c_uint32)] +
                pointers("x", "z", "xhat", "gamma", "beta", "running_mean", "running_var", "mean",
                         "var", "workspace") +
                [("workspace_bytes", ctypes.c_size_t)] + pointers("stream"))


class BackwardArgs(ctypes.Structure):
    _fields_ = ([("struct_size", ctypes.c_uint32)] +
                pointers("dz", "x", "z", "xhat", "dx", "gamma", "beta", "mean", "var", "dgamma",
                         "dbeta", "workspace") +
                [("workspace_bytes", ctypes.c_size_t)] + pointers("stream"))


def function(result, *arguments):
    return ctypes.CFUNCTYPE(result, ctypes.POINTER(AbnProblem), *arguments)


class AbnVariant(ctypes.Structure):
    _fields_ = [("abi_version", ctypes.c_uint32), ("struct_size", ctypes.c_uint32),
                ("name", ctypes.c_char_p), ("summary", ctypes.c_char_p), ("memory", ctypes.c_int32),
                ("reserved", ctypes.c_int32),
                ("claims", function(ctypes.c_int, ctypes.POINTER(AbnClaims))),
                ("workspace_bytes", function(ctypes.c_size_t, ctypes.c_int)),
                ("forward", function(ctypes.c_int, ctypes.POINTER(ForwardArgs))),
                ("backward", function(ctypes.c_int, ctypes.POINTER(BackwardArgs)))]


ABI_VERSION, MEMORY_HOST, MEMORY_CUDA = 1, 0, 1
FORWARD, BACKWARD = 0, 1
LAYOUTS, DTYPES, LEAKY_RELU = {"nchw": 0, "nhwc": 1}, {"f16": 0, "bf16": 1, "f32": 2}, 1
ELEMENT_BYTES = {"f16": 2, "bf16": 2, "f32": 4}
SAVES_Z, SAVES_MEAN, SAVES_VAR = 2, 8, 16
HOST_CODE = {"cpu"}  # host variants that are code for the processor, not kernels on the emulator
STATUS = {1: "unsupported problem", 2: "bad argument", 3: "workspace too small",
          4: "launch failed", 5: "communication failed"}


def load_variants(path, memory, names):
    """The variants of these names whose pointers live in that memory."""
    try:
        library = ctypes.CDLL(path)
        entry = library.abn_in_tree_variant
    except (OSError, AttributeError) as wrong:
        raise UsageError(f"{path} cannot be loaded ({wrong}); build the target abn_kernels_shared, "
                         "or name the library with --library")
    entry.restype, entry.argtypes = ctypes.POINTER(AbnVariant), [ctypes.c_uint32]
    found, index = {}, 0
    while entry(index):
        variant = entry(index).contents
        if variant.abi_version != ABI_VERSION:
            raise UsageError(f"{path} speaks version {variant.abi_version} of the ABI and this "
                             f"script {ABI_VERSION}; build both from one checkout")
        if variant.memory == memory:
            found[variant.name.decode()] = variant
        index += 1
    if not found:
        raise UsageError(f"{path} has no kernels for a GPU; configure with -DABN_CUDA=ON and "
                         "build it again")
    for name in names:
        if name not in found:
            raise UsageError(f'There is no variant "{name}" in {path}; '
                             f'use some of {", ".join(found)}')
    return [(name, found[name]) for name in names]


@dataclass
class Problem:
    """Training batch norm + leaky ReLU with signed gamma and f32 parameters, as one string such as
    n32c64s12544,nhwc,bf16."""
    text: str
    n: int
    c: int
    s: int
    layout: str = "nchw"
    dtype: str = "f32"
    slope: float = 0.01
    eps: float = 1e-5
    momentum: float = 0.1

    def count(self):
        return self.n * self.c * self.s

    def bytes(self):
        return self.count() * ELEMENT_BYTES[self.dtype]

    def image(self):
        """s as height and width: square where it can be."""
        side = math.isqrt(self.s)
        return (side, side) if side * side == self.s else (self.s, 1)

    def abi(self):
        def narrow(value):  # the ABI wants numbers that are already rounded to the parameter type
            return struct.unpack("f", struct.pack("f", value))[0]

        return AbnProblem(ctypes.sizeof(AbnProblem), LAYOUTS[self.layout], self.n, self.c,
                          self.s, DTYPES[self.dtype], DTYPES["f32"], LEAKY_RELU, 0, 0, 0,
                          narrow(self.slope), narrow(self.eps), narrow(self.momentum))


def parse_problem(text):
    hint = "write for example n32c64s12544,nhwc,bf16,leaky_relu:0.01"
    sizes, *options = text.split(",")
    match = re.fullmatch(r"n(\d+)c(\d+)s(\d+)", sizes)
    if not match:
        raise UsageError(f'"{text}" does not begin with its sizes as nN, cC and sS; {hint}')
    problem = Problem(text, *(int(size) for size in match.groups()))
    for option in options:
        word, _, value = option.partition(":")
        if option in LAYOUTS:
            problem.layout = option
        elif option in DTYPES:
            problem.dtype = option
        elif word in ("leaky_relu", "eps", "momentum") and value:
            try:
                setattr(problem, "slope" if word == "leaky_relu" else word, float(value))
            except ValueError:
                raise UsageError(f'"{option}" in "{text}" needs a number after the colon; {hint}')
        elif option not in ("leaky_relu", "training", "signed", "param:f32"):
            raise UsageError(f'"{option}" in "{text}" is no training with leaky_relu in f16, bf16 '
                             f'or f32; {hint}')
    if not (0 < problem.slope < math.inf and 0 <= problem.eps < math.inf and
            0 <= problem.momentum <= 1):
        raise UsageError(f'"{text}" has a slope, eps or momentum out of range; {hint}')
    if problem.count() >= 2**60:
        raise UsageError(f'"{text}" is too large for any memory; use smaller sizes')
    if problem.count() == 0 or problem.n * problem.s < 2:
        raise UsageError(f'"{text}" has no batch to normalise; use n*s of at least 2, and no size '
                         'of 0')
    return problem
