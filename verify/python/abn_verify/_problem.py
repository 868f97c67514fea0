"""What one call computes: sizes, layout, types, activation, mode, as the judge's problem strings
say it."""
from __future__ import annotations

import dataclasses
from typing import Any

# The words of the command line, in the order of the codes of cuda/kernel.h.
TYPES = ("f16", "bf16", "f32", "f64")
LAYOUTS = ("nchw", "nhwc")
ACTIVATIONS = ("identity", "leaky_relu", "elu", "celu", "relu", "relu6", "silu", "gelu",
               "gelu_tanh", "sigmoid", "tanh", "hardswish")
SCALES = ("signed", "abs_eps")
MODES = ("training", "inference", "frozen")
_PARAMETERS = {"leaky_relu": 0.01, "elu": 1.0, "celu": 1.0}  # activations with one, and its default


@dataclasses.dataclass(frozen=True)
class Problem:
    """One batch norm + activation. `x` has the logical shape (n, c, s); s is the number of samples
    of an image and channel, the product of the spatial sizes, and 1 for a matrix.

    Numbers arrive rounded to the type of the parameters, as the kernel is to use them.
    """

    n: int
    c: int
    s: int
    activation: str
    parameter: float | None = None  #: slope of leaky ReLU, alpha of ELU and CELU; 0 for the others
    layout: str = "nchw"
    type: str = "f32"  #: of x, xhat and dx: the storage type
    param_type: str | None = None  #: of gamma, beta, statistics and their gradients
    out_type: str | None = None  #: of z and dz
    eps: float = 1e-5
    momentum: float = 0.1  #: the weight of the new value
    scale: str = "signed"  #: "signed": g = gamma; "abs_eps": g = |gamma| + eps
    mode: str = "training"

    def __post_init__(self) -> None:
        for field, words in (("activation", ACTIVATIONS), ("layout", LAYOUTS), ("type", TYPES),
                             ("scale", SCALES), ("mode", MODES)):
            require_word(getattr(self, field), words, field)
        if self.parameter is None:
            object.__setattr__(self, "parameter", _PARAMETERS.get(self.activation, 0.0))
        if self.param_type is None:
            object.__setattr__(self, "param_type", "f64" if self.type == "f64" else "f32")
        if self.out_type is None:
            object.__setattr__(self, "out_type", self.type)
        require_word(self.param_type, TYPES, "param_type")
        require_word(self.out_type, TYPES, "out_type")

    @property
    def m(self) -> int:
        """Samples of a channel, n*s."""
        return self.n * self.s

    @property
    def training(self) -> bool:
        """Statistics are those of the batch; else mean and variance are the running ones."""
        return self.mode == "training"

    @property
    def channels_last(self) -> bool:
        return self.layout == "nhwc"

    @property
    def slope(self) -> float:
        """Of leaky ReLU below 0; 1 for identity, which is one with this slope."""
        return 1.0 if self.activation == "identity" else float(self.parameter or 0)

    @property
    def alpha(self) -> float:
        """Of ELU and CELU."""
        return float(self.parameter or 0)

    def __str__(self) -> str:
        """As `abn-verify run --problem` takes it."""
        words = [f"n{self.n}c{self.c}s{self.s}", self.layout, self.type, f"param:{self.param_type}"]
        if self.out_type != self.type:
            words.append(f"out:{self.out_type}")
        words.append(f"{self.activation}:{self.parameter!r}" if self.activation in _PARAMETERS
                     else self.activation)
        words += [f"eps:{self.eps!r}", f"momentum:{self.momentum!r}", self.scale, self.mode]
        return ",".join(words)


def problem(n: int, c: int, s: int, activation: str, **options: Any) -> Problem:
    """A Problem: `problem(2, 64, 12, "leaky_relu", type="bf16", layout="nhwc")`."""
    return Problem(n, c, s, activation, **options)


def problem_of(numbers: tuple[Any, ...]) -> Problem:
    """From the numbers of abn_problem, in their order."""
    (layout, n, c, s, dtype, param_dtype, activation, scale, mode, out_type, parameter, eps,
     momentum) = numbers
    return Problem(n, c, s, ACTIVATIONS[activation], parameter, LAYOUTS[layout], TYPES[dtype],
                   TYPES[param_dtype], TYPES[out_type - 1] if out_type else None, eps, momentum,
                   SCALES[scale], MODES[mode])


def require_word(word: object, words: tuple[str, ...], what: str) -> None:
    """Raises ValueError, one sentence, for a word that is none of these."""
    if word not in words:
        raise ValueError(f"{word!r} is not a {what}; use one of {', '.join(words)}")
