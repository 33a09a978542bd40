"""Kernels compiled one at a time for one target, each once: addressed by structure, known by its code's digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm
import tvm_ffi
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.build.kernels import build_kernels

_PLACEHOLDER = "kernel"


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel: ``run(*inputs, *outputs)`` on tensors, and the SHA-256 of its generated code."""

    digest: str
    run: Any


class KernelCache:
    """The kernels of one target that this process has compiled; forked children inherit them.

    ``folder`` takes the files that a compiler needs. Kernels of one structure are compiled once, whatever their names.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self._folder = folder
        self._kernels: dict[tvm_ffi.StructuralKey, Kernel] = {}

    def __contains__(self, function: PrimFunc) -> bool:
        return tvm_ffi.StructuralKey(_anonymous(function)) in self._kernels

    def get(self, function: PrimFunc) -> Kernel:
        """The compiled kernel of a structured PrimFunc; raises what the compiler raises."""
        anonymous = _anonymous(function)
        key = tvm_ffi.StructuralKey(anonymous)
        if key not in self._kernels:
            self._kernels[key] = self.build(anonymous, _PLACEHOLDER)
        return self._kernels[key]

    def build(self, function: PrimFunc, name: str, tir_pipeline: str = "default") -> Kernel:
        """The kernel compiled under a name, through a TIR pipeline; not kept."""
        folder = self._folder / f"{len(self._kernels)}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        module = tvm.IRModule({name: function.with_attr("global_symbol", name)})
        built = build_kernels(module, self.target, folder, tir_pipeline)
        return Kernel(built.digest, built.module[name])


def _anonymous(function: PrimFunc) -> PrimFunc:
    """The function under one name for all, so that neither structure nor code depends on what it was called."""
    return function.with_attr("global_symbol", _PLACEHOLDER)
