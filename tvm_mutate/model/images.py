"""Image files and their labels: listed, read, resized, cropped, and turned into float32 inputs."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tvm_mutate.errors import UsageError
from tvm_mutate.model.preprocessing import Preprocessing

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def preprocess(images: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Pixels as values of a model's input: ``(pixel * scale - mean) / std``, every step rounded to float32.

    ``images`` is uint8 [N, H, W, 3] in RGB; the result is float32 [N, 3, H, W] or [N, H, W, 3], as the recipe's layout
    says. ``fit_image`` resizes and crops. Raises UsageError for other arrays.
    """
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise UsageError(f"images are {images.dtype} {list(images.shape)}; give uint8 [N, H, W, 3]")
    ordered = images[..., ::-1] if preprocessing.channel_order == "BGR" else images
    mean = np.array(preprocessing.mean, np.float32)
    std = np.array(preprocessing.std, np.float32)
    values = (ordered.astype(np.float32) * np.float32(preprocessing.scale) - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2) if preprocessing.layout == "NCHW" else values)


def read_image(path: Path, preprocessing: Preprocessing, size: tuple[int, int]) -> np.ndarray:
    """The image in a file as uint8 [H, W, 3], RGB, after resize and crop; ``size`` is the model's (H, W).

    Grey and transparent images are converted to RGB. Raises UsageError, naming the file, if it is no image, is broken,
    or has another size and the recipe's fit is strict.
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except UnidentifiedImageError:
        raise UsageError(f"{path}: is not an image, or is broken") from None
    except Image.DecompressionBombError:
        raise UsageError(f"{path}: has more pixels than Pillow is willing to decode; make it smaller") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{path}: cannot be decoded, the file may be truncated ({error})") from None
    return fit_image(image, preprocessing, size, str(path))


def fit_image(image: Image.Image, preprocessing: Preprocessing, size: tuple[int, int], name: str) -> np.ndarray:
    """An RGB image as uint8 [H, W, 3] of the model's ``size`` (H, W), after the recipe's resize, crop and fit.

    Raises UsageError, with ``name``, if the image has another size and the recipe's fit is strict.
    """
    width, height = image.size
    if preprocessing.resize is not None and min(image.size) != preprocessing.resize:
        factor = preprocessing.resize / min(image.size)
        scaled = (max(1, round(width * factor)), max(1, round(height * factor)))
        image = image.resize(scaled, Image.Resampling.BILINEAR)
    crop = preprocessing.crop
    if crop is not None and min(image.size) >= crop:
        left, top = round((image.width - crop) / 2), round((image.height - crop) / 2)
        image = image.crop((left, top, left + crop, top + crop))
    if (image.height, image.width) != size:
        if preprocessing.fit == "strict":
            came_out = (
                "" if image.size == (width, height) else f" ({image.width} x {image.height} after resize and crop)"
            )
            raise UsageError(
                f"{name}: is {width} x {height} pixels{came_out}, but the model takes {size[1]} x {size[0]}; "
                "use images of that size or a preprocessing with fit = 'resize'"
            )
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image)


_LABEL_COLUMNS = ("class_index", "label_index", "label")


@dataclass(frozen=True)
class Listing:
    """Image files in order, with a name for each, and a class index for each or None."""

    files: tuple[Path, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...] | None


def list_images(
    folder: Path,
    labels: Path | None = None,
    classes: int | None = None,
    class_names: Sequence[str] | None = None,
) -> Listing:
    """The images of ``folder``: the rows of ``labels`` (or of its ``labels.csv``), else its files, sorted.

    Without a csv file, images in the folder or in its subfolder ``images`` have no labels. Images in one folder for
    each class have the folder's name as label: a class index, a class name, or else its number in sorted order.
    ``classes`` is the model's number of classes. Raises UsageError, naming folder, file or row, if there are no images
    or a label does not match.
    """
    listing = labels if labels is not None else folder / "labels.csv"
    if labels is not None and not labels.is_file():
        raise UsageError(
            f"--labels {labels}: there is no such file; give a csv file with the columns file and class_index"
        )
    if listing.is_file():
        return _from_csv(folder, listing, class_names)
    direct = _images(folder) or _images(folder / "images")
    class_folders = [each for each in _folders(folder) if _images(each) and each.name != "images"]
    if direct and class_folders:
        raise UsageError(
            f"{folder}: has images beside folders of images ({class_folders[0].name}, ...); "
            "keep one or the other, or list them in a labels.csv"
        )
    if direct:
        return Listing(tuple(direct), tuple(each.relative_to(folder).as_posix() for each in direct), None)
    if not class_folders:
        raise UsageError(f"{folder}: holds no images ({', '.join(IMAGE_SUFFIXES)}), directly or in folders of classes")
    return _from_class_folders(folder, class_folders, classes, class_names)


def _from_csv(folder: Path, listing: Path, class_names: Sequence[str] | None) -> Listing:
    try:
        with listing.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            rows = list(reader)
            columns = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{listing}: cannot be read as csv ({error})") from None
    column = next((each for each in _LABEL_COLUMNS if each in columns), None)
    if "file" not in columns or column is None:
        raise UsageError(
            f"{listing}: has the columns {', '.join(columns) or 'none'}; it needs file, and one of "
            f"{', '.join(_LABEL_COLUMNS)}"
        )
    if not rows:
        raise UsageError(f"{listing}: lists no images; write a row for each")
    files: list[Path] = []
    indices: list[int] = []
    for number, row in enumerate(rows, start=2):  # the header is line 1
        file = listing.parent / (row["file"] or "")
        if not file.is_file():
            raise UsageError(f"{listing}: line {number} names {row['file']!r}, which does not exist beside it")
        files.append(file)
        indices.append(_index(row[column], class_names, f"{listing}: line {number}"))
    listed = {each.resolve() for each in files}
    for image in _images(folder) + _images(folder / "images"):
        if image.resolve() not in listed:
            raise UsageError(
                f"{listing}: has no label for {image.relative_to(folder).as_posix()}; add a row or move it"
            )
    return Listing(tuple(files), tuple(row["file"] for row in rows), tuple(indices))


def _index(text: str | None, class_names: Sequence[str] | None, where: str) -> int:
    try:
        return int(text or "")
    except ValueError:
        if text and class_names is not None and text in class_names:
            return list(class_names).index(text)
        raise UsageError(f"{where} has the label {text!r}; give the class index, a whole number from 0") from None


def _from_class_folders(
    folder: Path, class_folders: list[Path], classes: int | None, class_names: Sequence[str] | None
) -> Listing:
    names = [each.name for each in class_folders]
    if all(name.isascii() and name.isdigit() for name in names):
        indices = [int(name) for name in names]
    elif class_names is not None and set(names) <= set(class_names):
        indices = [list(class_names).index(name) for name in names]
    elif classes is None or classes == len(names):
        indices = list(range(len(names)))
    else:
        # Numbering the folders of only some classes would give wrong labels in silence.
        raise UsageError(
            f"{folder}: has {len(names)} folders of images, but the model has {classes} classes; "
            "name the folders by class index, or add a labels.csv"
        )
    pairs = [(image, index) for each, index in zip(class_folders, indices, strict=True) for image in _images(each)]
    return Listing(
        tuple(image for image, _ in pairs),
        tuple(image.relative_to(folder).as_posix() for image, _ in pairs),
        tuple(index for _, index in pairs),
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        each
        for each in folder.iterdir()
        if each.suffix.lower() in IMAGE_SUFFIXES and not each.name.startswith(".") and each.is_file()
    )
