"""What a kernel says of itself: which problems it does, and how it computes, from which the judge
derives how far off it may be (cuda/kernel.h has every word)."""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, Union

from ._problem import ACTIVATIONS, LAYOUTS, MODES, SCALES, TYPES, Problem, require_word

Value = TypeVar("Value")
PerProblem = Union[Value, Callable[[Problem], Value]]  # a claim may depend on the problem

SCHEMES = ("standard", "checkpoint_x", "checkpoint_xhat", "in_place_1", "in_place_2")
STATISTICS = ("two_pass", "welford", "one_pass")
NORMALISE = ("direct", "folded", "folded_apart")
ACCUMULATE = (*TYPES, "tf32")
KINKS = ("undeclared", "right", "left")
RUNNING_VARIANCES = ("unbiased", "biased")
SAVES = ("x", "z", "xhat", "mean", "var", "invstd")
MATERIALISES = ("y", "xhat", "dy", "statistics", "activation")


def tree(p: Problem) -> int:
    """The depth of sums in a balanced tree, the least that adding up m numbers takes."""
    return max(p.m - 1, 1).bit_length()


def pairwise(p: Problem) -> int:
    """The depth of NumPy's sum over a contiguous axis of m numbers: 8 sums side by side over blocks
    of up to 128, and a tree above them. Over several axes NumPy adds the outer ones up in a loop:
    `depth=lambda p: abn_verify.pairwise(p) + p.n`."""
    return min(p.m, 16 + 3) + max(math.ceil(math.log2(max(p.m / 128, 1))), 0)


def loop(p: Problem) -> int:
    """The depth of a sum of one term after the other."""
    return p.m


@dataclasses.dataclass(frozen=True)
class Claims:
    """The claims of a kernel; each may be a function of the problem. The defaults are the strictest
    that a kernel in its types usually keeps, and the narrowest set of problems."""

    scheme: PerProblem[str]
    saves: Sequence[str]
    statistics: PerProblem[str] = "two_pass"
    normalise: PerProblem[str] = "direct"
    accumulate: PerProblem[str | None] = None  #: None: f64 for f64, else f32
    depth: PerProblem[int] = tree
    depth_backward: PerProblem[int] | None = None  #: None: as depth
    function_ulp: PerProblem[float] = 1.0
    materialises: PerProblem[Sequence[str]] = ()
    deterministic: bool = True
    z_may_alias_x: bool = False
    dx_may_alias_dz: bool = False
    kink: PerProblem[str] = "undeclared"
    running_variance: str = "unbiased"
    types: Sequence[str] = ("f32",)
    param_types: Sequence[str] = ()  #: empty: f64 with f64, else f32
    out_types: Sequence[str] = ()  #: that z and dz may have beside the type of x
    layouts: Sequence[str] = ("nchw",)
    activations: Sequence[str] = ("leaky_relu",)
    scales: Sequence[str] = ("signed",)
    modes: Sequence[str] = ("training",)
    supports: Callable[[Problem], bool] | None = None

    def __post_init__(self) -> None:
        for field, words in _WORDS.items():
            value = getattr(self, field)
            if callable(value):
                continue
            if isinstance(value, str) and field in _LISTS:
                raise ValueError(f"{field} is a list of words; write ({value!r},)")
            for word in value if field in _LISTS else [value]:
                if not (word is None and field == "accumulate"):
                    require_word(word, words, field)

    def mask(self, field: str) -> int:
        """The codes of the words of a field, as bits."""
        return mask(getattr(self, field), _WORDS[field])

    def numbers(self, p: Problem) -> dict[str, int | float] | None:
        """The fields of abn_claims for a problem; None where the kernel does not do it."""
        if self.supports is not None and not self.supports(p):
            return None

        def code(field: str, default: str | None = None) -> int:
            word = _at(getattr(self, field), p) or default
            require_word(word, _WORDS[field], field)
            return _WORDS[field].index(word)

        depth = int(_at(self.depth, p))
        deep = depth if self.depth_backward is None else int(_at(self.depth_backward, p))
        return {
            "scheme": code("scheme"),
            "statistics": code("statistics"),
            "normalise": code("normalise"),
            "accumulate": code("accumulate", "f64" if p.type == "f64" else "f32"),
            "saves": mask(self.saves, SAVES),
            "materialises": mask(_at(self.materialises, p), MATERIALISES),
            "z_may_alias_x": int(self.z_may_alias_x),
            "dx_may_alias_dz": int(self.dx_may_alias_dz),
            "deterministic": int(self.deterministic),
            "depth_statistics": depth,
            "depth_backward": deep,
            "function_ulp": float(_at(self.function_ulp, p)),
            "kink": code("kink"),
            "running_variance": code("running_variance"),
            "other_out_types": mask(self.out_types, TYPES),
        }


def mask(words: Sequence[str], known: tuple[str, ...]) -> int:
    """The places of words among the known ones, as bits."""
    return sum(1 << known.index(word) for word in set(words))


def _at(value: Any, p: Problem) -> Any:
    return value(p) if callable(value) else value


_WORDS = {"scheme": SCHEMES, "saves": SAVES, "statistics": STATISTICS, "normalise": NORMALISE,
          "accumulate": ACCUMULATE, "materialises": MATERIALISES, "kink": KINKS,
          "running_variance": RUNNING_VARIANCES, "types": TYPES, "param_types": TYPES,
          "out_types": TYPES, "layouts": LAYOUTS, "activations": ACTIVATIONS, "scales": SCALES,
          "modes": MODES}
_LISTS = {"saves", "materialises", "types", "param_types", "out_types", "layouts", "activations",
          "scales", "modes"}
