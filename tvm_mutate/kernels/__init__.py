"""Compiles PrimFuncs and whole models to native code for a target."""

from tvm_mutate.kernels.c_compiler import DEFAULT_TOOLCHAIN, CompileError, Toolchain, missing_compiler
from tvm_mutate.kernels.code_text import MissingKernelError, generated_text, host_text
from tvm_mutate.kernels.compiled_model import CompiledModel
from tvm_mutate.kernels.fast_check import agrees, contracts, fast_target
from tvm_mutate.kernels.fast_schedule import fast_schedule
from tvm_mutate.kernels.kernel_store import KernelStore, user_kernel_store
from tvm_mutate.kernels.kernels import (
    Kernel,
    KnownKernels,
    Library,
    build_batch,
    build_library,
    module_of,
    write_library,
)
from tvm_mutate.kernels.memory_kernels import memory_kernels
from tvm_mutate.kernels.sanitized import SanitizedKernels, SanitizerFinding, SanitizerMissingError
from tvm_mutate.kernels.target import canonical_target, cuda_architecture, parse_target
