"""Reads an ONNX file and imports it into Relax, with valid names and whole clip operators."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import io
import warnings
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import tvm
from onnx import external_data_helper
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx

from tvm_mutate.errors import UsageError
from tvm_mutate.model.imported import Imported
from tvm_mutate.model.names import clean_names
from tvm_mutate.model.onnx_simplify import can_simplify, simplified
from tvm_mutate.model.scenario import Parameter
from tvm_mutate.model.symbols import Shapes, chosen_sizes, settled_sizes

# Before opset 7 operators broadcast by attributes, which TVM's importer ignores: the result would be wrong.
OLDEST_OPSET = 7
_DOMAINS = ("", "ai.onnx", "com.microsoft")


@dataclass(frozen=True)
class OnnxFile:
    """A model on disk; ``digest`` is the SHA-256 of the file followed by its external weights."""

    path: Path
    model: onnx.ModelProto
    digest: str


def read_onnx(path: Path) -> OnnxFile:
    """The ONNX model in a file, with external weights loaded and local functions inlined.

    Raises UsageError, naming the file, if it is missing, truncated or no ONNX file, needs another version of ONNX,
    lacks its external weights, or has operators of a foreign domain.
    """
    content = _content(path)
    model = _parsed(path, content)
    _check_versions(path, model)
    digest = hashlib.sha256(content)
    for weights in _external_files(path, model):
        digest.update(weights.read_bytes())
    try:
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # the type differs between versions of onnx
        raise UsageError(f"{path}: its external weights cannot be read ({_first_line(error)})") from None
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    _check_domains(path, model)
    return OnnxFile(path, model, digest.hexdigest())


def _content(path: Path) -> bytes:
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give the path of an .onnx file")
    if not path.is_file():
        names = [each.name for each in path.parent.glob("*.onnx")] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=1)
        hint = f"did you mean {str(path.with_name(near[0]))!r}?" if near else "check the path"
        raise UsageError(f"{path}: there is no such file; {hint}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    if not content:
        raise UsageError(f"{path}: is empty; an ONNX model was expected")
    return content


def _parsed(path: Path, content: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # protobuf's own error class has no type stubs
        raise UsageError(f"{path}: is truncated or not an ONNX file; export or download it again") from None
    if not model.graph.node:  # protobuf reads many broken files as messages of unknown fields
        raise UsageError(f"{path}: holds no ONNX graph with nodes; it is truncated, empty, or not an ONNX file")
    return model


def _check_versions(path: Path, model: onnx.ModelProto) -> None:
    if not 3 <= model.ir_version <= onnx.IR_VERSION:
        raise UsageError(
            f"{path}: has ONNX IR version {model.ir_version}, but onnx {onnx.__version__} supports 3 to "
            f"{onnx.IR_VERSION}; upgrade onnx or export the model again"
        )
    opsets = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if not opsets:
        raise UsageError(
            f"{path}: names no opset of the domain ai.onnx; it is truncated or was exported wrongly "
            f"(opsets {OLDEST_OPSET} to {newest} are supported)"
        )
    if not OLDEST_OPSET <= opsets[0] <= newest:
        remedy = (
            "convert it with onnx.version_converter" if opsets[0] < OLDEST_OPSET else "upgrade onnx, or export it so"
        )
        raise UsageError(f"{path}: uses opset {opsets[0]}; opsets {OLDEST_OPSET} to {newest} are supported, {remedy}")


def _check_domains(path: Path, model: onnx.ModelProto) -> None:
    # TVM's importer ignores the domain: it would read a foreign "Add" as ONNX's own.
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in _DOMAINS})
    if foreign:
        raise UsageError(
            f"{path}: TVM cannot import the operators {', '.join(foreign)}; export it with ONNX's own ones"
        )


def _external_files(path: Path, model: onnx.ModelProto) -> Iterator[Path]:
    """The files of the external weights, in order of first use; raises UsageError if one is missing or too short."""
    seen: dict[Path, int] = {}
    for tensor in model.graph.initializer:
        if not external_data_helper.uses_external_data(tensor):
            continue
        info = external_data_helper.ExternalDataInfo(tensor)
        weights = path.parent / info.location
        if Path(info.location).is_absolute() or ".." in Path(info.location).parts:
            raise UsageError(f"{path}: its external weights {info.location!r} lie outside its folder; move them there")
        if not weights.is_file():
            raise UsageError(f"{path}: its external weights {info.location!r} are missing; put that file beside it")
        size = seen.setdefault(weights, weights.stat().st_size)
        if (info.offset or 0) + (info.length or 0) > size:
            raise UsageError(f"{weights}: has {size} bytes, too few for the weights {tensor.name!r} of {path.name}")
    yield from seen


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


Names = dict[str, str]


def with_clean_names(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Names, Names, Names]:
    """A copy of the model with clean names, and the new names of its values, nodes and symbolic dimensions of inputs.

    Values and nodes of subgraphs are renamed as well.
    """
    copy = deepcopy(model)
    graphs = list(_graphs(copy.graph))
    values = clean_names(name for graph in graphs for name in _value_names(graph))
    nodes = clean_names(node.name for graph in graphs for node in graph.node)
    for graph in graphs:
        _rename(graph, values, nodes)
    dimensions = [each for value in copy.graph.input for each in value.type.tensor_type.shape.dim if each.dim_param]
    named = [each for each in dimensions if each.dim_param.strip("?")]  # some exporters write ? for any unknown number
    symbols = clean_names(each.dim_param for each in named)
    for each in dimensions:
        each.dim_param = symbols.get(each.dim_param, "")
    return copy, values, nodes, symbols


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for subgraph in [attribute.g, *attribute.graphs] if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(subgraph)


def _value_names(graph: onnx.GraphProto) -> Iterator[str]:
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        yield value.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for node in graph.node:
        yield from node.input
        yield from node.output


def _rename(graph: onnx.GraphProto, values: Mapping[str, str], nodes: Mapping[str, str]) -> None:
    for value in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        value.name = values.get(value.name, "")
    for sparse in graph.sparse_initializer:
        sparse.values.name = values.get(sparse.values.name, "")
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = values.get(annotation.tensor_name, annotation.tensor_name)
    for node in graph.node:
        node.name = nodes.get(node.name, "")
        node.input[:] = [values.get(name, "") for name in node.input]
        node.output[:] = [values.get(name, "") for name in node.output]


def onnx_parameters(path: Path, model: onnx.ModelProto, shapes: Shapes) -> list[Parameter]:
    """The inputs of a model besides its weights; a dimension without number and name gets a name.

    Raises UsageError, naming file and input, for a model without inputs, for inputs that are no tensors of numbers, and
    for those of unknown rank whose shape is not in ``shapes``.
    """
    parameters = []
    for value in _inputs(path, model):
        tensor = value.type.tensor_type
        if not value.type.HasField("tensor_type") or tensor.elem_type in (0, onnx.TensorProto.STRING):
            raise UsageError(f"{path}: its input {value.name!r} is no tensor of numbers; only these can be fed")
        if not tensor.HasField("shape"):
            if value.name not in shapes:
                example = f"--shape {value.name}=1,3,224,224"
                raise UsageError(
                    f"{path}: its input {value.name!r} has no known rank; give all dimensions, such as {example}"
                )
            for _ in shapes[value.name]:
                tensor.shape.dim.add()
        shape = tuple(
            each.dim_value if each.dim_value > 0 else _symbol(value.name, index, each)
            for index, each in enumerate(tensor.shape.dim)
        )
        parameters.append(Parameter(value.name, shape, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name))
    return parameters


def _inputs(path: Path, model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    weights = {each.name for each in model.graph.initializer}  # up to IR version 3 weights are listed as inputs too
    inputs = [each for each in model.graph.input if each.name not in weights]
    if not inputs:
        raise UsageError(f"{path}: has no input besides its weights; a model of at least one input is needed")
    return inputs


def _symbol(name: str, index: int, dimension: onnx.TensorShapeProto.Dimension) -> str:
    return dimension.dim_param or f"dimension {index} of {name}"


def _bind(path: Path, model: onnx.ModelProto, sizes: Mapping[str, tuple[int, ...]]) -> None:
    """Gives the dimensions of the inputs their numbers; a symbol of several numbers stays."""
    for value in _inputs(path, model):
        for index, dimension in enumerate(value.type.tensor_type.shape.dim):
            size = () if dimension.dim_value > 0 else sizes[_symbol(value.name, index, dimension)]
            if len(size) == 1:
                dimension.dim_value = size[0]
    del model.graph.value_info[:]  # it may have the symbols


def restore_clips(module: tvm.IRModule) -> tvm.IRModule:
    """The module with a clip operator for each minimum of a maximum with constant bounds that the importer made.

    TVM imports ONNX's Clip with constant bounds as call_tir(minimum, call_tir(maximum, x, low), high), with a check of
    each bound for NaN (python/tvm/relax/frontend/onnx). Graph operators do not find a ReLU6 in that form.
    """
    restorer = _ClipRestorer(module)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            restorer.builder_.update_func(variable, restorer.visit_expr(function))
    if not restorer.restored:
        return module
    module = relax.transform.RemoveUnusedOutputs()(restorer.builder_.get())
    return relax.transform.DeadCodeElimination()(module)


@relax.expr_functor.mutator
class _ClipRestorer(relax.PyExprMutator):
    restored = 0

    def visit_call_(self, call: relax.Call) -> Any:
        call = self.visit_expr_post_order(call)
        inner = self._bounded(call, "minimum")
        outer = inner and self._bounded(self.lookup_binding(inner[0]), "maximum")
        if not inner or not outer:
            return call
        self.restored += 1
        return relax.op.clip(outer[0], outer[1], inner[1])

    def _bounded(self, call: Any, kernel: str) -> tuple[Any, float] | None:
        """The data and the constant bound of a call_tir of TOPI's minimum or maximum."""
        if not isinstance(call, relax.Call) or call.op.name != "relax.call_tir":
            return None
        if call.args[0].name_hint.rstrip("0123456789") != kernel:
            return None
        data, bound = call.args[1].fields
        value = self._constant(bound)
        return (data, value) if isinstance(data, relax.Var) and value is not None else None

    def _constant(self, bound: Any) -> float | None:
        """The value of a bound, which may be inside where(isnan(c), inf, c)."""
        if isinstance(bound, relax.Var):
            guard = self.lookup_binding(bound)
            if not isinstance(guard, relax.Call) or guard.op.name != "relax.where":
                return None
            bound = guard.args[2]
        if not isinstance(bound, tvm.ir.GenericConst):
            return None
        value = bound.value.numpy()
        return float(value.reshape(-1)[0]) if value.size == 1 and not np.isnan(value).any() else None


_REFUSED = "The following operators are not supported for frontend ONNX: "


def load_onnx(path: Path, shapes: Shapes) -> Imported:
    """The model in a file, with the symbols of ``shapes`` bound; raises UsageError as reading and import do."""
    return import_onnx(read_onnx(path), shapes)


def import_onnx(file: OnnxFile, shapes: Shapes | None = None) -> Imported:
    """The model as a Relax module with weights as constants; its ``main`` takes the inputs under clean names.

    ``shapes`` names inputs and symbols as the file or cleaned. A symbol with several numbers stays a symbol; a symbolic
    batch that is not named becomes 1. The model is simplified first if ``shapes`` binds symbols, if TVM refuses the
    model as it is, or if TVM does not find all shapes. Raises UsageError, naming the file and the operators or the
    node, if TVM cannot import the model, and as ``onnx_parameters``, ``chosen_sizes`` and ``settled_sizes`` do.
    """
    clean, values, nodes, symbols = with_clean_names(file.model)
    named = {values.get(name, symbols.get(name, name)): size for name, size in (shapes or {}).items()}
    parameters = onnx_parameters(file.path, clean, named)
    sizes = settled_sizes(parameters, chosen_sizes(parameters, named, str(file.path)), str(file.path))
    _bind(file.path, clean, sizes)
    module: tvm.IRModule | UsageError | None = None
    if not named:
        module = _translated(file.path, clean, nodes)
        if isinstance(module, tvm.IRModule) and _has_all_shapes(module):
            return Imported(module, file.digest, is_bound=True)
    if can_simplify() and (found := simplified(clean, parameters, sizes)) is not None:
        simple, _, renamed, _ = with_clean_names(found[0])
        other = _translated(file.path, simple, renamed)
        if isinstance(other, tvm.IRModule):
            return Imported(other, file.digest, found[1], is_bound=True)
    module = module or _translated(file.path, clean, nodes)
    if isinstance(module, UsageError):
        hint = "" if can_simplify() else "; with pip install 'tvm-mutate[onnx]' it is simplified first"
        raise UsageError(f"{module}{hint}") from None
    return Imported(module, file.digest, is_bound=True)


def _translated(path: Path, model: onnx.ModelProto, nodes: Names) -> tvm.IRModule | UsageError:
    """The module that TVM's frontend makes, or the error that says why there is none."""
    try:
        # The importer prints the operator that fails, and repeats the warnings of onnx's checker.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return restore_clips(from_onnx(model))
    except Exception as error:
        return UsageError(_reason(path, model, error, {new: old for old, new in nodes.items()}))


def _has_all_shapes(module: tvm.IRModule) -> bool:
    found: list[Any] = []

    def note(node: Any) -> None:
        if isinstance(node, relax.Var) and isinstance(node.ty, relax.TensorType):
            found.append(node.ty.shape)

    relax.analysis.post_order_visit(module["main"], note)
    return all(isinstance(shape, relax.ShapeExpr) for shape in found)


def _reason(path: Path, model: onnx.ModelProto, error: Exception, original: Mapping[str, str]) -> str:
    text = str(error)
    if _REFUSED in text:
        operators = text.partition(_REFUSED)[2].splitlines()[0].split(",")
        names = ", ".join(sorted(each.strip() for each in operators))
        return f"{path}: TVM's frontend for ONNX cannot import the operators {names} of {_opset(model)}"
    node = _failing_node(error.__traceback__)
    where = "it"
    if node is not None:
        label = original.get(node.name, node.name)
        where = f"its node {label!r} ({node.op_type})" if label else f"one of its {node.op_type} nodes"
    what = (text.strip().splitlines() or [""])[0]
    if isinstance(error, KeyError):
        what = f"{what} is not defined before it is used"
    invalid = _complaint(model)
    return (
        f"{path}: TVM's frontend for ONNX cannot import {where} of {_opset(model)}: {type(error).__name__}: {what}"
        + (f"; onnx finds the model invalid too: {invalid}" if invalid else "")
    )


def _opset(model: onnx.ModelProto) -> str:
    return f"opset {next(each.version for each in model.opset_import if each.domain in _DOMAINS[:2])}"


def _failing_node(traceback: TracebackType | None) -> onnx.NodeProto | None:
    """The node that the importer was reading: its errors do not name the node, but its frames hold it."""
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
