"""Reads an ONNX file, weights in external files included, and says in one sentence what is wrong with it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner
from onnx import external_data_helper

from tvm_mutate.errors import UsageError

# Before opset 7 operators broadcast by attributes that TVM's importer ignores: the result would be wrong, not refused.
OLDEST_OPSET = 7
_DOMAINS = ("", "ai.onnx", "com.microsoft")


@dataclass(frozen=True)
class OnnxFile:
    """A model as read from disk; ``digest`` is the SHA-256 of the file, and of its external weights after it."""

    path: Path
    model: onnx.ModelProto
    digest: str


def read_onnx(path: Path) -> OnnxFile:
    """The ONNX model in a file, with its external weights in it and its local functions inlined.

    Raises UsageError, naming the file, if it is missing, is truncated or no ONNX file, needs another version of
    ONNX, lacks its external weights, or has operators of a foreign domain.
    """
    content = _content(path)
    model = _parsed(path, content)
    _check_versions(path, model)
    digest = hashlib.sha256(content)
    for weights in _external_files(path, model):
        digest.update(weights.read_bytes())
    try:
        external_data_helper.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # what it raises differs between versions of onnx
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
    if not model.graph.node:  # protobuf accepts many a garbage file as a message of unknown fields
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
    # TVM's importer looks at the operator's name only and would take a foreign "Add" for ONNX's own.
    foreign = sorted({f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in _DOMAINS})
    if foreign:
        raise UsageError(
            f"{path}: TVM cannot import the operators {', '.join(foreign)}; export it with ONNX's own ones"
        )


def _external_files(path: Path, model: onnx.ModelProto) -> Iterator[Path]:
    """The files of the external weights, in order of first use; raises UsageError where one is missing or short."""
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
