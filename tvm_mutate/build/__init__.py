"""PrimFuncs and whole models to native code for one target."""

from tvm_mutate.build.c_compiler import CompileError, c_compiler
from tvm_mutate.build.kernel_cache import Kernel, KernelCache
from tvm_mutate.build.kernels import Kernels, build_kernels, generate, generated_text
from tvm_mutate.build.program import Program, first_output
from tvm_mutate.build.target import canonical_target, parse_target

__all__ = [
    "CompileError",
    "Kernel",
    "KernelCache",
    "Kernels",
    "Program",
    "build_kernels",
    "c_compiler",
    "canonical_target",
    "first_output",
    "generate",
    "generated_text",
    "parse_target",
]
