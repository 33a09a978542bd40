"""Models that Python files make: a function without arguments, or a Relax module in TVMScript."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.model.imported import Imported, with_parameters
from tvm_mutate.model.torch_program import import_exported_program, is_exported_program
from tvm_mutate.python_file import load_function, load_python

if TYPE_CHECKING:
    from tvm_mutate.model.model import Model

DEFAULT_FACTORY = "model"
_SCRIPT = "Module"
_KINDS = "a tvm.IRModule, (module, parameters) of nn.Module.export_tvm, an ExportedProgram of PyTorch, or a Model"


def load_python_program(path: Path, factory: str = "") -> Imported | Model:
    """What the function ``factory`` returns, by default ``model``; without it the Relax module named ``Module``.

    The file runs as a module, with its folder on the import path. Raises UsageError, naming the file, if the file or
    the function fails, or if the function returns something else than a program.
    """
    found = load_python(path)
    script = getattr(found, _SCRIPT, None)
    if not factory and isinstance(script, tvm.IRModule) and not hasattr(found, DEFAULT_FACTORY):
        return Imported(script)
    factory = factory or DEFAULT_FACTORY
    return _program(load_function(path, factory, found)(), f"{path}: {factory}()")


def _program(made: Any, what: str) -> Imported | Model:
    from tvm_mutate.model.model import Model

    if isinstance(made, Model):
        return made
    if is_exported_program(made):
        return Imported(import_exported_program(made, what))
    if isinstance(made, tuple) and len(made) in (2, 3) and isinstance(made[0], tvm.IRModule):
        if len(made) == 3 and made[2]:
            raise UsageError(f"{what} returned external modules, which cannot be mutated; export the model without")
        return Imported(with_parameters(made[0], made[1]))
    if not isinstance(made, tvm.IRModule):
        raise UsageError(f"{what} returned a {type(made).__name__}; return {_KINDS}")
    return Imported(made)
