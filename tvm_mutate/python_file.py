"""Functions in Python files of the user, named as ``FILE.py:FUNCTION``."""

from __future__ import annotations

import contextlib
import difflib
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tvm_mutate.errors import UsageError


def function_reference(text: str, default: str = "") -> tuple[Path, str]:
    """The path and the name of the function in ``FILE.py:FUNCTION``; the name is ``default`` if the text has none."""
    file, separator, function = text.rpartition(":")
    if separator and file.endswith(".py"):
        return Path(file), function or default
    return Path(text), default


def load_function(path: Path, name: str, module: ModuleType | None = None) -> Callable[..., Any]:
    """The function of this name in a Python file, which runs as a module, with its folder on the import path.

    ``module`` is that module, if the file has run already.

    Raises UsageError, naming the file, if the file cannot run or lacks the function; so do calls of the result if the
    function raises.
    """
    module = module or load_python(path)
    function = getattr(module, name, None)
    if not callable(function):
        defined = [each for each, value in vars(module).items() if callable(value) and not each.startswith("_")]
        near = difflib.get_close_matches(name, defined, n=1)
        hint = f"did you mean '{path}:{near[0]}'?" if near else "define it, or name another as FILE.py:FUNCTION"
        raise UsageError(f"{path}: has no function {name!r}; {hint}")

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        with _blamed(path, name):
            made = function(*arguments, **options)
        return _checked(made, path, name) if isinstance(made, Iterator) else made

    return call


def _checked(made: Iterator[Any], path: Path, name: str) -> Iterator[Any]:
    """What a generator of the user yields."""
    with _blamed(path, name):
        yield from made


@contextlib.contextmanager
def _blamed(path: Path, name: str) -> Iterator[None]:
    """Turns an error of the user's function into a UsageError."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise UsageError(f"{path}: {name}() failed with {_error_line(error, path)}") from error


def load_python(path: Path) -> ModuleType:
    """The module of a Python file, which runs anew; raises UsageError, naming the file, if it cannot run."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file; check the path")
    name = f"_tvm_mutate_file_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
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
        raise UsageError(f"{path}: cannot be run: {_error_line(error, path)}") from None
    finally:
        sys.path.remove(folder)
    return module


def _error_line(error: BaseException, path: Path) -> str:
    """An error of the user's code as one line: its type, the innermost line of the file, the first line of text."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    traceback = error.__traceback__
    while traceback is not None:
        if Path(traceback.tb_frame.f_code.co_filename).resolve() == path.resolve():
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    message = (str(error).strip().splitlines() or [""])[0]
    place = f" at line {line}" if line else ""
    return f"{type(error).__name__}{place}" + (f": {message}" if message else "")
