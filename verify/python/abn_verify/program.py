"""The script abn-verify: becomes the program of that name in the package.

    python3 -m abn_verify.program run --python mine.py
"""
from __future__ import annotations

import os
import sys

from ._cli import NOTHING_RAN, USAGE_ERROR, program
from ._errors import UsageError

__all__ = ["NOTHING_RAN", "USAGE_ERROR", "library", "main"]


def main() -> None:
    try:
        path = program()
    except UsageError as wrong:
        print(f"abn-verify: {wrong}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    os.environ.setdefault("ABN_VERIFY_PYTHON", sys.executable)  # whose packages kernels may import
    os.execv(path, [path, *sys.argv[1:]])


def library(name: str) -> str:
    """The path of libNAME.so that came with the program: "abn_ptx", the executor of compiled
    kernels (cuda/ptx/ptx.h), or "abn_kernels", the in-tree variants. Raises UsageError."""
    folder = os.path.dirname(program())
    file = f"lib{name}.so"
    for place in (".", os.path.join("..", "lib", "abn-verify"), os.path.join("..", "lib")):
        path = os.path.normpath(os.path.join(folder, place, file))
        if os.path.exists(path):
            return path
    raise UsageError(f"{file} is not beside {program()}; install the package again, or build the "
                     f"target {name}")


if __name__ == "__main__":
    main()
