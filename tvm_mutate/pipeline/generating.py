"""PrimFuncs to generated code: the end of a TIR pipeline, and the slot behind it."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tvm
from tvm import tirx
from tvm.target import Target

from tvm_mutate.errors import UsageError
from tvm_mutate.native import require_runtime
from tvm_mutate.passes import CALLS_RUNTIME, CodePass
from tvm_mutate.pipeline.registration import Wrapper, overridden_global_function

# The argument checks of the packed calling convention are most of the text and none of the kernel; shapes are
# static here, so all builds go without them.
PASS_CONFIG = {"tirx.disable_assert": True}

# Assembly tells where the IR came from.
_FILE_NAME = re.compile(r"^\s*\.file\s.*$", re.MULTILINE)

# Where generated code runs in the process that has loaded the native library.
_HAVE_RUNTIME = ("llvm", "c")

# TVM hands over the source for these kinds of targets before anything is compiled of it.
_CALLBACKS = {"cuda": "tvm_callback_cuda_postproc", "opencl": "tvm_callback_opencl_postproc"}


def generate(kernels: tvm.IRModule, target: Target, tir_pipeline: str = "default") -> tvm.runtime.Module:
    """TVM's code for the kernels: host code, with the device code as an imported module on GPU targets.

    Raises UsageError for kernels that call the run-time support of the native library where there is none.
    """
    if any(function.attrs and CALLS_RUNTIME in function.attrs for function in kernels.functions.values()):
        _require_runtime(target)
    with tvm.transform.PassContext(config=PASS_CONFIG):
        return tirx.build(kernels, target=target, pipeline=tir_pipeline)


def _require_runtime(target: Target) -> None:
    if target.kind.name not in _HAVE_RUNTIME:
        raise UsageError(f"kernels for {target.kind.name} cannot call the run-time support of mutated kernels")
    require_runtime()


@contextlib.contextmanager
def code_door(code_pass: CodePass) -> Iterator[None]:
    """While this lasts, generated code goes through the code pass; one thread at a time.

    LLVM IR (after LLVM's optimisations) and C go out of the built module and back into one; of CUDA and OpenCL it is
    the source, which a callback of the user's may have rewritten before. LLVM IR that gives the same machine code as
    before leaves the built module as it was: such a mutant does not change the code.
    """
    with contextlib.ExitStack() as stack:
        for kind, rebuilt in _REBUILT.items():
            stack.enter_context(
                overridden_global_function(f"target.build.{kind}", _behind_build(kind, rebuilt, code_pass))
            )
        for kind, callback in _CALLBACKS.items():
            stack.enter_context(overridden_global_function(callback, _behind_callback(kind, code_pass)))
        yield


def _behind_build(kind: str, rebuilt: Callable[[Any, str], Any], code_pass: CodePass) -> Wrapper:
    def wrapper(build: Any) -> Callable[..., Any]:
        def build_and_rewrite(module: tvm.IRModule, target: Target) -> tvm.runtime.Module:
            built = build(module, target)
            before = built.inspect_source("ll" if kind == "llvm" else kind)
            after = code_pass(before, kind)
            return built if after == before else rebuilt(built, after)

        return build_and_rewrite

    return wrapper


def _behind_callback(kind: str, code_pass: CodePass) -> Wrapper:
    def wrapper(users: Any) -> Callable[..., Any]:
        return lambda code, target: code_pass(users(code, target) if users else code, kind)

    return wrapper


def _llvm_module(built: tvm.runtime.Module, text: str) -> tvm.runtime.Module:
    """The module of LLVM IR, or the one that was built where LLVM makes the same machine code of both."""
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
