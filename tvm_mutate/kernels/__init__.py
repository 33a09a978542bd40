"""PrimFuncs and whole models to native code for one target."""

from tvm_mutate.kernels.batch import Finished, Kernel, build_batch, module_of
from tvm_mutate.kernels.c_compiler import DEFAULT_TOOLCHAIN, CompileError, Toolchain, missing_compiler
from tvm_mutate.kernels.code_text import MissingKernelError
from tvm_mutate.kernels.compiled_model import CompiledModel, first_output
from tvm_mutate.kernels.fast_kernels import agrees, contracts, fast_schedule, fast_target
from tvm_mutate.kernels.kernel_store import KernelStore, user_kernel_store
from tvm_mutate.kernels.kernels import Kernels, build_kernels, generate, generated_text, host_text
from tvm_mutate.kernels.known_kernels import KnownKernels
from tvm_mutate.kernels.library import Library, build_library, write_library
from tvm_mutate.kernels.memory_kernels import SCRATCH_WORDS, SLOTS, TOGETHER, MemoryKernels, memory_kernels
from tvm_mutate.kernels.sanitized import SanitizedKernels, SanitizerFinding, SanitizerMissingError, has_sanitizer
from tvm_mutate.kernels.target import canonical_target, cuda_architecture, parse_target

__all__ = [
    "DEFAULT_TOOLCHAIN",
    "SCRATCH_WORDS",
    "SLOTS",
    "TOGETHER",
    "CompileError",
    "CompiledModel",
    "Finished",
    "Kernel",
    "KernelStore",
    "Kernels",
    "KnownKernels",
    "Library",
    "MemoryKernels",
    "MissingKernelError",
    "SanitizedKernels",
    "SanitizerFinding",
    "SanitizerMissingError",
    "Toolchain",
    "agrees",
    "build_batch",
    "build_kernels",
    "build_library",
    "canonical_target",
    "contracts",
    "cuda_architecture",
    "fast_schedule",
    "fast_target",
    "first_output",
    "generate",
    "generated_text",
    "has_sanitizer",
    "host_text",
    "memory_kernels",
    "missing_compiler",
    "module_of",
    "parse_target",
    "user_kernel_store",
    "write_library",
]
