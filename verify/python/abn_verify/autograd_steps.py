"""Steps of a batch norm + activation on drawn data, and the files in which they are judged.

A step is one call forward and one backward: its inputs, and what a function made of them. Arrays
are NumPy's, of shape (n, c, s) and (c,); bfloat16 is kept as its 16 bits, in uint16.
"""
from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy

from . import _safetensors
from ._cli import start
from ._problem import Problem

#: How drawn data are made, each hard for another mistake.
DATA = ("standard", "large_mean", "small_variance", "wide")
#: The gradient that every element gets where it is one number for all of them: exact in each type.
CONSTANT = -0.75
_KINDS = {"f16": "<f2", "bf16": "<u2", "f32": "<f4", "f64": "<f8"}


def rounded(values: Any, kind: str) -> Any:
    """Numbers in a type; bf16 as its bits, to the nearest, ties to even."""
    if kind != "bf16":
        return numpy.asarray(values, numpy.float64).astype(_KINDS[kind])
    bits = numpy.asarray(values, numpy.float32).view(numpy.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


@dataclasses.dataclass
class Step:
    problem: Problem
    style: str  #: how the tensors were handed over: one of the front end's words
    data: str
    inputs: dict[str, Any]
    outputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    faults: list[str] = dataclasses.field(default_factory=list)  #: what no number shows
    file: str = ""   #: where judged() wrote it


def draw(problem: Problem, data: str, style: str, seed: int, like: str = "") -> Step:
    """The inputs of a step. `like` says what the gradient has to be so that it can be handed over
    as it is meant: "" for one number an element, "constant", or "of_channel" for one number an
    image and channel."""
    draws = numpy.random.Generator(numpy.random.Philox(key=seed))
    n, c, s = problem.n, problem.c, problem.s
    scale = numpy.exp2(draws.uniform(-1, 1, (1, c, 1)))
    mean = draws.uniform(-1, 1, (1, c, 1)) * scale
    if data == "large_mean":
        mean = mean * 30
    elif data == "small_variance":  # eps counts
        scale, mean = scale * 0.01, mean * 0.01
    elif data == "wide":
        scale = scale * numpy.exp2(draws.integers(-6, 7, (1, c, 1)))
    x = mean + scale * draws.standard_normal((n, c, s))
    if data == "wide":
        x[0, :, 0] = mean[0, :, 0] + 6 * scale[0, :, 0]
    signs = numpy.where(draws.random(c) < 0.3, -1.0, 1.0)
    dz = draws.standard_normal((n, c, s))
    if like == "constant":
        dz = numpy.full((n, c, s), CONSTANT)
    elif like == "of_channel":
        dz = numpy.broadcast_to(dz[:, :, :1], (n, c, s))
    p = problem.param_type
    inputs = {"x": rounded(x, problem.type),
              "gamma": rounded(signs * draws.uniform(0.5, 2, c), p),
              "beta": rounded(draws.uniform(-1, 1, c), p),
              "running_mean": rounded(mean.reshape(c) + draws.uniform(-1, 1, c), p),
              "running_var": rounded(scale.reshape(c) ** 2 * draws.uniform(0.5, 2, c), p),
              "dz": rounded(dz, problem.out_type)}
    return Step(problem, style, data, inputs)


def metadata(step: Step, claims: dict[str, str]) -> dict[str, str]:
    return {"abn.format": "1", "abn.problem": str(step.problem), "data": step.data,
            "style": step.style, **{f"abn.{key}": value for key, value in claims.items()}}


def save(path: str, step: Step, claims: dict[str, str]) -> None:
    """The step as a file for `abn-verify check`."""
    tensors: dict[str, tuple[str, Any]] = {}
    kinds = dict.fromkeys(("x", "dx"), step.problem.type)
    kinds.update(z=step.problem.out_type, dz=step.problem.out_type)
    for name, array in {**step.inputs, **step.outputs}.items():
        if array is not None:
            if array.ndim == 3 and step.problem.layout == "nhwc":
                array = array.transpose(0, 2, 1)
            kind = kinds.get(name, step.problem.param_type)
            tensors[name] = kind, array.astype(_KINDS[kind], copy=False)
    _safetensors.write(path, tensors, metadata(step, claims))


def judged(pairs: Sequence[tuple[Step, dict[str, str]]], folder: str
           ) -> list[list[dict[str, Any]]]:
    """The records of `abn-verify check` for each step with its claims. The files are left in the
    folder; step.file is the last one of the step."""
    found: dict[str, list[dict[str, Any]]] = {}
    if not pairs:
        return []
    for index, (step, claims) in enumerate(pairs):
        name = f"{step.style}_{step.data}_{index}"
        step.file = os.path.join(folder, name + ".safetensors")
        save(step.file, step, claims)
        found[name] = []
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        running = start(["check", folder, "--out", out.name, "--quiet"])
        text, complaint = running.communicate()
        if running.returncode not in (0, 1):
            raise RuntimeError(f"abn-verify check ended with {running.returncode}: "
                               f"{(complaint or text).strip()}")
        with open(out.name, encoding="utf-8") as file:
            for record in json.load(file)["checks"]:
                found[record["variant"]].append(record)
    return list(found.values())
