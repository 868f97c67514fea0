"""From a function to a verdict: the steps that it is given, the search for claims, the findings.

A front end (autograd.py for PyTorch, vjp.py for JAX and NumPy) says which styles there are, that is
in which ways tensors are handed over, and runs one step. All else is the same for every framework.
"""
from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import tempfile
from typing import Any, Iterator, Protocol, Sequence

from ._errors import UsageError
from ._problem import TYPES, Problem
from .autograd_claims import Claims, Judge, Outcome, default, infer, spread
from .autograd_result import AutogradResult, Finding
from .autograd_steps import DATA, Step, draw, judged

#: Images, channels, height, width: the second has an odd number of everything, the third is a
#: layer behind a pooling, the fourth is one image, the last has sums that are worth a tree.
SIZES = ((4, 3, 5, 5), (3, 5, 7, 3), (6, 4, 1, 1), (1, 2, 9, 11), (8, 2, 16, 16))
#: Of these sizes with all data and in all styles.
FIRST = 2
#: Modes of a function with running statistics, in the words of the judge: "frozen" is a step of
#: evaluation with gradients.
MODES = ("training", "frozen")


_ALIKE = 60  # characters in which sentences on one fault are alike


class Unsupported(Exception):
    """The function does not do such a step; the text says why."""


class FrontEnd(Protocol):
    name: str
    activation: str
    parameter: float | None
    eps: float
    momentum: float
    channels: int | None  #: the only number of them that it does
    conventions: dict[str, str]  #: claims that are no matter of width: kink, running_variance
    modes: tuple[str, ...]
    layouts: tuple[str, ...]
    types: tuple[str, ...]
    param_types: dict[str, str]  #: of a type, where it is not the usual one
    out_types: dict[str, str]    #: likewise
    styles: dict[str, str]       #: style: which gradient it needs (draw's `like`)

    def run(self, step: Step, size: tuple[int, int, int, int]) -> None:
        """Fills in the step's outputs and faults. Raises Unsupported."""



def _steps(front: FrontEnd, kind: str, seeds: Iterator[int]) -> Iterator[Any]:
    """Steps with their sizes: dense ones on all data, and the other styles on ordinary data."""
    for layout, mode in itertools.product(front.layouts, front.modes):
        for index, size in enumerate(SIZES):
            n, c, h, w = size = size[:1] + (front.channels or size[1],) + size[2:]
            problem = Problem(n, c, h * w, front.activation, front.parameter, layout, kind,
                              front.param_types.get(kind), front.out_types.get(kind), front.eps,
                              front.momentum, "signed", mode)
            for data in DATA if index < FIRST else DATA[:1]:
                yield draw(problem, data, "dense", next(seeds)), size
            for style, like in front.styles.items():
                if style != "dense" and index < FIRST:
                    yield draw(problem, DATA[0], style, next(seeds), like), size


def _run(front: FrontEnd, kind: str, seeds: Iterator[int], result: AutogradResult) -> list[Step]:
    """All that ran. A mode of a type whose first step cannot be run is skipped; a later step that
    raises is a finding."""
    ran: list[Step] = []
    for step, size in _steps(front, kind, seeds):
        place = f"{kind} {step.problem.mode}"
        if place in result.skipped:
            continue
        try:
            front.run(step, size)
        except Unsupported as why:
            if not any(one.problem.mode == step.problem.mode for one in ran):
                result.skipped[place] = str(why)
                continue
            step.faults.append(str(why))
            step.outputs = {}
        ran.append(step)
    return ran


def judge_function(front: FrontEnd, claims: dict[str, Any], seed: int, keep: str | None
                   ) -> AutogradResult:
    """`claims` are those that were made, which are not searched for. Steps that fail are left as
    files in `keep`, or in a folder of their own."""
    result = AutogradResult(front.name)
    seeds = itertools.count(seed * 100003)
    folder = keep or tempfile.mkdtemp(prefix="abn-verify-")
    os.makedirs(folder, exist_ok=True)
    faults, told = _Faults(), _Told()
    for kind in front.types:
        steps = _run(front, kind, seeds, result)
        if not steps:
            continue
        result.steps += len(steps)
        for step in steps:
            result.styles.setdefault((step.problem.layout, step.style), "pass")
        for step, records in zip(steps, _judged(front, kind, steps, claims, folder, result)):
            result.outputs += len(records)
            failed = [one for one in records if one["verdict"] in ("fail", "error")]
            faults.note(kind, step, failed)
            told.note(kind, step, records)
            if failed or step.faults:
                result.styles[step.problem.layout, step.style] = "fail"
            elif step.file and keep is None:
                os.remove(step.file)
        result.undistinguished.setdefault(kind, []).extend(told.sentences(kind))
    result.findings = faults.findings()
    if keep is None and not result.findings:
        shutil.rmtree(folder)
    return result


def _judged(front: FrontEnd, kind: str, steps: list[Step], claims: dict[str, Any], folder: str,
            result: AutogradResult) -> list[list[dict[str, Any]]]:
    """The records of each step, under claims that are searched for on all of them, as a gradient of
    one number shows the depth of a sum better than drawn ones. Where no claims fit all, those that
    fit the dense steps, with sums of any depth, so that the other styles fail by what is wrong with
    them alone; and the usual ones where none fit."""
    def judge_of(some: list[Step]) -> Judge:
        return lambda points: [_outcome(records)
                               for records in _judge(front, some, points, folder, kind)]

    able = [step for step in steps if step.outputs]
    inferred = infer(kind, claims, judge_of(able))
    records = None
    if inferred is not None:
        found = iter(inferred.outcome.records)
        records = [next(found) if step.outputs else [] for step in steps]
    else:
        inferred = infer(kind, {"depth": "loop", **claims},
                         judge_of([step for step in able if step.style == "dense"]))
    if inferred is None:
        fits = infer(kind, {}, judge_of(able)) if claims else None
        if fits is not None:
            result.fits[kind] = fits.claims
        point = default(kind, claims)
    else:
        point = result.claims[kind] = inferred.claims
        result.undistinguished[kind] = inferred.open
    return records or _judge(front, steps, [point], folder, kind)[0]


def _judge(front: FrontEnd, steps: list[Step], points: Sequence[Claims], folder: str, kind: str
           ) -> list[list[list[dict[str, Any]]]]:
    """For each point, for each step: its records. All of them by one run of the judge."""
    able = [step for step in steps if step.outputs]
    place = os.path.join(folder, kind)
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    found = iter(judged([(step, {"scheme": "standard", **front.conventions,
                                 **spread(point, step.problem)})
                         for point in points for step in able], place))
    return [[next(found) if step.outputs else [] for step in steps] for _ in points]


def _outcome(steps: list[list[dict[str, Any]]]) -> Outcome:
    worst = Outcome(True, 0.0, "nothing", steps)
    for records in steps:
        for one in records:
            ratio = float(one["tally"]["max_ratio"])
            worst.passed &= one["verdict"] not in ("fail", "error")
            if not ratio <= worst.ratio:  # NaN is worse
                worst.ratio, worst.check = ratio, f"{one['op']}/{one['check']}"
    return worst


class _Told:
    """Which outputs no step could tell from those of a function that computes nothing."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str, str], bool] = {}

    def note(self, kind: str, step: Step, records: list[dict[str, Any]]) -> None:
        for one in records:
            key = (kind, step.problem.mode, f"{one['op']}/{one['check']}")
            self.all[key] = self.all.get(key, False) or one["verdict"] != "inconclusive"

    def sentences(self, kind: str) -> list[str]:
        return [f"no step of {mode} could tell {what} from that of a function that computes nothing"
                for (own, mode, what), told in self.all.items() if own == kind and not told]


class _Faults:
    """What is wrong, put together by what it is."""

    def __init__(self) -> None:
        self.all: dict[str, list[tuple[str, Step, dict[str, Any] | str]]] = {}

    def note(self, kind: str, step: Step, records: list[dict[str, Any]]) -> None:
        place = f"{kind}/{step.problem.layout}/{step.problem.mode}/{step.style}"
        for fault in step.faults:
            key = re.sub(r"[0-9]+", "#", fault)[:_ALIKE]  # sizes differ from step to step
            self.all.setdefault(f"call: {key}", []).append((place, step, fault))
        for one in records:
            self.all.setdefault(f"{one['op']}/{one['check']}", []).append((place, step, one))

    def findings(self) -> list[Finding]:
        """Those without numbers first, as wrong numbers may follow from them."""
        ordered = sorted(self.all.items(), key=lambda item: not item[0].startswith("call: "))
        return [self._finding(what, found) for what, found in ordered]

    @staticmethod
    def _finding(what: str, found: list[tuple[str, Step, Any]]) -> Finding:
        places = [place for place, _, _ in found]
        if what.startswith("call: "):
            step = found[0][1]
            return Finding("call", places, f"{found[0][2]}; first for {step.problem}")
        # The witness: of a step whose mistake has a name, else the first.
        names: dict[str, int] = {}
        for _, _, record in found:
            for name in record.get("diagnosis", {}).get("likely", []):
                names[name] = names.get(name, 0) + 1
        likely = {name for name, count in names.items() if 2 * count > len(found)}
        _, step, record = next((one for one in found if likely.intersection(
            one[2].get("diagnosis", {}).get("likely", []))), found[0])
        sentences = [f"{one['sentence']} ({one['name']})"
                     for one in record.get("diagnosis", {}).get("explanations", [])
                     if one["name"] in likely]
        witness = ""
        if record.get("witnesses"):
            worst = record["witnesses"][0]
            witness = (f"{worst['where']} expected {worst['expected']['value']} got "
                       f"{worst['got']['value']}: {worst['reason']}")
        return Finding(what, places, record["reason"], sentences, witness,
                       f"abn-verify check {shlex.quote(step.file)}")


def require_types(types: Sequence[str]) -> tuple[str, ...]:
    for kind in types:
        if kind not in TYPES:
            raise UsageError(f"{kind!r} is not a type; use some of {', '.join(TYPES)}")
    return tuple(types)
