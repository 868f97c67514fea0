"""Times the kernels of this project against PyTorch on the same problems, interleaved in one process.

    bench_peers.py [--device cuda|cpu] [--variants auto,two_sweep] [--peers cudnn,native,compiled] [--problem P]... [--out FILE]

What is timed is training batch norm + leaky ReLU, forward and backward each for itself. The peers: F.batch_norm and an in-place leaky_relu
with cuDNN on ("cudnn"), off ("native"), and both under torch.compile ("compiled"), on tensors of the problem's own layout. Problems are
strings as everywhere in abn-verify; without --problem they are those of `abn-verify bench --list --shapes resnet50`.

Protocol. Each competitor goes over a row of buffer sets in one CUDA graph; one that cannot be captured is timed without, and its row says
so. The sets together are at least three times the second-level cache. Before each timed pass they are filled again from random data (mean
0.5, deviation 2; dz from N(0, 1)), outside the events. Rounds are interleaved, A B A B; given are the median, p10 and p90 of the time of
one call. Times are compared only where the results agree: ||theirs - ours|| <= t ||ours|| in the 2-norm for z, dx, dgamma and dbeta, with
t = 1e-4 (f32), 5e-3 (f16), 3e-2 (bf16). The ratio is a competitor's median over that of the first variant; above 1 ours is faster.

--device cpu is a dry run of the same code on the emulated variants and tiny problems: it shows that the script works, its times say nothing.

Exit code: 0 all agreed, 1 a competitor did not agree or one of our calls failed, 2 the command or the setup is wrong, 77 nothing could run.
Needs PyTorch and libabn_kernels.so, which the build puts into build/bin (this script also runs from a copy of that folder).
"""
import argparse
import contextlib
import ctypes
import json
import math
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print(f"PyTorch is not installed for {sys.executable}; install it, or run this script with a Python that has it.")
    sys.exit(77)

FORWARD, BACKWARD = "forward", "backward"
TORCH_TYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}
TOLERANCE = {"f16": 5e-3, "bf16": 3e-2, "f32": 1e-4}
PEERS = {"cudnn": "PyTorch, cuDNN on", "native": "PyTorch, cuDNN off", "compiled": "PyTorch, compiled"}
DRY_PROBLEMS = [f"n2c5s{s},{layout},{dtype}" for s, layout in ((16, "nchw"), (7, "nhwc")) for dtype in TORCH_TYPES]
DRY_WARNING = "Dry run on the CPU: our kernels run on an emulator, so the times and ratios say nothing."
SEED, SMALLEST_ROUNDS, MOST_SETS = 1, 11, 256


class UsageError(Exception):
    """The command or the setup is wrong; one sentence that ends in what to do next."""


class CallError(Exception):
    """A call of one of our kernels did not return ABN_OK."""


# ---- the C ABI (cuda/kernel.h) ----

class AbnProblem(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("layout", ctypes.c_int32), ("n", ctypes.c_int64), ("c", ctypes.c_int64),
                ("s", ctypes.c_int64), ("dtype", ctypes.c_int32), ("param_dtype", ctypes.c_int32), ("activation", ctypes.c_int32),
                ("scale", ctypes.c_int32), ("mode", ctypes.c_int32), ("reserved", ctypes.c_int32),
                ("activation_parameter", ctypes.c_double), ("eps", ctypes.c_double), ("momentum", ctypes.c_double)]


class AbnClaims(ctypes.Structure):  # as far as this script reads it; struct_size tells the variant to stop there
    _fields_ = [("struct_size", ctypes.c_uint32)] + [(name, ctypes.c_int32) for name in (
        "scheme", "statistics", "normalise", "accumulate", "saves", "materialises", "z_may_alias_x", "dx_may_alias_dz", "deterministic",
        "alignment", "reserved")]


def pointers(*names):
    return [(name, ctypes.c_void_p) for name in names]


class ForwardArgs(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32)] + pointers("x", "z", "xhat", "gamma", "beta", "running_mean", "running_var", "mean", "var",
                                                             "workspace") + [("workspace_bytes", ctypes.c_size_t)] + pointers("stream")


class BackwardArgs(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32)] + pointers("dz", "x", "z", "xhat", "dx", "gamma", "beta", "mean", "var", "dgamma", "dbeta",
                                                             "workspace") + [("workspace_bytes", ctypes.c_size_t)] + pointers("stream")


class AbnVariant(ctypes.Structure):
    _fields_ = [("abi_version", ctypes.c_uint32), ("struct_size", ctypes.c_uint32), ("name", ctypes.c_char_p), ("summary", ctypes.c_char_p),
                ("memory", ctypes.c_int32), ("reserved", ctypes.c_int32),
                ("claims", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(AbnProblem), ctypes.POINTER(AbnClaims))),
                ("workspace_bytes", ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.POINTER(AbnProblem), ctypes.c_int)),
                ("forward", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(AbnProblem), ctypes.POINTER(ForwardArgs))),
                ("backward", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(AbnProblem), ctypes.POINTER(BackwardArgs)))]


ABI_VERSION, MEMORY_HOST, MEMORY_CUDA = 1, 0, 1
LAYOUTS, DTYPES, LEAKY_RELU = {"nchw": 0, "nhwc": 1}, {"f16": 0, "bf16": 1, "f32": 2}, 1
SAVES_Z, SAVES_MEAN, SAVES_VAR = 2, 8, 16
STATUS = {1: "unsupported problem", 2: "bad argument", 3: "workspace too small", 4: "launch failed", 5: "communication failed"}


def load_variants(path, memory, names):
    """The variants of these names whose pointers live in that memory."""
    try:
        library = ctypes.CDLL(path)
        entry = library.abn_in_tree_variant
    except (OSError, AttributeError) as wrong:
        raise UsageError(f"{path} cannot be loaded ({wrong}); build the target abn_kernels_shared, or name the library with --library")
    entry.restype, entry.argtypes = ctypes.POINTER(AbnVariant), [ctypes.c_uint32]
    found, index = {}, 0
    while entry(index):
        variant = entry(index).contents
        if variant.abi_version != ABI_VERSION:
            raise UsageError(f"{path} speaks version {variant.abi_version} of the ABI and this script {ABI_VERSION}; build both from one checkout")
        if variant.memory == memory:
            found[variant.name.decode()] = variant
        index += 1
    if not found:
        raise UsageError(f"{path} has no kernels for a GPU; configure with -DABN_CUDA=ON and build it again")
    for name in names:
        if name not in found:
            raise UsageError(f'There is no variant "{name}" in {path}; use some of {", ".join(found)}')
    return [(name, found[name]) for name in names]


# ---- problems ----

@dataclass
class Problem:
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
        return self.count() * torch.empty(0, dtype=TORCH_TYPES[self.dtype]).element_size()

    def view(self, flat):
        """A flat tensor as (n, c, h, w) of the problem's layout; square where s is one."""
        side = math.isqrt(self.s)
        h, w = (side, side) if side * side == self.s else (self.s, 1)
        if self.layout == "nchw":
            return flat.view(self.n, self.c, h, w)
        return flat.view(self.n, h, w, self.c).permute(0, 3, 1, 2)

    def abi(self):
        def narrow(value):  # the ABI wants numbers that are already rounded to the parameter type
            return struct.unpack("f", struct.pack("f", value))[0]
        return AbnProblem(ctypes.sizeof(AbnProblem), LAYOUTS[self.layout], self.n, self.c, self.s, DTYPES[self.dtype], DTYPES["f32"],
                          LEAKY_RELU, 0, 0, 0, narrow(self.slope), narrow(self.eps), narrow(self.momentum))


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
        elif option in TORCH_TYPES:
            problem.dtype = option
        elif word in ("leaky_relu", "eps", "momentum") and value:
            try:
                setattr(problem, "slope" if word == "leaky_relu" else word, float(value))
            except ValueError:
                raise UsageError(f'"{option}" in "{text}" needs a number after the colon; {hint}')
        elif option not in ("leaky_relu", "training", "signed", "param:f32"):
            raise UsageError(f'"{option}" in "{text}" is nothing that all competitors do (training with leaky_relu in f16, bf16 or f32); {hint}')
    if problem.count() == 0 or problem.n * problem.s < 2:
        raise UsageError(f'"{text}" has no batch to normalise; use n*s of at least 2, and no size of 0')
    return problem


def listed_problems(folder):
    """What `abn-verify bench` itself times on ResNet-50."""
    command = [os.path.join(folder, "abn-verify"), "bench", "--list", "--shapes", "resnet50"]
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except OSError as wrong:
        raise UsageError(f"{command[0]} cannot be run ({wrong.strerror}); build abn-verify, or name problems with --problem")
    lines = run.stdout.split()
    if run.returncode != 0 or not lines:
        raise UsageError(f'"{" ".join(command[1:])}" lists no problems (exit code {run.returncode}); name them with --problem')
    return lines


# ---- devices ----

class Gpu:
    memory, name = MEMORY_CUDA, "cuda"

    def __init__(self):
        properties = torch.cuda.get_device_properties(0)
        self.stream = torch.cuda.Stream()
        torch.cuda.set_stream(self.stream)  # one stream for everything: autograd replays on the stream of forward
        self.cache = getattr(properties, "L2_cache_size", 0) or 64 << 20  # older versions of PyTorch do not say
        self.settings = {"GPU": properties.name, "second-level cache": f"{self.cache / 2**20:.0f} MiB", "PyTorch": torch.__version__,
                         "cuDNN": str(torch.backends.cudnn.version()), "CUDA of PyTorch": str(torch.version.cuda)}

    def sets(self, problem, competitors):
        """Enough to outgrow the cache even for who touches each set's x alone; no more than fit."""
        wanted = min(MOST_SETS, max(2, math.ceil(3 * self.cache / problem.bytes())))
        torch.cuda.empty_cache()
        room = 0.7 * torch.cuda.mem_get_info()[0] / problem.bytes()  # tensors
        return min(wanted, int((room - 6) / (3 + 4 * competitors)))  # x, z, dz; two outputs and temporaries a competitor

    def stream_handle(self):
        return torch.cuda.current_stream().cuda_stream

    def capture(self, work):
        """What runs `work` once, and how: as one CUDA graph, or without and why."""
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                work()
            graph.replay()
            torch.cuda.synchronize()
            return graph.replay, "graph"
        except Exception as wrong:  # whatever a competitor throws in here, it may still work without
            torch.cuda.synchronize()
            work()
            return work, "no graph: " + reason(wrong)

    def seconds(self, work):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        if hasattr(torch.cuda, "_sleep"):
            torch.cuda._sleep(500_000)  # cycles in which the host gets ahead, so that its launch is not in the time
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3


class Cpu:
    memory, name = MEMORY_HOST, "cpu"

    def __init__(self):
        torch.set_num_threads(1)
        self.settings = {"device": "CPU, our kernels on the emulator: a dry run", "PyTorch": torch.__version__}

    def sets(self, problem, competitors):
        return 2

    def stream_handle(self):
        return None

    def capture(self, work):
        return work, "no graph: CPU"

    def seconds(self, work):
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin


# ---- data ----

class Row:
    """One tensor of the problem for each buffer set, every one on a boundary of 512 bytes, all filled with the same values."""

    def __init__(self, problem, sets, values):
        self.problem, self.values = problem, values
        pitch = -(-problem.count() // 256) * 256
        self.flat = torch.empty(sets, pitch, dtype=values.dtype, device=values.device)
        self.fill()

    def fill(self):
        self.flat[:, :self.problem.count()].copy_(self.values)

    def __getitem__(self, i):
        return self.problem.view(self.flat[i, :self.problem.count()])


class Data:
    """Random values of a problem: what all competitors are given."""

    def __init__(self, problem, device, sets):
        generator = torch.Generator(device=device.name).manual_seed(SEED)

        def normal(count):
            return torch.randn(count, generator=generator, device=device.name)
        self.problem, self.device, self.sets = problem, device, sets
        dtype = TORCH_TYPES[problem.dtype]
        self.x, self.dz = (0.5 + 2 * normal(problem.count())).to(dtype), normal(problem.count()).to(dtype)
        self.gamma, self.beta = 0.5 + torch.rand(problem.c, generator=generator, device=device.name), 0.25 * normal(problem.c)

    def row(self, values):
        return Row(self.problem, self.sets, values)

    def channel(self, value=0.0):
        return torch.full((self.problem.c,), value, device=self.device.name)


# ---- competitors: each offers step(i), which does set i, and named results of the first set ----

class Ours:
    how_computed = "ours"

    def __init__(self, name, variant, data):
        self.name, self.label, self.variant, self.data = name, name, variant, data
        self.problem = data.problem.abi()
        claims = AbnClaims(ctypes.sizeof(AbnClaims))
        self.check(variant.claims(self.problem, claims), "claims")
        if not claims.z_may_alias_x or not claims.dx_may_alias_dz or claims.saves & ~(SAVES_Z | SAVES_MEAN | SAVES_VAR):
            raise CallError(f"{name} does not work in place, which is what this script times")
        self.mean, self.var, self.dgamma, self.dbeta = (data.channel() for _ in range(4))
        self.running = data.channel(), data.channel(1.0)
        self.saves = claims.saves

    def check(self, status, what):
        if status != 0:
            raise CallError(f"{what} of {self.name} returned {status} ({STATUS.get(status, 'unknown')})")

    def workspace(self, direction):
        size = self.variant.workspace_bytes(self.problem, 0 if direction == FORWARD else 1)
        return torch.empty(max(size, 1), dtype=torch.uint8, device=self.data.device.name)

    def forward(self, row):
        workspace = self.workspace(FORWARD)
        args = [ForwardArgs(ctypes.sizeof(ForwardArgs), row[i].data_ptr(), row[i].data_ptr(), None, *addresses(
            self.data.gamma, self.data.beta, *self.running, self.mean, self.var, workspace), workspace.numel(), None)
            for i in range(self.data.sets)]

        def step(i, _keep=workspace):
            args[i].stream = self.data.device.stream_handle()
            self.check(self.variant.forward(self.problem, args[i]), FORWARD)
        return step

    def backward(self, row, kept):
        """dx takes the place of dz."""
        workspace = self.workspace(BACKWARD)
        mean, var = kept.mean if self.saves & SAVES_MEAN else None, kept.var if self.saves & SAVES_VAR else None
        args = [BackwardArgs(ctypes.sizeof(BackwardArgs), row[i].data_ptr(), None, kept.z[i].data_ptr(), None, row[i].data_ptr(), *addresses(
            self.data.gamma, self.data.beta, mean, var, self.dgamma, self.dbeta, workspace), workspace.numel(), None)
            for i in range(self.data.sets)]

        def step(i, _keep=workspace):
            args[i].stream = self.data.device.stream_handle()
            self.check(self.variant.backward(self.problem, args[i]), BACKWARD)
        return step

    def context(self):
        return contextlib.nullcontext()

    def results(self, direction, row, outputs):
        return {"z": row[0]} if direction == FORWARD else {"dx": row[0], "dgamma": self.dgamma, "dbeta": self.dbeta}


class Peer:
    def __init__(self, kind, data):
        self.kind, self.label, self.data = kind, PEERS[kind], data
        self.gamma, self.beta = (values.clone().requires_grad_() for values in (data.gamma, data.beta))
        self.running = data.channel(), data.channel(1.0)
        self.call = compiled(batch_norm_leaky_relu) if kind == "compiled" else batch_norm_leaky_relu
        self.how_computed = "Inductor" if kind == "compiled" else self.backend()

    def backend(self):
        """What PyTorch chose: cuDNN does not take every problem."""
        try:
            p, data = self.data.problem, self.data
            chosen = torch._batch_norm_impl_index(p.view(data.x), data.gamma, data.beta, data.channel(), data.channel(1.0), True, p.momentum,
                                                  p.eps, self.kind == "cudnn")[-1]
            return {0: "native", 1: "cuDNN"}.get(chosen, f"backend {chosen}")
        except Exception:  # an internal function, which may be gone
            return "unknown"

    def context(self):
        return torch.backends.cudnn.flags(enabled=self.kind != "native")

    def apply(self, x):
        p = self.data.problem
        return self.call(x, *self.running, self.gamma, self.beta, p.momentum, p.eps, p.slope)

    def forward(self, row):
        inputs = [row[i].detach().requires_grad_() for i in range(self.data.sets)]  # as in training: what backward needs is kept
        return lambda i: (self.apply(inputs[i]).detach(),)

    def backward(self, row, kept):
        inputs = [kept.x[i].detach().requires_grad_() for i in range(self.data.sets)]
        outputs = [self.apply(x) for x in inputs]
        return lambda i: torch.autograd.grad(outputs[i], (inputs[i], self.gamma, self.beta), row[i], retain_graph=True)

    def results(self, direction, row, outputs):
        return dict(zip(("z",) if direction == FORWARD else ("dx", "dgamma", "dbeta"), outputs[0]))


def batch_norm_leaky_relu(x, running_mean, running_var, gamma, beta, momentum, eps, slope):
    y = F.batch_norm(x, running_mean, running_var, gamma, beta, training=True, momentum=momentum, eps=eps)
    return F.leaky_relu(y, slope, inplace=True)


def compiled(function):
    if not hasattr(torch, "compile"):
        raise RuntimeError("this PyTorch has no torch.compile")
    import torch._dynamo  # part of PyTorch
    torch._dynamo.reset()  # else it gives up silently after a few shapes
    with contextlib.suppress(Exception):  # newer versions otherwise refuse retain_graph
        import torch._functorch.config
        torch._functorch.config.donated_buffer = False
    return torch.compile(function, dynamic=False, fullgraph=True)


def addresses(*tensors):
    return [None if tensor is None else tensor.data_ptr() for tensor in tensors]


# ---- measuring ----

@dataclass
class Result:
    problem: Problem
    direction: str
    competitor: str
    backend: str = ""
    note: str = ""
    failed: bool = False
    seconds: list = field(default_factory=list)
    ratio: float = math.nan

    def micros(self, share):
        """That quantile of the times of one call."""
        ordered = sorted(self.seconds)
        if not ordered:
            return math.nan
        at = share * (len(ordered) - 1)
        low = int(at)
        return 1e6 * (ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]))


class Pass:
    """A competitor's way over all buffer sets in one direction."""

    def __init__(self, competitor, step, data):
        self.competitor, self.outputs = competitor, []

        def work():
            self.outputs.clear()  # outputs of a pass stay alive until the next, so that every set has memory of its own
            with competitor.context():
                for i in range(data.sets):
                    self.outputs.append(step(i))
        work()
        self.run, self.how = data.device.capture(work)


class Kept:
    """What backward works from: x for the peers; z, mean and var of the first variant for ours."""

    def __init__(self, first, data):
        self.x, self.z = data.row(data.x), data.row(data.x)
        step = first.forward(self.z)
        for i in range(data.sets):
            step(i)
        self.mean, self.var = first.mean.clone(), first.var.clone()


def reason(wrong):
    lines = str(wrong).strip().splitlines()
    return (lines[0] if lines else type(wrong).__name__)[:200]


def disagreement(theirs, ours, tolerance):
    """The first result that is another function's, in words, or nothing."""
    for name, expected in ours.items():
        expected, got = expected.float(), theirs[name].detach().float()
        error, size = (got - expected).norm().item(), expected.norm().item()
        if not error <= tolerance * size:  # NaN disagrees
            return f"{name} differs by {error / size if size else math.inf:.2g} of its norm, {tolerance:g} is allowed"
    return ""


def measure(problem, direction, makers, data, rounds):
    """One Result for each competitor; `makers` are pairs of a label and what makes it, the first variant first."""
    row = data.row(data.x if direction == FORWARD else data.dz)
    results, passes, kept, expected = [], [], None, None
    for label, make in makers:
        result = Result(problem, direction, label)
        results.append(result)
        ours = False
        try:
            competitor = make()
            ours = isinstance(competitor, Ours)
            result.backend = competitor.how_computed
            if direction == BACKWARD and kept is None:
                kept = Kept(competitor, data)
            row.fill()
            with competitor.context():
                step = competitor.forward(row) if direction == FORWARD else competitor.backward(row, kept)
            one = Pass(competitor, step, data)
            row.fill()
            one.run()
            got = competitor.results(direction, row, one.outputs)
            if expected is None:
                expected = {name: value.clone() for name, value in got.items()}
            wrong = disagreement(got, expected, TOLERANCE[problem.dtype])
            result.note, result.failed = ("error: " + wrong, True) if wrong else (one.how, False)
            if not wrong:
                passes.append((result, one))
        except Exception as wrong:  # a peer that cannot do a problem is left out; ours must do it
            ours = ours or isinstance(wrong, CallError)
            result.note, result.failed = ("error: " if ours else "skipped: ") + reason(wrong), ours
        if expected is None:
            result.note += "" if result.failed else "; nothing to compare with"
            result.failed = True
            return results
    for turn in range(rounds + 1):  # the first round warms up and is not kept
        for result, one in passes:
            row.fill()
            elapsed = data.device.seconds(one.run)
            if turn > 0:
                result.seconds.append(elapsed / data.sets)
    for result in results:
        result.ratio = result.micros(0.5) / results[0].micros(0.5)
    return results


def run_problem(problem, device, variants, kinds, rounds):
    """Results of both directions."""
    sets = device.sets(problem, len(variants) + len(kinds))
    if sets < 1:
        return [Result(problem, direction, variants[0][0], note="skipped: does not fit into the memory") for direction in (FORWARD, BACKWARD)]
    data, made = Data(problem, device, sets), {}

    def maker(label, make):
        def once():  # compiling takes seconds: one competitor serves both directions
            if label not in made:
                made[label] = make()
            return made[label]
        return label, once
    makers = [maker(name, lambda name=name, variant=variant: Ours(name, variant, data)) for name, variant in variants]
    makers += [maker(PEERS[kind], lambda kind=kind: Peer(kind, data)) for kind in kinds]
    return measure(problem, FORWARD, makers, data, rounds) + measure(problem, BACKWARD, makers, data, rounds)


# ---- what comes out ----

def means(results):
    """Geometric means of the ratios by competitor, type, direction and layout, with the number of problems."""
    groups = {}
    for result in results:
        if math.isfinite(result.ratio):
            key = result.competitor, result.problem.dtype, result.direction, result.problem.layout
            groups.setdefault(key, []).append(math.log(result.ratio))
    return [(*key, math.exp(sum(logs) / len(logs)), len(logs)) for key, logs in groups.items()]


def number(value):
    """A number of a study; those that JSON lacks are words in an array (verify/study/study_json.cpp)."""
    return [float(f"{value:.6g}") if math.isfinite(value) else "nan"]


def table(name, title, note, columns, rows):
    return {"name": name, "title": title, "note": note, "detail": False,
            "columns": [{"name": column, "unit": unit} for column, unit in columns], "rows": rows}


def study(results, settings, first, dry):
    timed = [[r.problem.text, r.direction, r.competitor, r.backend, *(number(r.micros(share)) for share in (0.5, 0.1, 0.9)), number(r.ratio),
              r.note] for r in results]
    summary = [[*words, number(mean), number(count)] for *words, mean, count in means(results)]
    conclusions = [DRY_WARNING] if dry else [
        f"{competitor} takes {mean:.3g} times as long as {first}: {direction}, {dtype}, {layout}, geometric mean of {count} problems."
        for competitor, dtype, direction, layout, mean, count in means(results) if competitor != first]
    about = "Training batch norm + leaky ReLU, ours in place and PyTorch's, interleaved in one process; every result was compared with ours first."
    return {"schema": "abn-verify-study/1", "name": "peers", "title": "Side by side with PyTorch" + (" (dry run)" if dry else ""),
            "summary": (DRY_WARNING + " " if dry else "") + about, "seed": SEED, "settings": settings, "conclusions": conclusions,
            "tables": [
                table("means", "Ratios", f"Geometric means of time over that of {first}; above 1, {first} is faster.",
                      [("competitor", ""), ("type", ""), ("direction", ""), ("layout", ""), ("ratio", ""), ("problems", "")], summary),
                table("times", "Times of one call", "Median, p10 and p90 over the rounds; backend: what PyTorch chose to run.",
                      [("problem", ""), ("direction", ""), ("competitor", ""), ("backend", ""), ("median", "us"), ("p10", "us"), ("p90", "us"),
                       ("ratio", ""), ("how", "")], timed)],
            "grids": []}


def write(path, text):
    """The whole file or none of it."""
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)), prefix=".peers-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as wrong:
        raise UsageError(f"{path} cannot be written ({wrong.strerror}); give --out a file in a folder that exists")


def show(results):
    print(results[0].problem.text)
    for r in results:
        times = f"{r.micros(0.5):11.2f} us ({r.micros(0.1):.2f} .. {r.micros(0.9):.2f})  ratio {r.ratio:.3f}" if r.seconds else " " * 11
        print(f"  {r.direction:8}  {r.competitor:20} {r.backend:8} {times}  {r.note}", flush=True)


def arguments():
    class Parser(argparse.ArgumentParser):
        def error(self, message):
            raise UsageError(f"{message[:1].upper()}{message[1:]}; see {os.path.basename(self.prog)} --help")
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    beside = os.path.join(here, "libabn_kernels.so")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--variants", default="auto", help="of ours; ratios refer to the first")
    parser.add_argument("--peers", default=",".join(PEERS), help="some of " + ", ".join(PEERS))
    parser.add_argument("--problem", action="append", metavar="P", help="may be repeated")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--library", default=beside if os.path.exists(beside) else os.path.join(here, "..", "build", "bin", "libabn_kernels.so"))
    parser.add_argument("--out", metavar="FILE", help="a study for abn-verify report")
    options = parser.parse_args()
    options.variants, options.peers = options.variants.split(","), [kind for kind in options.peers.split(",") if kind]
    for kind in options.peers:
        if kind not in PEERS:
            raise UsageError(f'"{kind}" is no peer; use some of {", ".join(PEERS)}')
    if options.rounds < SMALLEST_ROUNDS:
        raise UsageError(f"{options.rounds} rounds are too few for p10 and p90; use {SMALLEST_ROUNDS} or more")
    return options


def main():
    options = arguments()
    dry = options.device == "cpu"
    if not dry and not torch.cuda.is_available():
        print("PyTorch finds no GPU here; run this on a GPU machine, or try it out with --device cpu.")
        return 77
    texts = options.problem or (DRY_PROBLEMS if dry else listed_problems(os.path.dirname(os.path.abspath(options.library))))
    problems = [parse_problem(text) for text in texts]
    device = Cpu() if dry else Gpu()
    variants = load_variants(options.library, device.memory, options.variants)
    settings = {**device.settings, "rounds": str(options.rounds), "x": "mean 0.5, deviation 2", "dz": "N(0, 1)",
                "compared within": ", ".join(f"{dtype} {tolerance:g}" for dtype, tolerance in TOLERANCE.items()) + " of the 2-norm"}
    if dry:
        print(DRY_WARNING)
    print("; ".join(f"{name}: {value}" for name, value in settings.items()))
    results = []
    for problem in problems:
        some = run_problem(problem, device, variants, options.peers, options.rounds)
        show(some)
        results += some
    print(f"Geometric means of the time over that of {options.variants[0]}" + (" (a dry run: they say nothing)" if dry else ""))
    for competitor, dtype, direction, layout, mean, count in means(results):
        print(f"  {competitor:20} {dtype:5} {direction:8} {layout:5} {mean:8.3f}  ({count} problems)")
    if options.out:
        write(options.out, json.dumps(study(results, settings, options.variants[0], dry), indent=1) + "\n")
    return 1 if any(result.failed for result in results) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(2)
