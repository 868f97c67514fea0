"""A kernel written in Python: two functions with claims, as the judge calls it."""
from __future__ import annotations

import inspect
import re
import threading
import types
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ._arrays import FRAMEWORKS, Arrays, WrongOutput
from ._claims import Claims, mask
from ._failure import raised_sentence
from ._problem import Problem, problem_of, require_word

Object = TypeVar("Object")

# What a function may name among its parameters, and what of it is an output. `p` is the Problem,
# `out` holds all outputs as attributes.
_FORWARD_INPUTS = ("x", "gamma", "beta", "running_mean", "running_var")
_FORWARD_OUTPUTS = ("z", "mean", "var", "invstd", "xhat", "running_mean", "running_var")
_BACKWARD_INPUTS = ("dz", "x", "z", "xhat", "gamma", "beta", "mean", "var", "invstd",
                    "running_mean", "running_var")
_BACKWARD_OUTPUTS = ("dx", "dgamma", "dbeta")
# The order of a tuple that is returned; it may end early.
_FORWARD_TUPLE = ("z", "mean", "var", "running_mean", "running_var")
_BACKWARD_TUPLE = ("dx", "dgamma", "dbeta")
_LEFT_OUT = ("backward", "mean", "var", "running")  # in the order of the bits of worker::LeftOut


def kernel(*, name: str | None = None, scheme: str | None = None,
           saves: Sequence[str] | None = None, arrays: str = "numpy", device: str | None = None,
           optional: bool = False, reentrant: bool = True, leaves_out: Sequence[str] = (),
           **claims: Any) -> Callable[[Object], Object]:
    """Says what a kernel claims: a decorator for a class, or a function of a module or of any other
    object, with `forward` and `backward`. The object is returned as it was.

        @abn_verify.kernel(types=("f32", "f64"), depth=abn_verify.pairwise)
        class Mine:
            def forward(p, x, gamma, beta): ...          # -> z, mean, var
            def backward(p, dz, x, gamma, mean, var): ...  # -> dx, dgamma, dbeta

    A function names what it wants: `p`, the Problem; inputs (forward: x, gamma, beta, running_mean,
    running_var; backward: dz, x, z, xhat, gamma, beta, mean, var, invstd, running_mean,
    running_var); outputs (z, mean, var, invstd, xhat, running_mean, running_var; dx, dgamma,
    dbeta), or `out` with all of them as attributes. Tensors have the shape (n, c, s), where
    channels-last ones are strided views; all else has the shape (c,). Outputs are written in place,
    or returned: one array (z, or dx), a tuple (z, mean, var, running_mean, running_var, or dx,
    dgamma, dbeta, which may end early), or a dict by name. What is returned is copied, and must
    have the output's type and shape. running_mean and running_var hold the old values. A problem
    without elements is no work, and no call.

    What backward names of x, z, xhat, mean, var and invstd is what forward leaves for it (`saves`),
    and decides the `scheme`: standard for x and z, checkpoint_x, checkpoint_xhat, or in_place_1 for
    z alone.

    `arrays`: "numpy", "torch", "jax", "cupy" or "dlpack", the type of array; `device`: of torch,
    where tensors are copied to and back. `optional`: what a call leaves out (gamma and beta without
    an affine part, running statistics, outputs) is None; else it is an array that stands for it, of
    which nobody looks at what is written. `reentrant`: calls may run at the same time in several
    threads; else they wait for each other. `leaves_out`: what forward never gives of "mean", "var"
    and "running" (both running statistics); it is not judged, and the verdict says so. So is a
    kernel without a backward.

    All other arguments are those of Claims: how it computes, and which problems it does.
    """
    def declare(target: Object) -> Object:
        declared = Kernel(target, name=name, scheme=scheme, saves=saves, arrays=arrays,
                          device=device, optional=optional, reentrant=reentrant,
                          leaves_out=leaves_out, **claims)
        setattr(target, "__abn_kernel__", declared)
        return target

    return declare


def kernel_of(target: Any) -> Kernel:
    """The kernel that an object was declared as; one with the default claims for another object
    with a forward."""
    if isinstance(target, Kernel):
        return target
    declared = getattr(target, "__abn_kernel__", None)
    if declared is None:
        return Kernel(target)
    # Else it is an object of the declared class, or a class that is derived from it.
    return declared if declared.target is target else declared.of(target)


class Kernel:
    """What the judge asks (see verify/python/variant.hpp)."""

    def __init__(self, target: Any, *, name: str | None = None, scheme: str | None = None,
                 saves: Sequence[str] | None = None, arrays: str = "numpy",
                 device: str | None = None, optional: bool = False, reentrant: bool = True,
                 leaves_out: Sequence[str] = (), **claims: Any) -> None:
        self.target = target
        self._options = dict(name=name, scheme=scheme, saves=saves, arrays=arrays, device=device,
                             optional=optional, reentrant=reentrant, leaves_out=leaves_out,
                             **claims)
        self.name = _legal_name(name or _name_of(target))
        self.summary = (inspect.getdoc(target) or f"{self.name}, in Python.").split("\n")[0]
        owner = target() if _is_class_of_methods(target) else target
        self._forward = _Function(owner, "forward", _FORWARD_INPUTS, _FORWARD_OUTPUTS,
                                  _FORWARD_TUPLE)
        self._backward = None if getattr(target, "backward", None) is None else _Function(
            owner, "backward", _BACKWARD_INPUTS, _BACKWARD_OUTPUTS, _BACKWARD_TUPLE)
        missing = [*leaves_out, *(["backward"] if self._backward is None else [])]
        for word in missing:
            require_word(word, _LEFT_OUT, "output to leave out")
        self.leaves_out = mask(missing, _LEFT_OUT)
        kept = self._saves() if saves is None else tuple(saves)
        for word in missing:
            if word in kept:
                raise TypeError(f"backward() works from {word}, which forward leaves out; take it "
                                "out of leaves_out")
        unknown = [word for word in claims if word not in Claims.__dataclass_fields__]
        if unknown:
            raise TypeError(f"kernel() has no argument {unknown[0]}; abn_verify.Claims has those "
                            "that there are")
        self.declared = Claims(scheme=_scheme_of(kept) if scheme is None else scheme, saves=kept,
                               **claims)
        self.types = self.declared.mask("types")
        self.param_types = self.declared.mask("param_types")
        self.layouts = self.declared.mask("layouts")
        self.activations = self.declared.mask("activations")
        self.scales = self.declared.mask("scales")
        self.modes = self.declared.mask("modes")
        require_word(arrays, tuple(FRAMEWORKS), "framework")
        self._framework, self._device, self._optional = arrays, device, optional
        self._arrays: Arrays | None = None
        self._turn = None if reentrant else threading.Lock()

    def of(self, target: Any) -> Kernel:
        """The same claims for another object, such as an instance of the class."""
        return Kernel(target, **self._options)

    def _saves(self) -> tuple[str, ...]:
        if self._backward is None:
            return ("x",)
        kept = [word for word in ("x", "z", "xhat", "mean", "var") if word in self._backward.names]
        if "invstd" in self._backward.names:
            kept += ["var"] * ("var" not in kept) + ["invstd"]
        return tuple(kept)

    def claims(self, numbers: tuple[Any, ...]) -> dict[str, int | float] | str | None:
        """The numbers of abn_claims for a problem, or what its claims raised, or None."""
        try:
            return self.declared.numbers(problem_of(numbers))
        except BaseException as wrong:  # noqa: BLE001 - whatever a kernel raises is its answer
            return raised_sentence(wrong)

    def call(self, backward: bool, numbers: tuple[Any, ...], buffers: dict[str, Any]) -> str | None:
        """One call; None, or what went wrong in it."""
        try:
            if self._turn is None:
                self._call(backward, numbers, buffers)
            else:
                with self._turn:
                    self._call(backward, numbers, buffers)
        except WrongOutput as wrong:
            return str(wrong)
        except BaseException as wrong:  # noqa: BLE001 - SystemExit as well: the call has failed
            return raised_sentence(wrong)
        return None

    def _call(self, backward: bool, numbers: tuple[Any, ...], buffers: dict[str, Any]) -> None:
        if self._arrays is None:
            self._arrays = FRAMEWORKS[self._framework](self._device)
        p = problem_of(numbers)
        if p.n * p.c * p.s == 0:
            return  # no work: nothing may be written
        function = self._backward if backward and self._backward else self._forward
        self._rename(backward, p, buffers)
        views = {name: self._arrays.view(buffer)
                 for name, buffer in buffers.items() if buffer is not None}
        if not self._optional:
            self._fill_in(p, function, views)
        returned = function(p, views)
        outputs = {name: buffers[name] for name in function.outputs
                   if buffers.get(name) is not None and function.writes(name, p)}
        given = function.returned(returned)
        for name, buffer in outputs.items():
            if name in given:
                self._arrays.put(name, buffer, given[name])
            else:
                self._arrays.finish(buffer, views[name])

    def _rename(self, backward: bool, p: Problem, buffers: dict[str, Any]) -> None:
        """`var` is the inverse standard deviation where that is kept, and the mean and variance of
        backward are the running ones outside training."""
        if p.training and "invstd" in self.declared.saves:
            buffers["invstd"] = buffers.pop("var")
        if backward and not p.training:
            buffers["running_mean"], buffers["running_var"] = buffers["mean"], buffers["var"]

    def _fill_in(self, p: Problem, function: _Function, views: dict[str, Any]) -> None:
        """Arrays for what a call leaves out: gamma = 1, beta = 0, and outputs that go nowhere."""
        assert self._arrays is not None and p.param_type is not None
        for name in (*function.inputs, *function.outputs):
            if name in views or name in ("x", "z", "dz", "xhat"):
                continue
            if name == "dx":
                views[name] = self._arrays.scratch(p.type, (p.n, p.c, p.s), float("nan"))
            elif name not in ("gamma", "beta") or p.scale == "signed":
                value = 1.0 if name in ("gamma", "running_var") else 0.0
                views[name] = self._arrays.scratch(p.param_type, (p.c,), value)


class _Function:
    """forward or backward, with the parameters that it names."""

    def __init__(self, target: Any, name: str, inputs: tuple[str, ...], outputs: tuple[str, ...],
                 order: tuple[str, ...]) -> None:
        self.name, self.inputs, self.outputs, self._order = name, inputs, outputs, order
        self._function = getattr(target, name, None)
        if self._function is None:
            raise TypeError(f"{_name_of(target)} has no {name}; define one")
        parameters = [one for one in inspect.signature(self._function).parameters.values()
                      if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
                      and (one.default is one.empty or one.name in (*inputs, *outputs, "p", "out"))]
        self.names = [one.name for one in parameters]
        unknown = [one for one in self.names if one not in (*inputs, *outputs, "p", "out")]
        if unknown:
            raise TypeError(f"{name}() has a parameter {unknown[0]!r}, which is none that a kernel "
                            f"is given; name it one of p, out, {', '.join(inputs)}, "
                            f"{', '.join(one for one in outputs if one not in inputs)}")

    def writes(self, name: str, p: Problem) -> bool:
        """Running statistics are inputs outside training."""
        return p.training or not name.startswith("running_")

    def __call__(self, p: Problem, views: dict[str, Any]) -> Any:
        words: dict[str, Any] = {name: views.get(name) for name in self.names}
        if "p" in words:
            words["p"] = p
        if "out" in words:
            words["out"] = types.SimpleNamespace(
                **{name: views.get(name) for name in self.outputs})
        return self._function(**words)

    def returned(self, value: Any) -> dict[str, Any]:
        """What was returned, by name."""
        if value is None:
            return {}
        if isinstance(value, dict):
            unknown = [name for name in value if name not in self.outputs]
            if unknown:
                raise WrongOutput(f"returned a {unknown[0]!r} from {self.name}(), and its outputs "
                                  f"are {', '.join(self.outputs)}")
            return {name: one for name, one in value.items() if one is not None}
        values = value if isinstance(value, (tuple, list)) else (value,)
        if len(values) > len(self._order):
            raise WrongOutput(f"returned {len(values)} outputs from {self.name}(), and they are "
                              f"{', '.join(self._order)}")
        return {name: one for name, one in zip(self._order, values) if one is not None}


def _scheme_of(saves: Sequence[str]) -> str:
    if "x" in saves:
        return "standard" if "z" in saves else "checkpoint_x"
    if "xhat" in saves:
        return "checkpoint_xhat"
    if "z" in saves:
        return "in_place_1"
    raise TypeError("backward() names none of x, z and xhat, and works from at least one of them; "
                    "add it to its parameters, or say what it keeps by saves=")


def _is_class_of_methods(target: Any) -> bool:
    """Does one of its functions have a self? Then one object of the class is the kernel."""
    functions = (getattr(target, name, None) for name in ("forward", "backward"))
    return inspect.isclass(target) and any(
        next(iter(inspect.signature(one).parameters), "") == "self" for one in functions if one)


def _name_of(target: Any) -> str:
    if isinstance(target, types.ModuleType):
        return target.__name__.rpartition(".")[2]
    return str(getattr(target, "__name__", type(target).__name__))


def _legal_name(name: str) -> str:
    """Letters, digits, _ and -: it is the first part of the ids of checks."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "kernel"
