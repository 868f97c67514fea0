"""Limits of this process and all that it starts, and what the tests share."""
import os
import resource
import shlex
import subprocess
import sys

MEMORY = 6 << 30  # bytes of data, far more than any of these tests takes

for limit, value in ((resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_CORE, 0),
                     (resource.RLIMIT_FSIZE, 1 << 30), (resource.RLIMIT_CPU, 600)):
    resource.setrlimit(limit, (value, value))

HERE = os.path.dirname(os.path.abspath(__file__))
LIMITS = ["--memory", "2000"]  # of the workers, in megabytes

import abn_verify  # noqa: E402
from abn_verify import _cli  # noqa: E402


def environment():
    """Of a command that a reader types: the program on PATH, and no package but the build's."""
    own = dict(os.environ)
    own["PATH"] = os.path.dirname(_cli.program()) + os.pathsep + own.get("PATH", "")
    own.setdefault("ABN_VERIFY_PYTHON", sys.executable)
    return own


def replay(command, more=()):
    """Runs a reproduce line, verbatim but for the limits; (exit code, what it printed)."""
    ran = subprocess.run([*shlex.split(command), *more, *LIMITS], env=environment(),
                         capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def python(source, *arguments, **options):
    """Another interpreter that runs a text, as from a terminal."""
    return subprocess.run([sys.executable, "-c", source, *arguments], capture_output=True,
                          text=True, timeout=120, check=False, **options)


def judged(kernel, only=None, **options):
    return abn_verify.judge(kernel, only, seed=options.pop("seed", 1), seconds=0,
                            options=[*LIMITS, *options.pop("options", [])], **options)
