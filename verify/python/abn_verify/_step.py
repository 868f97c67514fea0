"""One training step as tensors: judged, or asked how far off its results may be."""
from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _cli, _safetensors
from ._claims import ACCUMULATE, KINKS, NORMALISE, RUNNING_VARIANCES, SCHEMES, STATISTICS
from ._errors import UsageError
from ._problem import Problem, require_word
from ._result import Result, result_of

# Parameters of Step and the names of their tensors in the file (fixtures/README.md).
_TENSORS = ("x", "dz", "z", "dx")
_VECTORS = {"gamma": "gamma", "beta": "beta", "running_mean": "running_mean",
            "running_var": "running_var", "mean": "saved_mean", "var": "saved_var",
            "invstd": "saved_invstd", "new_running_mean": "running_mean_out",
            "new_running_var": "running_var_out", "dgamma": "dgamma", "dbeta": "dbeta"}


@dataclasses.dataclass(frozen=True)
class Bound:
    """One output: its exact values in double, and how far off each may be. An element of which
    nothing is demanded has an infinite bound."""

    exact: Any
    bound: Any

    def ratio(self, got: Any) -> float:
        """The largest error divided by its bound: at most 1 where all of it is within."""
        values = _doubles(got).reshape(np.shape(self.exact))
        same = (values == self.exact) | (np.isnan(values) & np.isnan(self.exact))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.where(same | np.isinf(self.bound), 0, abs(values - self.exact) / self.bound)
        return float(np.where(np.isnan(ratios), np.inf, ratios).max(initial=0))

    def assert_close(self, got: Any) -> None:
        """Raises AssertionError where an element is further off than its bound."""
        ratio = self.ratio(got)
        if not ratio <= 1:
            raise AssertionError(f"the largest error is {ratio:.3g} of its bound")


def check(x: Any, *, activation: str, save_to: str | None = None, name: str = "step",
          **step: Any) -> Result:
    """Judges tensors that a framework computed: any of z, mean, var, invstd, new_running_mean,
    new_running_var, dx, dgamma and dbeta, of one call of forward and backward.

    `x` and the other tensors have the channels at `channel_axis` (1), vectors one number a channel;
    NumPy arrays, PyTorch tensors, or what numpy.asarray takes. `step` are the arguments of
    abn_verify.Step. `save_to` keeps the file that the command line judges again: `abn-verify check
    FILE`. Raises UsageError for tensors that do not belong together.
    """
    tensors = Step(x=x, activation=activation, **step)
    with tempfile.TemporaryDirectory(prefix="abn-verify-") as folder:
        path = save_to or os.path.join(folder, f"{name}.safetensors")
        out = os.path.join(folder, "results.json")
        tensors.write(path)
        text = _run(["check", path, "--out", out], out)
        with open(out, encoding="utf-8") as file:
            data = file.read()
    if save_to is None:  # nobody finds the file again
        again = 'abn_verify.check(..., save_to="FILE"), then abn-verify check FILE'
        text, data = (one.replace(f"abn-verify check {path}", said) for one, said in
                      ((text, again), (data, json.dumps(again)[1:-1])))
    return result_of(json.loads(data), text)


def bound(x: Any, *, activation: str, **step: Any) -> dict[str, Bound]:
    """The exact outputs and their error bounds, for kernels that compute as it is said: z, mean,
    var, new_running_mean, new_running_var, and with dz also dx, dgamma and dbeta. Each array has
    the shape of x, or one number a channel.

        limit = abn_verify.bound(x, gamma=gamma, beta=beta, activation="leaky_relu")["z"]
        limit.assert_close(z)
        assert numpy.isclose(z, limit.exact, rtol=0, atol=limit.bound).all()  # the same
        torch.testing.assert_close(z, expected, rtol=0, atol=limit.bound.max())  # a little wider

    `step` are the arguments of abn_verify.Step. The z and the statistics that a kernel kept, if
    they are given, are what its gradients are to follow from; else those follow from x, and their
    bounds include what storing z costs.
    """
    tensors = Step(x=x, activation=activation, **step)
    with tempfile.TemporaryDirectory(prefix="abn-verify-") as folder:
        path, out = (os.path.join(folder, one) for one in ("step.safetensors", "out.safetensors"))
        tensors.write(path)
        _run(["bound", path, "--out", out], out)
        found = _safetensors.read_doubles(out)
    names = {"variance": "var", "running_mean": "new_running_mean",
             "running_var": "new_running_var"}
    return {names.get(output, output):
            Bound(tensors.as_given(found[output]), tensors.as_given(found[f"{output}.bound"]))
            for output in found if "." not in output}


@dataclasses.dataclass
class Step:
    """What was computed and how. Tensors as given; eps, momentum and the activation's parameter are
    those numbers rounded to the type of the parameters, as kernels are given them; claims as in
    abn_verify.Claims, for which a depth of None is that of a loop over all samples."""

    x: Any
    activation: str  #: "leaky_relu"; with its parameter beside it
    parameter: float | None = None
    gamma: Any = None
    beta: Any = None
    running_mean: Any = None  #: as they were before the step
    running_var: Any = None
    dz: Any = None
    z: Any = None
    mean: Any = None
    var: Any = None  #: biased, without eps
    invstd: Any = None  #: 1/sqrt(var + eps), in place of var
    new_running_mean: Any = None
    new_running_var: Any = None
    dx: Any = None
    dgamma: Any = None
    dbeta: Any = None
    eps: float = 1e-5
    momentum: float = 0.1  #: the weight of the new value
    scale: str = "signed"
    mode: str = "training"
    channel_axis: int = 1
    scheme: str | None = None  #: None: standard with z, else checkpoint_x
    statistics: str = "two_pass"
    normalise: str = "direct"
    accumulate: str | None = None  #: None: f64 with f64, else f32
    materialises: Sequence[str] = ()
    depth: int | None = None
    depth_backward: int | None = None
    kink: str = "undeclared"
    running_variance: str = "unbiased"

    def problem(self) -> Problem:
        kind, x = typed("x", self.x)
        if x.ndim < 2:
            raise UsageError(f"x has the shape {x.shape}, and needs images and channels")
        parameters = [typed(name, getattr(self, name))[0] for name in _VECTORS
                      if getattr(self, name) is not None]
        behind = [typed(name, one)[0] for name, one in (("z", self.z), ("dz", self.dz))
                  if one is not None]
        n, c = x.shape[0], x.shape[self.channel_axis]
        return Problem(n, c, x.size // max(n * c, 1), self.activation, self.parameter, type=kind,
                       param_type=parameters[0] if parameters else None,
                       out_type=behind[0] if behind else None, eps=self.eps,
                       momentum=self.momentum, scale=self.scale, mode=self.mode)

    def write(self, path: str) -> None:
        """As a file of `abn-verify check`."""
        try:
            p = self.problem()
            for word, words, what in (
                    (self.statistics, STATISTICS, "statistics"),
                    (self.normalise, NORMALISE, "normalise"), (self.kink, KINKS, "kink"),
                    (self.running_variance, RUNNING_VARIANCES, "running_variance"),
                    (self.scheme or "standard", SCHEMES, "scheme"),
                    (self.accumulate or "f32", ACCUMULATE, "accumulate")):
                require_word(word, words, what)
        except ValueError as wrong:
            raise UsageError(str(wrong)) from None
        said = {"abn.format": "1", "abn.problem": str(p),
                "abn.scheme": self.scheme or ("checkpoint_x" if self.z is None else "standard"),
                "abn.statistics": self.statistics, "abn.normalise": self.normalise,
                "abn.accumulate": self.accumulate or ("f64" if p.type == "f64" else "f32"),
                "abn.materialises": ",".join(self.materialises),
                "abn.running_variance": self.running_variance}
        if self.kink != "undeclared":
            said["abn.kink"] = self.kink
        for field, depth in (("statistics", self.depth),
                             ("backward", self.depth_backward or self.depth)):
            if depth is not None:
                said[f"abn.depth_{field}"] = str(min(max(depth, 1), p.m))
        tensors = {}
        for name in _TENSORS:
            if getattr(self, name) is not None:
                kind, array = typed(name, getattr(self, name))
                if array.shape != np.shape(self.x):
                    raise UsageError(f"{name} has the shape {array.shape} and x "
                                     f"{tuple(np.shape(self.x))}; give both alike")
                tensors[name] = kind, self._ordered(array, p)
        for name, stored in _VECTORS.items():
            if getattr(self, name) is not None:
                kind, array = typed(name, getattr(self, name))
                tensors[stored] = kind, array.reshape(-1)
        _safetensors.write(path, tensors, said)

    def as_given(self, array: Any) -> Any:
        """An array of (n, c, s) in the shape of x; a vector as it is."""
        if array.ndim == 1:
            return array
        shape = tuple(np.shape(self.x))
        moved = [shape[0], shape[self.channel_axis],
                 *(size for axis, size in enumerate(shape)
                   if axis not in (0, self.channel_axis % len(shape)))]
        return np.moveaxis(array.reshape(moved), 1, self.channel_axis)

    def _ordered(self, array: Any, p: Problem) -> Any:
        return np.moveaxis(array, self.channel_axis, 1).reshape(p.n, p.c, p.s)


def typed(name: str, array: Any) -> tuple[str, Any]:
    """("f32", NumPy array) of any framework's array; bf16 as its bits in uint16."""
    if hasattr(array, "detach"):  # PyTorch, of which NumPy has no bfloat16
        array = array.detach().cpu()
        if str(array.dtype) == "torch.bfloat16":
            return "bf16", array.contiguous().view(sys.modules["torch"].int16).numpy().view("u2")
        array = array.numpy()
    elif hasattr(array, "get") and hasattr(array, "device"):  # CuPy
        array = array.get()
    found = np.asarray(array)
    if str(found.dtype) == "bfloat16":
        return "bf16", found.view("u2")
    kind = {"float16": "f16", "float32": "f32", "float64": "f64"}.get(str(found.dtype))
    if kind is None:
        raise UsageError(f"{name} is of {found.dtype}, and tensors are float16, bfloat16, float32 "
                         "or float64; convert it")
    return kind, found


def _doubles(array: Any) -> Any:
    kind, found = typed("the result", array)
    if kind == "bf16":
        found = (found.astype("u4") << 16).view("f4")
    return found.astype(float)


def _run(words: list[str], out: str) -> str:
    running = _cli.start(words)
    text, complaint = running.communicate()
    if running.returncode == _cli.USAGE_ERROR or not os.path.exists(out):
        raise UsageError(_cli.refusal(complaint))
    return text.replace(f"Results: {out}\n", "")
