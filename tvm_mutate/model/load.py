"""Loads a model by the reference that the user gives: a file, the zoo, or the full-size zoo."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from tvm_mutate import zoo
from tvm_mutate.errors import UsageError
from tvm_mutate.model.model import Model, model_from_module
from tvm_mutate.model.onnx_file import read_onnx
from tvm_mutate.model.onnx_import import import_onnx
from tvm_mutate.model.onnx_input import pick_input
from tvm_mutate.model.preprocessing import Preprocessing
from tvm_mutate.model.python_file import DEFAULT_FACTORY, load_python_model
from tvm_mutate.model.real_models import REAL_MODELS, find_real_model
from tvm_mutate.model.real_source import RealSource, real_model_path
from tvm_mutate.model.recipe_files import find_preprocessing
from tvm_mutate.model.recipes import guess_preprocessing

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
