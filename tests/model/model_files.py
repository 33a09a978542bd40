"""ONNX models made in a moment, for tests that need a real file."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Dims = list[int | str | None]


def tiny_model(
    shape: Dims | None = None,
    *,
    input_name: str = "input",
    elem_type: int = TensorProto.FLOAT,
    opset: int = 17,
    ir_version: int = 8,
) -> onnx.ModelProto:
    """Convolution, batch normalisation, relu, mean over the image and a linear layer of ten classes."""
    shape = ["batch", 3, 8, 8] if shape is None else shape
    rng = np.random.default_rng(0)

    def weights(name: str, *size: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.random(size, dtype=np.float32) + 0.1, name)

    initializers = [
        weights("conv/weight", 4, 3, 3, 3),
        *(weights(f"bn.{each}", 4) for each in ("scale", "bias", "mean", "var")),
        weights("fc/weight", 4, 10),
    ]
    nodes = [
        helper.make_node("Conv", [input_name, "conv/weight"], ["/conv/out"], name="/conv/Conv", pads=[1, 1, 1, 1]),
        helper.make_node(
            "BatchNormalization",
            ["/conv/out", "bn.scale", "bn.bias", "bn.mean", "bn.var"],
            ["/bn/out"],
            name="/bn/BatchNormalization",
        ),
        helper.make_node("Relu", ["/bn/out"], ["_conv_out"], name="relu"),
        helper.make_node("GlobalAveragePool", ["_conv_out"], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"),
        helper.make_node("MatMul", ["flat", "fc/weight"], ["output:0"], name="fc"),
    ]
    if elem_type != TensorProto.FLOAT:
        nodes.insert(0, helper.make_node("Cast", [input_name], ["as_float"], name="to_float", to=TensorProto.FLOAT))
        nodes[1].input[0] = "as_float"
    return finished(
        nodes,
        [helper.make_tensor_value_info(input_name, elem_type, shape)],
        [helper.make_tensor_value_info("output:0", TensorProto.FLOAT, [shape[0], 10])],
        initializers,
        opset=opset,
        ir_version=ir_version,
    )


def finished(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    initializers: list[onnx.TensorProto] | None = None,
    *,
    opset: int = 17,
    ir_version: int = 8,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers or [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = ir_version
    return model
