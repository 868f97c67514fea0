"""What bench_peers.py found: as lines of text, and as a study (verify/study/study.hpp) for
`abn-verify report`."""
import json
import math
import os
import tempfile
from dataclasses import dataclass, field

from abn_kernels import Problem, UsageError

DRY_WARNING = ("Dry run on the CPU: our kernels run on an emulator, so the times and ratios say "
               "nothing.")
FORWARD, BACKWARD = "forward", "backward"
SEED = 1


@dataclass
class Result:
    """One competitor on one problem in one direction."""
    problem: Problem
    direction: str
    competitor: str
    sets: int = 0
    backend: str = ""
    note: str = ""
    failed: bool = False
    graph: bool = False
    seconds: list = field(default_factory=list)
    ratio: float = math.nan

    def micros(self, share):
        """That quantile of the times of one call."""
        ordered = sorted(self.seconds)
        if not ordered:
            return math.nan
        at = share * (len(ordered) - 1)
        low = int(at)
        high = min(low + 1, len(ordered) - 1)
        return 1e6 * (ordered[low] + (at - low) * (ordered[high] - ordered[low]))


def by_kind(result):
    return result.competitor, result.problem.dtype, result.direction, result.problem.layout


def means(results, first, key=by_kind):
    """Geometric means of the ratios to `first` over what has the same key, as (*key, mean,
    problems, those without a graph)."""
    groups = {}
    for result in results:
        if math.isfinite(result.ratio) and result.competitor != first:
            groups.setdefault(key(result), []).append(result)
    return [(*words, math.exp(sum(math.log(one.ratio) for one in group) / len(group)), len(group),
             sum(not one.graph for one in group))
            for words, group in groups.items()]


def problems(count):
    return f"{count} problem" + ("s" if count != 1 else "")


def number(value):
    """A number of a study; those that JSON lacks are words in an array
    (verify/study/study_json.cpp)."""
    return [float(f"{value:.6g}") if math.isfinite(value) else "nan"]


def table(name, title, note, columns, rows, detail=False):
    return {"name": name, "title": title, "note": note, "detail": detail,
            "columns": [{"name": column, "unit": unit} for column, unit in columns], "rows": rows}


def study(results, settings, first, dry):
    timed = [[r.problem.text, r.direction, r.competitor, r.backend,
              *(number(r.micros(share)) for share in (0.5, 0.1, 0.9)),
              number(r.ratio), number(r.sets), r.note]
             for r in results]
    summary = [[*words, number(mean), number(count), number(plain)]
               for *words, mean, count, plain in means(results, first)]
    of_all_types = means(results, first, lambda r: (r.competitor, r.direction))
    conclusions = [DRY_WARNING] if dry else [
        f"{competitor}: {direction} takes {mean:.3g} times as long as {first}, in the geometric "
        f"mean of {problems(count)} of all types and layouts."
        for competitor, direction, mean, count, _ in of_all_types]
    about = ("Training batch norm + leaky ReLU, ours in place and PyTorch's, interleaved in one "
             "process; every result was compared with ours first.")
    return {
        "schema": "abn-verify-study/1", "name": "peers",
        "title": "Side by side with PyTorch" + (" (dry run)" if dry else ""),
        "summary": (DRY_WARNING + " " if dry else "") + about, "seed": SEED, "settings": settings,
        "conclusions": conclusions,
        "tables": [
            table("means", "Ratios",
                  f"Geometric means of time over that of {first}; above 1, {first} is faster.",
                  [("competitor", ""), ("type", ""), ("direction", ""), ("layout", ""),
                   ("ratio", ""), ("problems", ""), ("without a graph", "")], summary),
            table("times", "Times of one call",
                  "Median, p10 and p90 over the rounds; backend: what PyTorch chose to run.",
                  [("problem", ""), ("direction", ""), ("competitor", ""), ("backend", ""),
                   ("median", "us"), ("p10", "us"), ("p90", "us"), ("ratio", ""), ("sets", ""),
                   ("how", "")], timed, detail=True)],
        "grids": []}


def check_writable(path):
    """Before a long measurement rather than after it."""
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise UsageError(f"{path} cannot be written; give --out a file in a folder that exists")


def write(path, study):
    """The whole file or none of it."""
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)),
                                             prefix=".peers-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(study, indent=1) + "\n")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as wrong:
        raise UsageError(f"{path} cannot be written ({wrong.strerror}); give --out a file in a "
                         "folder that exists")


def show(results):
    print(results[0].problem.text)
    for r in results:
        times = " " * 11
        if r.seconds:
            times = (f"{r.micros(0.5):11.2f} us ({r.micros(0.1):.2f} .. {r.micros(0.9):.2f})  "
                     f"ratio {r.ratio:.3f}")
        print(f"  {r.direction:8}  {r.competitor:20} {r.backend:8} {times}  {r.note}", flush=True)


def show_means(results, first, dry):
    print(f"Geometric means of the time over that of {first}" +
          (" (a dry run: they say nothing)" if dry else ""))
    for competitor, dtype, direction, layout, mean, count, plain in means(results, first):
        without = f", {plain} without a graph" if plain else ""
        print(f"  {competitor:20} {dtype:5} {direction:8} {layout:5} {mean:8.3f}  "
              f"({problems(count)}{without})")
