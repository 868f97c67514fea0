"""The front end of PyTorch: one step of a module or function, with its tensors as a style has them.

PyTorch is not imported here; autograd.py hands it over.
"""
from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy

from ._errors import UsageError
from ._failure import raised_sentence
from .autograd_run import Unsupported
from .autograd_steps import CONSTANT, Step, draw

_ACTIVATIONS = {"LeakyReLU": ("leaky_relu", "negative_slope"), "ELU": ("elu", "alpha"),
                "CELU": ("celu", "alpha"), "ReLU": ("relu", None), "ReLU6": ("relu6", None),
                "SiLU": ("silu", None), "Sigmoid": ("sigmoid", None), "Tanh": ("tanh", None),
                "Hardswish": ("hardswish", None), "Identity": ("identity", None)}
_NAMES = {"input": "x", "weight": "gamma", "bias": "beta", "negative_slope": "parameter",
          "slope": "parameter", "alpha": "parameter", "activation_parameter": "parameter"}
_GIVEN = ("x", "gamma", "beta", "running_mean", "running_var", "training", "eps", "momentum",
          "parameter")


class TorchFront:
    """The front end of PyTorch (autograd_run.FrontEnd)."""

    def __init__(self, torch: Any, function: Any, activation: str | None, eps: float,
                 momentum: float, device: str, compile: bool, autocast: str | None) -> None:
        self.torch, self.device, self.compile = torch, torch.device(device), compile
        self.eps, self.momentum = eps, momentum
        self.dtypes = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32,
                       "f64": torch.float64}
        self.autocast = self.dtypes[autocast] if autocast else None
        self.types = self.layouts = self.modes = ()
        self.param_types: dict[str, str] = {}
        self.out_types: dict[str, str] = {}
        self.styles: dict[str, str] = {}
        self.conventions = {"running_variance": "unbiased"}
        self.in_place, self.channels, self.own_channels = False, None, None
        self.built: dict[Any, Callable[..., Any]] = {}
        if isinstance(function, torch.nn.Module):
            self._of_module(function, activation)
        else:
            self._of_function(function, activation)

    # What is asked for, of a module and of a function.

    def _of_module(self, module: Any, activation: str | None) -> None:
        self.module, self.function = module, None
        self.name = type(module).__name__
        norms = [one for one in module.modules() if hasattr(one, "num_features")]
        if len(norms) != 1:
            raise UsageError(f"{self.name} has {len(norms)} layers with num_features and has to "
                             "have one; judge a part of it, or a function of x, gamma and beta")
        norm = norms[0]
        self.own_channels = int(norm.num_features)
        self.eps = float(norm.eps)
        self.momentum = float(getattr(norm, "momentum", None) or self.momentum)
        if getattr(norm, "momentum", 0.1) is None:
            raise UsageError(f"{self.name} has momentum None, a cumulative average; give it a "
                             "number")
        self.running = getattr(norm, "running_mean", None) is not None
        self.affine = getattr(norm, "weight", None) is not None
        found = [(*_ACTIVATIONS[type(one).__name__], one) for one in module.modules()
                 if type(one).__name__ in _ACTIVATIONS]
        found += [("gelu" if one.approximate == "none" else "gelu_tanh", None, one)
                  for one in module.modules() if type(one).__name__ == "GELU"]
        if activation is not None:
            self._set_activation(activation)
        elif len(found) == 1:
            self.activation, attribute, layer = found[0]
            self.parameter = float(getattr(layer, attribute)) if attribute else None
        elif not found and type(norm) is type(module):
            self.activation, self.parameter = "identity", None
        else:
            raise UsageError(f"The activation of {self.name} is not clear from its layers; name it:"
                             ' activation="leaky_relu:0.01"')

    def _of_function(self, function: Any, activation: str | None) -> None:
        if not callable(function):
            raise UsageError(f"{function!r} is no module and no function; give one of them")
        self.module, self.function = None, function
        self.name = getattr(function, "__name__", type(function).__name__)
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            raise UsageError(f"{self.name} shows no parameters; wrap it: lambda x, gamma, beta: "
                             "...") from None
        self.words: dict[str, str] = {}
        for one in parameters:
            meaning = _NAMES.get(one.name, one.name)
            if meaning in _GIVEN:
                self.words[one.name] = meaning
            elif one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD,
                                                           one.KEYWORD_ONLY, one.POSITIONAL_ONLY):
                raise UsageError(f"{self.name} has a parameter {one.name!r}; name it one of "
                                 f"{', '.join(_GIVEN)}, or give it a default")
        meanings = set(self.words.values())
        if "x" not in meanings:
            raise UsageError(f"{self.name} has no parameter x; it takes the tensor by that name")
        self.running = {"running_mean", "running_var"} <= meanings
        self.affine = {"gamma", "beta"} <= meanings
        self._set_activation(activation or "identity")

    def _set_activation(self, text: str) -> None:
        word, _, number = text.partition(":")
        self.activation, self.parameter = word, float(number) if number else None

    # One step.

    def _tensor(self, array: Any, kind: str) -> Any:
        array = numpy.ascontiguousarray(array)
        if kind == "bf16":
            made = self.torch.from_numpy(array.view(numpy.int16).copy()).view(self.torch.bfloat16)
        else:
            made = self.torch.from_numpy(array.copy())
        return made.to(self.device)

    def _array(self, tensor: Any, kind: str) -> Any:
        tensor = tensor.detach().to("cpu").contiguous()
        if kind == "bf16":
            return tensor.view(self.torch.int16).numpy().view(numpy.uint16)
        return tensor.numpy().copy()

    def _image(self, array: Any, kind: str, size: tuple[int, ...], layout: str) -> Any:
        """(n, c, s) as (n, c, h, w) of that memory format."""
        made = self._tensor(array, kind).reshape(size)
        return self._laid_out(made, layout)

    def _laid_out(self, tensor: Any, layout: str) -> Any:
        if layout == "nchw":
            return tensor.contiguous()
        n, c, h, w = tensor.shape
        made = self.torch.empty((n, h, w, c), dtype=tensor.dtype, device=tensor.device)
        made = made.permute(0, 3, 1, 2)  # also where is_contiguous() is true of both formats
        return made.copy_(tensor)

    def _sliced(self, tensor: Any, layout: str) -> Any:
        """A part of a larger tensor, the rest of which is NaN."""
        n, c, h, w = tensor.shape
        shape = (n + 1, h + 2, w + 3, c + 2) if layout == "nhwc" else (n + 1, c + 2, h + 2, w + 3)
        large = self.torch.full(shape, float("nan"), dtype=tensor.dtype, device=tensor.device)
        if layout == "nhwc":
            large = large.permute(0, 3, 1, 2)
        part = large[1:, 1:c + 1, 1:h + 1, 2:w + 2]
        part.copy_(tensor)
        return part

    def _gradient(self, step: Step, size: tuple[int, ...], kind: str) -> Any:
        n, c, h, w = size
        layout, style = step.problem.layout, step.style
        dense = self._image(step.inputs["dz"], kind, size, layout)
        if style == "dz_expanded":
            return self.torch.full((), CONSTANT, dtype=dense.dtype,
                                   device=self.device).expand(size)
        if style == "dz_expanded_places":
            return dense[:, :, :1, :1].contiguous().expand(size)
        if style == "dz_sliced":
            return self._sliced(dense, layout)
        if style == "dz_transposed":
            return dense.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
        if style == "dz_other_layout":
            return self._laid_out(dense, "nhwc" if layout == "nchw" else "nchw")
        return dense

    def _bound(self, step: Step, mode: str) -> tuple[Callable[[Any], Any], dict[str, Any]]:
        """The function of x alone, and the tensors of its parameters."""
        p, torch = step.problem, self.torch
        kind = p.param_type
        tensors = {word: self._tensor(step.inputs[word], kind) for word in
                   (("gamma", "beta") if self.affine else ()) +
                   (("running_mean", "running_var") if self.running else ())}
        for word in ("gamma", "beta"):
            if word in tensors:
                tensors[word].requires_grad_()
        if self.function is not None:
            values = {"training": mode == "training", "eps": p.eps, "momentum": p.momentum,
                      "parameter": p.parameter, **tensors}
            words = {own: values[meaning] for own, meaning in self.words.items()
                     if meaning not in ("x",)}
            own_x = next(own for own, meaning in self.words.items() if meaning == "x")
            function = self._compiled("function", self.function)
            return lambda x: function(**{own_x: x}, **words), tensors
        module = copy.deepcopy(self.module)
        norm = next(one for one in module.modules() if hasattr(one, "num_features"))
        norm.num_features = p.c
        if self.affine:
            norm.weight = torch.nn.Parameter(tensors["gamma"].detach())
            norm.bias = torch.nn.Parameter(tensors["beta"].detach())
            tensors["gamma"], tensors["beta"] = norm.weight, norm.bias
        if self.running:
            norm.running_mean, norm.running_var = tensors["running_mean"], tensors["running_var"]
        module.train(mode == "training")
        return (torch.compile(module) if self.compile else module), tensors

    def _compiled(self, key: str, function: Any) -> Any:
        if not self.compile:
            return function
        if key not in self.built:
            self.built[key] = self.torch.compile(function)
        return self.built[key]

    def _forward(self, step: Step, size: tuple[int, ...]) -> tuple[Any, Any, Any, dict[str, Any]]:
        """x as the leaf whose gradient is dx, x as it was handed over, z and the parameters."""
        p, torch = step.problem, self.torch
        leaf = self._image(step.inputs["x"], p.type, size, p.layout)
        if step.style == "x_sliced":
            leaf = self._sliced(leaf, p.layout)
        leaf.requires_grad_()
        # An operation that overwrites its input may not have a leaf.
        x = leaf * 1 if self.in_place or step.style == "x_computed" else leaf
        call, tensors = self._bound(step, p.mode)
        if self.autocast is None:
            return leaf, x, call(x), tensors
        with torch.autocast(self.device.type, dtype=self.autocast):
            return leaf, x, call(x), tensors

    def run(self, step: Step, size: tuple[int, int, int, int]) -> None:
        if not self.affine:
            step.inputs["gamma"] = step.inputs["beta"] = None
        if not self.running:
            step.inputs["running_mean"] = step.inputs["running_var"] = None
        try:
            self._run(step, size)
        except Exception as wrong:  # noqa: BLE001 - whatever it raises is the finding
            step.outputs = {}
            raise Unsupported(raised_sentence(wrong)) from None

    def _run(self, step: Step, size: tuple[int, int, int, int]) -> None:
        p = step.problem
        leaf, x, z, tensors = self._forward(step, size)
        if step.style == "interleaved":  # other numbers, which nobody may mistake for these
            other = draw(p, step.data, "dense", 2 ** 40 + p.n)
            other.inputs = {name: array if step.inputs[name] is not None else None
                            for name, array in other.inputs.items()}
            self._forward(other, size)
        if not isinstance(z, self.torch.Tensor) or tuple(z.shape) != size:
            raise TypeError(f"returned {tuple(z.shape) if hasattr(z, 'shape') else type(z)} and "
                            f"not a tensor of shape {size}")
        if z.dtype != self.dtypes[p.out_type]:
            step.faults.append(f"z has the type {z.dtype} for an x of {x.dtype}; if that is meant, "
                               f"say out_types={{\"{p.type}\": ...}}")
        running = {name: tensors[name].detach().clone() for name in
                   ("running_mean", "running_var") if name in tensors}
        dz = self._gradient(step, size, p.out_type)
        if z.dtype != dz.dtype:
            dz = dz.to(z.dtype)
        kept = dz.clone()
        step.outputs["z"] = self._array(z.to(dtype=self.dtypes[p.out_type]), p.out_type)
        z.backward(dz)
        self._find_changes(step, leaf, dz, kept, tensors, running, size)
        self._take(step, leaf, tensors, running)

    def _take(self, step: Step, leaf: Any, tensors: dict[str, Any], running: dict[str, Any]
              ) -> None:
        p = step.problem
        shape = (p.n, p.c, p.s)
        step.outputs["z"] = step.outputs["z"].reshape(shape)
        for output, tensor, kind in (("dx", leaf, p.type), ("dgamma", tensors.get("gamma"),
                                                            p.param_type),
                                     ("dbeta", tensors.get("beta"), p.param_type)):
            if tensor is None:
                continue
            if tensor.grad is None:
                step.faults.append(f"{output} is missing: no gradient arrived")
                continue
            if tensor.grad.dtype != self.dtypes[kind]:
                step.faults.append(f"{output} has the type {tensor.grad.dtype} and not {kind}")
                continue
            step.outputs[output] = self._array(tensor.grad, kind)
        if "dx" in step.outputs:
            step.outputs["dx"] = step.outputs["dx"].reshape(shape)
        if p.mode == "training":
            for name, tensor in running.items():
                step.outputs[f"{name}_out"] = self._array(tensor, p.param_type)

    def _find_changes(self, step: Step, leaf: Any, dz: Any, kept: Any, tensors: dict[str, Any],
                      running: dict[str, Any], size: tuple[int, ...]) -> None:
        """What a call must leave alone, and whether backward changed it or forward did."""
        same, p = self._same, step.problem
        if not same(leaf, self._image(step.inputs["x"], p.type, size, "nchw")):
            step.faults.append("x was overwritten; whoever needs it afterwards gets other numbers "
                               "(say in_place=True if the function is meant to)")
        if not same(dz, kept):
            step.faults.append("the upstream gradient was overwritten; others may hold it, too")
        for name, before in running.items():
            if not same(tensors[name], before):
                step.faults.append(f"{name} was changed by backward")
            if p.mode != "training" and not same(
                    before, self._tensor(step.inputs[name], p.param_type)):
                step.faults.append(f"{name} was changed in evaluation")
        for name in ("gamma", "beta"):
            if name in tensors and not same(tensors[name],
                                            self._tensor(step.inputs[name], p.param_type)):
                step.faults.append(f"{name} was overwritten")

    def _same(self, one: Any, other: Any) -> bool:
        """Bit for bit, but for the bits of a NaN."""
        one, other = one.detach().to(self.torch.float64), other.detach().to(self.torch.float64)
        return bool(((one == other) | ((one != one) & (other != other))).all())
