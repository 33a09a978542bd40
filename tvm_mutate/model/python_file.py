"""Takes a model from a function in a Python file."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.model.model import Model, model_from_module
from tvm_mutate.model.preprocessing import Preprocessing

DEFAULT_FACTORY = "model"


def load_python_model(path: Path, factory: str = DEFAULT_FACTORY, preprocessing: Preprocessing | None = None) -> Model:
    """The model that ``factory``, a function without arguments in the file at ``path``, returns.

    It may return a Model or a ``tvm.IRModule`` with a Relax function ``main``. The file runs as a module, with its
    folder on the import path. Raises UsageError, naming the file, if it or the function fails.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; check the path")
    module = _executed(path)
    function = getattr(module, factory, None)
    if not callable(function):
        defined = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        near = difflib.get_close_matches(factory, defined, n=1)
        hint = f"did you mean '{path}:{near[0]}'?" if near else "define it, or name another as FILE.py:FUNCTION"
        raise UsageError(f"{path}: has no function {factory!r}; {hint}")
    try:
        made = function()
    except (Exception, SystemExit) as error:
        raise UsageError(f"{path}: {factory}() failed with {_told(error, path)}") from None
    if isinstance(made, Model):
        return made if preprocessing is None else replace(made, preprocessing=preprocessing)
    if not isinstance(made, tvm.IRModule):
        raise UsageError(f"{path}: {factory}() returned a {type(made).__name__}; return a tvm.IRModule or a Model")
    return model_from_module(made, path.stem, preprocessing=preprocessing, source=f"{path}:{factory}")


def _executed(path: Path) -> ModuleType:
    name = f"_tvm_mutate_model_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise UsageError(f"{path}: cannot be run as Python; give it the suffix .py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # TVMScript finds the source of a decorated class through sys.modules
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"{path}: cannot be run: {_told(error, path)}") from None
    finally:
        sys.path.remove(folder)
    return module


def _told(error: BaseException, path: Path) -> str:
    """An error of the user's code as one line: its type, the last line in the file, and its message's first line."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    traceback = error.__traceback__
    while traceback is not None:
        if Path(traceback.tb_frame.f_code.co_filename).resolve() == path.resolve():
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    message = (str(error).strip().splitlines() or [""])[0]
    place = f" at line {line}" if line else ""
    return f"{type(error).__name__}{place}" + (f": {message}" if message else "")
