"""A whole model built for a target: the full rebuild, which is the ground truth of every verdict."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst
from tvm.relax import vm_build
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.kernels.c_compiler import DEFAULT_TOOLCHAIN, Toolchain, compile_c, export_with
from tvm_mutate.kernels.code_text import generated_text, host_text, text_digest
from tvm_mutate.pipeline import TVM_FLOW, Flow, generate, kernels_of


@dataclass(frozen=True)
class Kernels:
    """The kernels of one program: a module that can be called, and the SHA-256 of its generated code."""

    module: tvm.runtime.Module
    digest: str


def build_kernels(
    kernels: tvm.IRModule,
    target: Target,
    folder: Path,
    flow: Flow = TVM_FLOW,
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
    *,
    for_export: bool = False,
) -> Kernels:
    """Compiles kernels for the target; generated files go into ``folder``.

    C code for export is compiled at the export. Raises CompileError if the generated code does not compile; errors of
    TVM pass through.
    """
    kind = target.kind.name
    module = generate(kernels, target, flow)
    if kind == "c" and not for_export:
        library = compile_c(module.inspect_source("c"), folder, toolchain=toolchain)
        return Kernels(tvm.runtime.load_module(str(library)), hashlib.sha256(library.read_bytes()).hexdigest())
    return Kernels(module, text_digest(generated_text(module, kind) + host_text(module, kind)))


class CompiledModel:
    """A model compiled for a target, ready to be loaded on a device.

    ``digest`` covers everything that decides the outputs: the generated code of the kernels, the order of their calls,
    and the constants (a mutation of weights changes nothing else). Constants are not copied, so forked processes share
    the weights.
    """

    def __init__(
        self,
        lowered: tvm.IRModule,
        target: Target,
        folder: Path,
        flow: Flow = TVM_FLOW,
        toolchain: Toolchain = DEFAULT_TOOLCHAIN,
        *,
        for_export: bool = False,
    ) -> None:
        self._folder, self._toolchain = folder, toolchain
        builder = relax.ExecBuilder()
        constants = dict(lowered.attrs.get("const_name_to_constant", {})) if lowered.attrs else {}
        leftover = vm_build._vmcodegen(builder, lowered)
        self.kernels: Kernels = build_kernels(
            kernels_of(leftover), target, folder, flow, toolchain, for_export=for_export
        )
        self.digest = hashlib.sha256(f"{self.kernels.digest} {_calls_digest(lowered)}".encode()).hexdigest()
        self._executable = vm_build._vmlink(builder, target, None, ext_libs=[self.kernels.module], params=constants)

    def load(self, device: tvm.runtime.Device) -> relax.VirtualMachine:
        """A virtual machine that runs the model on the device."""
        return relax.VirtualMachine(self._executable.mod, device)

    def export(self) -> Path:
        """The model as a shared library for a virtual machine on another machine; needs ``for_export``.

        Raises CompileError if the library does not link, and UsageError without a compiler.
        """
        library = self._folder / "program.so"
        export_with(self._executable.export_library, library, self._toolchain, "a library for another machine")
        return library


def _calls_digest(lowered: tvm.IRModule) -> str:
    """The digest of the functions that call the kernels: their text, and the bytes of their constants.

    TVM's structural hash will not do: for functions that refer to others it differs between processes.
    """
    content = hashlib.sha256()
    for name, function in sorted((each.name_hint, function) for each, function in lowered.functions.items()):
        if not isinstance(function, PrimFunc):
            content.update(f"{name}\n{function.script(show_meta=False)}".encode())
            relax.analysis.post_order_visit(function, functools.partial(_add_constant, content))
    return content.hexdigest()


def _add_constant(content: Any, node: Any) -> None:
    if isinstance(node, GenericConst) and isinstance(node.value, tvm.runtime.Tensor):  # others are in the text
        array = node.value.numpy()
        content.update(f"{array.dtype}{array.shape}".encode())
        content.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
