"""Loads a model from a file, a Python function, the embedded zoo, or the full-size zoo."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.model import zoo
from tvm_mutate.model.model import Model, model_from_module
from tvm_mutate.model.onnx_import import import_onnx, pick_input, read_onnx
from tvm_mutate.model.preprocessing import Preprocessing, find_preprocessing, guess_preprocessing
from tvm_mutate.model.real_models import REAL_MODELS, RealSource, find_real_model, real_model_path

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


_DEFAULT_SOURCE = RealSource()


def load_model(
    reference: str | Path,
    *,
    shape: Mapping[str, Sequence[int]] | None = None,
    preprocessing: Preprocessing | None = None,
    real: RealSource = _DEFAULT_SOURCE,
) -> Model:
    """The model that ``reference`` names, before any pass.

    ``reference`` is the path of an ``.onnx`` file, of a ``.py`` file (``file.py`` or ``file.py:function``, see
    ``load_python_model``), ``zoo://name`` for the embedded zoo, or ``real://name`` for the full-size model of that
    name, got from ``real``. ``shape`` gives an ONNX input's dimensions by its name, where symbolic ones are not
    the batch. ``preprocessing`` overrides the recipe beside the model's file, else the recipe is a guess.

    Raises UsageError, naming the file, node or option, for whatever cannot be loaded.
    """
    text = str(reference)
    scheme, separator, name = text.partition("://")
    if separator:
        return _from_zoo(scheme, name, text, shape, preprocessing, real)
    path, function = _python_reference(text)
    if path.suffix == ".py":
        if shape:
            raise UsageError(f"--shape is for ONNX models, but {text} is Python; give the shape in its function")
        return load_python_model(path, function, preprocessing)
    if path.suffix.lower() == ".onnx":
        return _from_onnx(path, path.stem, text, shape, preprocessing)
    raise UsageError(_unknown(text, path))


def _from_zoo(
    scheme: str,
    name: str,
    text: str,
    shape: Mapping[str, Sequence[int]] | None,
    preprocessing: Preprocessing | None,
    real: RealSource,
) -> Model:
    if scheme == "zoo":
        path = zoo.zoo_model_path(name)
        return _from_onnx(path, name, text, shape, preprocessing or _zoo_recipe())
    if scheme == "real":
        entry = find_real_model(name)
        path = real_model_path(name, real)
        return _from_onnx(path, entry.key, text, shape, preprocessing or entry.preprocessing)
    raise UsageError(f"{text}: there is no {scheme}://; give zoo://NAME, real://NAME or the path of a file")


def _from_onnx(
    path: Path,
    name: str,
    source: str,
    shape: Mapping[str, Sequence[int]] | None,
    preprocessing: Preprocessing | None,
) -> Model:
    file = read_onnx(path)
    picked = pick_input(path, file.model, shape)
    module = import_onnx(path, file.model, picked)
    recipe = preprocessing or find_preprocessing(path, picked.shape) or guess_preprocessing(picked.shape)
    return model_from_module(module, name, preprocessing=recipe, source=source, digest=file.digest)


def _zoo_recipe() -> Preprocessing:
    keys = {each.name for each in fields(Preprocessing)}
    return Preprocessing.from_mapping({key: each for key, each in zoo.zoo_preprocessing().items() if key in keys})


def _python_reference(text: str) -> tuple[Path, str]:
    file, separator, function = text.rpartition(":")
    if separator and file.endswith(".py"):
        return Path(file), function or DEFAULT_FACTORY
    return Path(text), DEFAULT_FACTORY


def _unknown(text: str, path: Path) -> str:
    if path.exists():
        what = "a folder" if path.is_dir() else f"a {path.suffix or 'file without suffix'}"
        return f"{text}: is {what}; a model is an .onnx or .py file, zoo://NAME or real://NAME"
    candidates = {each: f"zoo://{each}" for each in REAL_MODELS}
    candidates |= {each.stem: each.name for each in sorted(Path.cwd().iterdir()) if each.suffix in (".onnx", ".py")}
    near = difflib.get_close_matches(path.stem, candidates, n=1, cutoff=0.5)
    hint = f"did you mean {candidates[near[0]]!r}?" if near else "give an .onnx or .py file, zoo://NAME or real://NAME"
    return f"{text}: there is no such model; {hint}"
