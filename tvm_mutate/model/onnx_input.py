"""Picks the input of an ONNX model and settles its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model.onnx_names import clean_names

_IMAGE_CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class OnnxInput:
    """The one input of a model: its name in the file, its static shape with batch 1, its ONNX element type."""

    name: str
    shape: tuple[int, ...]
    elem_type: int


def pick_input(path: Path, model: onnx.ModelProto, shape: Mapping[str, Sequence[int]] | None = None) -> OnnxInput:
    """The model's input, with every dimension known: the batch becomes 1, others come from ``shape``.

    ``shape`` maps the input's name, as in the file or cleaned, to all its dimensions. Raises UsageError, naming
    file and input, if there is not exactly one input, if it is neither float nor of an image's shape, if a
    dimension is not known, or if ``shape`` contradicts the model.
    """
    value = _only_input(path, model)
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.elem_type:
        raise UsageError(f"{path}: its input {value.name!r} is no tensor; only models of one tensor can be fed")
    given = None
    for name, dimensions in (shape or {}).items():
        if name not in (value.name, clean_names([value.name])[value.name]):
            raise UsageError(f"--shape names {name!r}, which {path} does not have{suggestion(name, [value.name])}")
        given = tuple(dimensions)
    declared = _declared(value)
    settled = _settled(path, value.name, declared, given)
    if settled[0] != 1:
        example = ",".join(map(str, (1, *settled[1:])))
        raise UsageError(
            f"{path}: its input {value.name!r} has a batch of {settled[0]}, but inputs are fed one by one; "
            f"export it with a batch of 1 or symbolic, or try --shape {value.name}={example}"
        )
    elem_type = value.type.tensor_type.elem_type
    if not _is_float(elem_type) and not _is_image(settled):
        raise UsageError(
            f"{path}: its input {value.name!r} is {onnx.TensorProto.DataType.Name(elem_type).lower()} "
            f"{list(settled)}; a float tensor, or an image of 1, 3 or 4 channels, is needed"
        )
    return OnnxInput(value.name, settled, elem_type)


def _only_input(path: Path, model: onnx.ModelProto) -> onnx.ValueInfoProto:
    weights = {each.name for each in model.graph.initializer}  # up to IR version 3 weights are listed as inputs too
    inputs = [each for each in model.graph.input if each.name not in weights]
    if not inputs:
        raise UsageError(f"{path}: has no input besides its weights; a model of one input is needed")
    if len(inputs) > 1:
        names = ", ".join(each.name for each in inputs)
        raise UsageError(
            f"{path}: has {len(inputs)} inputs ({names}), but only one can be fed; make the others initialisers"
        )
    return inputs[0]


def _declared(value: onnx.ValueInfoProto) -> tuple[int | str, ...] | None:
    """Each dimension as a number or, where symbolic, a name; None for an unknown rank."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        each.dim_value if each.dim_value > 0 else each.dim_param or f"dimension {index}"
        for index, each in enumerate(tensor.shape.dim)
    )


def _settled(
    path: Path, name: str, declared: tuple[int | str, ...] | None, given: tuple[int, ...] | None
) -> tuple[int, ...]:
    example = f"--shape {name}=" + ",".join(map(str, _example(declared)))
    if given is None:
        if declared is None:
            raise UsageError(f"{path}: its input {name!r} has no known rank; give all dimensions, such as {example}")
        for index, dimension in enumerate(declared):
            if index and isinstance(dimension, str):
                raise UsageError(
                    f"{path}: its input {name!r} has the symbolic dimension {dimension!r} at position {index}; "
                    f"give it with --shape, such as {example}"
                )
        if not declared:
            raise UsageError(f"{path}: its input {name!r} is a scalar; a tensor with a batch dimension is needed")
        return tuple(1 if isinstance(dimension, str) else dimension for dimension in declared)
    if not given or any(isinstance(each, bool) or not isinstance(each, int) or each < 1 for each in given):
        raise UsageError(f"--shape {name} is {list(given)}; give positive numbers, such as {example}")
    clash = declared is not None and (
        len(given) != len(declared)
        or any(
            index and isinstance(dimension, int) and dimension != given[index]
            for index, dimension in enumerate(declared)
        )
    )
    if clash:
        raise UsageError(
            f"--shape {name} is {list(given)}, but {path} declares {list(declared or ())}; give such as {example}"
        )
    return given


def _example(declared: tuple[int | str, ...] | None) -> list[int]:
    usual = (1, 3, 224, 224)
    if declared is None:
        return list(usual)
    return [
        dimension if isinstance(dimension, int) and index else usual[index] if index < len(usual) else 1
        for index, dimension in enumerate(declared)
    ]


def _is_float(elem_type: int) -> bool:
    return elem_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and (shape[1] in _IMAGE_CHANNELS or shape[3] in _IMAGE_CHANNELS)
