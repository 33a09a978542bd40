"""Writes a PyTorch network as a plain ONNX graph: one node per layer, batch norm kept, static batch of one.

The graph is taken from torch.fx and written node by node, so that its names are those of the
layers and the file depends on nothing but the weights.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

OPSET = 17
IR_VERSION = 8
INPUT_SHAPE = (1, 3, 32, 32)


def export_onnx(network: nn.Module, name: str) -> onnx.ModelProto:
    """The network in inference mode as a checked ONNX model, `input` [1, 3, 32, 32] to `output` [1, 10]."""
    traced = fx.symbolic_trace(network.eval())
    ShapeProp(traced).propagate(torch.zeros(INPUT_SHAPE))
    writer = GraphWriter(traced)
    for node in traced.graph.nodes:
        writer.write(node)
    graph = helper.make_graph(
        writer.nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, INPUT_SHAPE)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 10])],
        writer.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tvm_mutate")
    onnx.checker.check_model(model, full_check=True)
    return model


def count_macs(model: onnx.ModelProto) -> int:
    """The multiply-adds of the convolutions and matrix products of one inference."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.output]
    }
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    total = 0
    for node in graph.node:
        outputs = int(np.prod(shapes[node.output[0]]))
        if node.op_type == "Conv":
            total += outputs * int(np.prod(weights[node.input[1]][1:]))
        elif node.op_type == "Gemm":
            total += outputs * weights[node.input[1]][1]  # transB: [out, in]
        elif node.op_type == "MatMul":
            total += outputs * weights[node.input[1]][0]
    return total


class GraphWriter:
    """The ONNX nodes and initializers of a traced network, collected in the order of the trace."""

    def __init__(self, traced: fx.GraphModule) -> None:
        self.traced = traced
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.values: dict[fx.Node, Any] = {}

    def write(self, node: fx.Node) -> None:
        """Adds what one node of the trace stands for."""
        if node.op == "placeholder":
            self.values[node] = "input"
        elif node.op == "output":
            self.nodes[-1].output[0] = "output"
        elif node.op == "get_attr":
            self.values[node] = self.constant(node.target, self.traced.get_parameter(node.target))
        elif node.op == "call_module":
            layer = self.traced.get_submodule(node.target)
            MODULES[type(layer)](self, node, layer)
        else:
            CALLS[node.target](self, node)

    def emit(self, node: fx.Node, op_type: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> None:
        """Adds one ONNX node with the given inputs and attributes."""
        names = [f"{node.name}_out"] if outputs == 1 else [f"{node.name}_out{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op_type, inputs, names, name=node.name, **attributes))
        self.values[node] = names[0] if outputs == 1 else names

    def constant(self, name: str, value: torch.Tensor | np.ndarray) -> str:
        """Adds an initializer and returns its name, in which no dot is left."""
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        name = name.replace(".", "_")
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def source(self, node: fx.Node, index: int = 0) -> str:
        """The name of the value that a node takes as its argument number `index`."""
        return self.values[node.args[index]]


def _shape(node: fx.Node) -> list[int]:
    return list(node.meta["tensor_meta"].shape)


def _pair(value: int | tuple[int, int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _conv(writer: GraphWriter, node: fx.Node, layer: nn.Conv2d) -> None:
    inputs = [writer.source(node), writer.constant(f"{node.name}_weight", layer.weight)]
    if layer.bias is not None:
        inputs.append(writer.constant(f"{node.name}_bias", layer.bias))
    writer.emit(
        node,
        "Conv",
        inputs,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        pads=_pair(layer.padding) * 2,
        dilations=list(layer.dilation),
        group=layer.groups,
    )


def _batch_norm(writer: GraphWriter, node: fx.Node, layer: nn.BatchNorm2d) -> None:
    tensors = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    names = ("scale", "bias", "mean", "var")
    inputs = [writer.constant(f"{node.name}_{n}", t) for n, t in zip(names, tensors, strict=True)]
    writer.emit(node, "BatchNormalization", [writer.source(node), *inputs], epsilon=layer.eps)


def _relu6(writer: GraphWriter, node: fx.Node, layer: nn.ReLU6) -> None:
    bounds = [writer.constant(f"{node.name}_{n}", np.float32(v)) for n, v in (("min", 0), ("max", 6))]
    writer.emit(node, "Clip", [writer.source(node), *bounds])


def _linear(writer: GraphWriter, node: fx.Node, layer: nn.Linear) -> None:
    weight = writer.constant(f"{node.name}_weight", layer.weight)
    writer.emit(
        node,
        "Gemm",
        [writer.source(node), weight, writer.constant(f"{node.name}_bias", layer.bias)],
        transB=1,
    )


def _window(layer: nn.MaxPool2d | nn.AvgPool2d) -> dict[str, list[int]]:
    return {
        "kernel_shape": _pair(layer.kernel_size),
        "strides": _pair(layer.stride),
        "pads": _pair(layer.padding) * 2,
    }


def _max_pool(writer: GraphWriter, node: fx.Node, layer: nn.MaxPool2d) -> None:
    writer.emit(node, "MaxPool", [writer.source(node)], **_window(layer))


def _avg_pool(writer: GraphWriter, node: fx.Node, layer: nn.AvgPool2d) -> None:
    counts = int(layer.count_include_pad)
    writer.emit(node, "AveragePool", [writer.source(node)], count_include_pad=counts, **_window(layer))


def _unary(op_type: str, **attributes: Any) -> Callable[[GraphWriter, fx.Node, nn.Module], None]:
    def write(writer: GraphWriter, node: fx.Node, layer: nn.Module) -> None:
        writer.emit(node, op_type, [writer.source(node)], **attributes)

    return write


def _dropout(writer: GraphWriter, node: fx.Node, layer: nn.Dropout) -> None:
    writer.values[node] = writer.source(node)


def _binary(op_type: str) -> Callable[[GraphWriter, fx.Node], None]:
    def write(writer: GraphWriter, node: fx.Node) -> None:
        writer.emit(node, op_type, [writer.source(node, 0), writer.source(node, 1)])

    return write


def _concat(writer: GraphWriter, node: fx.Node) -> None:
    writer.emit(node, "Concat", [writer.values[part] for part in node.args[0]], axis=node.kwargs["dim"])


def _chunk(writer: GraphWriter, node: fx.Node) -> None:
    count, axis = node.args[1], node.kwargs["dim"]
    size = _shape(node.args[0])[axis] // count
    split = writer.constant(f"{node.name}_split", np.full(count, size, dtype=np.int64))
    writer.emit(node, "Split", [writer.source(node), split], outputs=count, axis=axis)


def _getitem(writer: GraphWriter, node: fx.Node) -> None:
    writer.values[node] = writer.values[node.args[0]][node.args[1]]


def _reshape(writer: GraphWriter, node: fx.Node) -> None:
    shape = writer.constant(f"{node.name}_shape", np.array(_shape(node), dtype=np.int64))
    writer.emit(node, "Reshape", [writer.source(node), shape])


def _transpose(writer: GraphWriter, node: fx.Node) -> None:
    order = list(range(len(_shape(node))))
    first, second = node.args[1:]
    order[first], order[second] = order[second], order[first]
    writer.emit(node, "Transpose", [writer.source(node)], perm=order)


MODULES: dict[type[nn.Module], Callable[..., None]] = {
    nn.Conv2d: _conv,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: _unary("Relu"),
    nn.ReLU6: _relu6,
    nn.Linear: _linear,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: _unary("GlobalAveragePool"),
    nn.Flatten: _unary("Flatten", axis=1),
    nn.Dropout: _dropout,
}
CALLS: dict[Any, Callable[[GraphWriter, fx.Node], None]] = {
    operator.add: _binary("Add"),
    torch.matmul: _binary("MatMul"),
    torch.cat: _concat,
    operator.getitem: _getitem,
    "chunk": _chunk,
    "flatten": _reshape,
    "unflatten": _reshape,
    "transpose": _transpose,
}
