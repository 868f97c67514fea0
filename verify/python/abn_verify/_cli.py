"""The program abn-verify: where it is, and one run of it."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from ._errors import UsageError

_HERE = os.path.dirname(os.path.abspath(__file__))
USAGE_ERROR = 2
NOTHING_RAN = 77


def program() -> str:
    """Its path: that of ABN_VERIFY_PROGRAM; the package's own; beside the interpreter, or on PATH.
    Raises UsageError where there is none."""
    named = os.environ.get("ABN_VERIFY_PROGRAM")
    places = [named] if named else [
        os.path.join(_HERE, "bin", "abn-verify"),
        # build/python/abn_verify of a build folder, whose programs are in build/bin
        os.path.normpath(os.path.join(_HERE, "..", "..", "bin", "abn-verify")),
        os.path.join(os.path.dirname(sys.executable), "abn-verify"),
        shutil.which("abn-verify") or "",
    ]
    for place in places:
        if place and os.access(place, os.X_OK) and os.path.isfile(place):
            return place
    raise UsageError("The program abn-verify is not there; install the package again, or name the "
                     "program by the environment variable ABN_VERIFY_PROGRAM")


def start(words: Sequence[str], keep_open: Sequence[int] = ()) -> subprocess.Popen[str]:
    """Runs `abn-verify WORDS`; `keep_open` are descriptors that it inherits."""
    environment = dict(os.environ)
    environment.setdefault("ABN_VERIFY_PYTHON", sys.executable)
    # The workers are to import what this process would.
    paths = [os.path.dirname(_HERE), *(environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    return subprocess.Popen([program(), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, errors="replace", env=environment, pass_fds=keep_open)


def refusal(complaint: str) -> str:
    """What the program wrote as it ended with USAGE_ERROR."""
    text = complaint.strip().removeprefix("abn-verify: ")
    return text or "abn-verify ended with exit code 2 and said nothing; abn-verify doctor may help"
