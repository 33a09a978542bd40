"""Which frontend reads the file of a model, by its suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tvm_mutate.model.imported import Imported
from tvm_mutate.model.onnx_import import load_onnx
from tvm_mutate.model.relax_json import load_relax_json
from tvm_mutate.model.stablehlo_file import load_stablehlo
from tvm_mutate.model.symbols import Shapes
from tvm_mutate.model.tflite_file import load_tflite
from tvm_mutate.model.torch_program import load_exported_program

FRONTENDS: dict[str, Callable[[Path, Shapes], Imported]] = {
    ".onnx": load_onnx,
    ".pt2": load_exported_program,
    ".tflite": load_tflite,
    ".mlir": load_stablehlo,
    ".json": load_relax_json,
}
