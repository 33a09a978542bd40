"""Imports an ONNX model into Relax, before any pass, with clean names and static shapes."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import onnx
import tvm
from tvm.relax.frontend.onnx import from_onnx

from tvm_mutate.errors import UsageError
from tvm_mutate.model.onnx_clips import restore_clips
from tvm_mutate.model.onnx_input import OnnxInput
from tvm_mutate.model.onnx_names import with_clean_names

_REFUSED = "The following operators are not supported for frontend ONNX: "


def import_onnx(path: Path, model: onnx.ModelProto, picked: OnnxInput) -> tvm.IRModule:
    """The model as a Relax module with weights as constants; its ``main`` takes one float32 tensor.

    An input of another element type is cast to it by the module's first operator. Raises UsageError, naming the
    file and the operators or the node, where TVM cannot import it.
    """
    clean, values, nodes = with_clean_names(model)
    name = values[picked.name]
    if picked.elem_type != onnx.TensorProto.FLOAT:
        _cast_input(clean, name, picked.elem_type)
    original = {new: old for old, new in nodes.items()}
    try:
        # The importer prints the operator it fails on, and warns of whatever onnx's checker dislikes.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return restore_clips(from_onnx(clean, shape_dict={name: list(picked.shape)}))
    except Exception as error:
        raise UsageError(_reason(path, clean, error, original)) from None


def _reason(path: Path, model: onnx.ModelProto, error: Exception, original: Mapping[str, str]) -> str:
    text = str(error)
    if _REFUSED in text:
        operators = text.partition(_REFUSED)[2].splitlines()[0].split(",")
        return f"{path}: TVM cannot import the operators {', '.join(sorted(each.strip() for each in operators))}"
    node = _failing_node(error.__traceback__)
    where = "it"
    if node is not None:
        label = original.get(node.name, node.name)
        where = f"its node {label!r} ({node.op_type})" if label else f"one of its {node.op_type} nodes"
    what = (text.strip().splitlines() or [""])[0]
    if isinstance(error, KeyError):
        what = f"{what} is not defined before it is used"
    invalid = _complaint(model)
    return f"{path}: TVM cannot import {where}: {type(error).__name__}: {what}" + (
        f"; onnx finds the model invalid too: {invalid}" if invalid else ""
    )


def _failing_node(traceback: TracebackType | None) -> onnx.NodeProto | None:
    """The node that the importer was at, found in its frames because its errors do not name it."""
    found = None
    while traceback is not None:
        candidate = traceback.tb_frame.f_locals.get("node")
        found = candidate if isinstance(candidate, onnx.NodeProto) else found
        traceback = traceback.tb_next
    return found


def _complaint(model: onnx.ModelProto) -> str:
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # also refuses models beyond protobuf's limit of 2 GiB, with a ValueError
        return str(error).strip().splitlines()[0]
    return ""


def _cast_input(model: onnx.ModelProto, name: str, elem_type: int) -> None:
    taken = {each for node in model.graph.node for each in (*node.input, *node.output)}
    cast = next(each for each in (f"{name}_cast{number}" for number in range(len(taken) + 1)) if each not in taken)
    for node in model.graph.node:
        node.input[:] = [cast if each == name else each for each in node.input]
    node = onnx.helper.make_node("Cast", [name], [cast], name=cast, to=elem_type)
    model.graph.node.insert(0, node)
    for value in model.graph.input:
        if value.name == name:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
