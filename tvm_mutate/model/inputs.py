"""The inputs of a model: float32 arrays with names and labels, from images, arrays or the zoo."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tvm_mutate.errors import UsageError
from tvm_mutate.model import zoo
from tvm_mutate.model.images import Listing, fit_image, list_images, preprocess, read_image
from tvm_mutate.model.model import Model
from tvm_mutate.model.preprocessing import layout_of
from tvm_mutate.samples import Samples

_DATA_KEYS = ("images", "data", "x")
_LABEL_KEYS = ("labels", "y")


@dataclass(frozen=True, eq=False)
class Arrays:
    """The arrays of a file: inputs [N, ...], and integer labels [N] or None."""

    data: np.ndarray
    labels: np.ndarray | None


def read_arrays(path: Path) -> Arrays:
    """The arrays of an ``.npy`` file, or of an ``.npz`` file under images, data or x, with labels or y.

    Raises UsageError, naming the file, if it has another format, is broken or empty, or lacks those names.
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


ZOO_DIGITS = "zoo://digits"
ZOO_PROMPTS = "zoo://prompts"


@dataclass(frozen=True, eq=False)
class Inputs:
    """Samples of a model's inputs, with a name for each.

    ``labels`` has a class index for each image (int64 [N]) or is None. ``digest`` is the SHA-256, in hex, of the bytes.
    """

    samples: Samples
    names: tuple[str, ...]
    labels: np.ndarray | None
    digest: str

    def __len__(self) -> int:
        return len(self.samples)


def load_inputs(
    path: str | Path, model: Model, *, limit: int | None = None, labels: str | Path | None = None
) -> Inputs:
    """The inputs at ``path``, preprocessed for ``model``.

    ``path`` is a folder of images (with ``labels.csv``, with a folder for each class, or without labels), an ``.npz``
    or ``.npy`` file (images, uint8 [N, H, W, 3], or float arrays of the model's shape, which stay as they are), or
    ``zoo://digits``, or ``zoo://prompts`` for ``zoo://decoder``. At most ``limit`` inputs are taken, evenly spread.
    ``labels`` names another ``labels.csv``, or an ``.npy`` of labels for arrays. The bytes depend only on the files and
    the recipe.

    Raises UsageError, naming path, image or row, for a missing or broken file and for inputs that the model cannot
    take.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}; give 1 or more")
    if str(path) == ZOO_DIGITS:
        images, digits = zoo.zoo_images()
        return _from_arrays(ZOO_DIGITS, Arrays(images, digits), model, limit)
    if str(path) == ZOO_PROMPTS:
        return _prompts(model, limit)
    location = Path(path)
    if not location.exists():
        raise UsageError(f"{path}: there is no such file or folder; give images, an .npz or .npy file, or {ZOO_DIGITS}")
    if location.is_dir():
        listing = list_images(location, None if labels is None else Path(labels), model.classes, model.class_names)
        return _from_listing(location, listing, model, limit)
    arrays = read_arrays(location)
    if labels is not None:
        arrays = Arrays(arrays.data, read_label_array(Path(labels), len(arrays.data)))
    return _from_arrays(str(location), arrays, model, limit)


def default_inputs(reference: str) -> str | None:
    """The inputs of the zoo for one of its models; None for another model."""
    scheme, _, name = reference.partition("://")
    return None if scheme != "zoo" else ZOO_PROMPTS if name == zoo.DECODER else ZOO_DIGITS


def _prompts(model: Model, limit: int | None) -> Inputs:
    tokens = zoo.zoo_prompts()
    wanted = (1, *tokens.shape[1:]), str(tokens.dtype)
    if [(each.shape, each.dtype) for each in model.inputs] != [wanted]:
        raise UsageError(f"{ZOO_PROMPTS}: are tokens, {wanted[1]} {list(wanted[0])}, which {model.name} does not take")
    rows = _spread(len(tokens), limit)
    return _made(tokens[rows], tuple(f"{row:02d}" for row in rows), None)


def _from_listing(folder: Path, listing: Listing, model: Model, limit: int | None) -> Inputs:
    rows = _spread(len(listing.files), limit)
    size = _size(model, str(folder))
    files = [listing.files[row] for row in rows]
    data = _stacked(len(files), model, lambda index: read_image(files[index], model.preprocessing, size))
    names = tuple(listing.names[row] for row in rows)
    labels = None if listing.labels is None else np.array([listing.labels[row] for row in rows], np.int64)
    return _made(data, names, _checked_labels(labels, names, model, str(folder)))


def _from_arrays(source: str, arrays: Arrays, model: Model, limit: int | None) -> Inputs:
    count = len(arrays.data)
    if arrays.labels is not None and len(arrays.labels) != count:
        raise UsageError(f"{source}: has {count} inputs but {len(arrays.labels)} labels; give one label an input")
    rows = _spread(count, limit)
    names = tuple(f"{row:0{len(str(count - 1))}d}" for row in rows)
    chosen = arrays.data[rows]
    if chosen.dtype == np.uint8:
        if chosen.ndim != 4 or chosen.shape[3] != 3:
            raise UsageError(f"{source}: its uint8 array is {list(arrays.data.shape)}; images are [N, H, W, 3]")
        size = _size(model, source)

        def fitted(index: int) -> np.ndarray:
            name = f"{source}: image {names[index]}"
            return fit_image(Image.fromarray(chosen[index]), model.preprocessing, size, name)

        data = _stacked(len(chosen), model, fitted)
    elif np.issubdtype(chosen.dtype, np.floating):
        shape = _only_input(model, source)
        if chosen.shape[1:] != shape[1:]:
            wanted = ", ".join(map(str, shape[1:]))
            raise UsageError(
                f"{source}: its array is {list(arrays.data.shape)}, but {model.name} takes [N, {wanted}] (or give "
                "uint8 images [N, H, W, 3])"
            )
        data = np.ascontiguousarray(chosen, np.float32)
    else:
        raise UsageError(f"{source}: its array is {chosen.dtype}; give uint8 images or float arrays")
    labels = None if arrays.labels is None else arrays.labels[rows].astype(np.int64)
    return _made(data, names, _checked_labels(labels, names, model, source))


def _spread(count: int, limit: int | None) -> list[int]:
    rows = list(range(count))
    return rows if limit is None else rows[:: max(1, count // limit)][:limit]


def _stacked(count: int, model: Model, image: Callable[[int], np.ndarray]) -> np.ndarray:
    # One image at a time: memory holds the float32 values of the data set, but not its pixels as well.
    data = np.empty((count, *_only_input(model, "images")[1:]), np.float32)
    for index in range(count):
        data[index] = preprocess(image(index)[None], model.preprocessing)[0]
    return data


def _size(model: Model, source: str) -> tuple[int, int]:
    """The (height, width) of the model's images; raises UsageError if it takes no images of the recipe's layout."""
    shape = _only_input(model, source)
    layout = layout_of(shape)
    if layout is None:
        raise UsageError(
            f"{source}: {model.name} takes {list(shape)}, which is not a colour image; give float arrays of that shape"
        )
    if layout != model.preprocessing.layout:
        raise UsageError(
            f"{model.name} takes {list(shape)}, which is {layout}, but its preprocessing makes "
            f"{model.preprocessing.layout}; set layout = '{layout}' in the preprocessing"
        )
    return (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2])


def _checked_labels(labels: np.ndarray | None, names: Sequence[str], model: Model, source: str) -> np.ndarray | None:
    if labels is None:
        return None
    for label, name in zip(labels, names, strict=True):
        if label < 0 or (model.classes is not None and label >= model.classes):
            known = "0 and up" if model.classes is None else f"0 to {model.classes - 1}"
            raise UsageError(f"{source}: {name} has class index {label}, but {model.name} has classes {known}")
    return labels


def _only_input(model: Model, source: str) -> tuple[int, ...]:
    """The shape of the only input of a model; raises UsageError if there are several, or if it is not one by one."""
    if len(model.inputs) != 1:
        names = ", ".join(each.name for each in model.inputs)
        raise UsageError(f"{source}: {model.name} has {len(model.inputs)} inputs ({names}); give named arrays for them")
    (only,) = model.inputs
    if not only.is_static or not only.shape or only.static_shape[0] != 1 or only.dtype != "float32":
        raise UsageError(
            f"{source}: the input {only.name!r} of {model.name} is {only.dtype} {list(only.shape)}; images and arrays "
            "of single inputs need float32 with a batch of 1"
        )
    return only.static_shape


def _made(data: np.ndarray, names: tuple[str, ...], labels: np.ndarray | None) -> Inputs:
    data = data[:, np.newaxis]
    data.setflags(write=False)
    samples = Samples((data,))
    return Inputs(samples, names, labels, samples.sha256())
