"""Judging a kernel: the program abn-verify asks, and a Python process answers, one that it starts
or this one."""
from __future__ import annotations

import inspect
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

from . import _cli, _core, _load
from ._errors import UsageError
from ._kernel import Kernel, kernel_of
from ._problem import Problem
from ._result import Result, result_of


def judge(kernel: Any, only: str | None = None, *, tier: str = "quick", seconds: float = 60,
          seed: int | None = None, problem: Problem | str | None = None, data: str | None = None,
          process: str = "auto", call_seconds: float = 120, threads: int = 0,
          options: Sequence[str] = ()) -> Result:
    """Judges a kernel: a class, module or object with forward and backward, declared by
    `abn_verify.kernel` or with its default claims.

    only          a pattern of ids (variant/op/dtype/layout/check); None: all checks
    tier          "quick", "smoke", "full" or "exhaustive"
    seconds       the cases of the tier that are worth most, until so many are used; 0: all
    seed          decides the data; None: drawn
    problem, data one case: a Problem or its text, and a recipe, numbers or a file
    process       "own": a worker process imports the kernel's file, so a crash, a hang and what it
                  leaves behind are its own, and the next call goes on in a new one. "here": this
                  process calls the kernel, which may then be one of a notebook or a closure; what
                  ends it ends this process. "auto": "own" where the kernel is found by file and
                  name, else "here".
    call_seconds  how long one call may take
    threads       cases at a time; 0: one a core
    options       more words for `abn-verify run`, such as ["--hunt", "20"]

    Raises UsageError where the question is wrong.
    """
    if _load.loading:
        raise _load.Loaded
    declared = kernel_of(kernel)
    place = place_of(declared)
    if process not in ("auto", "own", "here"):
        raise UsageError(f"{process!r} is not a process; use auto, own or here")
    if process == "own" and place is None:
        raise UsageError(f"{declared.name} is found by no file and name, so no other process can "
                         'load it; move it to the top level of a file, or say process="here"')
    words = ["run", *([only] if only else []), "--only-plugins", "--call-seconds",
             str(call_seconds), "--threads", str(threads)]
    if problem is None and data is None:
        words += ["--tier", tier, *(["--seconds", str(seconds)] if seconds else [])]
    for option, value in (("--problem", problem), ("--data", data), ("--seed", seed)):
        words += [] if value is None else [option, str(value)]
    words += options
    if process == "here" or place is None:
        return _judged_here(declared, place or declared.name, words)
    return _judged(words + ["--python", place])


def place_of(kernel: Kernel) -> str | None:
    """FILE:NAME where a fresh process finds the same kernel; None where there is no such place."""
    target = kernel.target
    module = sys.modules.get(getattr(target, "__module__", None) or getattr(target, "__name__", ""))
    path = getattr(module, "__file__", None)
    if module is None or not path or not path.endswith(".py") or not os.path.isfile(path):
        return None
    if inspect.ismodule(target):
        return _near(path) if target is module else None
    name = getattr(target, "__qualname__", "")
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{_near(path)}:{name}" if found is target else None


def _near(path: str) -> str:
    """Relative to the current folder where it lies below that, as people write it."""
    near = os.path.relpath(path)
    return os.path.abspath(path) if near.startswith("..") else near


def _judged(words: list[str], keep_open: Sequence[int] = ()) -> Result:
    with tempfile.TemporaryDirectory(prefix="abn-verify-") as folder:
        out = os.path.join(folder, "results.json")
        running = _cli.start([*words, "--out", out], keep_open)
        text, complaint = _outputs(running)
        if running.returncode == _cli.USAGE_ERROR or not os.path.exists(out):
            raise UsageError(_cli.refusal(complaint))
        with open(out, encoding="utf-8") as file:
            data = json.load(file)
    return result_of(data, text.replace(f"Results: {out}\n", ""))


def _outputs(running: subprocess.Popen[str]) -> tuple[str, str]:
    """Until it ends; an interrupt reaches it, too, and it ends in order."""
    try:
        return running.communicate()
    except KeyboardInterrupt:
        running.communicate()
        raise


def _judged_here(kernel: Kernel, place: str, words: list[str]) -> Result:
    """The judge is given one end of a socket, and sends a new one for every call at a time."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    threading.Thread(target=_welcome, args=(ours, kernel), daemon=True).start()
    try:
        return _judged([*words, "--python", place, "--host", str(theirs.fileno())],
                       [theirs.fileno()])
    finally:
        theirs.close()


def _welcome(ours: socket.socket, kernel: Kernel) -> None:
    """Serves on every socket that comes, each on a thread of its own: a call that never returns
    keeps its thread and no other."""
    with ours:
        while True:
            hello, sockets, _, _ = socket.recv_fds(ours, 1, 1)
            if not hello:
                return
            for one in sockets:
                threading.Thread(target=_serve, args=(one, kernel), daemon=True).start()


def _serve(descriptor: int, kernel: Kernel) -> None:
    try:
        _core.serve(descriptor, lambda _place: [kernel], True)
    finally:
        os.close(descriptor)
