"""Models that no package ships: exported from PyTorch, converted from one real model, and written in Relax."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import tvm
from tvm import relax

TABLE = np.random.default_rng(0).standard_normal((32, 16)).astype(np.float32)
_CALIBRATION = 8


def generate(folder: Path, real: Path) -> None:
    """Writes the models into ``folder``; ``real`` is an ONNX model of one float image with a symbolic batch.

    They are an encoder and a GRU of PyTorch as exported programs; ``real`` as it is, in int8 (QDQ) and in fp16; and a
    Relax module of two inputs and two outputs as JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _export_torch(folder)
    (folder / f"{real.stem}_dynamic.onnx").write_bytes(real.read_bytes())
    _quantize(real, folder / f"{real.stem}_int8_qdq.onnx")
    _halve(real, folder / f"{real.stem}_fp16.onnx")
    (folder / "two_inputs_two_outputs.json").write_text(tvm.ir.save_json(_two_inputs_two_outputs()))


def two_outputs(ids: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the Relax module computes, in NumPy."""
    total = np.tanh(TABLE[ids] + bias)
    return total, total.max(-1)


def _export_torch(folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    networks = {"encoder": (encoder, (1, 16, 64)), "gru": (torch.nn.GRU(16, 32, batch_first=True), (1, 8, 16))}
    for name, (network, shape) in networks.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(network.eval(), (torch.randn(shape),))
            torch.export.save(program, folder / f"torch_{name}.pt2")


def _quantize(real: Path, made: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    value = onnx.load(real).graph.input[0]
    shape = [each.dim_value or 1 for each in value.type.tensor_type.shape.dim]
    images = np.random.default_rng(0).standard_normal((_CALIBRATION, *shape)).astype(np.float32)

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self._feeds: Iterator[dict[str, np.ndarray]] = iter([{value.name: image} for image in images])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._feeds, None)

    quant_pre_process(real, made, skip_symbolic_shape=True)  # folds batch normalization into convolutions
    quantize_static(made, made, Images(), quant_format=QuantFormat.QDQ, per_channel=True)


def _halve(real: Path, made: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(real)), made)


def _two_inputs_two_outputs() -> tvm.IRModule:
    """Rows of a table chosen by integers, added to floats, through tanh; and the maximum of each row."""
    builder = relax.BlockBuilder()
    ids = relax.Var("ids", relax.TensorType((2, 8), "int64"))
    bias = relax.Var("bias", relax.TensorType((2, 8, 16), "float32"))
    with builder.function("main", [ids, bias]):
        with builder.dataflow():
            rows = builder.emit(relax.op.take(relax.const(TABLE), ids, axis=0))
            total = builder.emit(relax.op.tanh(relax.op.add(rows, bias)))
            outputs = builder.emit_output(relax.Tuple([total, relax.op.max(total, axis=-1)]))
        builder.emit_func_output(outputs)
    return builder.finalize()
