"""What a model is fed: float32 inputs with names and labels, from images, arrays, the zoo, or a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tvm_mutate import zoo
from tvm_mutate.errors import UsageError
from tvm_mutate.model.array_file import Arrays, read_arrays, read_label_array
from tvm_mutate.model.image_folder import Listing, list_images
from tvm_mutate.model.images import fit_image, preprocess, read_image
from tvm_mutate.model.model import Model
from tvm_mutate.model.recipes import layout_of

ZOO_DIGITS = "zoo://digits"


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs for a model: ``data`` is float32 [N, *shape of one input without its batch].

    ``data[i : i + 1]`` is what the model takes. ``names`` has one name an input, ``labels`` one class index an
    input (int64 [N]) or is None. ``digest`` is the SHA-256, in hex, of the bytes of ``data``.
    """

    data: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray | None
    digest: str

    def __len__(self) -> int:
        return len(self.data)


def load_inputs(
    path: str | Path, model: Model, *, limit: int | None = None, labels: str | Path | None = None
) -> Inputs:
    """The inputs at ``path``, made ready for ``model``.

    ``path`` is a folder of images (with ``labels.csv``, or with a folder per class, or unlabelled), an ``.npz`` or
    ``.npy`` file (uint8 [N, H, W, 3] images, or float arrays of the model's own shape taken as they are), or
    ``zoo://digits``. ``limit`` takes so many, evenly spread. ``labels`` names another ``labels.csv``, or an
    ``.npy`` of labels for arrays. The bytes depend on files and recipe alone.

    Raises UsageError, naming path, image or row, for whatever is missing, broken or does not fit the model.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}; give 1 or more")
    if str(path) == ZOO_DIGITS:
        images, digits = zoo.zoo_images()
        return _from_arrays(ZOO_DIGITS, Arrays(images, digits), model, limit)
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


def random_inputs(model: Model, count: int, seed: int) -> Inputs:
    """Synthetic inputs, for models without images: they exercise the code, but no accuracy follows from them.

    Random pixels through the model's recipe where it takes colour images of the recipe's layout, else values of
    the standard normal distribution. The same seed gives the same bytes. Raises UsageError for ``count`` below 1.
    """
    if count < 1:
        raise UsageError(f"{count} random inputs were asked for; give 1 or more")
    generator = np.random.default_rng(seed)
    if layout_of(model.input_shape) == model.preprocessing.layout:
        pixels = generator.integers(0, 256, (count, *_size(model, "random"), 3), dtype=np.uint8)
        data = preprocess(pixels, model.preprocessing)
    else:
        data = generator.standard_normal((count, *model.input_shape[1:]), dtype=np.float32)
    return _made(data, tuple(f"random-{seed}-{index}" for index in range(count)), None)


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
        if chosen.shape[1:] != model.input_shape[1:]:
            wanted = ", ".join(map(str, model.input_shape[1:]))
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
    # One image at a time: pixels and float32 of a whole data set need not fit into memory twice.
    data = np.empty((count, *model.input_shape[1:]), np.float32)
    for index in range(count):
        data[index] = preprocess(image(index)[None], model.preprocessing)[0]
    return data


def _size(model: Model, source: str) -> tuple[int, int]:
    """The (height, width) that the model takes; raises UsageError if it does not take images of the recipe's layout."""
    shape, layout = model.input_shape, layout_of(model.input_shape)
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


def _made(data: np.ndarray, names: tuple[str, ...], labels: np.ndarray | None) -> Inputs:
    data.setflags(write=False)
    return Inputs(data, names, labels, hashlib.sha256(data.data.cast("B")).hexdigest())
