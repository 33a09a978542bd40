"""Preprocessing recipes: the common ones by name, those in files, and the guess where there is none."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model.preprocessing import Layout, Preprocessing

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
    """The recipe that the user names: one of ``RECIPES``, or the path of a .toml or .json file with its keys.

    Raises UsageError for a name that is not known and a file that cannot be read.
    """
    if Path(text).suffix.lower() in (".toml", ".json"):
        return read_recipe(Path(text))
    if text not in RECIPES:
        raise UsageError(f"there is no preprocessing recipe {text!r}{suggestion(text, RECIPES)}")
    return RECIPES[text]


def read_recipe(path: Path, layout: Layout | None = None) -> Preprocessing:
    """The recipe in a .toml or .json file: the keys of Preprocessing, and ``recipe`` for a named one to start from.

    ``layout`` is taken where the file names none. Raises UsageError, naming the file, if it cannot be used.
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


def read_document(path: Path) -> Any:
    """What a .toml or .json file holds. Raises UsageError, naming the file, if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix.lower() == ".json" else _toml().loads(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # both parsers' errors and UnicodeDecodeError are ValueErrors
        kind = "JSON" if path.suffix.lower() == ".json" else "TOML"
        raise UsageError(f"{path}: is not valid {kind} ({error})") from None


def guess_preprocessing(shape: tuple[int, ...]) -> Preprocessing:
    """The usual recipe for an input of this shape, marked as guessed; images of other sizes are resized.

    32 x 32 colour images get ``cifar10``, larger ones ``imagenet``, smaller ones ``unit``; what is no image gets
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


def layout_of(shape: tuple[int, ...]) -> Layout | None:
    """The layout of an input of colour images, or None if the shape is not that of a batch of them."""
    if len(shape) != 4:
        return None
    return "NCHW" if shape[1] == 3 else "NHWC" if shape[3] == 3 else None


def _toml() -> Any:
    return importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
