"""Relax modules as JSON, as ``tvm.ir.save_json`` writes them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.model.imported import Imported
from tvm_mutate.model.symbols import Shapes


def load_relax_json(path: Path, shapes: Shapes) -> Imported:
    """The module in a JSON file; raises UsageError, naming the file, if it holds something else."""
    content = path.read_bytes()
    try:
        module = tvm.ir.load_json(content.decode())
    except Exception as error:  # TVM raises errors of several types
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{path}: is no JSON of TVM ({line}); write it with tvm.ir.save_json") from None
    if not isinstance(module, tvm.IRModule):
        raise UsageError(f"{path}: holds a {type(module).__name__}; a tvm.IRModule was expected")
    return Imported(module, hashlib.sha256(content).hexdigest())
