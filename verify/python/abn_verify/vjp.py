"""judge_vjp: a function with a vector-Jacobian product, of JAX or of NumPy, judged in both
directions."""
from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from ._errors import UsageError
from ._failure import raised_sentence
from .autograd_result import AutogradResult
from .autograd_run import MODES, Unsupported, judge_function, require_types
from .autograd_steps import CONSTANT, Step

#: Of NumPy; JAX arrays have no strides, so there they are dense.
STYLES = {"dense": "", "interleaved": "", "x_sliced": "", "dz_sliced": "", "dz_transposed": "",
          "dz_expanded": "constant", "dz_expanded_places": "of_channel"}
_GIVEN = ("x", "gamma", "beta", "running_mean", "running_var", "training", "eps", "momentum",
          "parameter")
_NAMES = {"input": "x", "scale": "gamma", "weight": "gamma", "bias": "beta",
          "negative_slope": "parameter", "slope": "parameter", "alpha": "parameter"}


def judge_vjp(function: Callable[..., Any], activation: str = "identity", *,
              framework: str = "auto", types: Sequence[str] = ("f32",), eps: float = 1e-5,
              momentum: float = 0.1, modes: Sequence[str] | None = None,
              layouts: Sequence[str] = ("nchw",), out_types: dict[str, str] | None = None,
              param_types: dict[str, str] | None = None, styles: Sequence[str] | None = None,
              conventions: dict[str, str] | None = None, seed: int = 1, keep: str | None = None,
              name: str | None = None, **claims: Any) -> AutogradResult:
    """Judges a batch norm + activation.

    function     its parameters are named x, gamma (or scale, weight), beta (bias) and, if it takes
                 them, running_mean, running_var, training, eps, momentum and slope or alpha.
                 For JAX it returns z, or (z, (running_mean, running_var)) with the new ones, and
                 jax.vjp differentiates it. For NumPy it returns (z, vjp), or (z, vjp,
                 (running_mean, running_var)), and vjp(dz) returns (dx, dgamma, dbeta).
    framework    "jax", "numpy"; "auto" asks which one the function's result belongs to
    layouts      "nchw": x is (n, c, h, w); "nhwc": (n, h, w, c)
    styles       of NumPy: some of STYLES; None: all

    JAX's conventions differ by activation: phi'(0) is 1 for leaky_relu and the slope for elu
    (kink). The running variance is the unbiased one unless conventions={"running_variance":
    "biased"} says as Flax does. Everything else is as for judge_autograd.
    """
    front = _Vjp(function, activation, eps, momentum, framework)
    front.name = name or front.name
    front.types, front.layouts = require_types(types), tuple(layouts)
    front.out_types, front.param_types = dict(out_types or {}), dict(param_types or {})
    front.modes = tuple(modes) if modes else (MODES if front.running else MODES[:1])
    unknown = [style for style in styles or () if style not in STYLES]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not a style; use some of {', '.join(STYLES)}")
    if front.framework != "jax":
        front.styles = {style: like for style, like in STYLES.items()
                        if styles is None or style in styles or style == "dense"}
    elif front.activation in ("leaky_relu", "elu"):
        front.conventions["kink"] = "right" if front.activation == "leaky_relu" else "left"
    front.conventions.update(conventions or {})
    return judge_function(front, claims, seed, keep)


class _Vjp:
    """The front end of functions with a vjp (autograd_run.FrontEnd)."""

    def __init__(self, function: Callable[..., Any], activation: str, eps: float, momentum: float,
                 framework: str) -> None:
        if framework not in ("auto", "jax", "numpy"):
            raise UsageError(f"{framework!r} is not a framework; use auto, jax or numpy")
        self.function, self.eps, self.momentum = function, eps, momentum
        self.name = getattr(function, "__name__", type(function).__name__)
        word, _, number = activation.partition(":")
        self.activation, self.parameter = word, float(number) if number else None
        self.types = self.layouts = self.modes = ()
        self.param_types: dict[str, str] = {}
        self.out_types: dict[str, str] = {}
        self.styles: dict[str, str] = {"dense": ""}
        self.channels = None
        self.conventions = {"running_variance": "unbiased"}
        self.words: dict[str, str] = {}
        for one in inspect.signature(function).parameters.values():
            meaning = _NAMES.get(one.name, one.name)
            if meaning in _GIVEN:
                self.words[one.name] = meaning
            elif one.default is one.empty and one.kind is not one.VAR_KEYWORD:
                raise UsageError(f"{self.name} has a parameter {one.name!r}; name it one of "
                                 f"{', '.join(_GIVEN)}, or give it a default")
        meanings = set(self.words.values())
        if "x" not in meanings:
            raise UsageError(f"{self.name} has no parameter x; it takes the array by that name")
        self.running = {"running_mean", "running_var"} <= meanings
        self.affine = {"gamma", "beta"} <= meanings
        self.framework = self._framework() if framework == "auto" else framework

    def _framework(self) -> str:
        """NumPy's functions return their vjp beside z; JAX's return arrays."""
        try:
            values = {"x": numpy.ones((2, 1, 1, 2), numpy.float32), "training": True,
                      "eps": self.eps, "momentum": self.momentum, "parameter": self.parameter,
                      **{word: numpy.ones(1, numpy.float32) for word in
                         ("gamma", "beta", "running_mean", "running_var")}}
            got = self.function(**{own: values[meaning] for own, meaning in self.words.items()})
        except Exception:  # noqa: BLE001 - the steps will say what is wrong
            return "numpy"
        has_vjp = isinstance(got, tuple) and len(got) > 1 and callable(got[1])
        return "numpy" if has_vjp else "jax"

    def run(self, step: Step, size: tuple[int, int, int, int]) -> None:
        if not self.affine:
            step.inputs["gamma"] = step.inputs["beta"] = None
        if not self.running:
            step.inputs["running_mean"] = step.inputs["running_var"] = None
        try:
            (self._run_jax if self.framework == "jax" else self._run_numpy)(step, size)
        except Exception as wrong:  # noqa: BLE001 - whatever it raises is the finding
            step.outputs = {}
            raise Unsupported(raised_sentence(wrong)) from None

    # Arrays.

    def _typed(self, array: Any, kind: str) -> Any:
        if kind != "bf16":
            return numpy.array(array)
        try:
            return array.view(importlib.import_module("ml_dtypes").bfloat16).copy()
        except ImportError:
            raise ImportError("NumPy has no bfloat16; pip install ml_dtypes, or leave bf16 out of "
                              "types") from None

    def _image(self, array: Any, kind: str, size: tuple[int, ...], layout: str) -> Any:
        image = self._typed(array, kind).reshape(size)
        return numpy.ascontiguousarray(image.transpose(0, 2, 3, 1)) if layout == "nhwc" else image

    def _words(self, array: Any, kind: str, step: Step, what: str) -> Any:
        """A result as the steps have it; another type is a fault."""
        array = numpy.asarray(array)
        wanted = {"f16": "float16", "bf16": "bfloat16", "f32": "float32", "f64": "float64"}[kind]
        if str(array.dtype) != wanted:
            step.faults.append(f"{what} has the type {array.dtype} and not {wanted}")
            return None
        if array.ndim == 4:
            if step.problem.layout == "nhwc":
                array = array.transpose(0, 3, 1, 2)
            array = array.reshape(step.problem.n, step.problem.c, step.problem.s)
        array = numpy.ascontiguousarray(array)
        return array.view(numpy.uint16) if kind == "bf16" else array.copy()

    def _keep(self, step: Step, outputs: dict[str, Any]) -> None:
        p = step.problem
        kinds = {"z": p.out_type, "dx": p.type}
        for name, array in outputs.items():
            if array is None:
                step.faults.append(f"{name} is missing")
                continue
            words = self._words(array, kinds.get(name, p.param_type), step, name)
            if words is not None:
                step.outputs[name] = words

    def _parameters(self, step: Step) -> dict[str, Any]:
        words = (("gamma", "beta") if self.affine else ()) + \
            (("running_mean", "running_var") if self.running else ())
        return {word: self._typed(step.inputs[word], step.problem.param_type) for word in words}

    def _settings(self, step: Step) -> dict[str, Any]:
        p = step.problem
        return {"training": p.mode == "training", "eps": p.eps, "momentum": p.momentum,
                "parameter": p.parameter}

    def _call(self, **values: Any) -> Any:
        return self.function(**{own: values[meaning] for own, meaning in self.words.items()})

    # JAX.

    def _run_jax(self, step: Step, size: tuple[int, int, int, int]) -> None:
        jax = importlib.import_module("jax")
        p = step.problem
        if p.type == "f64" and not jax.config.jax_enable_x64:
            raise TypeError('JAX makes f32 of f64; set jax.config.update("jax_enable_x64", True)')
        x = jax.numpy.asarray(self._image(step.inputs["x"], p.type, size, p.layout))
        dz = jax.numpy.asarray(self._image(step.inputs["dz"], p.out_type, size, p.layout))
        given = {word: jax.numpy.asarray(array) for word, array in
                 self._parameters(step).items()}
        running = {word: given.pop(word) for word in ("running_mean", "running_var")
                   if word in given}
        settings = self._settings(step)

        def of_inputs(x: Any, parameters: dict[str, Any]) -> Any:
            got = self._call(x=x, **parameters, **running, **settings)
            return got if isinstance(got, tuple) else (got, None)

        z, vjp, new = jax.vjp(of_inputs, x, given, has_aux=True)
        dx, gradients = vjp(dz.astype(z.dtype))
        outputs = {"z": z, "dx": dx, **{f"d{word}": gradients[word] for word in given}}
        if new is not None and p.mode == "training" and self.running:
            outputs["running_mean_out"], outputs["running_var_out"] = new
        self._keep(step, outputs)

    # NumPy.

    def _sliced(self, array: Any) -> Any:
        """A part of a larger array, the rest of which is NaN."""
        large = numpy.full([2 * size + 1 for size in array.shape], numpy.nan, array.dtype)
        part = large[tuple(slice(1, None, 2) for _ in array.shape)]
        part[...] = array
        return part

    def _gradient(self, dense: Any, style: str, layout: str) -> Any:
        if style == "dz_expanded":
            return numpy.broadcast_to(numpy.asarray(CONSTANT, dense.dtype), dense.shape)
        if style == "dz_expanded_places":
            one = dense[:, :1, :1, :] if layout == "nhwc" else dense[:, :, :1, :1]
            return numpy.broadcast_to(one, dense.shape)
        if style == "dz_sliced":
            return self._sliced(dense)
        if style == "dz_transposed":
            return numpy.ascontiguousarray(dense.transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0)
        return dense

    def _run_numpy(self, step: Step, size: tuple[int, int, int, int]) -> None:
        p = step.problem
        x = self._image(step.inputs["x"], p.type, size, p.layout)
        if step.style == "x_sliced":
            x = self._sliced(x)
        given = self._parameters(step)
        inputs = {"x": x, **given}
        before = {word: array.copy() for word, array in inputs.items()}
        z, vjp, *new = self._call(**inputs, **self._settings(step))
        if step.style == "interleaved":  # other numbers, which nobody may mistake for these
            self._call(**{word: array[..., ::-1] * 2 for word, array in before.items()},
                       **self._settings(step))
        dense = self._image(step.inputs["dz"], p.out_type, size, p.layout)
        dz = self._gradient(dense, step.style, p.layout)
        outputs = {"z": numpy.array(z)}
        gradients = vjp(dz)
        outputs.update(zip(("dx", "dgamma", "dbeta") if self.affine else ("dx",), gradients))
        for word, array in inputs.items():
            if not numpy.array_equal(array, before[word], equal_nan=True):
                step.faults.append(f"{word} was overwritten")
        if not numpy.array_equal(dz, dense, equal_nan=True):
            step.faults.append("the upstream gradient was overwritten")
        if p.mode == "training" and self.running and new:
            outputs["running_mean_out"], outputs["running_var_out"] = new[0]
        self._keep(step, outputs)
