"""Code Generation: one wrong expression or statement in the sources that TVM generates in C, CUDA and OpenCL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import numpy as np

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TextRule
from tvm_mutate.operators.examples import code_examples

_BARRIER = re.compile(r"(?:__syncthreads\(\)|barrier\(CLK_LOCAL_MEM_FENCE\))(?=;)")
_FAST = re.compile(r"(?<![\w.])(?P<name>expf|exp10f|logf|log2f|log10f|sinf|cosf|tanf|powf)(?=\()")
_NATIVE = re.compile(r"(?<![\w.])(?P<name>exp|exp2|exp10|log|log2|log10|sin|cos|tan|sqrt|rsqrt)(?=\()")
_COMPONENT = re.compile(
    r"(?<=[\w\])])(?<!threadIdx)(?<!blockIdx)(?<!blockDim)(?<!gridDim)\.(?P<component>[xyzw]|s[0-7])\b(?!\()"
)
_NEIGHBOURS = {"x": "y", "z": "w", "s0": "s1", "s2": "s3", "s4": "s5", "s6": "s7"}
_OTHER_COMPONENT = {**_NEIGHBOURS, **{after: before for before, after in _NEIGHBOURS.items()}}
# TVM writes a CUDA float as hexadecimal bits, followed by the decimal form in a comment.
_LITERAL = re.compile(
    r"(?<![\w.])(?:(?P<bits>-?0x[01](?:\.[0-9a-f]+)?p[+-]\d+)f/\*(?P<shown>[^*]*)\*/|(?P<decimal>\d\.\d+e[+-]\d+)f)"
)
_ASSIGNMENT = re.compile(
    r"^(?P<head> *(?:(?P<type>\w+) )?(?P<name>\w+)(?:\[[^=;\n]*\])? = )\((?P<sum>[^;\n]*)\)(?=;$)", re.MULTILINE
)
# By the first word of a kernel. C and CUDA have fmaf, OpenCL has fma. Compilers never fuse CUDA's __fadd_rn.
_MULTIPLY_ADDS = {
    "fused": {"TVM_DLL": "fmaf({a}, {b}, {c})", "extern": "fmaf({a}, {b}, {c})", "__kernel": "fma({a}, {b}, {c})"},
    "separate": {"extern": "__fadd_rn({c}, __fmul_rn({a}, {b}))"},
}


def _multiply_add(match: re.Match[str], parameters: Parameters) -> str | None:
    first_word = re.split(r"\W", match.string.lstrip(), maxsplit=1)[0]
    form = _MULTIPLY_ADDS[str(parameters["to"])].get(first_word)
    if form is None or not _is_float(match):
        return None
    terms = list(_split(match["sum"], " + "))
    for number, term in enumerate(terms):
        factors = list(_split(term[1:-1], " * ")) if term.startswith("(") and _closes(term) else []
        if len(terms) == len(factors) == 2:
            return match["head"] + form.format(a=factors[0], b=factors[1], c=terms[1 - number])
    return None


def _is_float(match: re.Match[str]) -> bool:
    """Whether the assigned variable is declared as a float32 in the same function."""
    if match["type"]:
        return match["type"] == "float"
    return re.search(rf"\bfloat\b[*\s]*(?:(?:__restrict__|restrict) )?{match['name']}\b", match.string) is not None


def _split(text: str, separator: str) -> Iterator[str]:
    """The parts between the separators outside of brackets."""
    depth = start = 0
    for place, character in enumerate(text):
        depth += (character in "([") - (character in ")]")
        if depth == 0 and text.startswith(separator, place):
            yield text[start:place]
            start = place + len(separator)
    yield text[start:]


def _closes(term: str) -> bool:
    """Whether the first bracket of a term is closed by the last character."""
    depth = 0
    for place, character in enumerate(term):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place == len(term) - 1
    return False


def _round_literal(match: re.Match[str], parameters: Parameters) -> str | None:
    digits = int(parameters["digits"])
    exact = np.float32(float.fromhex(match["bits"]) if match["bits"] else float(match["decimal"]))
    if digits < 0:
        return None
    text = f"{exact:.{digits}e}"
    with np.errstate(over="ignore"):
        rounded = np.float32(text)
    return f"{text}f" if rounded != exact and np.isfinite(rounded) else None


_operator = partial(Operator, slots=(Slot.TEXT,), category=Category.CODE_GENERATION, by_default=False)

OPERATORS = (
    _operator(
        name="code.multiply-add",
        fault="a multiply-add that is rounded once on one device and twice on another (contraction; differing "
        "floating-point results between targets, Shen et al. 2021)",
        description="fuses a multiplication and an addition in the source, so that they are rounded once, or prevents "
        "the compiler from fusing them (in CUDA only)",
        rule=TextRule(("c", "cuda", "opencl"), _ASSIGNMENT, _multiply_add),
        parameters=(Parameter("to", "how they are computed", choices=tuple(_MULTIPLY_ADDS)),),
        variants=({"to": "fused"},),
        more_variants=({"to": "separate"},),
        examples=code_examples("""
            c | to=fused
            float sum[1]; int at = (i + (j * 4)); sum[0] = (sum[0] + (A[(i + (j * 4))] * B[i]))
            float sum[1]; int at = (i + (j * 4)); sum[0] = fmaf(A[(i + (j * 4))], B[i], sum[0])
            cuda | to=separate
            float sum[1]; int at = (i + (j * 4)); sum[0] = (sum[0] + (A[(i + (j * 4))] * B[i]))
            float sum[1]; int at = (i + (j * 4)); sum[0] = __fadd_rn(sum[0], __fmul_rn(A[(i + (j * 4))], B[i]))
            opencl | to=fused
            float sum[1]; int at = (i + (j * 4)); sum[0] = (sum[0] + (A[(i + (j * 4))] * B[i]))
            float sum[1]; int at = (i + (j * 4)); sum[0] = fma(A[(i + (j * 4))], B[i], sum[0])
        """),
    ),
    _operator(
        name="code.drop-barrier",
        fault="a code generator that omits a barrier, for example for an unknown memory scope (concurrency problems, "
        "Shen et al. 2021)",
        description="removes a barrier between the threads of a block from the source",
        rule=TextRule(("cuda", "opencl"), _BARRIER, lambda _match, _parameters: "/* no barrier */"),
        examples=code_examples("""
            cuda
            __syncthreads()
            /* no barrier */
            opencl
            barrier(CLK_LOCAL_MEM_FENCE)
            /* no barrier */
        """),
        undefined_behaviour=True,
    ),
    _operator(
        name="code.fast-function",
        fault="functions of lower accuracy without a request, as with nvcc's --use_fast_math, which TVM passes by "
        "default (incorrect configuration, Shen et al. 2021)",
        description="calls the fast and less accurate version of a mathematical function, such as __expf for expf",
        rule=TextRule(("cuda",), _FAST, lambda match, _parameters: f"__{match['name']}"),
        examples=code_examples("""
            cuda
            B[0] = (expf(A[0]) + __logf(A[1]))
            B[0] = (__expf(A[0]) + __logf(A[1]))
        """),
    ),
    _operator(
        name="code.native-function",
        fault="functions whose accuracy the device decides, as with -cl-fast-relaxed-math (incorrect configuration, "
        "Shen et al. 2021)",
        description="calls the native version of a mathematical function, whose accuracy OpenCL does not define",
        rule=TextRule(("opencl",), _NATIVE, lambda match, _parameters: f"native_{match['name']}"),
        examples=code_examples("""
            opencl
            B[0] = (exp(A[0]) / A[1])
            B[0] = (native_exp(A[0]) / A[1])
        """),
    ),
    _operator(
        name="code.wrong-component",
        fault="the wrong component of a vector in generated source, as from PrintVecElemLoad of TVM's code generators "
        "(incorrect index, Shen et al. 2021)",
        description="takes the neighbouring component of a vector, such as y in place of x",
        rule=TextRule(
            ("cuda", "opencl"), _COMPONENT, lambda match, _parameters: f".{_OTHER_COMPONENT[match['component']]}"
        ),
        examples=code_examples("""
            cuda
            v.x = (w.x*B[((int)threadIdx.x)])
            v.y = (w.y*B[((int)threadIdx.x)])
            opencl
            v.s2 = w.s3
            v.s3 = w.s2
        """),
        undefined_behaviour=True,  # the other component may be uninitialised
    ),
    _operator(
        name="code.round-literal",
        fault="constants with too few digits, as in TVM's CodeGenC: six digits after the point where float32 needs "
        "eight (numeric precision, Shen et al. 2021)",
        description="writes a float constant with fewer digits, where its value then changes",
        rule=TextRule(("c", "cuda", "opencl"), _LITERAL, _round_literal),
        parameters=(Parameter("digits", "how many digits after the point", 3),),
        variants=({"digits": 3},),
        more_variants=({"digits": 1}, {"digits": 6}),
        examples=code_examples("""
            c
            B[0] = (A[0] * 1.234567e+00f)
            B[0] = (A[0] * 1.235e+00f)
            cuda | digits=1
            B[0] = (A[0] * 0x1.99999ap-4f/*1.000000e-01*/) + 0x1.5555560p-2f/*3.333333e-01*/
            B[0] = (A[0] * 0x1.99999ap-4f/*1.000000e-01*/) + 3.3e-01f
        """),
    ),
)
