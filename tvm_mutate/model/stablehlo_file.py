"""StableHLO programs as MLIR text, through TVM's frontend."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tvm_mutate.model.imported import Imported, library, refusal
from tvm_mutate.model.symbols import Shapes


def load_stablehlo(path: Path, shapes: Shapes) -> Imported:
    """The program in a file; raises UsageError, naming the file, if TVM cannot import it."""
    library("jax", "stablehlo", str(path))
    from tvm.relax.frontend.stablehlo import from_stablehlo

    content = path.read_bytes()
    try:
        module = from_stablehlo(content.decode())
    except Exception as error:  # whatever the parser of MLIR and the frontend raise
        raise refusal(str(path), "StableHLO", error) from None
    return Imported(module, hashlib.sha256(content).hexdigest())
