"""Code Generation: the sources that TVM generates in C, CUDA and OpenCL, with one expression or statement otherwise."""

from __future__ import annotations

import re

import numpy as np

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TextRule
from tvm_mutate.operators.code_examples import source_kernel

_BARRIER = re.compile(r"(?:__syncthreads\(\)|barrier\(CLK_LOCAL_MEM_FENCE\))(?=;)")
_FAST = re.compile(r"(?<![\w.])(?P<name>expf|exp10f|logf|log2f|log10f|sinf|cosf|tanf|powf)(?=\()")
_NATIVE = re.compile(r"(?<![\w.])(?P<name>exp|exp2|exp10|log|log2|log10|sin|cos|tan|sqrt|rsqrt)(?=\()")
_COMPONENT = re.compile(
    r"(?<=[\w\])])(?<!threadIdx)(?<!blockIdx)(?<!blockDim)(?<!gridDim)\.(?P<component>[xyzw]|s[0-7])\b(?!\()"
)
_NEIGHBOURS = {"x": "y", "z": "w", "s0": "s1", "s2": "s3", "s4": "s5", "s6": "s7"}
_OTHER_COMPONENT = {**_NEIGHBOURS, **{after: before for before, after in _NEIGHBOURS.items()}}
# TVM writes a float into CUDA as bits in hexadecimal, with what it used to write before as a comment.
_LITERAL = re.compile(
    r"(?<![\w.])(?:(?P<bits>-?0x[01](?:\.[0-9a-f]+)?p[+-]\d+)f/\*(?P<shown>[^*]*)\*/|(?P<decimal>\d\.\d+e[+-]\d+)f)"
)


def _leave_out(_match: re.Match[str], _parameters: Parameters) -> str | None:
    return "/* no barrier */"


def _fast(match: re.Match[str], _parameters: Parameters) -> str | None:
    return f"__{match['name']}"


def _native(match: re.Match[str], _parameters: Parameters) -> str | None:
    return f"native_{match['name']}"


def _neighbour(match: re.Match[str], _parameters: Parameters) -> str | None:
    return f".{_OTHER_COMPONENT[match['component']]}"


def _round_literal(match: re.Match[str], parameters: Parameters) -> str | None:
    digits = int(parameters["digits"])
    exact = np.float32(float.fromhex(match["bits"]) if match["bits"] else float(match["decimal"]))
    if digits < 0:
        return None
    text = f"{exact:.{digits}e}"
    with np.errstate(over="ignore"):
        rounded = np.float32(text)
    return f"{text}f" if rounded != exact and np.isfinite(rounded) else None


def _example(kind: str, before: str, after: str, **parameters: int) -> Example:
    return Example(source_kernel(kind, before), source_kernel(kind, after), parameters, kind=kind)


DROP_BARRIER = Operator(
    name="code.drop-barrier",
    fault="a barrier that a code generator does not write, as of memory scopes that it does not know (concurrency "
    "problems, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="leaves a barrier between the threads of a block out of the source",
    rule=TextRule(("cuda", "opencl"), _BARRIER, _leave_out),
    examples=(
        _example("cuda", "__syncthreads();", "/* no barrier */;"),
        _example("opencl", "barrier(CLK_LOCAL_MEM_FENCE);", "/* no barrier */;"),
    ),
    undefined_behaviour=True,
    by_default=False,
)

FAST_FUNCTION = Operator(
    name="code.fast-function",
    fault="functions of lower accuracy in a build that did not ask for them, as nvcc's --use_fast_math gives, which "
    "TVM passes to it by default (incorrect configuration, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="calls the fast and less accurate version of a mathematical function, such as __expf for expf",
    rule=TextRule(("cuda",), _FAST, _fast),
    examples=(_example("cuda", "B[0] = (expf(A[0]) + __logf(A[1]));", "B[0] = (__expf(A[0]) + __logf(A[1]));"),),
    by_default=False,
)

NATIVE_FUNCTION = Operator(
    name="code.native-function",
    fault="functions whose accuracy the device decides, as -cl-fast-relaxed-math gives (incorrect configuration, "
    "Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="calls the native version of a mathematical function, the accuracy of which OpenCL leaves open",
    rule=TextRule(("opencl",), _NATIVE, _native),
    examples=(_example("opencl", "B[0] = (exp(A[0]) / A[1]);", "B[0] = (native_exp(A[0]) / A[1]);"),),
    by_default=False,
)

WRONG_COMPONENT = Operator(
    name="code.wrong-component",
    fault="the wrong component of a vector in generated source, as by PrintVecElemLoad of TVM's code generators "
    "(incorrect index, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="takes the neighbouring component of a vector, such as y in place of x",
    rule=TextRule(("cuda", "opencl"), _COMPONENT, _neighbour),
    examples=(
        _example("cuda", "v.x = (w.x*B[((int)threadIdx.x)]);", "v.y = (w.y*B[((int)threadIdx.x)]);"),
        _example("opencl", "v.s2 = w.s3;", "v.s3 = w.s2;"),
    ),
    # A component may not have been written yet.
    undefined_behaviour=True,
    by_default=False,
)

ROUND_LITERAL = Operator(
    name="code.round-literal",
    fault="constants written with too few digits, as TVM's CodeGenC does still: six after the point where float32 "
    "needs eight (numeric precision, Shen et al. 2021)",
    slots=(Slot.TEXT,),
    category=Category.CODE_GENERATION,
    description="writes a float constant with fewer digits, where that makes it another one",
    rule=TextRule(("c", "cuda", "opencl"), _LITERAL, _round_literal),
    parameters=(Parameter("digits", "how many digits after the point", 3),),
    variants=({"digits": 3},),
    more_variants=({"digits": 1}, {"digits": 6}),
    examples=(
        _example("c", "B[0] = (A[0] * 1.234567e+00f);", "B[0] = (A[0] * 1.235e+00f);"),
        _example(
            "cuda",
            "B[0] = (A[0] * 0x1.99999ap-4f/*1.000000e-01*/) + 0x1.5555560p-2f/*3.333333e-01*/;",
            "B[0] = (A[0] * 0x1.99999ap-4f/*1.000000e-01*/) + 3.3e-01f;",
            digits=1,
        ),
    ),
    by_default=False,
)

OPERATORS = (DROP_BARRIER, FAST_FUNCTION, NATIVE_FUNCTION, WRONG_COMPONENT, ROUND_LITERAL)
