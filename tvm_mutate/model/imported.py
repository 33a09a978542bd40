"""What a frontend makes of a model, and the libraries that frontends need."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_mutate.errors import UsageError
from tvm_mutate.scenario import Scenario


@dataclass(frozen=True)
class Imported:
    """A Relax module before any pass, whose weights are constants.

    ``digest`` is the SHA-256, in hex, of the file, or empty for a module made in Python. ``simplified`` says by which
    library the model was simplified before the import. ``scenario`` is the model's own, if it has one. ``is_bound``
    says that the symbols of ``--shape`` are bound already.
    """

    module: tvm.IRModule
    digest: str = ""
    simplified: str = ""
    scenario: Scenario | None = None
    is_bound: bool = False


def library(name: str, extra: str, what: str) -> Any:
    """The module of an optional dependency; raises UsageError, naming ``what`` and the extra, if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(f"{what} needs {name} ({error}); run pip install 'tvm-mutate[{extra}]'") from None


def refusal(what: str, frontend: str, error: Exception) -> UsageError:
    """The error of a model that TVM's frontend cannot import."""
    line = (str(error).strip().splitlines() or [""])[0]
    return UsageError(f"{what}: TVM's frontend for {frontend} cannot import it: {type(error).__name__}: {line}")


def with_parameters(module: tvm.IRModule, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tvm.IRModule:
    """The module with its parameters as constants in all functions.

    A parameter is an array, or an ``nn.Parameter`` with data. Raises UsageError, naming the parameter, without data.
    """
    constants = {}
    for name, value in dict(parameters).items():
        data = getattr(value, "data", value) if isinstance(value, relax.frontend.nn.Tensor) else value
        if data is None:
            raise UsageError(f"the parameter {name!r} has no data; set it before the module is returned")
        constants[name] = data if isinstance(data, tvm.runtime.Tensor) else np.asarray(data)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            own = {each.name: constants[each.name] for each in function.params if each.name in constants}
            module = relax.transform.BindParams(variable.name_hint, own)(module)
    return module
