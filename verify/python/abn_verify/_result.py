"""What a run found, for programs, terminals and notebooks."""
from __future__ import annotations

import dataclasses
import html
import json
from typing import Any


@dataclasses.dataclass(frozen=True)
class Failure:
    """One check that did not pass."""

    id: str  #: variant/op/dtype/layout/check
    verdict: str  #: "fail", "error" or "inconclusive"
    ratio: float  #: the largest error divided by its bound; NaN where no numbers were compared
    reason: str
    likely: str  #: the known mistake that gives these numbers, or an empty text
    witness: str  #: the worst element, or the call that went wrong
    reproduce: str  #: what runs this case again: a command, or a call of abn_verify.judge
    text: str  #: all of it, as the terminal shows it

    def __str__(self) -> str:
        return self.text


@dataclasses.dataclass(frozen=True)
class Result:
    """The verdict on a kernel, or on tensors. True if all checks passed; str() is what the command
    line prints."""

    verdict: str  #: "pass", "fail", "inconclusive", or "nothing ran"
    headline: str
    failures: tuple[Failure, ...]
    counts: dict[str, int]  #: of checks by verdict, of cases and of elements
    data: dict[str, Any]  #: results.json
    text: str
    seconds: float

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    def __str__(self) -> str:
        return self.text

    def table(self) -> list[dict[str, Any]]:
        """A row for every check that ran: id, verdict, largest ratio (NaN where no numbers were
        compared), cases."""
        return [{"id": one["id"], "verdict": one["verdict"], "ratio": _ratio_of(one),
                 "cases": one["cases"]} for one in self.data["checks"] if one["verdict"] != "skip"]

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(row['id'])}</td><td>{row['verdict']}</td>"
            f"<td style='text-align:right'>{_short(row['ratio'])}</td>"
            f"<td style='text-align:right'>{row['cases']}</td></tr>" for row in self.table())
        failed = "".join(f"<pre>{html.escape(one.text)}</pre>" for one in self.failures)
        return (f"<p><b>{html.escape(self.headline)}</b></p>{failed}"
                f"<details><summary>{len(self.table())} checks</summary><table><tr><th>check</th>"
                f"<th>verdict</th><th>largest ratio</th><th>cases</th></tr>{rows}"
                "</table></details>")

    def save(self, path: str) -> None:
        """Writes results.json, which `abn-verify report` makes a page of."""
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.data, file, indent=1)


def result_of(data: dict[str, Any], text: str) -> Result:
    """From results.json and what was printed."""
    counts = {key: int(value) for key, value in data["summary"].items()}
    failures = tuple(_failure_of(one, text) for one in data["checks"]
                     if one["verdict"] in ("fail", "error", "inconclusive"))
    verdict = ("fail" if counts["fail"] + counts["error"] or data.get("unfinished")
               else "inconclusive" if counts["inconclusive"]
               else "pass" if counts["pass"] else "nothing ran")
    return Result(verdict, data["headline"], failures, counts, data, text,
                  float(data["provenance"]["seconds"]))


def _failure_of(record: dict[str, Any], text: str) -> Failure:
    block = _block_of(record["id"], text)
    witness = record["witnesses"][0] if record["witnesses"] else {}
    return Failure(record["id"], record["verdict"], _ratio_of(record), record["reason"],
                   _line_of(block, "likely"), _line_of(block, "witness"),
                   witness.get("reproduce", ""), block)


def _block_of(check: str, text: str) -> str:
    """The lines from the one that names the check to the next empty one."""
    lines = text.split("\n")
    for begin, line in enumerate(lines):
        if check in line.split() and line.split()[0].isupper():
            end = next((i for i in range(begin, len(lines)) if not lines[i].strip()), len(lines))
            return "\n".join(lines[begin:end])
    return check


def _line_of(block: str, word: str) -> str:
    return next((line.strip()[len(word):].strip() for line in block.split("\n")
                 if line.strip().startswith(word)), "")


def _ratio_of(record: dict[str, Any]) -> float:
    """NaN and infinity stand in the file as texts."""
    return float(record["tally"]["max_ratio"]) if "tally" in record else float("nan")


def _short(ratio: float) -> str:
    return "" if ratio != ratio else f"{ratio:.3g}"
