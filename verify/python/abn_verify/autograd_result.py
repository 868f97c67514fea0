"""What judge_autograd and judge_vjp return."""
from __future__ import annotations

import dataclasses
import html


_MOST_WORDS = 4


@dataclasses.dataclass
class Finding:
    """Something that is wrong in one step or in many of them."""

    what: str       #: "backward/dx", or "call" for what no number shows
    places: list[str]  #: "bf16/nhwc/training/dz_sliced", of each step where it is
    reason: str     #: one sentence, of the step that the witness is from
    likely: list[str] = dataclasses.field(default_factory=list)  #: known mistakes that look like it
    witness: str = ""
    reproduce: str = ""  #: a command

    @property
    def where(self) -> str:
        """The words that the places have, in one line; many are counted."""
        columns = [list(dict.fromkeys(column)) for column in
                   zip(*(place.split("/") for place in self.places))]
        return ", ".join(" ".join(words) if len(words) <= _MOST_WORDS else
                         f"{len(words)} ways to hand tensors over" for words in columns)

    def __str__(self) -> str:
        count = len(self.places)
        lines = [f"FAIL {self.what} in {count} step{'s' if count > 1 else ''}: {self.where}",
                 f"  reason    {self.reason}"]
        lines += [f"  likely    {sentence}" for sentence in self.likely]
        if self.witness:
            lines.append(f"  witness   {self.witness}")
        if self.reproduce:
            lines.append(f"  reproduce {self.reproduce}")
        return "\n".join(lines)


@dataclasses.dataclass
class AutogradResult:
    """True where everything that ran passed, and something ran."""

    name: str
    findings: list[Finding] = dataclasses.field(default_factory=list)
    claims: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)  #: of each type
    undistinguished: dict[str, list[str]] = dataclasses.field(default_factory=dict)  #: of each type
    #: where claims were made that do not hold: those that would
    fits: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)  #: type or mode: reason
    steps: int = 0
    outputs: int = 0  #: that were judged
    #: (layout, style): "pass" or "fail"
    styles: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)

    @property
    def verdict(self) -> str:
        if self.findings:
            return "fail"
        return "pass" if self.outputs else "skip"

    def __bool__(self) -> bool:
        return self.verdict == "pass"

    @property
    def pattern(self) -> str:
        """A sentence where only some layouts or ways of handing tensors over fail, else empty."""
        bad = [key for key, verdict in self.styles.items() if verdict == "fail"]
        first = next(iter(self.styles), ("", ""))
        if not bad or first in bad:
            return ""
        layouts = [layout for layout, style in bad if style == first[1]]
        styles = dict.fromkeys(style for layout, style in bad if layout not in layouts)
        wrong = " and ".join(filter(None, [f"all {' '.join(layouts)} tensors" if layouts else "",
                                           f"{', '.join(styles)}" if styles else ""]))
        return (f"right with {first[1]} {first[0]} tensors, wrong with {wrong}: something depends "
                "on how tensors lie in memory, or on calls in between")

    def __str__(self) -> str:
        lines = [f"{self.verdict} {self.name}: {self.outputs} outputs of {self.steps} steps"]
        for kind, claims in self.fits.items():
            lines.append(f"  {kind} would pass with the claims {_said(claims)}")
        for kind, claims in self.claims.items():
            lines.append(f"  {kind} claims   {_said(claims)}")
            lines += [f"  {kind} open     {sentence}" for sentence in
                      self.undistinguished.get(kind, [])]
        lines += [f"  skipped   {what}: {why}" for what, why in self.skipped.items()]
        if self.pattern:
            lines.append(f"  pattern   {self.pattern}")
        return "\n".join(lines + [str(finding) for finding in self.findings])

    def _repr_html_(self) -> str:
        """A table for notebooks: the styles, and every finding."""
        rows = "".join(f"<tr><td>{layout} {html.escape(style)}</td><td>{verdict}</td></tr>"
                       for (layout, style), verdict in self.styles.items())
        found = "".join(f"<pre>{html.escape(str(finding))}</pre>" for finding in self.findings)
        return (f"<p><b>{self.verdict}</b> {html.escape(self.name)}: {self.outputs} outputs of "
                f"{self.steps} steps</p><table><tr><th>tensors</th><th>verdict</th></tr>{rows}"
                f"</table>{found}")


def _said(claims: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in claims.items() if value)
