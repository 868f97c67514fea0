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
for.
"""
from ._claims import Claims, loop, pairwise, tree
from ._core import version as __version__
from ._errors import UsageError
from ._judge import judge
from ._kernel import Kernel, kernel
from ._problem import Problem, problem
from ._result import Failure, Result
from ._step import Bound, Step, bound, check

__all__ = ["Bound", "Claims", "Failure", "Kernel", "Problem", "Result", "Step", "UsageError",
           "__version__", "bound", "check", "judge", "kernel", "loop", "pairwise", "problem", "tree"]
