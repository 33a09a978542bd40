"""The short form of operators' examples: the lines that change; templates give the script around these lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from textwrap import dedent, indent

from tvm_mutate.mutant import Example, Value

_SHAPE = re.compile(r"\([\d, ]*\)")
_BUFFER = re.compile(r"(?P<name>\w+): (?P<shape>\([\d, ]*\))(?: (?P<dtype>\w+))?")
_HOLE = re.compile(r"^( *)\.\.\.$", re.MULTILINE)
_GRAPH = """
@I.ir_module
class Module:
    @R.function
    def main({inputs}){result}:
        with R.dataflow():
            {lines}
            R.output(gv)
        return gv
"""

# The first line declares the buffers, float32 unless a type follows the shape; an example's code replaces the dots.
_KERNELS = {
    "function": """
        A: (16,), B: (16,)
        ...
    """,
    "map": """
        A: (16,), B: (16,)
        for i in range(16):
            ...
    """,
    "integers": """
        A: (16,) int32, B: (16,) int32
        for i in range(16):
            ...
    """,
    "parallel": """
        A: (16,), B: (16,)
        for i in T.parallel(16):
            ...
    """,
    "padding": """
        A: (16,), B: (20,)
        for i in range(20):
            ...
    """,
    "rows": """
        A: (4, 16), B: (4, 16)
        for i, j in T.grid(4, 16):
            ...
    """,
    "square": """
        A: (8, 8), B: (8, 8)
        for i, j in T.grid(8, 8):
            with T.sblock("copy"):
                vi, vj = T.axis.remap("SS", [i, j])
                T.reads(A[vi, vj])
                T.writes(B[vi, vj])
                ...
    """,
    "tiles": """
        A: (18,), B: (18,)
        for i, j in T.grid(5, 4):
            with T.sblock("copy"):
                vi = T.axis.spatial(18, i * 4 + j)
                T.reads(A[vi])
                T.writes(B[vi])
                ...
    """,
    "scalar": """
        A: (16,), B: (1,)
        for k in range(16):
            ...
    """,
    "reduction": """
        A: (16, 8), B: (16,)
        for i, k in T.grid(16, 8):
            with T.sblock("reduction"):
                vi, vk = T.axis.remap("SR", [i, k])
                T.reads(A[vi, vk])
                T.writes(B[vi])
                ...
    """,
    "dot": """
        A: (16, 8), W: (8,), B: (16,)
        for i, k in T.grid(16, 8):
            with T.sblock("dot"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    B[vi] = T.float32(0)
                ...
    """,
    "window": """
        A: (18, 4), B: (16,)
        for i, c, k in T.grid(16, 4, 3):
            with T.sblock("window"):
                vi, vc, vk = T.axis.remap("SRR", [i, c, k])
                T.reads(A[vi + vk, vc])
                T.writes(B[vi])
                with T.init():
                    B[vi] = T.float32(0)
                ...
    """,
    "window2d": """
        A: (10, 10), W: (3,), B: (8, 8)
        for i, j, k in T.grid(8, 8, 3):
            with T.sblock("window"):
                vi, vj, vk = T.axis.remap("SSR", [i, j, k])
                T.reads(A[vi + vk, vj], W[vk])
                T.writes(B[vi, vj])
                with T.init():
                    B[vi, vj] = T.float32(0)
                ...
    """,
    "decomposed-init": """
        A: (16, 8), B: (16,)
        for i in range(16):
            with T.sblock("max_init"):
                vi = T.axis.spatial(16, i)
                T.reads()
                T.writes(B[vi])
                ...
            for k in range(8):
                with T.sblock("max_update"):
                    vi, vk = T.axis.remap("SR", [i, k])
                    T.reads(B[vi], A[vi, vk])
                    T.writes(B[vi])
                    B[vi] = T.max(B[vi], A[vi, vk])
    """,
    "decomposed-update": """
        A: (16, 8), B: (16,)
        for i in range(16):
            with T.sblock("sum_init"):
                vi = T.axis.spatial(16, i)
                B[vi] = T.float32(0)
            for k in range(8):
                with T.sblock("sum_update"):
                    vi, vk = T.axis.remap("SR", [i, k])
                    T.reads(B[vi], A[vi, vk])
                    T.writes(B[vi])
                    ...
    """,
}

_LLVM = """
define dllexport i32 @__tvm_ffi_main(ptr %args) {{
entry:
  %A = load ptr, ptr %args, align 8
  tail call fastcc void @main_compute_(ptr %A, i32 0, float 0.0, <4 x float> zeroinitializer)
  ret i32 0
}}

define internal fastcc void @main_compute_(ptr %A, i32 %n, float %x, <4 x float> %v) {{
entry:
{lines}
  ret void
}}
"""
_SOURCES = {
    "c": "TVM_DLL int32_t __tvm_ffi_main(void* self_handle, void* args, int32_t num_args, void* result)",
    "cuda": 'extern "C" __global__ void __launch_bounds__(64) main_kernel(float* A, float* B)',
    "opencl": "__kernel void main_kernel(__global float* restrict A, __global float* restrict B)",
}


def graph_examples(text: str) -> tuple[Example, ...]:
    """Examples on float32 tensors, three lines each: the signature, the code before and the code after.

    Parameters and sites follow the signature, as in ``x: (2, 3) -> (2, 3) | to=relu sites=1``. Semicolons separate
    statements; the last statement is the result. The type of the result may be left out, where it changes.
    """

    def script(signature: str, statements: list[str]) -> str:
        typed = _SHAPE.sub(lambda shape: f'R.Tensor({shape[0]}, "float32")', signature)
        inputs, arrow, result = typed.partition(" -> ")
        *first, last = statements
        lines = "\n            ".join([*first, f"gv = {last}"])
        return _GRAPH.format(inputs=inputs, result=arrow + result, lines=lines)

    return _examples(text, script)


def kernel_examples(text: str, own_templates: Mapping[str, str] | None = None) -> tuple[Example, ...]:
    """Examples in TIR, three lines each: the name of a kernel template, the code before and the code after.

    Parameters and sites follow the name, as in ``map | from=lt to=le sites=1``. Semicolons separate statements.
    ``own_templates`` are kernels that only this operator's examples need.
    """
    templates = {**_KERNELS, **(own_templates or {})}

    def script(name: str, statements: list[str]) -> str:
        signature, _, body = dedent(templates[name]).strip("\n").partition("\n")
        buffers = _BUFFER.sub(
            lambda each: f'{each["name"]}: T.Buffer({each["shape"]}, "{each["dtype"] or "float32"}")', signature
        )
        code = _HOLE.sub(lambda hole: indent("\n".join(statements), hole[1]), body.rstrip())
        return f"\n@T.prim_func(s_tir=True)\ndef main({buffers}):\n{indent(code, '    ')}\n"

    return _examples(text, script)


def code_examples(text: str) -> tuple[Example, ...]:
    """Examples in generated code, three lines each: the kind of target, the code before and the code after.

    Parameters and sites follow the kind, as in ``llvm | to=64 sites=1``. Semicolons separate statements or
    instructions; declarations of LLVM functions come last.
    """

    def script(kind: str, lines: list[str]) -> str:
        if kind in _SOURCES:
            return generated_kernel(kind, *(f"{line};" for line in lines))
        declared = [line for line in lines if line.startswith("declare ")]
        return generated_kernel(kind, *lines[: len(lines) - len(declared)]) + "".join(
            f"\n{each}\n" for each in declared
        )

    return _examples(text, script)


def generated_kernel(kind: str, *lines: str) -> str:
    """Generated code of a kernel ``main`` for a target of kind ``llvm``, ``c``, ``cuda`` or ``opencl``.

    The instructions of LLVM IR may use the pointer ``%A``, the integer ``%n``, the float ``%x`` and the vector ``%v``.
    """
    body = "\n".join(f"  {line}" for line in lines)
    return _LLVM.format(lines=body) if kind == "llvm" else f"\n{_SOURCES[kind]} {{\n{body}\n}}\n"


def pass_examples(text: str) -> tuple[Example, ...]:
    """Examples on lists of passes, three lines each: ``passes | pass=NAME``, the names before and the names after."""
    return _examples(text, lambda _head, names: "".join(f"{name}\n" for name in names[0].split()))


def _examples(text: str, script: Callable[[str, list[str]], str]) -> tuple[Example, ...]:
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    triples = zip(lines[::3], lines[1::3], lines[2::3], strict=True)
    return tuple(_example(script, *triple) for triple in triples)


def _example(script: Callable[[str, list[str]], str], head: str, before: str, after: str) -> Example:
    name, _, settings = head.partition(" | ")
    parameters = dict(setting.split("=") for setting in settings.split())
    sites = parameters.pop("sites", "*")
    values = {key: _value(value) for key, value in parameters.items()}
    kind = name if name in ("llvm", *_SOURCES) else ""
    return Example(script(name, before.split("; ")), script(name, after.split("; ")), values, sites, kind)


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
