"""The pytest plug-in: one item a check, or the verdict of a whole judgement as one test.

    import abn_verify, mine

    @abn_verify.parametrize(mine.Kernel)      # one item a check: forward/f32/nchw/z ...
    def test_checks(abn_check):
        abn_check()

    def test_whole(abn):                      # one item: fails with what the judge says
        abn.judge(mine.Kernel, tier="quick")
        abn.judge_autograd(module, types=("f32",))

The ids of the checks are asked for at collection, so -k, --collect-only and xdist know them. The
checks of one operation, type and layout are judged together when the first of them runs; under
xdist, --dist loadgroup keeps them on one worker. The seed is 1 unless --abn-seed or seed= says
otherwise, so that a test is the same test every day.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import abn_verify

from . import _cli
from ._judge import judge, place_of
from ._kernel import kernel_of

_MARK = "abn"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("abn", "abn-verify, the judge of batch norm kernels")
    group.addoption("--abn-tier", help="tier of every judgement: quick, smoke, full")
    group.addoption("--abn-seconds", type=float, help="limit of every judgement; 0: none")
    group.addoption("--abn-seed", type=int, default=1, help="decides the data (1)")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{_MARK}(kernel, **options): abn_check gets the checks of "
                                       "this kernel one by one (abn_verify.parametrize)")
    config.stash[_JUDGED] = {}


_JUDGED = pytest.StashKey[dict[Any, dict[str, dict[str, Any]]]]()


def _options_of(config: pytest.Config, given: dict[str, Any]) -> dict[str, Any]:
    """Those of the command line count more than those of the test, but for the seed."""
    options: dict[str, Any] = {"seed": config.getoption("--abn-seed"), **given}
    for name in ("tier", "seconds"):
        value = config.getoption(f"--abn-{name}")
        if value is not None:
            options[name] = value
    return options


def ids_of(kernel: Any) -> list[str]:
    """The ids of all checks of a kernel, which a fresh process has to find by file and name."""
    declared = kernel_of(kernel)
    place = place_of(declared)
    if place is None:
        raise abn_verify.UsageError(f"{declared.name} is found by no file and name; move it to the "
                                    "top level of a file, or use the fixture abn")
    running = _cli.start(["list", "--ids", "--python", place])
    text, complaint = running.communicate()
    if running.returncode != 0:
        raise abn_verify.UsageError(_cli.refusal(complaint))
    # Those of `abn-verify grad` are not of a run.
    return [line for line in text.split("\n") if line.startswith(f"{declared.name}/")
            and not line.startswith(f"{declared.name}/gradient/")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "abn_check" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker(_MARK)
    if mark is None:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} uses abn_check; say of which kernel:"
                                " @abn_verify.parametrize(kernel)")
    kernel = mark.args[0]
    parameters = []
    for check in ids_of(kernel):
        group = check.rpartition("/")[0]
        parameters.append(pytest.param(
            (kernel, check, dict(mark.kwargs)), id=check.partition("/")[2],
            marks=pytest.mark.xdist_group(group)))
    metafunc.parametrize("abn_check", parameters, indirect=True)


@pytest.fixture
def abn_check(request: pytest.FixtureRequest) -> Callable[[], dict[str, Any]]:
    """Judges the check of this item: fails with the judge's words, skips with its reason, or
    returns the record."""
    kernel, check, given = request.param
    options = _options_of(request.config, given)

    def run() -> dict[str, Any]:
        judged = request.config.stash[_JUDGED]
        group = check.rpartition("/")[0]
        key = (id(kernel), group, repr(options))
        if key not in judged:
            result = judge(kernel, f"{group}/*", **options)
            texts = {failure.id: failure.text for failure in result.failures}
            judged[key] = {one["id"]: {**one, "text": texts.get(one["id"], "")}
                           for one in result.data["checks"]}
        record = judged[key].get(check)
        if record is None:
            pytest.skip("no case of this tier has this check")
        if record["verdict"] == "skip":
            pytest.skip(record["reason"])
        request.node.user_properties.append(("cases", record["cases"]))
        if "tally" in record:
            request.node.user_properties.append(("ratio", record["tally"]["max_ratio"]))
        if record["verdict"] != "pass":
            pytest.fail(record["text"] or record["reason"], pytrace=False)
        return record

    return run


class Abn:
    """The functions of abn_verify that judge, as assertions."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def judge(self, kernel: Any, only: str | None = None, **options: Any) -> Any:
        return self._asserted(judge(kernel, only, **_options_of(self._config, options)))

    def judge_autograd(self, function: Any, activation: str | None = None, **options: Any) -> Any:
        options.setdefault("seed", self._config.getoption("--abn-seed"))
        return self._asserted(abn_verify.judge_autograd(function, activation, **options))

    def judge_vjp(self, function: Any, activation: str = "identity", **options: Any) -> Any:
        options.setdefault("seed", self._config.getoption("--abn-seed"))
        return self._asserted(abn_verify.judge_vjp(function, activation, **options))

    def check(self, **arguments: Any) -> Any:
        return self._asserted(abn_verify.check(**arguments))

    @staticmethod
    def _asserted(result: Any) -> Any:
        if result.verdict in ("skip", "nothing ran"):
            pytest.skip(str(result))
        if not result:
            pytest.fail(str(result), pytrace=False)
        return result


@pytest.fixture
def abn(pytestconfig: pytest.Config) -> Abn:
    """abn.judge(kernel), abn.judge_autograd(module), abn.judge_vjp(function) and abn.check(...):
    the test fails with what the judge says."""
    return Abn(pytestconfig)
