"""Small real files that the tests of models and inputs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.model.model_files import tiny_model
from tvm_mutate.model import Model, Preprocessing, model_from_module
from tvm_mutate.model.onnx_import import OnnxFile, import_onnx


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes an ONNX model to a file and gives its path."""

    def write(model: onnx.ModelProto, name: str = "tiny.onnx") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString())
        return path

    return write


@pytest.fixture(scope="session")
def classifier() -> Model:
    """Ten classes, images of 8 x 8 pixels, scaled to 0..1."""
    module = import_onnx(OnnxFile(Path("tiny.onnx"), tiny_model(), "")).module
    return model_from_module(module, "tiny", preprocessing=Preprocessing(scale=1 / 255))
