"""Reads inputs and labels from .npz and .npy files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tvm_mutate.errors import UsageError

_DATA_KEYS = ("images", "data", "x")
_LABEL_KEYS = ("labels", "y")


@dataclass(frozen=True, eq=False)
class Arrays:
    """Inputs as they are in a file, with the integer labels [N] beside them or None."""

    data: np.ndarray
    labels: np.ndarray | None


def read_arrays(path: Path) -> Arrays:
    """The arrays of an ``.npy`` file, or of an ``.npz`` file under images, data or x, with labels or y.

    Raises UsageError, naming the file, if it is of another kind, broken, or empty, or lacks those names.
    """
    loaded = _loaded(path, _DATA_KEYS + _LABEL_KEYS)
    if isinstance(loaded, np.ndarray):
        return Arrays(_not_empty(path, loaded), None)
    data, labels = _first(loaded, _DATA_KEYS), _first(loaded, _LABEL_KEYS)
    if data is None:
        raise UsageError(f"{path}: holds no array of inputs; name it {' or '.join(_DATA_KEYS)}")
    return Arrays(_not_empty(path, data), None if labels is None else _as_labels(path, labels))


def read_label_array(path: Path, count: int) -> np.ndarray:
    """The ``count`` integer labels of an ``.npy`` file, or of an ``.npz`` file under labels or y.

    Raises UsageError, naming the file, if it holds anything else.
    """
    if not path.is_file():
        raise UsageError(f"--labels {path}: there is no such file; give an .npy of one class index an input")
    loaded = _loaded(path, _LABEL_KEYS)
    labels = loaded if isinstance(loaded, np.ndarray) else _first(loaded, _LABEL_KEYS)
    if labels is None:
        raise UsageError(f"{path}: holds no labels; name their array {' or '.join(_LABEL_KEYS)}")
    labels = _as_labels(path, labels)
    if len(labels) != count:
        raise UsageError(f"{path}: has {len(labels)} labels for {count} inputs; give one label an input")
    return labels


def _loaded(path: Path, keys: tuple[str, ...]) -> np.ndarray | Mapping[str, np.ndarray]:
    if path.suffix.lower() not in (".npy", ".npz"):
        raise UsageError(f"{path}: is no folder of images and no .npz or .npy file; give one of these")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {key: loaded[key] for key in loaded.files if key in keys}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"{path}: cannot be read as NumPy arrays, it may be truncated ({what})") from None


def _first(arrays: Mapping[str, np.ndarray], keys: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[key] for key in keys if key in arrays), None)


def _not_empty(path: Path, data: np.ndarray) -> np.ndarray:
    if data.ndim == 0 or data.size == 0:
        raise UsageError(
            f"{path}: its array is {list(data.shape)}, which holds no inputs; give [N, ...] with N above 0"
        )
    return data


def _as_labels(path: Path, labels: np.ndarray) -> np.ndarray:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(
            f"{path}: its labels are {labels.dtype} {list(labels.shape)}; give integers [N], a class index each"
        )
    return labels.astype(np.int64)
