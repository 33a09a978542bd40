"""PrimFuncs to native code for one target, with a digest of that code."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import tvm
from tvm.target import Target

from tvm_mutate.kernels.c_compiler import DEFAULT_TOOLCHAIN, Toolchain, compile_c
from tvm_mutate.pipeline import generate

_ADDRESS = re.compile(r'!"0x[0-9a-f]+"')


@dataclass(frozen=True)
class Kernels:
    """The kernels of one program: a module that can be called, and the SHA-256 of its generated code."""

    module: tvm.runtime.Module
    digest: str


def generated_text(module: tvm.runtime.Module, kind: str) -> str:
    """The generated code as text: LLVM IR, C, or the device source of a GPU target."""
    if kind == "llvm":
        return _without_addresses(module.inspect_source("ll"))
    if kind == "c":
        return module.inspect_source("c")
    return "\n".join(imported.inspect_source() for imported in module.imports)


def host_text(module: tvm.runtime.Module, kind: str) -> str:
    """The generated code of the host that launches a GPU target's kernels, as text; empty for other targets.

    It alone has the numbers of blocks and threads: two kernels of the same device source need not be the same.
    """
    if kind in ("llvm", "c"):
        return ""
    return _without_addresses(module.inspect_source("ll" if module.kind == "llvm" else module.kind))


def _without_addresses(text: str) -> str:
    """LLVM IR with the buffers' addresses in its alias metadata replaced by ordinals.

    TVM names the alias classes of local buffers by where the compiler happened to allocate them, so that two
    builds of one module differ in nothing else.
    """
    ordinals: dict[str, str] = {}
    return _ADDRESS.sub(lambda match: ordinals.setdefault(match[0], f'!"buffer{len(ordinals)}"'), text)


def text_digest(text: str) -> str:
    """The SHA-256 of generated code."""
    return hashlib.sha256(text.encode()).hexdigest()


def build_kernels(
    kernels: tvm.IRModule,
    target: Target,
    folder: Path,
    tir_pipeline: str = "default",
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
    *,
    for_export: bool = False,
) -> Kernels:
    """The kernels compiled for the target; files that this needs go into ``folder``.

    C text is left to be compiled where the module is to be exported.

    Raises CompileError where the generated code does not compile, and what TVM raises where TVM refuses.
    """
    kind = target.kind.name
    module = generate(kernels, target, tir_pipeline)
    if kind == "c" and not for_export:
        library = compile_c(module.inspect_source("c"), folder, toolchain=toolchain)
        return Kernels(tvm.runtime.load_module(str(library)), hashlib.sha256(library.read_bytes()).hexdigest())
    return Kernels(module, text_digest(generated_text(module, kind) + host_text(module, kind)))
