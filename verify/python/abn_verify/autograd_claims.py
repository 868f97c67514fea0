"""Which claims fit a function that makes none: the strictest that pass, and what they leave open.

A claim decides how far off a right kernel may be, so a wider one also excuses more. From the widest
claims that an ordinary right function of a framework needs, one dimension after the other is made
as strict as still passes; what comes out cannot be made stricter in any one of them. Conventions
(the running variance, the derivative at a kink, where eps goes) are no matter of width: they are
what the front end says, and a function that has others fails. Nor is arithmetic below f32 ever
assumed: who means that says so.
"""
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from ._problem import Problem

Claims = dict[str, str]
#: For each of some points: whether all is within its bound, the worst ratio, and its check.
Judge = Callable[[Sequence[Claims]], "list[Outcome]"]


@dataclasses.dataclass
class Outcome:
    passed: bool
    ratio: float
    check: str
    records: list[list[dict[str, Any]]] = dataclasses.field(default_factory=list)  #: of each step


def dimensions(kind: str) -> dict[str, tuple[str, ...]]:
    """Each from the strictest to the widest."""
    accumulate = {"f64": ("f64",), "f32": ("f64", "f32")}.get(kind, ("f32",))
    # PyTorch's plain path of 16 bits stores (x - mean)*k in between: xhat.
    rounded = ("", "y", "y,dy", "y,dy,xhat", "y,dy,xhat,activation") \
        if kind in ("f16", "bf16") else ("",)
    return {"accumulate": accumulate, "statistics": ("two_pass", "welford", "one_pass"),
            "normalise": ("direct", "folded", "folded_apart"), "materialises": rounded,
            "depth": ("tree", "loop")}


def spread(point: dict[str, str], problem: Problem) -> Claims:
    """The claims as a file has them; no sum is deeper than its m terms."""
    claims = {key: value for key, value in point.items() if key != "depth"}
    claims["depth_statistics"] = claims["depth_backward"] = \
        str(min(depth_of(point["depth"], problem.m), problem.m))
    return claims


def depth_of(word: str, m: int) -> int:
    """Of a sum of m terms: "tree", over 256 lanes, or "loop", one after the other, or a number."""
    return {"tree": (m + 255) // 256 + 8, "loop": m}.get(word) or int(word)


@dataclasses.dataclass
class Inferred:
    claims: dict[str, str]  #: of each dimension the word that was found
    open: list[str]         #: sentences on what they leave undistinguished
    outcome: Outcome        #: under these claims


def infer(kind: str, fixed: dict[str, Any], judge: Judge) -> Inferred | None:
    """None where not even the widest claims pass. `fixed` are the claims that were made."""
    words = {key: ((str(fixed[key]),) if key in fixed else options)
             for key, options in dimensions(kind).items()}
    widest = {key: options[-1] for key, options in words.items()}
    if not judge([widest])[0].passed:
        return None
    point = _strictest(words, widest, judge)
    # Of each dimension the words that are stricter are refused, and the first of them says why.
    refused = [(key, options[options.index(point[key]) - 1]) for key, options in words.items()
               if options.index(point[key]) > 0]
    *tried, own = judge([*({**point, key: word} for key, word in refused), point])
    open_ = [f"{key} {word or 'nothing'} is not kept: {one.check} has ratio {one.ratio:.3g}"
             for (key, word), one in zip(refused, tried)]
    return Inferred(point, open_ + _left_open(kind, point, own), own)


def _strictest(words: dict[str, tuple[str, ...]], widest: Claims, judge: Judge) -> Claims:
    """Each dimension for itself, all asked for at once; if these do not pass together, one after
    the other."""
    singles = [(key, word) for key, options in words.items() for word in options[:-1]]
    outcomes = dict(zip(singles, judge([{**widest, key: word} for key, word in singles])))
    passing = {key: [word for word in options if word == widest[key] or
                     outcomes[key, word].passed] for key, options in words.items()}
    point = {key: options[0] for key, options in passing.items()}
    if point == widest or judge([point])[0].passed:
        return point
    point = dict(widest)
    for key, options in passing.items():
        tried = judge([{**point, key: word} for word in options])
        point[key] = next(word for word, one in zip(options, tried) if one.passed)
    return point


def _left_open(kind: str, point: dict[str, str], outcome: Outcome) -> list[str]:
    """What a right function and a wrong one have in common under these claims."""
    sentences = []
    if outcome.ratio > 0:
        sentences.append(f"the largest error is {outcome.ratio:.2g} of its bound ({outcome.check}):"
                         f" an error {1 / outcome.ratio:.2g} times as large would pass")
    if kind in ("f16", "bf16"):
        sentences.append(f"what stays below half an ulp of {kind} cannot be seen: sums in f32 and "
                         "in f64 look alike")
    if point["statistics"] == "two_pass":
        sentences.append("Welford's updates pass wherever two passes do")
    if point["accumulate"] == "f32":
        sentences.append("sums in f64 pass wherever sums in f32 do")
    return sentences


def default(kind: str, fixed: dict[str, Any]) -> dict[str, str]:
    """What a failure is explained by: the usual claims of a framework, and those that were made."""
    point = {key: options[-1] for key, options in dimensions(kind).items()}
    point.update(statistics="two_pass", normalise="folded",
                 materialises="y,dy" if kind in ("f16", "bf16") else "")
    point.update({key: str(value) for key, value in fixed.items()})
    return point
