"""Times the kernels of this project against PyTorch on the same problems, interleaved in one
process.

    bench_peers.py [--device cuda|cpu] [--variants auto,two_sweep] [--peers cudnn,native,compiled]
                   [--problem P]... [--threads N] [--out FILE]
    bench_peers.py --device cpu --variants cpu --peers native

What is timed is training batch norm + leaky ReLU, forward and backward each for itself. The peers:
F.batch_norm and an in-place leaky_relu with cuDNN on ("cudnn"), off ("native"), and both under
torch.compile ("compiled"), on tensors of the problem's own layout. Problems are strings as
everywhere in abn-verify; without --problem they are those of `abn-verify bench --list --shapes
resnet50`.

Protocol. Each competitor goes over a row of buffer sets, as one CUDA graph; one that cannot be
captured is timed without, and its row says so. The x of all sets are at least three times the
second-level cache (at most 256 sets, and what fits). Before each timed pass they are filled again
from random data (x mean 0.5, deviation 2; dz N(0, 1)), outside the events. Rounds are interleaved,
A B A B, the first one is dropped; given are median, p10 and p90 of the time of one call. Only the
same function is timed: ||theirs - ours|| <= t ||ours|| in the 2-norm for z, dx, dgamma and dbeta, t
= 1e-4 (f32), 2e-3 (f16), 1e-2 (bf16). The ratio is a competitor's median over that of the first
variant; above 1 ours is faster. Ours works in place, forward and backward; the peers need x for
backward and write dx elsewhere.

--device cpu --variants cpu times the variant that is host code beside PyTorch on the CPU, with as
many threads for either; without --problem on three layers in f32 and bf16. Buffers are filled just
before each pass, so that of a small tensor some lies in the cache, as it does behind the layer that
wrote it. With other variants --device cpu is a dry run of the same code on the emulated variants
and tiny problems: it shows that the script works, its times say nothing.

Exit code: 0 all agreed, 1 a competitor did not agree or one of our calls failed, 2 the command or
the setup is wrong, 77 nothing could run. Needs PyTorch 2 (1.13 on the CPU), and
libabn_kernels.so, which the build puts into build/bin; runs from a copy of that folder, too.
"""
import argparse
import contextlib
import ctypes
import gc
import importlib
import math
import os
import subprocess
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print(f"PyTorch is not installed for {sys.executable}; install it, or run this script with a "
          "Python that has it.")
    sys.exit(77)

import abn_kernels as abn
import peers_report
from abn_kernels import UsageError
from peers_devices import DryCpu, Gpu, TimedCpu, reason
from peers_report import BACKWARD, FORWARD, Result

TORCH_TYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32}
TOLERANCE = {"f16": 2e-3, "bf16": 1e-2, "f32": 1e-4}
PEERS = {"cudnn": "PyTorch, cuDNN on", "native": "PyTorch, cuDNN off",
         "compiled": "PyTorch, compiled"}
DRY_PROBLEMS = [f"n2c5s{s},{layout},{dtype}" for s, layout in ((16, "nchw"), (7, "nhwc"))
                for dtype in TORCH_TYPES]
CPU_PROBLEMS = [f"n{n}c{c}s{s},{dtype}" for dtype in ("f32", "bf16")
                for n, c, s in ((32, 64, 3136), (32, 256, 196), (64, 512, 49))]
SMALLEST_ROUNDS = 11


class CallError(Exception):
    """A call of one of our kernels did not return ABN_OK."""


def listed_problems(folder):
    """What `abn-verify bench` itself times on ResNet-50, as far as the peers do it."""
    command = [os.path.join(folder, "abn-verify"), "bench", "--list", "--shapes", "resnet50"]
    try:
        run = subprocess.run(command, capture_output=True, text=True)
    except OSError as wrong:
        raise UsageError(f"{command[0]} cannot be run ({wrong.strerror}); build abn-verify, or "
                         "name problems with --problem")
    problems = []
    for line in run.stdout.split("\n") if run.returncode == 0 else []:
        try:
            problems += [abn.parse_problem(line.strip())] if line.strip() else []
        except UsageError as wrong:
            print(f"Left out: {wrong}")
    if not problems:
        raise UsageError(f'"{" ".join(command[1:])}" lists no problem (exit code '
                         f'{run.returncode}); name some with --problem')
    return problems


# ---- data ----

def image_view(problem, flat):
    """A flat tensor as (n, c, h, w) in the memory format of the problem's layout."""
    h, w = problem.image()
    if problem.layout == "nchw":
        return flat.view(problem.n, problem.c, h, w)
    return flat.view(problem.n, h, w, problem.c).permute(0, 3, 1, 2)


class Row:
    """One tensor of the problem for each buffer set, every one on a boundary of 512 bytes, all
    filled with the same values."""

    def __init__(self, problem, sets, values):
        self.problem, self.values = problem, values
        pitch = -(-problem.count() // 256) * 256
        self.flat = torch.empty(sets, pitch, dtype=values.dtype, device=values.device)
        self.fill()

    def fill(self):
        self.flat[:, :self.problem.count()].copy_(self.values)

    def address(self, i):
        return self.flat[i].data_ptr()

    def __getitem__(self, i):
        return image_view(self.problem, self.flat[i, :self.problem.count()])


class Data:
    """Random values of a problem: what all competitors are given."""

    def __init__(self, problem, device, sets):
        generator = torch.Generator(device=device.name).manual_seed(peers_report.SEED)

        def normal(count):
            return torch.randn(count, generator=generator, device=device.name)
        self.problem, self.device, self.sets = problem, device, sets
        dtype = TORCH_TYPES[problem.dtype]
        self.x = (0.5 + 2 * normal(problem.count())).to(dtype)
        self.dz = normal(problem.count()).to(dtype)
        self.gamma = 0.5 + torch.rand(problem.c, generator=generator, device=device.name)
        self.beta = 0.25 * normal(problem.c)

    def row(self, values):
        return Row(self.problem, self.sets, values)

    def channel(self, value=0.0):
        return torch.full((self.problem.c,), value, device=self.device.name)


# ---- competitors: each offers step(i), which does set i, and named results of the first set ----

class Ours:
    """A variant of this project, called through its ABI, in place both ways."""
    backend = "ours"

    def __init__(self, name, variant, data):
        self.name, self.variant, self.data = name, variant, data
        self.problem = data.problem.abi()
        claims = abn.AbnClaims(ctypes.sizeof(abn.AbnClaims))
        self.check(variant.claims(self.problem, claims), "claims")
        kept = abn.SAVES_Z | abn.SAVES_MEAN | abn.SAVES_VAR
        if not claims.z_may_alias_x or not claims.dx_may_alias_dz or claims.saves & ~kept:
            raise CallError(f"{name} does not work in place, which is what this script times")
        self.mean, self.var, self.dgamma, self.dbeta = (data.channel() for _ in range(4))
        self.running = data.channel(), data.channel(1.0)
        self.saves = claims.saves

    def check(self, status, what):
        if status != 0:
            raise CallError(f"{what} of {self.name} returned {status} "
                            f"({abn.STATUS.get(status, 'unknown')})")

    def steps(self, direction, args):
        """step(i) for the argument structures of all sets, which then share a workspace."""
        code, call = abn.FORWARD, self.variant.forward
        if direction == BACKWARD:
            code, call = abn.BACKWARD, self.variant.backward
        size = self.variant.workspace_bytes(self.problem, code)
        self.workspace = torch.empty(max(size, 1), dtype=torch.uint8, device=self.data.device.name)
        for one in args:
            one.struct_size = ctypes.sizeof(one)
            one.workspace, one.workspace_bytes = self.workspace.data_ptr(), size
            one.gamma, one.beta = self.data.gamma.data_ptr(), self.data.beta.data_ptr()

        def step(i):
            args[i].stream = self.data.device.stream_handle()
            self.check(call(self.problem, args[i]), direction)
        return step

    def forward(self, row):
        """z takes the place of x."""
        running_mean, running_var = self.running
        return self.steps(FORWARD, [
            abn.ForwardArgs(x=row.address(i), z=row.address(i), mean=self.mean.data_ptr(),
                            var=self.var.data_ptr(), running_mean=running_mean.data_ptr(),
                            running_var=running_var.data_ptr())
            for i in range(self.data.sets)])

    def backward(self, row, kept):
        """dx takes the place of dz."""
        mean = kept.mean.data_ptr() if self.saves & abn.SAVES_MEAN else None
        var = kept.var.data_ptr() if self.saves & abn.SAVES_VAR else None
        return self.steps(BACKWARD, [
            abn.BackwardArgs(dz=row.address(i), dx=row.address(i), z=kept.z.address(i), mean=mean,
                             var=var, dgamma=self.dgamma.data_ptr(), dbeta=self.dbeta.data_ptr())
            for i in range(self.data.sets)])

    def context(self):
        return contextlib.nullcontext()

    def results(self, direction, row, outputs):
        if direction == FORWARD:
            return {"z": row[0]}
        return {"dx": row[0], "dgamma": self.dgamma, "dbeta": self.dbeta}


class Peer:
    """PyTorch in one of three ways."""

    def __init__(self, kind, data):
        self.kind, self.data = kind, data
        self.gamma, self.beta = (values.clone().requires_grad_()
                                 for values in (data.gamma, data.beta))
        self.running = data.channel(), data.channel(1.0)
        self.call = compiled(batch_norm_leaky_relu) if kind == "compiled" else batch_norm_leaky_relu
        self.backend = "Inductor" if kind == "compiled" else self.chosen_backend()

    def chosen_backend(self):
        """What PyTorch chose: cuDNN does not take every problem."""
        try:
            p, data = self.data.problem, self.data
            chosen = torch._batch_norm_impl_index(image_view(p, data.x), data.gamma, data.beta,
                                                  data.channel(), data.channel(1.0), True,
                                                  p.momentum, p.eps, self.kind == "cudnn")[-1]
            return {0: "native", 1: "cuDNN"}.get(chosen, f"backend {chosen}")
        except Exception:  # an internal function, which may be gone
            return "unknown"

    def context(self):
        return cudnn_enabled(self.kind != "native")

    def apply(self, x):
        p = self.data.problem
        return self.call(x, *self.running, self.gamma, self.beta, p.momentum, p.eps, p.slope)

    def forward(self, row):
        # As in training: what backward needs is kept.
        inputs = [row[i].detach().requires_grad_() for i in range(self.data.sets)]
        return lambda i: (self.apply(inputs[i]).detach(),)

    def backward(self, row, kept):
        inputs = [kept.x[i].detach().requires_grad_() for i in range(self.data.sets)]
        outputs = [self.apply(x) for x in inputs]
        return lambda i: torch.autograd.grad(outputs[i], (inputs[i], self.gamma, self.beta), row[i],
                                             retain_graph=True)

    def results(self, direction, row, outputs):
        return dict(zip(("z",) if direction == FORWARD else ("dx", "dgamma", "dbeta"), outputs[0]))


@contextlib.contextmanager
def cudnn_enabled(enabled):
    before, torch.backends.cudnn.enabled = torch.backends.cudnn.enabled, enabled
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


def batch_norm_leaky_relu(x, running_mean, running_var, gamma, beta, momentum, eps, slope):
    y = F.batch_norm(x, running_mean, running_var, gamma, beta, training=True, momentum=momentum,
                     eps=eps)
    return F.leaky_relu(y, slope, inplace=True)


def compiled(function):
    """The function under torch.compile; an exception says why not."""
    if not hasattr(torch, "compile"):
        raise RuntimeError("this PyTorch has no torch.compile")
    importlib.import_module("torch._dynamo").reset()  # else it gives up silently after a few shapes
    with contextlib.suppress(Exception):  # newer versions otherwise refuse retain_graph
        importlib.import_module("torch._functorch.config").donated_buffer = False
    return torch.compile(function, dynamic=False, fullgraph=True)


# ---- measuring ----

class Pass:
    """A competitor's way over all buffer sets in one direction."""

    def __init__(self, competitor, step, data):
        self.outputs = []

        def work():
            # Outputs of a pass stay alive until the next, so that every set has memory of its own.
            self.outputs.clear()
            with competitor.context():
                for i in range(data.sets):
                    self.outputs.append(step(i))
        work()
        self.outputs.clear()
        self.run, self.how = data.device.capture(work)


class Kept:
    """What backward works from: x for the peers; z, mean and var of the first variant for ours."""

    def __init__(self, first, data):
        self.x, self.z = data.row(data.x), data.row(data.x)
        step = first.forward(self.z)
        for i in range(data.sets):
            step(i)
        self.mean, self.var = first.mean.clone(), first.var.clone()


def disagreement(theirs, ours, tolerance):
    """The first result that is another function's, in words, or nothing."""
    for name, expected in ours.items():
        expected, got = expected.float(), theirs[name].detach().float()
        error, size = (got - expected).norm().item(), expected.norm().item()
        if not error <= tolerance * size:  # NaN disagrees
            return (f"{name} differs by {error / size if size else math.inf:.2g} of its norm, "
                    f"{tolerance:g} is allowed")
    return ""


def measure(problem, direction, makers, data, rounds):
    """One Result for each competitor; `makers` are pairs of a label and what makes it, the first
    variant first."""
    gc.collect()  # what the last direction held
    row = data.row(data.x if direction == FORWARD else data.dz)
    results, passes, kept, expected = [], [], None, None
    for label, make in makers:
        result = Result(problem, direction, label, data.sets)
        results.append(result)
        ours = False
        try:
            competitor = make()
            ours = isinstance(competitor, Ours)
            result.backend = competitor.backend
            if direction == BACKWARD and kept is None:
                kept = Kept(competitor, data)
            row.fill()
            with competitor.context():
                step = (competitor.forward(row) if direction == FORWARD else
                        competitor.backward(row, kept))
            one = Pass(competitor, step, data)
            row.fill()
            one.run()
            got = competitor.results(direction, row, one.outputs)
            if expected is None:
                expected = {name: value.clone() for name, value in got.items()}
            wrong = disagreement(got, expected, TOLERANCE[problem.dtype])
            result.note = "error: " + wrong if wrong else one.how
            result.failed, result.graph = bool(wrong), one.how == "graph"
            if not wrong:
                passes.append((result, one))
        except Exception as wrong:  # a peer that cannot do a problem is left out; ours must do it
            ours = ours or isinstance(wrong, CallError)
            result.note, result.failed = ("error: " if ours else "skipped: ") + reason(wrong), ours
        if expected is None:
            result.failed = True  # nothing to compare with
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
        note = "skipped: too large for " + device.room
        return [Result(problem, direction, variants[0][0], note=note)
                for direction in (FORWARD, BACKWARD)]
    data, made = Data(problem, device, sets), {}

    def maker(label, make):
        def once():  # compiling takes seconds: one competitor serves both directions
            if label not in made:
                made[label] = make()
            return made[label]
        return label, once
    makers = [maker(name, lambda name=name, variant=variant: Ours(name, variant, data))
              for name, variant in variants]
    makers += [maker(PEERS[kind], lambda kind=kind: Peer(kind, data)) for kind in kinds]
    return (measure(problem, FORWARD, makers, data, rounds) +
            measure(problem, BACKWARD, makers, data, rounds))


def arguments():
    class Parser(argparse.ArgumentParser):
        def error(self, message):
            raise UsageError(f"{message[:1].upper()}{message[1:]}; "
                             f"see {os.path.basename(self.prog)} --help")
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    beside, built = (os.path.join(folder, "libabn_kernels.so")
                     for folder in (here, os.path.join(os.path.dirname(here), "build", "bin")))
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--variants", default="auto", help="of ours; ratios refer to the first")
    parser.add_argument("--peers", default=",".join(PEERS), help="some of " + ", ".join(PEERS))
    parser.add_argument("--problem", action="append", metavar="P", help="may be repeated")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0,
                        help="with --device cpu, of PyTorch and of ours; 0: as PyTorch has them")
    parser.add_argument("--library", default=beside if os.path.exists(beside) else built)
    parser.add_argument("--out", metavar="FILE", help="a study for abn-verify report")
    options = parser.parse_args()
    options.variants = options.variants.split(",")
    options.peers = [kind for kind in options.peers.split(",") if kind]
    for kind in options.peers:
        if kind not in PEERS:
            raise UsageError(f'"{kind}" is no peer; use some of {", ".join(PEERS)}')
    if options.rounds < SMALLEST_ROUNDS:
        raise UsageError(f"{options.rounds} rounds are too few for p10 and p90; "
                         f"use {SMALLEST_ROUNDS} or more")
    return options


def main():
    options = arguments()
    on_cpu = options.device == "cpu"
    dry = on_cpu and not set(options.variants) <= abn.HOST_CODE
    if not on_cpu and not torch.cuda.is_available():
        print("PyTorch finds no GPU here; run this on a GPU machine, or try it out with "
              "--device cpu.")
        return 77
    if options.problem or on_cpu:
        usual = DRY_PROBLEMS if dry else CPU_PROBLEMS
        problems = [abn.parse_problem(text) for text in options.problem or usual]
    else:
        problems = listed_problems(os.path.dirname(os.path.abspath(options.library)))
    device = DryCpu() if dry else TimedCpu(options.threads) if on_cpu else Gpu()
    variants = abn.load_variants(options.library, device.memory, options.variants)
    if options.out:
        peers_report.check_writable(options.out)
    within = ", ".join(f"{dtype} {tolerance:g}" for dtype, tolerance in TOLERANCE.items())
    settings = {**device.settings, "rounds": str(options.rounds), "x": "mean 0.5, deviation 2",
                "dz": "N(0, 1)", "compared within": within + " of the 2-norm"}
    if dry:
        print(peers_report.DRY_WARNING)
    print("; ".join(f"{name}: {value}" for name, value in settings.items()))
    results = []
    for problem in problems:
        some = run_problem(problem, device, variants, options.peers, options.rounds)
        peers_report.show(some)
        results += some
    peers_report.show_means(results, options.variants[0], dry)
    if options.out:
        peers_report.write(options.out,
                           peers_report.study(results, settings, options.variants[0], dry))
    if any(result.failed for result in results):
        return 1
    return 0 if any(result.seconds for result in results) else 77


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(2)
