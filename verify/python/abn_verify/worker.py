"""The worker of a Python file, which abn-verify starts under its limits: nobody else has to.

    python3 -m abn_verify.worker
"""
from __future__ import annotations

import sys

from . import _core
from ._load import kernels_of

_QUESTIONS = 3  # the descriptor that the judge asks on


def main() -> int:
    wrong = _core.serve(_QUESTIONS, kernels_of, False)
    if wrong:
        print(f"a question cannot be answered: {wrong}", file=sys.stderr)
    return 70 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
