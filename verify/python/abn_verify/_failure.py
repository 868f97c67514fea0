"""What a kernel raised, in one sentence that names the lines on the way."""
from __future__ import annotations

import linecache
import os
import traceback

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_MOST_LINES = 4  # of the kernel's own; the outermost and the innermost ones are kept
_LONGEST = 400   # of the exception's own text


def raised_sentence(exception: BaseException) -> str:
    """"raised ValueError: ... (mine.py:17 in backward: dx[...] = g * r; mine.py:3 in helper: ...)"
    """
    text = " ".join(str(exception).split())[:_LONGEST]
    name = type(exception).__name__
    where = "; ".join(_line(frame) for frame in _frames(exception))
    return f"raised {name}{': ' + text if text else ''}{f' ({where})' if where else ''}"


def _frames(exception: BaseException) -> list[traceback.FrameSummary]:
    own = [frame for frame in traceback.extract_tb(exception.__traceback__)
           if os.path.dirname(os.path.abspath(frame.filename)) != _PACKAGE
           and not frame.filename.startswith("<frozen")]  # the interpreter's own imports
    if len(own) > _MOST_LINES:
        own = own[:1] + own[1 - _MOST_LINES:]
    return own


def _line(frame: traceback.FrameSummary) -> str:
    source = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
    place = f"{os.path.basename(frame.filename)}:{frame.lineno} in {frame.name}"
    return f"{place}: {source}" if source else place
