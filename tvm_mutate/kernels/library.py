"""Libraries of unmutated kernels: files that every process of a campaign loads, and that later campaigns find again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tvm
import tvm_ffi
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.kernels.batch import Finished, Kernel, finish, module_of
from tvm_mutate.kernels.c_compiler import DEFAULT_TOOLCHAIN, Toolchain, export, link
from tvm_mutate.kernels.kernel_store import KernelStore
from tvm_mutate.pipeline import PASS_CONFIG, generate

# To be raised when files of kernels, or the digests of their code, come to be made otherwise.
_FORMAT = "4"


@dataclass(frozen=True)
class Library:
    """A file of compiled kernels with the digest of each one's generated code, by name."""

    path: str
    digests: Mapping[str, str]

    def load(self) -> dict[str, Kernel]:
        """The kernels, ready to be called."""
        module = tvm.runtime.load_module(self.path)
        return {name: Kernel(module, name, digest) for name, digest in self.digests.items()}


def build_library(
    functions: Mapping[str, PrimFunc],
    target: Target,
    folder: Path,
    store: KernelStore,
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
) -> Library:
    """The library of the structured PrimFuncs under their names, in ``folder``; from the store if it is there.

    Raises CompileError where the generated code does not compile, and what TVM raises where TVM refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = library_key(functions, target, toolchain)
    kept = store.get(key)
    path = folder / f"library-{key[:16]}{_suffix(target, toolchain)}"
    path.unlink(missing_ok=True)  # it may be loaded: what is mapped must not change
    if kept is not None:
        head, _, content = kept.partition(b"\n")
        path.write_bytes(content)
        return Library(str(path), json.loads(head))
    digests = write_library(functions, target, path, toolchain).digests
    store.put(key, json.dumps(digests).encode() + b"\n" + path.read_bytes())
    return Library(str(path), digests)


def library_key(functions: Mapping[str, PrimFunc], target: Target, toolchain: Toolchain = DEFAULT_TOOLCHAIN) -> str:
    """What decides the content of a library: structure, names, target, pass configuration, versions, compiler."""
    versions = [_FORMAT, tvm.__version__, tvm_ffi.__version__, str(target), json.dumps(PASS_CONFIG)]
    tools = [_suffix(target, toolchain), toolchain.identity()]
    content = hashlib.sha256("\n".join([*versions, *tools]).encode())
    for name in sorted(functions):
        content.update(f"\n{name}\n{tvm.ir.save_json(functions[name])}".encode())
    return content.hexdigest()


def _suffix(target: Target, toolchain: Toolchain) -> str:
    # LLVM IR can be loaded where nothing links objects; machine code is made of it in every process that loads it.
    return ".so" if target.kind.name != "llvm" or toolchain.is_there else ".ll"


def write_library(
    functions: Mapping[str, PrimFunc],
    target: Target,
    path: Path,
    toolchain: Toolchain = DEFAULT_TOOLCHAIN,
    tir_pipeline: str = "default",
) -> Finished:
    """Writes the shared library of the structured PrimFuncs under their names to ``path``, for another process.

    LLVM IR is written where the path ends in ``.ll``. Raises CompileError where the generated code does not compile or
    link, UsageError without a compiler, and what TVM raises where TVM refuses.
    """
    generated = generate(module_of(functions), target, tir_pipeline)
    workplace = path.with_suffix(".build")
    finished = finish(generated, functions, target.kind.name, workplace, toolchain)
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
