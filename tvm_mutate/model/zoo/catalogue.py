"""Finds the models, inputs and preprocessing of the embedded zoo among the files of the package."""

from __future__ import annotations

import copy
import functools
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from tvm_mutate.errors import UsageError, suggestion

ZOO_NAMES: tuple[str, ...] = (
    "mobilenetv2",
    "densenet",
    "resnet",
    "alexnet",
    "shufflenetv2",
    "efficientnet_lite",
    "inceptionv2",
)
DECODER = "decoder"


def zoo_model_path(name: str) -> Path:
    """The path of a model's ONNX file; one of ``ZOO_NAMES``.

    The model takes ``input`` float32 [1, 3, 32, 32], preprocessed as ``zoo_preprocessing`` says, and returns ``output``
    float32 [1, 10], the logits of the digits 0 to 9. Raises UsageError for an unknown name.
    """
    if name not in ZOO_NAMES:
        raise UsageError(f"the zoo has no model {name!r}{suggestion(name, (*ZOO_NAMES, DECODER))}")
    return _file(_catalogue()["models"][name]["file"])


def zoo_images() -> tuple[np.ndarray, np.ndarray]:
    """The held-out handwritten digits and their labels.

    Images are uint8 [500, 32, 32, 3] (grey, three times), labels int64 [500] with values 0 to 9.
    No model of the zoo was trained on any of them.
    """
    arrays = _arrays(_catalogue()["images"])
    return np.repeat(arrays["images"][..., None], 3, axis=-1), arrays["labels"]


def zoo_decoder() -> dict[str, np.ndarray]:
    """The weights of the zoo's language model by name, float16; ``decoder_module`` takes them."""
    return _arrays(_catalogue()["decoder"]["file"])


def zoo_prompts() -> np.ndarray:
    """Prompts for the zoo's language model: tokens of text that it was not trained on, int32 [20, 16]."""
    return _arrays(_catalogue()["decoder"]["prompts"])["tokens"]


def zoo_preprocessing() -> dict[str, Any]:
    """The preprocessing of ``zoo_images``: ``x = (pixel * scale - mean) / std``.

    Keys: ``scale`` (float), ``mean`` and ``std`` (three floats each, one per channel), ``size`` ([height, width]),
    ``layout`` ("NCHW"), ``dtype`` ("float32"), ``input`` (the input's name) and ``formula``.
    """
    return copy.deepcopy(_catalogue()["preprocessing"])


@functools.cache
def _catalogue() -> dict[str, Any]:
    return json.loads(_file("zoo.json").read_text(encoding="utf-8"))


def _arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(_file(name)) as archive:
        return dict(archive)


def _file(name: str) -> Path:
    # The package is always installed as plain files.
    return Path(str(files("tvm_mutate.model.zoo").joinpath(name)))
