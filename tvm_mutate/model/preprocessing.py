"""Preprocessing recipes, from pixels to the input of a model: by name, from files, or guessed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from tvm_mutate.documents import read_document
from tvm_mutate.errors import UsageError, suggestion

Layout = Literal["NCHW", "NHWC"]
ChannelOrder = Literal["RGB", "BGR"]
Fit = Literal["strict", "resize"]
PerChannel = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing of an image: resize, crop, then ``(pixel * scale - mean) / std``.

    ``resize`` is the new length of the shorter side in pixels (None: no resize), ``crop`` the side of the square that
    is cut from the centre (None: no crop). Pixels are 0 to 255. ``mean`` and ``std`` are per channel in
    ``channel_order``, in the unit of ``pixel * scale``. An image that then has not the model's size is an error with
    ``fit`` ``strict``, and stretched with ``resize``. ``guessed`` marks a recipe that was chosen from the input's
    shape.

    Raises UsageError for values that cannot be used.
    """

    resize: int | None = None
    crop: int | None = None
    scale: float = 1.0
    mean: PerChannel = (0.0, 0.0, 0.0)
    std: PerChannel = (1.0, 1.0, 1.0)
    layout: Layout = "NCHW"
    channel_order: ChannelOrder = "RGB"
    fit: Fit = "strict"
    guessed: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("resize", "crop"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"preprocessing: {name} is {value!r}; give a number of pixels, 1 or more, or none")
        if not _is_number(self.scale) or self.scale == 0:
            raise UsageError(f"preprocessing: scale is {self.scale!r}; give a finite number other than 0")
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "mean", _per_channel("mean", self.mean))
        object.__setattr__(self, "std", _per_channel("std", self.std))
        if 0.0 in self.std:
            raise UsageError(f"preprocessing: std is {list(self.std)}; no channel can be divided by 0")
        for name, choices in (("layout", Layout), ("channel_order", ChannelOrder), ("fit", Fit)):
            value = getattr(self, name)
            if value not in get_args(choices):
                hint = " or ".join(get_args(choices))
                raise UsageError(f"preprocessing: {name} is {value!r}; give {hint}")

    def to_mapping(self) -> dict[str, Any]:
        """The recipe as values that JSON can hold, with all keys; ``from_mapping`` reads it."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], *, where: str = "preprocessing") -> Preprocessing:
        """The recipe of a mapping; missing keys have their defaults.

        ``mean`` and ``std`` are three numbers, or one for all channels. Raises UsageError, naming ``where``, for
        an unknown key or a value that cannot be used.
        """
        known = [each.name for each in fields(cls)]
        for key in mapping:
            if key not in known:
                raise UsageError(f"{where}: preprocessing has no key {key!r}{suggestion(str(key), known)}")
        try:
            return cls(**mapping)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _per_channel(name: str, value: object) -> tuple[float, ...]:
    given: Sequence[object] = [value] * 3 if _is_number(value) else value if isinstance(value, list | tuple) else ()
    numbers = tuple(float(each) for each in given if isinstance(each, int | float) and _is_number(each))
    if len(numbers) != 3 or len(given) != 3:
        raise UsageError(f"preprocessing: {name} is {value!r}; give three finite numbers, one per channel")
    return numbers


_IMAGENET = Preprocessing(
    resize=256, crop=224, scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), fit="strict"
)
_CAFFE = Preprocessing(resize=256, crop=224, mean=(104.0, 117.0, 123.0), channel_order="BGR")

RECIPES: Mapping[str, Preprocessing] = MappingProxyType(
    {
        "imagenet": _IMAGENET,
        "imagenet-bgr-caffe": _CAFFE,
        # Caffe's DenseNets were trained with pixels scaled by 0.017 after the mean was subtracted.
        "imagenet-bgr-caffe-scaled": replace(_CAFFE, mean=(103.94, 116.78, 123.68), std=(1 / 0.017,) * 3),
        "imagenet-tf": Preprocessing(
            resize=256, crop=224, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0), layout="NHWC"
        ),
        "cifar10": Preprocessing(scale=1 / 255, mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
        "unit": Preprocessing(scale=1 / 255),
        "none": Preprocessing(),
    }
)


def parse_preprocessing(text: str) -> Preprocessing:
    """The recipe of a name in ``RECIPES``, or of a .toml or .json file with its keys.

    Raises UsageError for an unknown name and a file that cannot be read.
    """
    if Path(text).suffix.lower() in (".toml", ".json"):
        return read_recipe(Path(text))
    if text not in RECIPES:
        raise UsageError(f"there is no preprocessing recipe {text!r}{suggestion(text, RECIPES)}")
    return RECIPES[text]


def read_recipe(path: Path, layout: Layout | None = None) -> Preprocessing:
    """The recipe in a .toml or .json file: the keys of Preprocessing, and ``recipe`` for a named one to start from.

    ``layout`` is the default of a file without one. Raises UsageError, naming the file, if it cannot be used.
    """
    mapping = read_document(path)
    if not isinstance(mapping, dict):
        raise UsageError(f"{path}: holds no preprocessing; write a table of keys such as crop, scale, mean, std")
    base: dict[str, Any] = {} if layout is None else {"layout": layout}
    if "recipe" in mapping:
        name = mapping.pop("recipe")
        if name not in RECIPES:
            raise UsageError(f"{path}: there is no preprocessing recipe {name!r}{suggestion(str(name), RECIPES)}")
        base = RECIPES[name].to_mapping()
    return Preprocessing.from_mapping(base | mapping, where=str(path))


def guess_preprocessing(shape: tuple[int, ...]) -> Preprocessing:
    """The usual recipe for an input of this shape, marked as guessed; images of other sizes are resized.

    Colour images of 32 x 32 get ``cifar10``, larger ones ``imagenet``, smaller ones ``unit``; other inputs get
    ``none``.
    """
    layout = layout_of(shape)
    if layout is None:
        return replace(RECIPES["none"], guessed=True)
    height, width = shape[2:] if layout == "NCHW" else shape[1:3]
    side = min(height, width)
    if (height, width) == (32, 32):
        recipe = RECIPES["cifar10"]
    elif side > 32:
        recipe = replace(RECIPES["imagenet"], resize=round(side * 256 / 224), crop=side)
    else:
        recipe = RECIPES["unit"]
    return replace(recipe, layout=layout, fit="resize", guessed=True)


def layout_of(shape: tuple[int | str, ...]) -> Layout | None:
    """The layout of a batch of colour images with this shape; None for another shape."""
    if len(shape) != 4:
        return None
    return "NCHW" if shape[1] == 3 else "NHWC" if shape[3] == 3 else None


def find_preprocessing(model_path: Path, shape: tuple[int, ...]) -> Preprocessing | None:
    """The recipe in the files beside a model file whose input has this shape; None if there is none.

    The first of these holds: ``<stem>.toml``, ``<stem>.json``; the model's entry in ``models.json`` of its folder, then
    of the parent folder. Raises UsageError, naming the file, for a file that cannot be used.
    """
    for suffix in (".toml", ".json"):
        beside = model_path.with_suffix(suffix)
        if beside.is_file() and beside.name != "models.json" and beside != model_path:
            return read_recipe(beside, layout_of(shape))
    folder = model_path.resolve().parent
    for listing in (folder / "models.json", folder.parent / "models.json"):
        if listing.is_file():
            entry = _entry(listing, model_path.resolve())
            if entry is not None:
                return _of_entry(entry, shape, f"{listing}: entry {entry.get('name', model_path.stem)!r}")
    return None


def _entry(listing: Path, model_path: Path) -> dict[str, Any] | None:
    entries = read_document(listing)
    if not isinstance(entries, list):
        return None  # the file of another tool
    for entry in entries:
        file = entry.get("file") if isinstance(entry, dict) else None
        if isinstance(file, str) and (listing.parent / file).resolve() == model_path:
            return entry
    return None


def _of_entry(entry: dict[str, Any], shape: tuple[int, ...], where: str) -> Preprocessing | None:
    # An entry describes the whole model (name, data set, shape): its other keys are no mistakes.
    keys = {each.name for each in fields(Preprocessing)}
    recipe = {key: value for key, value in entry.items() if key in keys}
    if not recipe:
        return None
    layout = layout_of(shape)
    return Preprocessing.from_mapping(({} if layout is None else {"layout": layout}) | recipe, where=where)
