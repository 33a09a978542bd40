"""Kernels to generated code: the TIR pipeline with its finalizers, TVM's code generators, and the slot ``text``."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.target import Target
from tvm.tirx.build import split_host_device_mods

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Slot
from tvm_mutate.native import require_runtime
from tvm_mutate.passes import CALLS_RUNTIME, CodePass
from tvm_mutate.pipeline.flow import TVM_FLOW, Flow

# The line of assembly that names the file of the IR.
_FILE_NAME = re.compile(r"^\s*\.file\s.*$", re.MULTILINE)

# The kinds of targets whose code runs in the process that has loaded the native library.
_HAVE_RUNTIME = ("llvm", "c")

# TVM calls these with the source before the source is compiled.
_CALLBACKS = {"cuda": "tvm_callback_cuda_postproc", "opencl": "tvm_callback_opencl_postproc"}

# From the function registered under a name (None if there is none) to the function that replaces it.
Wrapper = Callable[[Any], Callable[..., Any]]


def kernels_of(lowered: tvm.IRModule) -> tvm.IRModule:
    """The PrimFuncs of a module after the Relax pipeline, as a module."""
    functions = {
        variable: function for variable, function in lowered.functions.items() if isinstance(function, tirx.PrimFunc)
    }
    return tvm.IRModule(functions, attrs=lowered.attrs)


def host_of(target: Target) -> Target:
    """The target of the host functions; a CPU target is its own host."""
    return target.host or (target if target.kind.name in ("llvm", "c") else Target("llvm"))


def bound_to(target: Target, kernels: tvm.IRModule) -> tvm.IRModule:
    """The kernels bound to the target, as TIR pipelines get them."""
    return tirx.transform.BindTarget(target.with_host(host_of(target)))(kernels)


def lower_kernels(kernels: tvm.IRModule, target: Target, slot: Slot, flow: Flow = TVM_FLOW) -> tvm.IRModule:
    """Host and device functions after the TIR pipeline (slot ``lowered``) or its finalizers (``codegen``)."""
    with flow.options():
        body, finalize_host, finalize_device = tirx.get_tir_pipeline(flow.tir)
        module = body(bound_to(target, kernels))
        if slot is Slot.LOWERED:
            return module
        host_module, device_modules = split_host_device_mods(module)
        functions = dict(finalize_host()(host_module).functions)
        for device_module in device_modules.values():
            functions.update(finalize_device()(device_module).functions)
        return tvm.IRModule(functions)


@contextlib.contextmanager
def overridden_global_function(name: str, wrapper: Wrapper) -> Iterator[None]:
    """Wraps a global function of TVM while the context lasts; restores the same object afterwards.

    Does nothing at the end if somebody else has overridden the function in the meantime.
    """
    before = tvm.get_global_func(name, allow_missing=True)
    tvm_ffi.register_global_func(name, wrapper(before), override=True)
    ours = tvm.get_global_func(name)
    try:
        yield
    finally:
        if ours.same_as(tvm.get_global_func(name, allow_missing=True)):
            if before is None:
                tvm_ffi.remove_global_func(name)
            else:
                tvm_ffi.register_global_func(name, before, override=True)


def generate(kernels: tvm.IRModule, target: Target, flow: Flow = TVM_FLOW) -> tvm.runtime.Module:
    """TVM's code for the kernels: host code, with the device code as an imported module for GPU targets.

    Raises UsageError for kernels that need the run-time support of the native library on a target without it.
    """
    if any(function.attrs and CALLS_RUNTIME in function.attrs for function in kernels.functions.values()):
        _require_runtime(target)
    with flow.context():
        return tirx.build(kernels, target=target, pipeline=flow.tir)


def _require_runtime(target: Target) -> None:
    if target.kind.name not in _HAVE_RUNTIME:
        raise UsageError(f"kernels for {target.kind.name} cannot call the run-time support of mutated kernels")
    require_runtime()


@contextlib.contextmanager
def rewritten_code(code_pass: CodePass) -> Iterator[None]:
    """Generated code goes through the code pass while the context lasts; for one thread at a time.

    LLVM IR (after LLVM's optimisations) and C are taken from the built module, and a new module is made of the result.
    CUDA and OpenCL sources are rewritten after a callback of the user, if there is one. If LLVM makes the same machine
    code of the rewritten IR, the built module stays: such a mutant does not change the code.
    """
    with contextlib.ExitStack() as stack:
        for kind, rebuilt in _REBUILT.items():
            stack.enter_context(
                overridden_global_function(f"target.build.{kind}", _after_build(kind, rebuilt, code_pass))
            )
        for kind, callback in _CALLBACKS.items():
            stack.enter_context(overridden_global_function(callback, _after_callback(kind, code_pass)))
        yield


def _after_build(kind: str, rebuilt: Callable[[Any, str], Any], code_pass: CodePass) -> Wrapper:
    def wrapper(build: Any) -> Callable[..., Any]:
        def build_and_rewrite(module: tvm.IRModule, target: Target) -> tvm.runtime.Module:
            built = build(module, target)
            before = built.inspect_source("ll" if kind == "llvm" else kind)
            after = code_pass(before, kind)
            return built if after == before else rebuilt(built, after)

        return build_and_rewrite

    return wrapper


def _after_callback(kind: str, code_pass: CodePass) -> Wrapper:
    def wrapper(users: Any) -> Callable[..., Any]:
        return lambda code, target: code_pass(users(code, target) if users else code, kind)

    return wrapper


def _llvm_module(built: tvm.runtime.Module, text: str) -> tvm.runtime.Module:
    """The module of LLVM IR, or the built module if LLVM makes the same machine code of both."""
    with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
        path = Path(folder) / "kernels.ll"
        path.write_text(text)
        rebuilt = tvm.get_global_func("ffi.Module.load_from_file.ll")(str(path), "ll")
    return built if _assembly(rebuilt) == _assembly(built) else rebuilt


def _assembly(module: tvm.runtime.Module) -> str:
    return _FILE_NAME.sub("", module.inspect_source("asm"))


def _c_module(built: tvm.runtime.Module, text: str) -> tvm.runtime.Module:
    return tvm.get_global_func("runtime.CSourceModuleCreate")(text, "c", built["get_func_names"](), [])


_REBUILT: dict[str, Callable[[Any, str], Any]] = {"llvm": _llvm_module, "c": _c_module}
