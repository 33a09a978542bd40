"""Kernels compiled for one target in one go, each known by the digest of its generated code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tvm
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.kernels.c_compiler import ASSEMBLY, DEFAULT_TOOLCHAIN, Toolchain, compile_c
from tvm_mutate.kernels.code_text import (
    assembly_digests,
    device_digests,
    kernels_with_undefined_values,
    llvm_digests,
    source_digests,
)
from tvm_mutate.kernels.kernels import generated_text, host_text, text_digest
from tvm_mutate.pipeline import generate


class Kernel:
    """A compiled kernel: ``run(*inputs, *outputs)`` on tensors, and the SHA-256 of its generated code.

    ``undefined_values`` says whether its code is known to use values that were never written.
    """

    def __init__(self, module: tvm.runtime.Module, name: str, digest: str, undefined_values: bool = False) -> None:
        self._module, self._name = module, name
        self.digest, self.undefined_values = digest, undefined_values

    @cached_property
    def run(self) -> Any:
        """The function that can be called; LLVM makes machine code when it is first asked for."""
        return self._module[self._name]

    def known_as(self, digest: str) -> Kernel:
        """The same kernel under the digest of another that gives the same bits."""
        return Kernel(self._module, self._name, digest, self.undefined_values)


def build_batch(
    functions: Mapping[str, PrimFunc],
    target: Target,
    folder: Path,
    tir_pipeline: str = "default",
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
) -> dict[str, Kernel]:
    """The structured PrimFuncs compiled under their names; files that this needs go into ``folder``.

    A compiler starts once for all of them. Raises CompileError where the generated code does not compile, and what
    TVM raises where TVM refuses.
    """
    module = generate(module_of(functions), target, tir_pipeline)
    finished = finish(module, functions, target.kind.name, folder, toolchain)
    return {
        name: Kernel(finished.module, name, digest, name in finished.undefined_values)
        for name, digest in finished.digests.items()
    }


def module_of(functions: Mapping[str, PrimFunc]) -> tvm.IRModule:
    """A module that exports each function under its name."""
    return tvm.IRModule({name: function.with_attr("global_symbol", name) for name, function in functions.items()})


@dataclass(frozen=True)
class Finished:
    """Generated code as a module that can be called, the digests of its kernels, and which use undefined values."""

    module: tvm.runtime.Module
    digests: dict[str, str]
    undefined_values: frozenset[str] = frozenset()


def finish(
    module: tvm.runtime.Module, names: Mapping[str, Any], kind: str, folder: Path, toolchain: Toolchain
) -> Finished:
    """Generated code finished: compiled where that is left to do, and each kernel's part of it looked at."""
    if kind == "c":
        return _finish_c(module, names, folder, toolchain)
    return (_finish_llvm if kind == "llvm" else _finish_text)(module, names, kind)


def _finish_llvm(module: tvm.runtime.Module, names: Mapping[str, Any], _kind: str) -> Finished:
    text = module.inspect_source("ll")
    return Finished(module, llvm_digests(text, names), kernels_with_undefined_values(text, names))


def _finish_c(module: tvm.runtime.Module, names: Mapping[str, Any], folder: Path, toolchain: Toolchain) -> Finished:
    folder.mkdir(parents=True, exist_ok=True)
    text, readable = module.inspect_source("c"), toolchain.is_for_x86
    library = compile_c(text, folder, keep_assembly=readable, toolchain=toolchain)
    # Assembly of other processors is written otherwise: the text says less of what is the same, and nothing wrong.
    digests = assembly_digests((folder / ASSEMBLY).read_text(), names) if readable else source_digests(text, names)
    return Finished(tvm.runtime.load_module(str(library)) if readable else module, digests)


def _finish_text(module: tvm.runtime.Module, names: Mapping[str, Any], kind: str) -> Finished:
    """Device code, and the host's that starts it: of some kinds it is known which part is which kernel's.

    Of the others kernels have equal digests only in batches that are equal.
    """
    host = host_text(module, kind)
    digests = device_digests(generated_text(module, kind), host, kind, names)
    if digests is None:
        whole = text_digest(generated_text(module, kind) + host)
        digests = {name: f"{whole} {name}" for name in names}
    return Finished(module, digests)
