"""The inputs of a model: samples with names and labels, from images, arrays, sounds, Python, the zoo, or random."""

from __future__ import annotations

import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model import zoo
from tvm_mutate.model.audio import read_sound
from tvm_mutate.model.images import Listing, fit_image, list_images, preprocess, read_image
from tvm_mutate.model.model import Model, image_input
from tvm_mutate.model.named_arrays import samples_of
from tvm_mutate.model.preprocessing import layout_of
from tvm_mutate.model.random_inputs import RandomInputs
from tvm_mutate.model.scenario import Parameter
from tvm_mutate.python_file import function_reference, load_function
from tvm_mutate.samples import Samples, is_floating

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


def _loaded(path: Path, keys: tuple[str, ...] = ()) -> np.ndarray | Mapping[str, np.ndarray]:
    if path.suffix.lower() not in (".npy", ".npz"):
        raise UsageError(f"{path}: is no folder of images and no .npz or .npy file; give one of these")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {key: loaded[key] for key in loaded.files if not keys or key in keys}
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
    ``source`` says where they come from.
    """

    samples: Samples
    names: tuple[str, ...]
    labels: np.ndarray | None
    digest: str
    source: str = ""

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True, eq=False)
class _Given:
    """Arrays by name of the input, each [N, ...], with names of the N, and labels or None."""

    arrays: Mapping[str, np.ndarray]
    names: tuple[str, ...] = ()
    labels: np.ndarray | None = None


def load_inputs(
    path: str | Path | Mapping[str, str | Path] | None,
    model: Model,
    *,
    limit: int | None = None,
    labels: str | Path | None = None,
    random: RandomInputs | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Inputs:
    """The inputs at ``path``, preprocessed for ``model``.

    ``path`` is one of

    * a folder of images for the only image input, with ``labels.csv``, with a folder for each class, or without labels;
    * an ``.npz`` file with an array for each input, under its name; or images, uint8 [N, H, W, 3], or an array of the
      only input, under images, data or x;
    * an ``.npy`` file with images, or an array of the only input; a ``.wav`` file for the only input;
    * ``file.py:function``: a function without arguments that yields dictionaries of arrays, one for each sample;
    * ``zoo://digits``, or ``zoo://prompts`` for ``zoo://decoder``;
    * paths of ``.npy`` or ``.wav`` files or folders of images by name of the input;
    * None: all inputs are random.

    Inputs that ``path`` does not give come from ``random``. At most ``limit`` inputs are taken, evenly spread (of a
    function: the first). ``labels`` names another ``labels.csv``, or an ``.npy`` of labels for arrays. ``sizes`` are
    the numbers of the model's symbols. The bytes depend only on the files, the recipe and the seed.

    Raises UsageError, naming path, image, row or input, for a missing or broken file and for inputs that the model
    cannot take.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}; give 1 or more")
    if path is None:
        random = random or RandomInputs()
    given = _given(path, model, limit, None if labels is None else Path(labels), sizes or {})
    text = _text(path, random)
    samples = samples_of(model, given.arrays, sizes or {}, random, text)
    count = len(next(iter(given.arrays.values()), samples.arrays[0]))
    names = given.names or tuple(f"{row:0{len(str(count - 1))}d}" for row in range(count))
    used = max(1, count // len(samples)) * len(samples)  # a batch takes several images
    known = None if given.labels is None else given.labels[:used]
    return Inputs(samples, names[:used], _checked_labels(known, names, model, text), samples.sha256(), text)


def _text(path: str | Path | Mapping[str, str | Path] | None, random: RandomInputs | None) -> str:
    given = ", ".join(f"{name}={file}" for name, file in path.items()) if isinstance(path, Mapping) else str(path or "")
    rest = "" if random is None else f"{'the rest ' if given else ''}{random}"
    return ", ".join(filter(None, (given, rest)))


def _given(
    path: str | Path | Mapping[str, str | Path] | None,
    model: Model,
    limit: int | None,
    labels: Path | None,
    sizes: Mapping[str, int],
) -> _Given:
    if path is None:
        return _Given({})
    if isinstance(path, Mapping):
        parts = [_of_file(Path(file), model, limit, None, sizes, name) for name, file in path.items()]
        return _Given({name: array for each in parts for name, array in each.arrays.items()})
    if str(path) == ZOO_DIGITS:
        images, digits = zoo.zoo_images()
        return _of_array(ZOO_DIGITS, images, digits, model, limit)
    if str(path) == ZOO_PROMPTS:
        return _prompts(model, limit)
    location, function = function_reference(str(path))
    if function:
        return _yielded(location, function, model, limit)
    return _of_file(location, model, limit, labels, sizes)


def _of_file(
    path: Path,
    model: Model,
    limit: int | None,
    labels: Path | None,
    sizes: Mapping[str, int],
    name: str | None = None,
) -> _Given:
    """What a file or folder gives, for the input ``name`` or for the only one."""
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder; give images, an .npz or .npy file, or {ZOO_DIGITS}")
    if path.is_dir():
        return _of_listing(path, list_images(path, labels, model.classes, model.class_names), model, limit)
    if path.suffix.lower() == ".wav":
        parameter = _input(model, str(path), name)
        last = parameter.shape[-1] if parameter.shape else 1
        length = sizes.get(last) if isinstance(last, str) else last
        windows = read_sound(path, length)
        windows = windows[_spread(len(windows), limit)]
        between = [1 for _ in parameter.shape[1:-1]]
        return _Given({parameter.name: windows.reshape(len(windows), *between, windows.shape[-1])})
    known = [each.name for each in model.inputs]
    loaded = _loaded(path)
    if not isinstance(loaded, np.ndarray) and name is None and (set(known) & set(loaded) or len(known) > 1):
        count = min((len(each) for each in loaded.values() if each.ndim), default=1)
        rows = _spread(count, limit)
        arrays = {
            key: _images_or(each[rows] if each.ndim and len(each) == count else each, key, model, f"{path}: {key}")
            for key, each in loaded.items()
            if key in known or key not in _LABEL_KEYS
        }
        return _Given(arrays, labels=_labels_of(path, loaded, labels, known, rows))
    arrays_of = read_arrays(path)
    found = arrays_of.labels if labels is None else read_label_array(labels, len(arrays_of.data))
    return _of_array(str(path), arrays_of.data, found, model, limit, name)


def _labels_of(
    path: Path, loaded: Mapping[str, np.ndarray], labels: Path | None, known: Sequence[str], rows: Sequence[int]
) -> np.ndarray | None:
    found = _first({key: each for key, each in loaded.items() if key not in known}, _LABEL_KEYS)
    if labels is not None:
        found = read_label_array(labels, max(rows) + 1)
    return None if found is None else _as_labels(path, found)[rows]


def _yielded(path: Path, function: str, model: Model, limit: int | None) -> _Given:
    """The dictionaries that a function of the user yields, stacked."""
    made = load_function(path, function)()
    known = {each.name: each for each in model.inputs}
    columns: dict[str, list[np.ndarray]] = {}
    where = f"{path}: {function}()"
    if not isinstance(made, Iterable):
        raise UsageError(f"{where} returned a {type(made).__name__}; yield dictionaries of arrays by name of the input")
    for number, sample in enumerate(itertools.islice(made, limit)):
        if not isinstance(sample, Mapping):
            raise UsageError(f"{where} yielded a {type(sample).__name__}; yield dictionaries of arrays")
        for name, value in sample.items():
            array = np.asarray(value)
            if name in known and array.dtype != known[name].dtype and array.ndim == 0:
                array = array.astype(known[name].dtype)
            columns.setdefault(name, []).append(array)
        if any(len(column) != number + 1 or column[-1].shape != column[0].shape for column in columns.values()):
            raise UsageError(f"{where}: sample {number} has other inputs or shapes than sample 0")
    if not columns:
        raise UsageError(f"{where} yielded no samples")
    return _Given({name: np.stack(column) for name, column in columns.items()})


def default_inputs(reference: str) -> str | None:
    """The inputs of the zoo for one of its models; None for another model."""
    scheme, _, name = reference.partition("://")
    return None if scheme != "zoo" else ZOO_PROMPTS if name == zoo.DECODER else ZOO_DIGITS


def _prompts(model: Model, limit: int | None) -> _Given:
    tokens = zoo.zoo_prompts()
    wanted = (1, *tokens.shape[1:]), str(tokens.dtype)
    if [(each.shape, each.dtype) for each in model.inputs] != [wanted]:
        raise UsageError(f"{ZOO_PROMPTS}: are tokens, {wanted[1]} {list(wanted[0])}, which {model.name} does not take")
    rows = _spread(len(tokens), limit)
    return _Given({model.inputs[0].name: tokens[rows]}, tuple(f"{row:02d}" for row in rows))


def _of_listing(folder: Path, listing: Listing, model: Model, limit: int | None) -> _Given:
    rows = _spread(len(listing.files), limit)
    image, size = _image(model, str(folder))
    files = [listing.files[row] for row in rows]
    data = _stacked(len(files), image, model, lambda index: read_image(files[index], model.preprocessing, size))
    names = tuple(listing.names[row] for row in rows)
    labels = None if listing.labels is None else np.array([listing.labels[row] for row in rows], np.int64)
    return _Given({image.name: data}, names, labels)


def _of_array(
    source: str, data: np.ndarray, labels: np.ndarray | None, model: Model, limit: int | None, name: str | None = None
) -> _Given:
    count = len(data)
    if labels is not None and len(labels) != count:
        raise UsageError(f"{source}: has {count} inputs but {len(labels)} labels; give one label an input")
    rows = _spread(count, limit)
    names = tuple(f"{row:0{len(str(count - 1))}d}" for row in rows)
    parameter = _input(model, source, name, data.dtype == np.uint8)
    array = _images_or(data[rows], parameter.name, model, source, names)
    return _Given({parameter.name: array}, names, None if labels is None else labels[rows].astype(np.int64))


def _images_or(array: np.ndarray, name: str, model: Model, source: str, names: Sequence[str] = ()) -> np.ndarray:
    """The preprocessed values of uint8 images [N, H, W, 3] for an input of another kind; other arrays as they are."""
    parameter = next((each for each in model.inputs if each.name == name), None)
    if array.dtype != np.uint8 or parameter is None or (parameter.dtype == "uint8" and array.ndim != 4):
        return array
    if array.ndim != 4 or array.shape[3] != 3:
        if is_floating(parameter.dtype or "float32"):
            raise UsageError(f"{source}: its uint8 array is {list(array.shape)}; images are [N, H, W, 3]")
        return array
    image, size = _image(model, source)

    def fitted(index: int) -> np.ndarray:
        where = f"{source}: image {names[index] if names else index}"
        return fit_image(Image.fromarray(array[index]), model.preprocessing, size, where)

    return _stacked(len(array), image, model, fitted)


def _spread(count: int, limit: int | None) -> list[int]:
    rows = list(range(count))
    return rows if limit is None else rows[:: max(1, count // limit)][:limit]


def _stacked(count: int, parameter: Parameter, model: Model, image: Callable[[int], np.ndarray]) -> np.ndarray:
    # One image at a time: memory holds the values of the data set, but not its pixels as well.
    data = np.empty((count, *map(int, parameter.shape[1:])), parameter.dtype or np.float32)
    for index in range(count):
        data[index] = preprocess(image(index)[None], model.preprocessing)[0]
    return data


def _image(model: Model, source: str) -> tuple[Parameter, tuple[int, int]]:
    """The image input of a model and its (height, width); raises UsageError if none has the recipe's layout."""
    image = image_input(model.inputs)
    if image is None:
        shapes = ", ".join(f"{each.name} {list(each.shape)}" for each in model.inputs)
        raise UsageError(
            f"{source}: {model.name} takes {shapes}, which is not one colour image of known size; give arrays of that "
            "shape, or the size with --shape"
        )
    layout = layout_of(image.shape)
    if layout != model.preprocessing.layout:
        raise UsageError(
            f"{model.name} takes {list(image.shape)}, which is {layout}, but its preprocessing makes "
            f"{model.preprocessing.layout}; set layout = '{layout}' in the preprocessing"
        )
    height, width = image.shape[2:] if layout == "NCHW" else image.shape[1:3]
    return image, (int(height), int(width))


def _input(model: Model, source: str, name: str | None, is_image: bool = False) -> Parameter:
    """The input with this name, or the only one, or the image; raises UsageError if there is none."""
    names = [each.name for each in model.inputs]
    if name is not None:
        if name not in names:
            raise UsageError(
                f"--model-input names {name!r}, which is no input of {model.name}{suggestion(name, names)}"
            )
        return model.inputs[names.index(name)]
    image = image_input(model.inputs) if is_image else None
    if image is None and len(names) != 1:
        raise UsageError(
            f"{source}: {model.name} has {len(names)} inputs ({', '.join(names)}); name the array of each, in one .npz "
            f"file or with --model-input {names[0]}=FILE.npy"
        )
    return image or model.inputs[0]


def _checked_labels(labels: np.ndarray | None, names: Sequence[str], model: Model, source: str) -> np.ndarray | None:
    if labels is None:
        return None
    for label, name in zip(labels, names, strict=True):
        if label < 0 or (model.classes is not None and label >= model.classes):
            known = "0 and up" if model.classes is None else f"0 to {model.classes - 1}"
            raise UsageError(f"{source}: {name} has class index {label}, but {model.name} has classes {known}")
    return labels
