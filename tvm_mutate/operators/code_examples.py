"""Kernels as generated code, for the examples of text rules. No family of operators."""

from __future__ import annotations

_LLVM = """
define dllexport i32 @__tvm_ffi_main(ptr %args) {{
entry:
  %A = load ptr, ptr %args, align 8
  tail call fastcc void @main_compute_(ptr %A)
  ret i32 0
}}

define internal fastcc void @main_compute_(ptr %A) {{
entry:
{body}
  ret void
}}
"""
_SOURCES = {
    "c": "TVM_DLL int32_t __tvm_ffi_main(void* self_handle, void* args, int32_t num_args, void* result)",
    "cuda": 'extern "C" __global__ void __launch_bounds__(64) main_kernel(float* A, float* B)',
    "opencl": "__kernel void main_kernel(__global float* restrict A, __global float* restrict B)",
}


def llvm_kernel(*lines: str) -> str:
    """LLVM IR of a kernel ``main`` with these instructions on the pointer ``%A``."""
    return _LLVM.format(body=_indented(lines))


def source_kernel(kind: str, *lines: str) -> str:
    """The source of a kernel with these lines, as generated for a kind of target other than ``llvm``."""
    return f"\n{_SOURCES[kind]} {{\n{_indented(lines)}\n}}\n"


def _indented(lines: tuple[str, ...]) -> str:
    return "\n".join(f"  {line}" for line in lines)
