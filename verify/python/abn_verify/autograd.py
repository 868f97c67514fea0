"""judge_autograd: anything that PyTorch differentiates, judged forward and backward.

A module, or a function of x, gamma, beta, is called on drawn data and differentiated; every number
is judged by `abn-verify check`. What differs from a kernel of one's own is how tensors arrive:
frameworks hand gradients over that are expanded, slices, transposed or channels-last, two forward
passes come before the first backward, and an input may be a view. Each of these is a style, and
where only some fail, that is the finding. PyTorch is imported here, when it is called.
"""
from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from ._errors import UsageError
from .autograd_result import AutogradResult
from .autograd_run import MODES, judge_function, require_types
from .autograd_torch import TorchFront

#: In which ways tensors are handed over, and what gradient that takes (autograd_steps.draw).
STYLES = {
    "dense": "",
    "interleaved": "",            # another forward comes between forward and backward
    "x_sliced": "",               # x is a part of a larger tensor whose rest is NaN
    "x_computed": "",             # x is the result of an operation, and no leaf
    "dz_sliced": "",
    "dz_transposed": "",          # of another order of images, channels and places in memory
    "dz_other_layout": "",        # channels-last where z is not, and the other way round
    "dz_expanded": "constant",    # as sum().backward() gives: strides of 0
    "dz_expanded_places": "of_channel",  # as the gradient of a mean over places
}


def judge_autograd(function: Any, activation: str | None = None, *,
                   types: Sequence[str] = ("f32", "bf16"), eps: float = 1e-5,
                   momentum: float = 0.1, modes: Sequence[str] | None = None,
                   layouts: Sequence[str] = ("nchw", "nhwc"), styles: Sequence[str] | None = None,
                   out_types: dict[str, str] | None = None,
                   param_types: dict[str, str] | None = None, channels: bool = True,
                   in_place: bool = False, device: str = "cpu", compile: bool = False,
                   autocast: str | None = None, conventions: dict[str, str] | None = None,
                   seed: int = 1, keep: str | None = None, name: str | None = None,
                   **claims: Any) -> AutogradResult:
    """Judges a batch norm + activation, forward and backward.

    function     a torch.nn.Module with one batch norm in it (anything that has num_features, weight
                 and bias; its copies are given other numbers of channels, so it may be of any
                 size), or a function whose parameters are named x (or input), gamma (weight), beta
                 (bias) and, if it takes them, running_mean, running_var, training, eps, momentum
                 and slope or alpha. It returns z of the shape of x, (n, c, h, w).
    activation   "relu", "leaky_relu:0.01", "elu:1" ...; a module with one activation layer needs
                 none, nor does a function with none
    types        of x: f16, bf16, f32, f64; those that the device does not do are named in
                 `skipped`
    out_types    the type of z where it is not that of x: {"bf16": "f32"}; likewise param_types
    modes        "training", and "frozen", which is evaluation with gradients
    styles       some of STYLES; None: all
    channels     False: other numbers of channels than the module's are not tried
    in_place     the function overwrites x with z, and is meant to
    compile      torch.compile is applied first
    autocast     "bf16" or "f16": called under torch.autocast
    conventions  claims that are no matter of precision; PyTorch's are the default:
                 {"running_variance": "unbiased", "kink": "left"}
    keep         a folder for the judged steps; None: only those that fail are kept, elsewhere
    claims       accumulate="f32", statistics="welford", normalise, materialises, depth ("tree",
                 "loop" or a number): those that are not made are searched for

    Raises UsageError where the question is wrong, never for what the function does.
    """
    torch = importlib.import_module("torch")
    front = TorchFront(torch, function, activation, eps, momentum, device, compile, autocast)
    front.name = name or front.name
    front.types = require_types(types)
    front.layouts = tuple(layouts)
    front.out_types, front.param_types = dict(out_types or {}), dict(param_types or {})
    front.in_place = in_place
    front.channels = None if channels else front.own_channels
    front.modes = tuple(modes) if modes else (MODES if front.running else MODES[:1])
    unknown = [style for style in styles or () if style not in STYLES]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is not a style; use some of {', '.join(STYLES)}")
    front.styles = {style: like for style, like in STYLES.items()
                    if styles is None or style in styles or style == "dense"}
    if front.activation in ("leaky_relu", "elu"):
        front.conventions["kink"] = "left"
    front.conventions.update(conventions or {})
    return judge_function(front, claims, seed, keep)
