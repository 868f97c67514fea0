"""Does a batch norm + activation kernel compute the right numbers? Judges kernels written in Python
or called from it, and tensors that a framework computed.

    import abn_verify

    @abn_verify.kernel()
    class Mine:
        def forward(p, x, gamma, beta): ...
        def backward(p, dz, x, gamma, mean, var): ...

    result = abn_verify.judge(Mine)
    assert result, result

Nothing is compiled against a framework, and none is imported but the one whose arrays a kernel asks
for. What is differentiated by PyTorch, JAX or NumPy is judged by judge_autograd and judge_vjp.
"""
from __future__ import annotations

import importlib
from typing import Any

from ._claims import Claims, loop, pairwise, tree
from ._core import version as __version__
from ._errors import UsageError
from ._judge import judge
from ._kernel import Kernel, kernel
from ._problem import Problem, problem
from ._result import Failure, Result
from ._step import Bound, Step, bound, check

__all__ = ["AutogradResult", "Bound", "Claims", "Failure", "Kernel", "Problem", "Result", "Step",
           "UsageError", "__version__", "bound", "check", "judge", "judge_autograd", "judge_vjp",
           "kernel", "library", "loop", "pairwise", "parametrize", "problem", "tree"]

# Imported when they are asked for: the first ones need NumPy.
_LATER = {"AutogradResult": "autograd_result", "judge_autograd": "autograd", "judge_vjp": "vjp",
          "library": "program"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)


def parametrize(kernel: Any, **options: Any) -> Any:
    """The mark of a test that pytest makes one item of for each check of the kernel; `options` are
    those of judge. The test takes the fixture abn_check (abn_verify.pytest_plugin)."""
    return importlib.import_module("pytest").mark.abn(kernel, **options)
