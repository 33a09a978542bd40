"""The compiled kernels of an unmutated program, found again in its mutants by structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import tvm_ffi
from tvm.tirx import PrimFunc

_PLACEHOLDER = "kernel"

AnyKernel = TypeVar("AnyKernel")


class KnownKernels(Generic[AnyKernel]):
    """Compiled kernels by the structure of their PrimFuncs, whatever these are called.

    ``functions`` and ``kernels`` are of one program, by name; attributes of the same names hold them.
    """

    def __init__(self, functions: Mapping[str, PrimFunc], kernels: Mapping[str, AnyKernel]) -> None:
        self.functions = {name: functions[name] for name in kernels}
        self.kernels = dict(kernels)
        self._names = {structure(function): name for name, function in self.functions.items()}

    def find(self, name: str, function: PrimFunc) -> AnyKernel | None:
        """The compiled kernel of a function of this structure, or None; ``name`` is where it is looked for first."""
        if name in self.functions and self.functions[name].same_as(function):
            return self.kernels[name]
        known = self._names.get(structure(function))
        return None if known is None else self.kernels[known]


def structure(function: PrimFunc) -> tvm_ffi.StructuralKey:
    """What equal functions have in common, their names apart."""
    return tvm_ffi.StructuralKey(function.with_attr("global_symbol", _PLACEHOLDER))
