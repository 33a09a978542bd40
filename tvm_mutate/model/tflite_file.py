"""TensorFlow Lite files, through TVM's frontend."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tvm_mutate.errors import UsageError
from tvm_mutate.model.imported import Imported, library, refusal
from tvm_mutate.model.symbols import Shapes

_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of a file


def load_tflite(path: Path, shapes: Shapes) -> Imported:
    """The model in a file; raises UsageError, naming the file, if it is another file or TVM cannot import it."""
    tflite = library("tflite", "tflite", str(path))
    from tvm.relax.frontend.tflite import from_tflite

    content = path.read_bytes()
    if content[4:8] != _IDENTIFIER:
        raise UsageError(f"{path}: is no TensorFlow Lite file; convert the model with tf.lite.TFLiteConverter")
    try:
        module = from_tflite(tflite.Model.GetRootAsModel(content, 0))
    except Exception as error:  # whatever the frontend raises
        raise refusal(str(path), "TensorFlow Lite", error) from None
    return Imported(module, hashlib.sha256(content).hexdigest())
