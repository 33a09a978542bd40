"""Simplifies ONNX models with onnxslim, and holds the result to the outputs of the original."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np
import onnx
import platformdirs

from tvm_mutate.model.random_inputs import RandomInputs
from tvm_mutate.model.scenario import Parameter

_RTOL, _ATOL = 1e-3, 1e-5


def can_simplify() -> bool:
    """Whether onnxslim is installed."""
    return find_spec("onnxslim") is not None


def simplified(
    model: onnx.ModelProto, parameters: Sequence[Parameter], sizes: Mapping[str, tuple[int, ...]]
) -> tuple[onnx.ModelProto, str] | None:
    """The simplified model, and by what it was made; None if onnxslim fails or the outputs of one random input differ.

    The outputs are those of onnxruntime where it is installed, else of onnx's reference evaluator. Results are kept in
    the user's cache, because every process of a campaign imports the model.
    """
    content = model.SerializeToString()
    note = f"simplified with onnxslim {version('onnxslim')}"
    kept = platformdirs.user_cache_path("tvm_mutate") / "simplified"
    file = kept / f"{hashlib.sha256(content + note.encode()).hexdigest()}.onnx"
    if file.is_file():
        return onnx.load(file), note
    made = _slimmed(model)
    if made is None or not _same_outputs(model, made, parameters, sizes):
        return None
    with contextlib.suppress(OSError):  # without a cache it is made anew
        kept.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_bytes(made.SerializeToString())
        partial.replace(file)
    return made, note


def _slimmed(model: onnx.ModelProto) -> onnx.ModelProto | None:
    import onnxslim  # here, because it is optional and takes a second

    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            made: onnx.ModelProto = onnxslim.slim(deepcopy(model))
    except (Exception, SystemExit):  # whatever the library raises
        return None
    return made


def _same_outputs(
    first: onnx.ModelProto,
    second: onnx.ModelProto,
    parameters: Sequence[Parameter],
    sizes: Mapping[str, tuple[int, ...]],
) -> bool:
    feeds = {}
    for each in parameters:
        shape = tuple(sizes[size][0] if isinstance(size, str) else size for size in each.shape)
        feeds[each.name] = RandomInputs(1).array(each, shape, None)[0]
    try:
        pairs = list(zip(_outputs(first, feeds), _outputs(second, feeds), strict=True))
    except Exception:  # an engine that cannot run one of the models has errors of its own
        return False
    return all(a.shape == b.shape and a.dtype == b.dtype and _close(a, b) for a, b in pairs)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    if a.dtype.kind not in "fc":
        return bool((a == b).all())
    largest = float(np.nanmax(np.abs(a), initial=0))
    return bool(np.allclose(a, b, rtol=_RTOL, atol=_ATOL * max(1.0, largest), equal_nan=True))


def _outputs(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    names = {each.name for each in model.graph.input}
    used = {name: array for name, array in feeds.items() if name in names}
    if find_spec("onnxruntime") is None:
        from onnx.reference import ReferenceEvaluator

        return [np.asarray(each) for each in ReferenceEvaluator(model).run(None, used)]
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(each) for each in session.run(None, used)]
