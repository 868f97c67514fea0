"""Finds the kernels of a Python file, as the judge names them: FILE or FILE:NAME."""
from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from typing import Any

from ._errors import UsageError
from ._failure import raised_sentence
from ._kernel import Kernel, kernel_of

loading = False  # a worker is running the file, whose own calls of judge() are not meant


class Loaded(BaseException):
    """judge() was called while a worker loads the file: what is defined by then is all it wants."""


def kernels_of(place: str) -> list[Kernel]:
    """Those that FILE declares, in their order; or the one that FILE:NAME names. Raises UsageError.
    """
    path, _, name = place.rpartition(":") if _has_name(place) else (place, "", "")
    if not os.path.isfile(path):
        raise UsageError(f"There is no file {path}; check the path")
    module = _module_of(path)
    if name:
        return [_named(module, path, name)]
    found = [one for one in vars(module).values()
             if "__abn_kernel__" in getattr(one, "__dict__", {})
             and getattr(one, "__module__", module.__name__) == module.__name__]
    kernels = list(dict.fromkeys(kernel_of(one) for one in found))
    if hasattr(module, "__abn_kernel__"):
        kernels.insert(0, kernel_of(module))
    if not kernels and hasattr(module, "forward"):
        kernels = [_made(module, path, module.__name__)]
    if not kernels:
        raise UsageError(f"{path} declares no kernel; put @abn_verify.kernel() above a class with "
                         f"forward and backward, or name one: {path}:NAME")
    return kernels


def _has_name(place: str) -> bool:
    """Is there a name behind the path, and not a colon in the path?"""
    name = place.rpartition(":")[2]
    return ":" in place and all(part.isidentifier() for part in name.split("."))


def _named(module: types.ModuleType, path: str, name: str) -> Kernel:
    target: Any = module
    for part in name.split("."):
        target = getattr(target, part, None)
        if target is None:
            raise UsageError(f"{path} has no {name}; check the name")
    return _made(target, path, name)


def _made(target: Any, path: str, name: str) -> Kernel:
    try:
        return kernel_of(target)
    except (TypeError, ValueError) as wrong:
        raise UsageError(f"{name} of {path} is no kernel: {wrong}") from None


def _module_of(path: str) -> types.ModuleType:
    """The file as a module: of its package, where it lies in one, so that it may import from there.
    """
    global loading
    folder = os.path.dirname(os.path.abspath(path))
    name = os.path.splitext(os.path.basename(path))[0]
    while os.path.exists(os.path.join(folder, "__init__.py")):
        name = f"{os.path.basename(folder)}.{name}"
        folder = os.path.dirname(folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if "." in name:
        importlib.import_module(name.rpartition(".")[0])
    elif name in sys.modules:  # a file named like a module that is there already
        name = f"_kernel_file_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loading = True
    try:
        spec.loader.exec_module(module)
    except Loaded:
        pass
    except BaseException as wrong:  # noqa: BLE001 - SystemExit of a script, too
        raise UsageError(f"{path} cannot be loaded: it {raised_sentence(wrong)}") from None
    finally:
        loading = False
    return module
