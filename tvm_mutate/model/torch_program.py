"""PyTorch's exported programs: ``.pt2`` files, and what ``torch.export.export`` returns."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.model.imported import Imported, library, refusal
from tvm_mutate.model.symbols import Shapes


def load_exported_program(path: Path, shapes: Shapes) -> Imported:
    """The program in a file that ``torch.export.save`` wrote; raises UsageError, naming the file, for another file."""
    torch_export = library("torch.export", "torch", str(path))
    try:
        program = torch_export.load(path)
    except Exception as error:  # PyTorch has no error of its own for a broken file
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{path}: is no exported program ({line}); write it with torch.export.save") from None
    return Imported(import_exported_program(program, str(path)), hashlib.sha256(path.read_bytes()).hexdigest())


def is_exported_program(made: Any) -> bool:
    """Whether an object is an exported program; does not import PyTorch."""
    return type(made).__module__.startswith("torch.export") and type(made).__name__ == "ExportedProgram"


def import_exported_program(program: Any, source: str) -> tvm.IRModule:
    """An exported program as a Relax module with weights as constants; raises UsageError if TVM cannot import it."""
    from tvm.relax.frontend.torch import from_exported_program  # imports PyTorch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return from_exported_program(program, unwrap_unit_return_tuple=True)
    except Exception as error:  # whatever the frontend raises
        raise refusal(source, "PyTorch", error) from None
