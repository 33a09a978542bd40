"""Compiled kernels of one target: compiled together, each known by the digest of its code, or loaded from a library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tvm
import tvm_ffi
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.kernels.c_compiler import ASSEMBLY, DEFAULT_TOOLCHAIN, Toolchain, compile_c, export, link
from tvm_mutate.kernels.code_text import (
    assembly_digests,
    device_digests,
    generated_text,
    host_text,
    kernels_with_undefined_values,
    llvm_digests,
    source_digests,
    text_digest,
)
from tvm_mutate.kernels.kernel_store import KernelStore
from tvm_mutate.pipeline import TVM_FLOW, Flow, generate

# Raise this number when the files of kernels, or the digests of their code, change.
_FORMAT = "5"


class Kernel:
    """A compiled kernel: ``run(*inputs, *outputs)`` on tensors, and the SHA-256 of its generated code.

    ``undefined_values`` says whether the code is known to use values that were never written.
    """

    def __init__(self, module: tvm.runtime.Module, name: str, digest: str, undefined_values: bool = False) -> None:
        self._module, self._name = module, name
        self.digest, self.undefined_values = digest, undefined_values

    @cached_property
    def run(self) -> Any:
        """The callable function; LLVM makes machine code at the first use."""
        return self._module[self._name]

    def known_as(self, digest: str) -> Kernel:
        """The same kernel under the digest of a kernel that gives the same bits."""
        return Kernel(self._module, self._name, digest, self.undefined_values)


def build_batch(
    functions: Mapping[str, PrimFunc],
    target: Target,
    folder: Path,
    flow: Flow = TVM_FLOW,
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
) -> dict[str, Kernel]:
    """Compiles structured PrimFuncs under their names, all in one run of the compiler; files go into ``folder``.

    Raises CompileError if the generated code does not compile; errors of TVM pass through.
    """
    module = generate(module_of(functions), target, flow)
    finished = _finish(module, functions, target.kind.name, folder, toolchain)
    return {
        name: Kernel(finished.module, name, digest, name in finished.undefined_values)
        for name, digest in finished.digests.items()
    }


def module_of(functions: Mapping[str, PrimFunc]) -> tvm.IRModule:
    """A module that exports each function under its name."""
    return tvm.IRModule({name: function.with_attr("global_symbol", name) for name, function in functions.items()})


@dataclass(frozen=True)
class Finished:
    """A callable module, the digests of its kernels, and the kernels that use undefined values."""

    module: tvm.runtime.Module
    digests: dict[str, str]
    undefined_values: frozenset[str] = frozenset()


def _finish(
    module: tvm.runtime.Module, names: Iterable[str], kind: str, folder: Path, toolchain: Toolchain
) -> Finished:
    """Compiles generated C code, and computes the digest of each kernel's code."""
    if kind == "c":
        return _finish_c(module, names, folder, toolchain)
    if kind == "llvm":
        text = module.inspect_source("ll")
        return Finished(module, llvm_digests(text, names), kernels_with_undefined_values(text, names))
    host = host_text(module, kind)
    digests = device_digests(generated_text(module, kind), host, kind, names)
    if digests is None:  # the kernels are not found in the text, so their digests cover the whole module
        whole = text_digest(generated_text(module, kind) + host)
        digests = {name: f"{whole} {name}" for name in names}
    return Finished(module, digests)


def _finish_c(module: tvm.runtime.Module, names: Iterable[str], folder: Path, toolchain: Toolchain) -> Finished:
    folder.mkdir(parents=True, exist_ok=True)
    text, readable = module.inspect_source("c"), toolchain.is_for_x86
    library = compile_c(text, folder, keep_assembly=readable, toolchain=toolchain)
    # This package reads only the assembly of x86-64. A digest of the C code finds fewer duplicates, but no wrong ones.
    digests = assembly_digests((folder / ASSEMBLY).read_text(), names) if readable else source_digests(text, names)
    return Finished(tvm.runtime.load_module(str(library)) if readable else module, digests)


@dataclass(frozen=True)
class Library:
    """A file of compiled kernels, and the digests of their generated code by name."""

    path: str
    digests: Mapping[str, str]

    def load(self) -> dict[str, Kernel]:
        """Loads the kernels."""
        module = tvm.runtime.load_module(self.path)
        return {name: Kernel(module, name, digest) for name, digest in self.digests.items()}


def build_library(
    functions: Mapping[str, PrimFunc],
    target: Target,
    folder: Path,
    store: KernelStore,
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
    flow: Flow = TVM_FLOW,
) -> Library:
    """The library of structured PrimFuncs under their names, in ``folder``, from the store if possible.

    Raises CompileError if the generated code does not compile; errors of TVM pass through.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = library_key(functions, target, toolchain, flow)
    kept = store.get(key)
    path = folder / f"library-{key[:16]}{_suffix(target, toolchain)}"
    path.unlink(missing_ok=True)  # a loaded file must not change
    if kept is not None:
        head, _, content = kept.partition(b"\n")
        path.write_bytes(content)
        return Library(str(path), json.loads(head))
    digests = write_library(functions, target, path, toolchain, flow).digests
    store.put(key, json.dumps(digests).encode() + b"\n" + path.read_bytes())
    return Library(str(path), digests)


def library_key(
    functions: Mapping[str, PrimFunc],
    target: Target,
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
    flow: Flow = TVM_FLOW,
) -> str:
    """The key of a library in the store: structure, names, target, flow, versions and compiler."""
    versions = [_FORMAT, tvm.__version__, tvm_ffi.__version__, str(target), flow.digest]
    tools = [_suffix(target, toolchain), toolchain.identity()]
    content = hashlib.sha256("\n".join([*versions, *tools]).encode())
    for name in sorted(functions):
        content.update(f"\n{name}\n{tvm.ir.save_json(functions[name])}".encode())
    return content.hexdigest()


def _suffix(target: Target, toolchain: Toolchain) -> str:
    # Without a linker the library is LLVM IR, which every process compiles when it loads the library.
    return ".so" if target.kind.name != "llvm" or toolchain.is_there else ".ll"


def write_library(
    functions: Mapping[str, PrimFunc],
    target: Target,
    path: Path,
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
    flow: Flow = TVM_FLOW,
) -> Finished:
    """Writes a shared library of structured PrimFuncs under their names to ``path``, or LLVM IR if it ends in ``.ll``.

    Raises CompileError if the generated code does not compile or link, and UsageError without a compiler; errors of
    TVM pass through.
    """
    generated = generate(module_of(functions), target, flow)
    workplace = path.with_suffix(".build")
    finished = _finish(generated, functions, target.kind.name, workplace, toolchain)
    if target.kind.name == "c":
        (workplace / "kernels.so").replace(path)
    elif target.kind.name != "llvm":
        export(generated, path, toolchain)
    elif path.suffix == ".so":
        generated.write_to_file(str(path.with_suffix(".o")), "o")
        link(path.with_suffix(".o"), path, toolchain)
    else:
        generated.write_to_file(str(path), "ll")
    return finished


class KnownKernels:
    """The compiled kernels of an unmutated program by the structure of their PrimFuncs, whatever their names.

    ``functions`` and ``kernels`` belong to one program, by name.
    """

    def __init__(self, functions: Mapping[str, PrimFunc], kernels: Mapping[str, Any]) -> None:
        self.functions = {name: functions[name] for name in kernels}
        self.kernels = dict(kernels)
        self._names = {structure(function): name for name, function in self.functions.items()}

    def find(self, name: str, function: PrimFunc) -> Any | None:
        """The compiled kernel of a function with this structure, or None; the search begins at ``name``."""
        if name in self.functions and self.functions[name].same_as(function):
            return self.kernels[name]
        known = self._names.get(structure(function))
        return None if known is None else self.kernels[known]


def structure(function: PrimFunc) -> tvm_ffi.StructuralKey:
    """A key that is equal for functions that differ only in their names."""
    return tvm_ffi.StructuralKey(function.with_attr("global_symbol", "kernel"))
